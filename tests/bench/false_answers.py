"""How often a whole question about music that is not indexed gets a name, and how true the scores are.

`--corpus DIR` is the corpus of `scripts/bench recognition`. Its packages, each the music of one game, are put into
`--folds` parts. Each part in turn is left out of the catalog, and the questions are about the tracks left out, so
nearly all of a track's relatives are left out with it. With `--folds 0` the corpus's own split is taken, in which
most of an unindexed track's package is indexed.

`--questions N` moments are spread evenly over all music, of each track from 36 s on. Each is asked about in five
ways: clips of 3, 6, 10 and 30 s, clean, and a live question with all its takes. For each way the rows give

- `named`: how many were answered with an unrelated track, and the share, with its one-sided 95 % bound
- `related`: how many only with tracks of the same package or the same artist
- `tracks`: of how many tracks any question got a name, as those about one track are not independent

`--known N` also asks about so many moments of indexed music, clips with a voice or a game over the music (6 dB
softer to 12 dB louder), so that the scores can be compared with how often they are right, for each length.

The clip of 30 s takes as long as the others together: with `--long-every N`, one moment in N is asked about so.

`--results DIR` keeps a file for each track, so that a run that was stopped goes on where it was. Tracks are asked
about in a random order: after `--minutes`, the tables are of a random part of them. The index is kept in `--work`.
"""

import argparse
import json
import os
import time
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, replace
from itertools import accumulate
from pathlib import Path
from typing import Any, cast

import numpy as np

from fingerprint.catalog.index import Catalog
from fingerprint.catalog.writer import CatalogWriter
from tests.bench.bounds import highest_share
from tests.bench.corpus import read_corpus
from tests.bench.recognition import catalog_folder, index
from tests.bench.reliability import bins, draw, table
from tests.bench.table import print_table, write_json
from tests.bench.whole_questions import BEFORE_SECONDS, CLIPS, LIVE, Asked, Job, Music, ask_track, read_answers


def spread(music: Sequence[Music], count: int) -> dict[str, tuple[float, ...]]:
    """So many moments, evenly spread over all that is BEFORE_SECONDS or more from its track's start."""
    begins = [0.0, *accumulate(max(0.0, each.seconds - BEFORE_SECONDS) for each in music)]
    places = [(number + 0.5) * begins[-1] / count for number in range(count)]
    found: dict[str, list[float]] = {}
    for place in places:
        owner = bisect_right(begins, place) - 1
        found.setdefault(music[owner].id, []).append(BEFORE_SECONDS + place - begins[owner])
    return {track: tuple(moments) for track, moments in found.items()}


def folds(music: Sequence[Music], count: int) -> list[frozenset[str]]:
    """The ids of the tracks of so many parts of about the same length, each of whole packages."""
    seconds: dict[str, float] = {}
    for each in music:
        seconds[each.package] = seconds.get(each.package, 0.0) + each.seconds
    parts: list[set[str]] = [set() for _ in range(count)]
    for package in sorted(seconds, key=lambda name: (-seconds[name], name)):
        min(parts, key=lambda part: sum(seconds[name] for name in part)).add(package)
    return [frozenset(each.id for each in music if each.package in part) for part in parts]


def leave_out(whole: Path, folder: Path, left_out: frozenset[str]) -> None:
    """Make a catalog of all tracks of another one but some, as if these were never added, unless it is there."""
    snapshot = Catalog(whole).snapshot()
    if Catalog(folder).snapshot().ids() == snapshot.ids() - left_out:
        return
    with CatalogWriter(folder) as writer:
        writer.replace_content(snapshot)
        writer.remove(left_out)
        # Written again, so that the landmarks of removed tracks are not in it.
        writer.replace_content(writer.snapshot())


def read_music(corpus: Path) -> tuple[list[Music], tuple[tuple[Path, ...], tuple[Path, ...]]]:
    """The corpus's tracks, and its files with voices and with sounds of games."""
    manifest = cast("dict[str, Any]", json.loads((corpus / "manifest.json").read_text()))
    music = [
        Music(
            id=each["id"],
            path=corpus / each["path"],
            package=each["package"],
            artist=(each.get("artist") or "").casefold(),
            seconds=each["duration"],
        )
        for each in manifest["tracks"]
    ]
    voices, games = (tuple(corpus / each["path"] for each in manifest[kind]) for kind in ("voice", "sfx"))
    return music, (voices, games)


# --- Figures ------------------------------------------------------------------------------------------


def rows(asked: Sequence[Asked], music: Mapping[str, Music]) -> list[dict[str, object]]:
    """What `--json` has for each way of asking about music that is not indexed."""
    found: list[dict[str, object]] = []
    for kind in (*(f"{seconds:g} s" for seconds in CLIPS), LIVE):
        own = [each for each in asked if each.kind == kind and not each.known]
        if not own:
            continue
        answered = [each for each in own if each.named]
        named = [each for each in answered if not _is_related(each, music)]
        found.append(
            {
                "kind": kind,
                "n": len(own),
                "named": len(named),
                "named %": f"{100 * len(named) / len(own):.2f}",
                "at most %": f"{100 * highest_share(len(named), len(own)):.2f}",
                "related": len(answered) - len(named),
                "with them at most %": f"{100 * highest_share(len(answered), len(own)):.2f}",
                "tracks": len({each.track for each in answered}),
                "of": len({each.track for each in own}),
                "cpu ms": f"{np.median([each.cpu_ms for each in own]):.0f}",
            }
        )
    return found


def _is_related(asked: Asked, music: Mapping[str, Music]) -> bool:
    return all(music[asked.track].is_related(music[each.track]) for each in asked.named)


