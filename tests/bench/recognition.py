"""How often the right song is named under a voice and a game, beside other open fingerprinters.

`--corpus DIR` is a corpus made by the tools of the benchmark (`manifest.json`, `catalogue.json`, `queries.json`).
Only the tracks that `catalogue.json` lists as indexed are indexed; the index is kept in `--work` for the next run.
For each system, condition and duration the rows give

- `top1`: the share of queries for which an acceptable track is given at the system's own threshold
- `wrong`: the share for which another track is given
- `top1_at_1pct`: as `top1`, at the threshold that at most 1 % of the negatives reach

A peer takes part when its program is there: audfprint (`audfprint2` on PyPI), on the PATH or by `--audfprint`.
"""

import argparse
import hashlib
import itertools
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, cast

import numpy as np

from fingerprint.catalog.confidence import THRESHOLD
from fingerprint.catalog.fingerprint import TrackFingerprint, fingerprint_track
from fingerprint.catalog.identify import likeliest, prepare
from fingerprint.catalog.index import Catalog
from fingerprint.catalog.parameters import DEFAULT
from fingerprint.catalog.tracks import Track
from fingerprint.catalog.writer import CatalogWriter
from fingerprint.domain.audio import Pcm
from fingerprint.domain.problems import TwitchAudioError
from fingerprint.media.decode import decode_blocks
from tests.bench.table import median, print_table, write_json

OURS: Final = "twitchaudio"
FALSE_POSITIVES: Final = 0.01
_AUDFPRINT: Final[dict[str, tuple[str, ...]]] = {
    "audfprint": (),
    "audfprint-70-8": ("--density", "70", "--fanout", "8"),
}
_MATCHED: Final = re.compile(r"Matched (.+?) [\d.]+ sec \d+ raw hashes as (.+?) at +[\d.]+ s with +(\d+) of")


@dataclass(frozen=True, slots=True)
class Query:
    """A clip, and what would be right. `accept` is empty for a negative."""

    file: str
    condition: str
    duration: int
    accept: frozenset[str]


@dataclass(frozen=True, slots=True)
class Corpus:
    """The corpus: queries, and the files of the tracks to index by id."""

    folder: Path
    queries: tuple[Query, ...]
    tracks: dict[str, Path]


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
        folder, tuple(queries[::share]), {track_id: paths[track_id] for track_id in catalogue["indexed"]}
    )


def catalog_folder(work: Path, corpus: Path) -> Path:
    """Where a corpus's index is kept between runs."""
    return work / hashlib.sha256(str(corpus).encode()).hexdigest()[:8] / DEFAULT.identity


# --- Ours ---------------------------------------------------------------------------------------------


def _read_track(job: tuple[Path, str, Path]) -> tuple[Track, TrackFingerprint]:
    folder, track_id, path = job
    try:
        fingerprint = fingerprint_track(decode_blocks(path))
    except TwitchAudioError:
        # A tracker module: no sound, but notes. The corpus tools may have rendered it.
        rendered = folder / "pcm" / f"{track_id}.flac"
        fingerprint = fingerprint_track(decode_blocks(rendered) if rendered.exists() else _rendered(path))
    duration = fingerprint.duration_seconds
    track = Track(id=track_id, title=path.stem, path=str(path), size=0, modified_ns=0, duration_seconds=duration)
    return track, fingerprint


def _rendered(path: Path) -> list[Pcm]:
    """A tracker module as the system's FFmpeg plays it; the one that comes with PyAV cannot."""
    command = ["ffmpeg", "-v", "error", "-nostdin", "-i", str(path)]
    output = ["-map", "0:a:0", "-ac", "1", "-ar", str(DEFAULT.rate), "-f", "f32le", "-"]
    done = subprocess.run([*command, *output], capture_output=True, check=True)
    return [Pcm(np.frombuffer(done.stdout, np.float32)[np.newaxis])]


def index(corpus: Corpus, folder: Path, jobs: int) -> None:
    """Index the corpus, unless `folder` holds just that already."""
    if Catalog(folder).snapshot().ids() == set(corpus.tracks):
        return
    started = time.perf_counter()
    work = [(corpus.folder, track_id, path) for track_id, path in sorted(corpus.tracks.items())]
    seconds = 0.0
    with CatalogWriter(folder) as writer, ProcessPoolExecutor(jobs) as pool:
        writer.remove(writer.snapshot().ids())
        for track in pool.map(_read_track, work, chunksize=4):
            writer.add([track])
            seconds += track[0].duration_seconds
    took = time.perf_counter() - started
    stats = Catalog(folder).stats()
    print(
        f"indexed {stats.tracks} tracks, {stats.hours:.1f} h, in {took:.0f} s "
        f"({seconds / took:.0f} times real time on {jobs} processes, decoding included); "
        f"{stats.bytes_per_minute / 1024:.1f} KiB a minute"
    )


