"""How well the fingerprint of an unknown moment finds its song, once that is in the catalog.

`--corpus DIR` is the corpus of `scripts/bench recognition`, whose index in `--work` is used. Its clips of indexed
tracks stand for moments whose song was added later; its negatives, and `--questions` moments of music that is not
indexed, must stay without a name. For each least confidence the rows give

- `named`: the share of clips for which the fingerprint names an acceptable track; `streams`: of the 6 and 10 s
  with a voice or a game
- `wrong`: how many clips got another track
- `false`: how many of the `negatives` got a name; `false_tracks`: of how many tracks these are
- `by_sound`: the share of clips that are named by their sound, at its own threshold

`kib`: the size of a fingerprint of 6 s (median); `cpu_ms`: what one search costs.
"""

import argparse
import os
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, cast

from fingerprint.catalog.identify import identify, prepare
from fingerprint.catalog.index import Catalog
from fingerprint.catalog.query_print import PRINT_CONFIDENCE, query_of, query_print
from fingerprint.domain.audio import Pcm
from fingerprint.domain.problems import TwitchAudioError
from tests.bench.corpus import decode, read_corpus
from tests.bench.recognition import catalog_folder, index
from tests.bench.table import median, print_table, write_json

CONFIDENCES: Final = (0.85, 0.95, PRINT_CONFIDENCE, 0.995, 0.999, 0.9995)
STREAMS: Final = frozenset({"voice0", "voice-6", "voice+6", "game0", "stream0", "stream-6"})
SECONDS: Final = 6.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a fingerprint says about a sound. `by_sound`: what the sound itself says."""

    source: str
    condition: str
    seconds: float
    accept: frozenset[str]
    track: str | None
    confidence: float
    by_sound: str | None
    kib: float
    cpu_ms: float


@cache
def _catalog(folder: Path) -> Catalog:
    return Catalog(folder)


def _ask(folder: Path, pcm: Pcm, source: str, condition: str, accept: frozenset[str]) -> Asked:
    snapshot = _catalog(folder).snapshot()
    heard = identify(snapshot, prepare(pcm))
    fingerprint = query_print(pcm)
    began = time.process_time()
    found = identify(snapshot, query_of(fingerprint))
    return Asked(
        source=source,
        condition=condition,
        seconds=pcm.duration_seconds,
        accept=accept,
        track=found[0].track.id if found else None,
        confidence=found[0].confidence if found else 0.0,
        by_sound=heard[0].track.id if heard else None,
        kib=len(fingerprint) / 1024,
        cpu_ms=(time.process_time() - began) * 1000,
    )


def ask_clip(job: tuple[Path, Path, str, frozenset[str]]) -> Asked:
    """Ask about a clip of the corpus."""
    folder, path, condition, accept = job
    return _ask(folder, decode(path), path.name, condition, accept)


def ask_moments(job: tuple[Path, Path, float]) -> list[Asked]:
    """Ask about a moment every so many seconds of music that is not indexed."""
    folder, path, every = job
    try:
        pcm = decode(path)
    except TwitchAudioError:
        return []
    asked: list[Asked] = []
    at = 3.0
    while at + SECONDS < pcm.duration_seconds:
        asked.append(_ask(folder, pcm.cut(at, SECONDS), path.name, "negative", frozenset()))
        at += every
    return asked


def row(asked: Sequence[Asked], least: float) -> dict[str, object]:
    """What a least confidence gives."""
    clips = [one for one in asked if one.accept]
    streams = [one for one in clips if one.condition in STREAMS and one.seconds > 5]
    negatives = [one for one in asked if not one.accept]
    false = [one for one in negatives if one.confidence >= least]

    def named(those: Sequence[Asked]) -> float:
        return sum(one.confidence >= least and one.track in one.accept for one in those) / max(1, len(those))

    return {
        "least": f"{least:g}",
        "named": f"{named(clips):.3f}",
        "streams": f"{named(streams):.3f}",
        "wrong": sum(one.confidence >= least and one.track not in one.accept for one in clips),
        "false": len(false),
        "false_tracks": len({one.source for one in false}),
        "by_sound": f"{sum(one.by_sound in one.accept for one in clips) / max(1, len(clips)):.3f}",
    }


def main(argv: Sequence[str]) -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="scripts/bench unknowns", description=__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--questions", type=int, default=600)
    arguments = parser.parse_args(argv)
    jobs, questions = cast("int", arguments.jobs), cast("int", arguments.questions)
    corpus = read_corpus(cast("Path", arguments.corpus), share=1, durations=(3, 6, 10))
    folder = catalog_folder(cast("Path", arguments.work), corpus.folder)
    index(corpus, folder, jobs)
    every = 120.0 * len(corpus.unindexed) / max(1, questions)
    with ProcessPoolExecutor(jobs) as pool:
        clips = [(folder, corpus.clip(query), query.condition, query.accept) for query in corpus.queries]
        asked = list(pool.map(ask_clip, clips, chunksize=8))
        for found in pool.map(ask_moments, [(folder, path, every) for path in corpus.unindexed]):
            asked += found
    rows = [row(asked, least) for least in CONFIDENCES]
    kib = median([one.kib for one in asked if 5 < one.seconds < 7])
    cpu_ms = median([one.cpu_ms for one in asked])
    clips_asked = sum(bool(one.accept) for one in asked)
    negatives = len(asked) - clips_asked
    print_table("fingerprints of unknown moments", rows)
    print(f"{clips_asked} clips, {negatives} negatives; {kib:.1f} KiB for {SECONDS:g} s")
    print(f"a search costs {cpu_ms:.0f} ms of CPU")
    false = [
        {"source": one.source, "track": one.track, "confidence": round(one.confidence, 5)}
        for one in asked
        if not one.accept and one.confidence >= CONFIDENCES[0]
    ]
    figures: dict[str, Any] = {
        "clips": clips_asked,
        "negatives": negatives,
        "rows": rows,
        "false": false,
        "kib": round(kib, 2),
        "cpu_ms": round(cpu_ms, 1),
    }
    write_json(cast("Path | None", arguments.json), figures)
    return 0
