"""How often the right song is named under a voice and a game, beside other open fingerprinters.

`--corpus DIR` is a corpus made by the tools of the benchmark (`manifest.json`, `catalogue.json`, `queries.json`).
Only the tracks that `catalogue.json` lists as indexed are indexed; the index is kept in `--work` for the next run.
For each system, condition and duration the rows give

- `top1`: the share of queries for which an acceptable track is given at the system's own threshold
- `wrong`: the share for which another track is given
- `top1_at_1pct`: as `top1`, at the threshold that at most 1 % of the negatives reach

What is left of 100 % is missed. `cpu_ms_per_query` leaves decoding out for ours and for Olaf: the median of 6 s.
How true our confidence is, is drawn as `reliability.svg` in `--work`, or where `--plot` says; for each length by
itself, as `reliability-6s.svg` beside it.

Whole questions about music that is not indexed are asked by `scripts/bench false-answers`.

audfprint comes with the benchmarks' packages. Olaf takes part when its programs are named (`--olaf PATH`,
repeatable; see `peers`). The peers' indexes and answers are kept in `--work`, too.
"""

import argparse
import hashlib
import os
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from pathlib import Path
from typing import Any, Final, cast

from fingerprint.catalog.confidence import WHOLE_THRESHOLD
from fingerprint.catalog.fingerprint import TrackFingerprint, fingerprint_track
from fingerprint.catalog.identify import prepare
from fingerprint.catalog.index import Catalog
from fingerprint.catalog.parameters import DEFAULT
from fingerprint.catalog.search import examine
from fingerprint.catalog.tracks import Track
from fingerprint.catalog.writer import CatalogWriter
from tests.bench.corpus import Corpus, Outcome, Query, Said, decode, read_corpus, track_blocks
from tests.bench.peers import AUDFPRINT, ask_audfprint, ask_olaf, kept
from tests.bench.reliability import draw, reliability, table
from tests.bench.table import median, print_table, write_json

OURS: Final = "twitchaudio"
FALSE_POSITIVES: Final = 0.01


def catalog_folder(work: Path, corpus: Path) -> Path:
    """Where a corpus's index is kept between runs."""
    return work / hashlib.sha256(str(corpus).encode()).hexdigest()[:8] / DEFAULT.identity


# --- Ours ---------------------------------------------------------------------------------------------


def _read_track(job: tuple[Path, str, Path]) -> tuple[Track, TrackFingerprint]:
    folder, track_id, path = job
    fingerprint = fingerprint_track(track_blocks(folder, track_id, path))
    duration = fingerprint.duration_seconds
    track = Track(id=track_id, title=path.stem, path=str(path), size=0, modified_ns=0, duration_seconds=duration)
    return track, fingerprint


def index(corpus: Corpus, folder: Path, jobs: int) -> None:
    """Have `folder` hold just the corpus's tracks; those that it holds already stay."""
    there = Catalog(folder).snapshot().ids()
    if there == set(corpus.tracks):
        return
    started = time.perf_counter()
    missing = sorted((track_id, path) for track_id, path in corpus.tracks.items() if track_id not in there)
    work = [(corpus.folder, track_id, path) for track_id, path in missing]
    seconds = 0.0
    with CatalogWriter(folder) as writer, ProcessPoolExecutor(jobs) as pool:
        writer.remove(there - set(corpus.tracks))
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
    pcm = decode(file)
    snapshot = _catalog(folder).snapshot()
    started = time.process_time()
    best = examine(snapshot, prepare(pcm))
    took = time.process_time() - started
    said = Said(None, 0.0) if best is None else Said(best.finding.track.id, best.finding.confidence)
    return file.name, said, took * 1000


def ask_ours(corpus: Corpus, folder: Path, jobs: int) -> Outcome:
    """Our answers; the CPU time leaves decoding out."""
    files = [(folder, corpus.clip(query)) for query in corpus.queries]
    said: dict[str, Said] = {}
    costs: dict[str, float] = {}
    with ProcessPoolExecutor(jobs) as pool:
        for name, answer, cost in pool.map(_ask, files, chunksize=8):
            said[name], costs[name] = answer, cost
    six = [costs[query.file] for query in corpus.queries if query.duration == 6]
    return Outcome(said=said, threshold=WHOLE_THRESHOLD, cpu_ms=median(six or list(costs.values())))