@cache
def _catalog(folder: Path) -> Catalog:
    return Catalog(folder)


def _ask(job: tuple[Path, Path]) -> tuple[str, Said, float]:
    folder, file = job
    pcm = Pcm(np.ascontiguousarray(np.concatenate([block.samples for block in decode_blocks(file)], axis=1)))
    snapshot = _catalog(folder).snapshot()
    started = time.process_time()
    best = likeliest(snapshot, prepare(pcm))
    took = time.process_time() - started
    return file.name, Said(None, 0.0) if best is None else Said(best.track.id, best.confidence), took * 1000


def ask_ours(corpus: Corpus, folder: Path, jobs: int) -> Outcome:
    """Our answers; the CPU time leaves decoding out."""
    files = [(folder, corpus.folder / "queries" / query.file) for query in corpus.queries]
    said: dict[str, Said] = {}
    costs: dict[str, float] = {}
    with ProcessPoolExecutor(jobs) as pool:
        for (_, file), (_, answer, cost) in zip(files, pool.map(_ask, files, chunksize=8), strict=True):
            name = str(file.relative_to(corpus.folder / "queries"))
            said[name], costs[name] = answer, cost
    six = [costs[query.file] for query in corpus.queries if query.duration == 6]
    return Outcome(said=said, threshold=THRESHOLD, cpu_ms=median(six or list(costs.values())))


# --- Peers --------------------------------------------------------------------------------------------


def ask_audfprint(corpus: Corpus, program: str, work: Path, *, name: str, jobs: int) -> Outcome:
    """audfprint's answers: its score is the number of common hashes, its own threshold 5. Decodes by FFmpeg."""
    options = _AUDFPRINT[name]
    database = work / f"{name}.pklz"
    marker = hashlib.sha256("".join(sorted(corpus.tracks)).encode()).hexdigest()
    if not database.exists() or (work / f"{name}.for").read_text() != marker:
        _audfprint(program, "new", ["--dbase", str(database), *options], corpus.tracks.values(), jobs)
        (work / f"{name}.for").write_text(marker)
    by_path = {str(path): track_id for track_id, path in corpus.tracks.items()}
    files = [corpus.folder / "queries" / query.file for query in corpus.queries]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    limits = ["--verbose", "--min-count", "1", "--max-matches", "1"]
    lines = _audfprint(program, "match", ["--dbase", str(database), *limits, *options], files, jobs)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    said = {query.file: Said(None, 0.0) for query in corpus.queries}
    for line in lines:
        found = _MATCHED.search(line)
        if found:
            file = str(Path(found[1]).relative_to(corpus.folder / "queries"))
            said[file] = Said(by_path.get(found[2]), float(found[3]))
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Outcome(said=said, threshold=5.0, cpu_ms=cpu * 1000 / len(files))


def _audfprint(program: str, action: str, options: list[str], files: Iterable[Path], jobs: int) -> list[str]:
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as listing:
        listing.write("\n".join(map(str, files)))
        listing.flush()
        command = [program, *options, "--ncores", str(jobs), "--list", action, listing.name]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    # It reports matches as log lines.
    return done.stderr.splitlines()


# --- Figures ------------------------------------------------------------------------------------------


def figures(corpus: Corpus, systems: dict[str, Outcome]) -> dict[str, Any]:
    """The rows of docs/recognition.md's tables."""
    cells: dict[tuple[str, int], list[Query]] = defaultdict(list)
    negatives: list[Query] = []
    for query in corpus.queries:
        if query.accept:
            cells[query.condition, query.duration].append(query)
        else:
            negatives.append(query)
    rows: list[dict[str, object]] = []
    false_positives: dict[str, float] = {}
    thresholds: dict[str, float] = {}
    for name, outcome in systems.items():
        reached = sorted((outcome.said[query.file].score for query in negatives), reverse=True)
        allowed = int(FALSE_POSITIVES * len(reached))
        thresholds[name] = reached[allowed] if len(reached) > allowed else 0.0
        false_positives[name] = _share([score >= outcome.threshold for score in reached])
        for (condition, duration), queries in sorted(cells.items()):
            answers = [(outcome.said[query.file], query) for query in queries]
            given = [(said, query) for said, query in answers if said.score >= outcome.threshold and said.track_id]
            strict = [said.track_id in query.accept and said.score > thresholds[name] for said, query in answers]
            rows.append(
                {
                    "system": name,
                    "condition": condition,
                    "duration": duration,
                    "n": len(queries),
                    "top1": sum(said.track_id in query.accept for said, query in given) / len(queries),
                    "wrong": sum(said.track_id not in query.accept for said, query in given) / len(queries),
                    "top1_at_1pct": _share(strict),
                }
            )
    return {
        "rows": rows,
        "false_positives": false_positives,
        "threshold_at_1pct": thresholds,
        "cpu_ms_per_query": {name: outcome.cpu_ms for name, outcome in systems.items()},
    }


