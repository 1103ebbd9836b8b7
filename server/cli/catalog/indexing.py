"""`twitchaudio catalog add`, `sync` and `rebuild`: what reads music."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from fingerprint.catalog.index import Catalog
from fingerprint.catalog.ingest import IngestReport, Sync, ingest
from fingerprint.catalog.rebuild import rebuild
from fingerprint.domain.text import clock_text, printable
from fingerprint.pipeline_settings import PipelineSettings
from fingerprint.settings import read_settings
from server.cli.catalog.place import CommandPlace, open_catalog, place_of
from server.cli.catalog.progress import progress_bar, progress_lines
from server.cli.catalog.text import count_text
from server.cli.failed_log import FailedLog


def add_music(arguments: argparse.Namespace) -> int:
    """Index files and folders."""
    report = _ingest(arguments, cast("list[Path]", arguments.paths), sync=None)
    status = _status(report)
    if status == 1 and not report.failed and not report.missing:
        print("twitchaudio: no music was found there", file=sys.stderr)
    return status


def _status(report: IngestReport) -> int:
    """The exit status: 0 when all was read, 3 when some was not, 1 when nothing was or a path does not exist."""
    if report.missing or not report.added + report.already:
        return 1
    return 3 if report.failed else 0


def sync_folders(arguments: argparse.Namespace) -> int:
    """Bring the catalog up to date with folders."""
    paths = cast("list[Path]", arguments.paths)
    if not paths:
        roots = {
            source.root
            for entry in open_catalog(arguments).snapshot().entries()
            for source in entry.sources
            if source.root
        }
        # A folder in another one that was indexed, too, needs no walk of its own.
        outer = [root for root in map(Path, roots) if not roots & {str(parent) for parent in root.parents}]
        paths = sorted(outer)
        if not paths:
            print("twitchaudio: name the folders to sync: none was indexed yet", file=sys.stderr)
            return 2
    sync = Sync(
        force=bool(arguments.force),
        dry_run=bool(arguments.dry_run),
        settle_seconds=cast("float", arguments.settle),
    )
    report = _ingest(arguments, paths, sync=sync)
    if report.too_many_missing:
        print(
            f"twitchaudio: {count_text(report.too_many_missing, 'file')} of the catalog cannot be found, so "
            "many that a disk may not be mounted: they were not marked as missing. Run the command again with "
            "--force if they are gone.",
            file=sys.stderr,
        )
    if report.too_many_missing:
        return 1
    if not report.failed and not report.missing:
        return 0  # also when there is no music left in the folders
    return _status(report)


def _ingest(arguments: argparse.Namespace, paths: Sequence[Path], *, sync: Sync | None) -> IngestReport:
    place = place_of(arguments)
    if place.remote is not None and sync is not None and sync.dry_run:
        open_catalog(arguments)
    kept = f"New tracks of this run that are kept in {place.name}"
    with FailedLog(cast("Path | None", arguments.failed)) as log:
        in_lines = cast("str", arguments.progress) == "json"
        with progress_lines() if in_lines else progress_bar(kept) as show:
            report = ingest(
                place.folder,
                paths,
                workers=cast("int | None", arguments.workers),
                on_progress=show,
                sync=sync,
                store=place.remote,
            )
        for path in report.missing:
            print(printable(f"twitchaudio: {path} does not exist"), file=sys.stderr)
        named = None if sync is not None and sync.dry_run else _named_since(report, place)
        if arguments.json:
            print(json.dumps({**_report_to_json(report), "unknowns_named": named}))
        else:
            print(printable(_report_text(report, len(Catalog(place.folder).snapshot()), place.name, sync=sync)))
            if named:
                print(f"{count_text(named, 'moment')} for which no song was found before can be named now.")
        # Last: where the file cannot be written, it is known all the same what was done.
        log.write(report.failed, report.missing)
    return report


def _named_since(report: IngestReport, place: "CommandPlace") -> int | None:
    """How many unknowns have a name by what was added; None where that cannot be known."""
    settings = read_settings(PipelineSettings)
    chosen = {str(each) for each in settings.catalog_places}
    if not report.added or place.name not in chosen:
        return None
    # Not above: it takes long to import, and most commands do without it.
    from server.cli.unknown_songs import named_since_it_grew  # noqa: PLC0415

    return named_since_it_grew(settings, place.folder)


def rebuild_catalog(arguments: argparse.Namespace) -> int:
    """Make the catalog again with this version's fingerprint."""
    place = place_of(arguments)
    kept = f"{place.name} is as it was. Tracks of the new one that were decoded by this run"
    with FailedLog(cast("Path | None", arguments.failed)) as log:
        with progress_bar(kept) as show:
            report = rebuild(
                place.folder,
                workers=cast("int | None", arguments.workers),
                on_progress=show,
                force=bool(arguments.force),
                store=place.remote,
            )
        if arguments.json:
            counts = {name: getattr(report, name) for name in ("tracks", "kept", "decoded", "updated", "swapped")}
            skipped = [{"path": str(each.path), "reason": each.reason} for each in report.skipped]
            lost = [entry.track.to_json() for entry in report.lost]
            print(json.dumps({**counts, "lost": lost, "failed": skipped}))
        elif report.swapped:
            print(
                f"The catalog in {place.name} was made again: {count_text(report.tracks, 'track')}, {report.kept} "
                f"with their stored peaks and {report.decoded} from their music, {report.updated} with new tags."
            )
        for entry in report.lost:
            print(printable(f"twitchaudio: the music of {entry.id} is gone: {entry.track.path}"), file=sys.stderr)
        if not report.swapped:
            print(
                f"twitchaudio: {count_text(len(report.lost), 'track')} cannot be made again without the music, so "
                "the catalog was left as it is. Bring the music back, or run the command again with --force to go "
                "on without it.",
                file=sys.stderr,
            )
        log.write(report.skipped)
    if not report.swapped:
        return 1
    return 3 if report.skipped or report.lost else 0