# --- Figures ------------------------------------------------------------------------------------------


def strict_threshold(corpus: Corpus, outcome: Outcome) -> float:
    """The score that at most 1 % of the negatives are above."""
    reached = sorted(
        (outcome.said[query.file].score for query in corpus.queries if not query.accept), reverse=True
    )
    allowed = int(FALSE_POSITIVES * len(reached))
    return reached[allowed] if len(reached) > allowed else 0.0


def figures(corpus: Corpus, systems: dict[str, Outcome]) -> dict[str, Any]:
    """What `--json` writes; the rows are those of docs/recognition.md's tables."""
    cells: dict[tuple[str, int], list[Query]] = defaultdict(list)
    for query in corpus.queries:
        if query.accept:
            cells[query.condition, query.duration].append(query)
    negatives = [query for query in corpus.queries if not query.accept]
    rows: list[dict[str, object]] = []
    for name, outcome in systems.items():
        threshold = strict_threshold(corpus, outcome)
        for (condition, duration), queries in sorted(cells.items()):
            answers = [(outcome.said[query.file], query) for query in queries]
            given = [(said, query) for said, query in answers if said.score >= outcome.threshold and said.track_id]
            strict = [said.track_id in query.accept and said.score > threshold for said, query in answers]
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
        "false_positives": {
            name: _share([outcome.said[query.file].score >= outcome.threshold for query in negatives])
            for name, outcome in systems.items()
        },
        "cpu_ms_per_query": {name: outcome.cpu_ms for name, outcome in systems.items()},
    }


def _share(flags: Sequence[bool]) -> float:
    return sum(flags) / max(1, len(flags))


def print_figures(found: dict[str, Any], corpus: Corpus, systems: dict[str, Outcome]) -> None:
    """A table a system: conditions down, durations across."""
    rows = cast("list[dict[str, Any]]", found["rows"])
    durations = sorted({row["duration"] for row in rows})
    for name, outcome in systems.items():
        own = [row for row in rows if row["system"] == name]
        lines: list[dict[str, object]] = []
        for condition in dict.fromkeys(row["condition"] for row in own):
            line: dict[str, object] = {"condition": condition}
            for duration in durations:
                cell = next((r for r in own if (r["condition"], r["duration"]) == (condition, duration)), None)
                line |= _cell(f"{duration} s", [] if cell is None else [cell])
            lines.append(line)
        lines.append(
            {"condition": "all"}
            | {
                key: value
                for duration in durations
                for key, value in _cell(f"{duration} s", [r for r in own if r["duration"] == duration]).items()
            }
        )
        print_table(f"{name}: percent right, wrong, missed at its threshold; right at 1 % false positives", lines)
        print(
            f"all together {100 * _mean(own, 'top1'):.1f} % at its threshold {outcome.threshold:g} "
            f"({100 * found['false_positives'][name]:.1f} % false positives), "
            f"{100 * _mean(own, 'top1_at_1pct'):.1f} % at that for 1 % "
            f"({strict_threshold(corpus, outcome):.3f}); CPU {outcome.cpu_ms:.0f} ms a query"
        )


def _cell(label: str, rows: Sequence[dict[str, Any]]) -> dict[str, object]:
    right, wrong, strict = (_mean(rows, key) for key in ("top1", "wrong", "top1_at_1pct"))
    return {
        f"{label} right": 100 * right if rows else "-",
        "wrong " + label: 100 * wrong if rows else "-",
        "missed " + label: 100 * (1 - right - wrong) if rows else "-",
        f"at 1 % {label}": 100 * strict if rows else "-",
    }


def _mean(rows: Sequence[dict[str, Any]], key: str) -> float:
    return sum(row[key] * row["n"] for row in rows) / max(1, sum(row["n"] for row in rows))


def _beside(ours: float, theirs: float) -> str:
    if ours > theirs:
        return ""
    return "equal" if ours == theirs else "below"


