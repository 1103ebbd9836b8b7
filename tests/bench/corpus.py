"""The recognition corpus: clips as viewers of a stream hear them, and the tracks to be indexed."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from fingerprint.domain.audio import Pcm
from fingerprint.media.decode import decode_blocks


@dataclass(frozen=True, slots=True)
class Query:
    """A clip, and what would be right. `accept` is empty for a negative."""

    file: str
    condition: str
    duration: int
    accept: frozenset[str]


@dataclass(frozen=True, slots=True)
class Corpus:
    """The corpus: queries, and the files of the tracks to index by id; `unindexed`: the files of the others."""

    folder: Path
    queries: tuple[Query, ...]
    tracks: dict[str, Path]
    unindexed: tuple[Path, ...] = ()

    def clip(self, query: Query) -> Path:
        """A query's file."""
        return self.folder / "queries" / query.file


@dataclass(frozen=True, slots=True)
class Said:
    """What a system says about a query: the likeliest track, and its score (0 without a track)."""

    track_id: str | None
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A system's answers by file, the score from which it gives an answer, and what a query costs."""

    said: dict[str, Said]
    threshold: float
    cpu_ms: float


def read_corpus(folder: Path, *, share: int, durations: Sequence[int]) -> Corpus:
    """Every `share`-th query of some durations (negatives: of all) and the tracks."""
    manifest = cast("dict[str, Any]", json.loads((folder / "manifest.json").read_text()))
    catalogue = cast("dict[str, Any]", json.loads((folder / "catalogue.json").read_text()))
    listed = cast("dict[str, Any]", json.loads((folder / "queries.json").read_text()))
    paths = {track["id"]: folder / track["path"] for track in manifest["tracks"]}
    queries = [
        Query(
            query["file"],
            query["condition"] if query["track"] else "negative",
            round(query["duration"]),
            frozenset(query["accept"]) if query["track"] else frozenset(),
        )
        for query in listed["queries"]
        if not query["track"] or round(query["duration"]) in durations
    ]
    return Corpus(
        folder,
        tuple(queries[::share]),
        {track_id: paths[track_id] for track_id in catalogue["indexed"]},
        tuple(paths[track_id] for track_id in catalogue["unindexed"]),
    )


def decode(path: Path) -> Pcm:
    """A whole file."""
    return Pcm(np.ascontiguousarray(np.concatenate([block.samples for block in decode_blocks(path)], axis=1)))