def answers(asked: Sequence[Asked], music: Mapping[str, Music]) -> list[dict[str, object]]:
    """The questions that were answered though the music is not indexed, to be listened to."""
    return [
        {
            "kind": each.kind,
            "track": f"{music[each.track].package}/{music[each.track].path.stem}",
            "at": f"{each.at:.1f}",
            "take": each.take,
            "answer": f"{music[song.track].package}/{music[song.track].path.stem}",
            "score": f"{song.score:.4f}",
            "offset": f"{song.offset:.1f}",
            "position": f"{song.position:.1f}",
            "speed": f"{song.speed:.3f}",
            "pitch": f"{song.pitch:.1f}",
            "related": music[each.track].is_related(music[song.track]),
        }
        for each in asked
        if not each.known
        for song in each.named
    ]


def _catalogs(arguments: argparse.Namespace, music: Sequence[Music]) -> Iterator[tuple[Path, frozenset[str]]]:
    """Each catalog that is asked, and the tracks that are not in it."""
    corpus = read_corpus(cast("Path", arguments.corpus).absolute(), share=1, durations=())
    work, jobs = cast("Path", arguments.work).absolute(), cast("int", arguments.jobs)
    if not (count := cast("int", arguments.folds)):
        folder = catalog_folder(work, corpus.folder)
        index(corpus, folder, jobs)
        yield folder, frozenset(each.id for each in music) - frozenset(corpus.tracks)
        return
    everything = catalog_folder(work / "everything", corpus.folder)
    index(replace(corpus, tracks={each.id: each.path for each in music}), everything, jobs)
    for number, left_out in enumerate(folds(music, count)):
        folder = everything.with_name(f"{everything.name}-without-{number}-of-{count}")
        leave_out(everything, folder, left_out)
        yield folder, left_out


def _jobs(
    arguments: argparse.Namespace, catalogs: Sequence[tuple[Path, frozenset[str]]], *, known: bool
) -> list[Job]:
    """The questions about music that is indexed, or is not, for each track of each catalog."""
    corpus, results = cast("Path", arguments.corpus).absolute(), cast("Path", arguments.results).absolute()
    music, over = read_music(corpus)
    count = cast("int", arguments.known if known else arguments.questions)
    until = time.time() + 60 * cast("float", arguments.minutes)
    parts = [[each for each in music if (each.id in left_out) != known] for _, left_out in catalogs]
    total = sum(each.seconds for part in parts for each in part)
    jobs: list[Job] = []
    for number, ((catalog, _), part) in enumerate(zip(catalogs, parts, strict=True)):
        moments = spread(part, round(count * sum(each.seconds for each in part) / max(1.0, total)))
        jobs += [
            Job(
                corpus=corpus,
                catalog=catalog,
                music=each,
                moments=moments[each.id],
                known=known,
                over=over,
                long_every=cast("int", arguments.long_every),
                results=results / f"{'known' if known else 'unknown'}-{number}-{each.id}.json",
                until=until,
            )
            for each in part
            if each.id in moments
        ]
    return jobs


def _reliability(asked: Sequence[Asked], plot: Path | None) -> dict[str, Any]:
    """Prints how true the scores are for each length, and draws it."""
    found: dict[str, Any] = {}
    for seconds in CLIPS:
        own = [each for each in asked if each.kind == f"{seconds:g} s"]
        if not own:
            continue
        true = bins([(each.score, each.right) for each in own])
        print_table(f"reliability of {seconds:g} s ({sum(each.known for each in own)} clips known)", table(true))
        found[f"{seconds:g} s"] = [asdict(each) for each in true]
        if plot is not None:
            picture = draw(true, heading=f"reliability, clips of {seconds:g} s").document()
            plot.with_stem(f"{plot.stem}-{seconds:g}s").write_text(picture, encoding="utf-8")
    return found


def main(argv: Sequence[str]) -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        prog="scripts/bench false-answers",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--corpus", type=Path, required=True, metavar="DIR")
    parser.add_argument("--questions", type=int, default=600, metavar="N", help="moments of music not indexed")
    parser.add_argument("--known", type=int, default=0, metavar="N", help="moments of music that is")
    parser.add_argument("--long-every", type=int, default=1, metavar="N", help="clips of 30 s of one in N of them")
    parser.add_argument("--folds", type=int, default=4, metavar="N")
    parser.add_argument("--results", type=Path, required=True, metavar="DIR")
    parser.add_argument("--minutes", type=float, default=1e6, metavar="N")
    parser.add_argument("--work", type=Path, default=Path(".cache/bench/recognition"), metavar="DIR")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--plot", type=Path, metavar="SVG", help="the reliability, a picture for each length")
    arguments = parser.parse_args(argv)
    cast("Path", arguments.results).mkdir(parents=True, exist_ok=True)
    music, _ = read_music(cast("Path", arguments.corpus).absolute())
    catalogs = list(_catalogs(arguments, music))
    jobs = [job for known in (False, True) for job in _jobs(arguments, catalogs, known=known)]
    order = np.random.default_rng(1).permutation(len(jobs))
    with ProcessPoolExecutor(cast("int", arguments.jobs)) as pool:
        for _ in pool.map(ask_track, [jobs[int(place)] for place in order]):
            pass
    asked = [each for job in jobs for each in read_answers(job.results)]
    by_id = {each.id: each for each in music}
    figures: dict[str, Any] = {"rows": rows(asked, by_id), "answers": answers(asked, by_id)}
    for title, key in (("whole questions about music that is not indexed", "rows"), ("those named", "answers")):
        if figures[key]:
            print_table(title, figures[key])
    figures["reliability"] = _reliability(asked, cast("Path | None", arguments.plot))
    write_json(cast("Path | None", arguments.json), figures)
    return 0