def _report_text(report: IngestReport, tracks: int, name: str, *, sync: Sync | None) -> str:
    if sync is not None and sync.dry_run:
        parts = [f"Nothing was changed. {report.added} would be added"]
    else:
        parts = [f"{report.added} added ({clock_text(round(report.seconds))} of music)"]
    if report.replaced:
        parts.append(f"{report.replaced} of them in place of an older file")
    if report.already:
        more = [
            f"{number} {what}"
            for number, what in (
                (report.moved, "moved"),
                (report.updated, "with new tags"),
                (report.copies, "as another file of a track"),
            )
            if number
        ]
        parts.append(f"{report.already} there already" + (f" ({', '.join(more)})" if more else ""))
    if report.gone:
        parts.append(f"{report.gone} missing")
    if report.excluded:
        parts.append(f"{report.excluded} left out from now on")
    if report.waiting:
        parts.append(f"{report.waiting} changed just now, left for the next time")
    if report.skipped:
        parts.append(f"{len(report.skipped)} skipped")
    return f"{', '.join(parts)}. The catalog in {name} holds {count_text(tracks, 'track')}."


def _report_to_json(report: IngestReport) -> dict[str, object]:
    return {
        "added": report.added,
        "replaced": report.replaced,
        "already": report.already,
        "moved": report.moved,
        "updated": report.updated,
        "copies": report.copies,
        "gone": report.gone,
        "excluded": report.excluded,
        "too_many_missing": report.too_many_missing,
        "waiting": report.waiting,
        "seconds": round(report.seconds, 3),
        "skipped": [{"path": str(skipped.path), "reason": skipped.reason} for skipped in report.skipped],
        "failed": [{"path": str(skipped.path), "reason": skipped.reason} for skipped in report.failed],
        "missing": [str(path) for path in report.missing],
    }
