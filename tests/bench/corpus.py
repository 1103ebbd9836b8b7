"""The recognition corpus: clips as viewers of a stream hear them, and the tracks to be indexed."""

import json
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from fingerprint.domain.audio import SAMPLE_RATE, Pcm
from fingerprint.domain.problems import TwitchAudioError
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


def track_blocks(folder: Path, track_id: str, path: Path) -> Iterator[Pcm]:
    """The sound of a corpus's track."""
    blocks = iter(decode_blocks(path))
    try:
        first = next(blocks, None)
    except TwitchAudioError:
        # A tracker module: no sound, but notes. The corpus tools may have rendered it.
        rendered = folder / "pcm" / f"{track_id}.flac"
        yield from decode_blocks(rendered) if rendered.exists() else [_rendered(path)]
        return
    if first is not None:
        yield first
        yield from blocks


def _rendered(path: Path) -> Pcm:
    """A tracker module as the system's FFmpeg plays it; the one that comes with PyAV cannot."""
    command = ["ffmpeg", "-v", "error", "-nostdin", "-i", str(path)]
    output = ["-map", "0:a:0", "-ac", "2", "-ar", str(SAMPLE_RATE), "-f", "f32le", "-"]
    done = subprocess.run([*command, *output], capture_output=True, check=True)
    return Pcm(np.ascontiguousarray(np.frombuffer(done.stdout, np.float32).reshape(-1, 2).T))