def _share(flags: Sequence[bool]) -> float:
    return sum(flags) / max(1, len(flags))


def reliability(corpus: Corpus, outcome: Outcome) -> list[dict[str, object]]:
    """How often our likeliest track is right, by the probability that we gave it."""
    edges = (0.0, 0.05, 0.2, 0.35, 0.5, 0.65, 0.8, 0.95, 1.0001)
    rows: list[dict[str, object]] = []
    for low, high in itertools.pairwise(edges):
        own = [
            (outcome.said[query.file], query)
            for query in corpus.queries
            if low <= outcome.said[query.file].score < high
        ]
        if own:
            right = _share([said.track_id in query.accept for said, query in own])
            rows.append(
                {
                    "said": f"{low:.2f}..{min(high, 1.0):.2f}",
                    "queries": len(own),
                    "mean said %": 100 * sum(said.score for said, _ in own) / len(own),
                    "right %": 100 * right,
                    "": "#" * round(40 * right),
                }
            )
    return rows


def print_figures(found: dict[str, Any], durations: Sequence[int]) -> None:
    """A table a system: conditions down, durations across."""
    rows = cast("list[dict[str, Any]]", found["rows"])
    for name in found["cpu_ms_per_query"]:
        own = [row for row in rows if row["system"] == name]
        table: list[dict[str, object]] = []
        for condition in dict.fromkeys(row["condition"] for row in own):
            line: dict[str, object] = {"condition": condition}
            for duration in durations:
                cell = next((r for r in own if (r["condition"], r["duration"]) == (condition, duration)), None)
                for key in ("top1", "wrong", "top1_at_1pct"):
                    line[f"{key} {duration} s"] = "-" if cell is None else 100 * cell[key]
            table.append(line)
        total = sum(row["n"] for row in own)
        line = {"condition": "all"}
        for index_of, duration in enumerate(durations):
            for key in ("top1", "wrong", "top1_at_1pct"):
                mean = 100 * sum(row[key] * row["n"] for row in own) / max(1, total)
                line[f"{key} {duration} s"] = mean if index_of == 0 else ""
        table.append(line)
        print_table(f"{name}, percent (the last line: over all durations)", table)
        print(
            f"false positives {100 * found['false_positives'][name]:.1f} %, "
            f"threshold for 1 % {found['threshold_at_1pct'][name]:.3f}, "
            f"CPU {found['cpu_ms_per_query'][name]:.0f} ms a query"
        )


def main(argv: Sequence[str]) -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="scripts/bench recognition", description=__doc__)
    parser.add_argument("--corpus", type=Path, required=True, metavar="DIR")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--work", type=Path, default=Path(".cache/bench/recognition"), metavar="DIR")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="take every N-th query only")
    parser.add_argument("--durations", type=int, nargs="+", default=[3, 6, 10], metavar="SECONDS")
    parser.add_argument("--audfprint", default=shutil.which("audfprint"), metavar="PATH")
    arguments = parser.parse_args(argv)
    durations = cast("list[int]", arguments.durations)
    corpus = read_corpus(cast("Path", arguments.corpus).absolute(), share=arguments.every, durations=durations)
    catalog = catalog_folder(cast("Path", arguments.work), corpus.folder)
    work = catalog.parent
    work.mkdir(parents=True, exist_ok=True)
    index(corpus, catalog, arguments.jobs)
    systems = {OURS: ask_ours(corpus, catalog, arguments.jobs)}
    if arguments.audfprint:
        for name in _AUDFPRINT:
            systems[name] = ask_audfprint(corpus, arguments.audfprint, work, name=name, jobs=arguments.jobs)
    else:
        print("audfprint is not installed: no peer takes part (--audfprint PATH)", file=sys.stderr)
    found = figures(corpus, systems)
    print_figures(found, durations)
    print_table("reliability of our confidence", reliability(corpus, systems[OURS]))
    write_json(arguments.json, found)
    return 0
