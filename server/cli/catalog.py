"""`twitchaudio catalog`: the music that can be recognized without an account or a network."""

import argparse
import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from tqdm import tqdm

from fingerprint.catalog.file_reader import Known, Read, Unreadable
from fingerprint.catalog.index import Catalog
from fingerprint.catalog.ingest import IngestProgress, IngestReport, ingest
from fingerprint.catalog.tracks import Track
from fingerprint.catalog.writer import CatalogWriter
from fingerprint.domain.text import clock_text
from fingerprint.settings import PipelineSettings, read_settings
from server.cli import Run, Subparsers, add_command


def register(commands: Subparsers) -> None:
    """Add the `catalog` command to the `twitchaudio` command line."""
    description = "The local catalog: the music that can be recognized without an account or a network."
    catalog = commands.add_parser("catalog", help="the local catalog of music", description=description)
    actions = cast("Subparsers", catalog.add_subparsers(required=True, metavar="ACTION"))

    def action(name: str, run: Run, text: str) -> argparse.ArgumentParser:
        parser = add_command(actions, name, text, run)
        parser.add_argument(
            "--catalog", type=Path, metavar="DIR", help="the catalog's folder (default: in the data folder)"
        )
        parser.add_argument("--json", action="store_true", help="print JSON, one object a line")
        return parser

    add = action("add", _add, "index music files and folders; safe to interrupt and to run again")
    add.add_argument("paths", nargs="+", type=Path, metavar="PATH")
    add.add_argument(
        "--workers", type=_positive, metavar="N", help="processes that read files (default: one a core)"
    )
    action("list", _list, "list all tracks")
    search = action("search", _search, "list the tracks whose tags or path hold every word of a text")
    search.add_argument("text", nargs="+", metavar="TEXT")
    remove = action("remove", _remove, "remove tracks by their ids; the files stay")
    remove.add_argument("ids", nargs="+", metavar="ID")
    action("stats", _stats, "say how large the catalog is")
    action("verify", _verify, "read the whole catalog and say what is damaged")


def _positive(text: str) -> int:
    """A whole number from 1; argparse names the argument when it is none."""
    value = int(text)
    if value < 1:
        raise ValueError(text)
    return value


def _directory(arguments: argparse.Namespace) -> Path:
    chosen = cast("Path | None", arguments.catalog)
    return read_settings(PipelineSettings).catalog_dir if chosen is None else chosen


def _add(arguments: argparse.Namespace) -> int:
    directory = _directory(arguments)
    # Terminals get a progress bar; a pipe or a log gets the lines only.
    with tqdm(unit="file", file=sys.stderr, disable=None, dynamic_ncols=True, leave=False) as bar:

        def show(progress: IngestProgress) -> None:
            bar.total = progress.total
            bar.update(progress.done - bar.n)
            match progress.outcome:
                case Unreadable(path, reason):
                    tqdm.write(f"skipped {path}: {reason}", file=sys.stderr)
                case Read(path, _, _) | Known(path, _):
                    bar.set_postfix_str(path.name[:40], refresh=False)
                case None:
                    pass

        report = ingest(
            directory,
            cast("list[Path]", arguments.paths),
            workers=cast("int | None", arguments.workers),
            on_progress=show,
        )
    for path in report.missing:
        print(f"twitchaudio: {path} does not exist", file=sys.stderr)
    if arguments.json:
        print(json.dumps(_report_to_json(report), ensure_ascii=False))
    else:
        print(_report_text(report, len(Catalog(directory).snapshot()), directory))
    return 1 if report.missing or not report.added + report.already else 0


def _report_text(report: IngestReport, tracks: int, directory: Path) -> str:
    parts = [f"{report.added} added ({clock_text(round(report.seconds))} of music)"]
    if report.replaced:
        parts.append(f"{report.replaced} of them in place of an older file")
    if report.already:
        parts.append(f"{report.already} there already")
    if report.skipped:
        parts.append(f"{len(report.skipped)} skipped")
    return f"{', '.join(parts)}. The catalog in {directory} holds {_count(tracks, 'track')}."


def _report_to_json(report: IngestReport) -> dict[str, object]:
    return {
        "added": report.added,
        "replaced": report.replaced,
        "already": report.already,
        "seconds": round(report.seconds, 3),
        "skipped": [{"path": str(skipped.path), "reason": skipped.reason} for skipped in report.skipped],
        "missing": [str(path) for path in report.missing],
    }


def _list(arguments: argparse.Namespace) -> int:
    tracks = list(_open(arguments).snapshot().tracks())
    _print_tracks(tracks, as_json=cast("bool", arguments.json))
    if not tracks and not arguments.json:
        print("The catalog is empty. Add music with `twitchaudio catalog add PATH`.", file=sys.stderr)
    return 0


def _search(arguments: argparse.Namespace) -> int:
    words = " ".join(cast("list[str]", arguments.text)).casefold().split()
    found = [
        track
        for track in _open(arguments).snapshot().tracks()
        if all(word in track.text.casefold() for word in words)
    ]
    _print_tracks(found, as_json=cast("bool", arguments.json))
    if not found and not arguments.json:
        print("No track matches.", file=sys.stderr)
    return 0 if found else 1


def _remove(arguments: argparse.Namespace) -> int:
    ids = list(dict.fromkeys(cast("list[str]", arguments.ids)))
    directory = _directory(arguments)
    with CatalogWriter(directory) as writer:
        removed = writer.remove(ids)
    unknown = [track_id for track_id in ids if track_id not in removed]
    if arguments.json:
        print(json.dumps({"removed": sorted(removed), "unknown": unknown}))
    else:
        print(f"{_count(len(removed), 'track')} removed.")
    for track_id in unknown:
        print(f"twitchaudio: there is no track {track_id} in {directory}", file=sys.stderr)
    return 1 if unknown else 0


def _stats(arguments: argparse.Namespace) -> int:
    catalog = _open(arguments)
    stats = catalog.stats()
    if arguments.json:
        print(json.dumps({"directory": str(catalog.directory), **dataclasses.asdict(stats)}))
        return 0
    print(f"catalog      {catalog.directory}")
    print(f"tracks       {stats.tracks} ({clock_text(round(stats.hours * 3600))} of music)")
    print(f"landmarks    {stats.landmarks}")
    print(f"on disk      {stats.size_bytes / 2**20:.1f} MiB in {_count(stats.segments, 'file')}, ", end="")
    print(f"{stats.bytes_per_minute / 1024:.1f} KiB per minute of music")
    print(f"fingerprint  {stats.fingerprint}")
    return 0


def _verify(arguments: argparse.Namespace) -> int:
    catalog = _open(arguments)
    problems = catalog.verify()
    if arguments.json:
        print(json.dumps({"ok": not problems, "problems": problems}, ensure_ascii=False))
    else:
        for problem in problems:
            print(f"twitchaudio: {problem}", file=sys.stderr)
        if not problems:
            print(f"The catalog in {catalog.directory} is whole: {_count(len(catalog.snapshot()), 'track')}.")
    return 1 if problems else 0


def _open(arguments: argparse.Namespace) -> Catalog:
    return Catalog(_directory(arguments))


def _print_tracks(tracks: Sequence[Track], *, as_json: bool) -> None:
    for track in tracks:
        if as_json:
            print(json.dumps(track.to_json(), ensure_ascii=False))
        else:
            artists = ", ".join(track.artists) or "(unknown artist)"
            album = f" [{track.album}]" if track.album else ""
            print(f"{track.id}  {clock_text(round(track.duration_seconds)):>8}  {artists} - {track.title}{album}")


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