def print_comparison(found: dict[str, Any]) -> None:
    """Each cell's best peer beside ours, at the threshold for 1 % false positives, and where it is not below."""
    rows = cast("list[dict[str, Any]]", found["rows"])
    lines: list[dict[str, object]] = []
    for own in (row for row in rows if row["system"] == OURS):
        peers = [
            row
            for row in rows
            if row["system"] != OURS and (row["condition"], row["duration"]) == (own["condition"], own["duration"])
        ]
        best = max(peers, key=lambda row: row["top1_at_1pct"])
        lines.append(
            {
                "condition": own["condition"],
                "s": own["duration"],
                "ours %": 100 * own["top1_at_1pct"],
                "best peer %": 100 * best["top1_at_1pct"],
                "which": best["system"],
                "": _beside(own["top1_at_1pct"], best["top1_at_1pct"]),
            }
        )
    print_table("ours and the best peer in each cell, at 1 % false positives", lines)


def print_negatives(corpus: Corpus, outcome: Outcome, count: int = 10) -> None:
    """The negatives that come highest: to be listened to before a threshold is believed."""
    negatives = sorted(
        (query for query in corpus.queries if not query.accept), key=lambda query: -outcome.said[query.file].score
    )
    rows: list[dict[str, object]] = []
    for query in negatives[:count]:
        said = outcome.said[query.file]
        path = corpus.tracks.get(said.track_id or "")
        rows.append({"clip": query.file, "said": f"{said.score:.3f}", "track": "-" if path is None else path.name})
    if rows:
        print_table("the negatives that come highest", rows)


def main(argv: Sequence[str]) -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        prog="scripts/bench recognition",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--corpus", type=Path, required=True, metavar="DIR")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--plot", type=Path, metavar="SVG")
    parser.add_argument("--work", type=Path, default=Path(".cache/bench/recognition"), metavar="DIR")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="take every N-th query only")
    parser.add_argument("--durations", type=int, nargs="+", default=[3, 6, 10], metavar="SECONDS")
    parser.add_argument(
        "--audfprint", type=Path, default=Path(sys.executable).parent / "audfprint", metavar="PATH"
    )
    parser.add_argument("--olaf", type=Path, action="append", default=[], metavar="PATH")
    parser.add_argument("--no-peers", action="store_true", help="ask ours only")
    arguments = parser.parse_args(argv)
    durations = cast("list[int]", arguments.durations)
    corpus = read_corpus(cast("Path", arguments.corpus).absolute(), share=arguments.every, durations=durations)
    catalog = catalog_folder(cast("Path", arguments.work).absolute(), corpus.folder)
    work, jobs = catalog.parent, cast("int", arguments.jobs)
    work.mkdir(parents=True, exist_ok=True)
    index(corpus, catalog, jobs)
    systems = {OURS: ask_ours(corpus, catalog, jobs)}
    audfprint = cast("Path", arguments.audfprint)
    if not arguments.no_peers and not audfprint.exists():
        print(f"{audfprint} is not there: audfprint takes no part (--audfprint PATH)", file=sys.stderr)
    elif not arguments.no_peers:
        for name in AUDFPRINT:
            systems[name] = kept(
                work, name, corpus, partial(ask_audfprint, corpus, str(audfprint), work, name=name, jobs=jobs)
            )
    if not arguments.no_peers:
        for program in cast("list[Path]", arguments.olaf):
            systems[program.name] = kept(
                work, program.name, corpus, partial(ask_olaf, corpus, program.absolute(), work, jobs=jobs)
            )
    found = figures(corpus, systems)
    print_figures(found, corpus, systems)
    if len(systems) > 1:
        print_comparison(found)
    print_negatives(corpus, systems[OURS])
    true = reliability(corpus, systems[OURS])
    print_table("reliability of our confidence (negatives are never right)", table(true))
    plot = cast("Path | None", arguments.plot) or work / "reliability.svg"
    plot.write_text(draw(true, heading=f"reliability, {len(corpus.queries)} clips").document(), encoding="utf-8")
    print(f"drawn as {plot}")
    for seconds in durations:
        true = reliability(corpus, systems[OURS], seconds=seconds)
        print_table(f"reliability of {seconds} s", table(true))
        own = plot.with_stem(f"{plot.stem}-{seconds}s")
        own.write_text(draw(true, heading=f"reliability, clips of {seconds} s").document(), encoding="utf-8")
    write_json(cast("Path | None", arguments.json), found)
    return 0
