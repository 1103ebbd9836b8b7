"""`twitchaudio catalog`: the music that can be recognized without an account or a network."""

import argparse
import contextlib
import dataclasses
import json
import sys
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from tqdm import tqdm

from fingerprint.catalog.backup import back_up, restore
from fingerprint.catalog.covers import Covers
from fingerprint.catalog.exchange import check_export, export_tracks, import_tracks
from fingerprint.catalog.file_outcomes import Known, Read, Unreadable
from fingerprint.catalog.index import Catalog, Snapshot
from fingerprint.catalog.ingest import IngestProgress, IngestReport, Sync, ingest
from fingerprint.catalog.manifest import require_catalog
from fingerprint.catalog.missing import plan_pruning
from fingerprint.catalog.near_duplicates import NearDuplicate, all_near_duplicates, near_duplicates
from fingerprint.catalog.parameters import DEFAULT
from fingerprint.catalog.rebuild import rebuild
from fingerprint.catalog.tracks import Source, Track, TrackEntry
from fingerprint.catalog.walk import is_pattern
from fingerprint.catalog.writer import CatalogWriter
from fingerprint.domain.text import clock_text, printable
from fingerprint.setting_formats import CatalogPlace
from fingerprint.settings import PipelineSettings, read_settings
from server.cli import Run, Subparsers, add_actions, add_catalog_argument, add_command, file_path
from server.cli.failed_log import FailedLog

if TYPE_CHECKING:
    from fingerprint.remote_catalogs.writing import RemoteCatalog

MAX_OWNER: Final = 200
_LINE_SECONDS: Final = 0.25


def register(commands: Subparsers) -> None:
    """Add the `catalog` command to the `twitchaudio` command line."""
    description = "The local catalog: the music that can be recognized without an account or a network."
    catalog = commands.add_parser("catalog", help="the local catalog of music", description=description)
    actions = add_actions(catalog, "ACTION")

    def action(name: str, run: Run, text: str) -> argparse.ArgumentParser:
        parser = add_command(actions, name, text, partial(_run_in_place, run))
        add_catalog_argument(parser)
        parser.add_argument("--json", action="store_true", help="print JSON, one object a line")
        return parser

    add = action("add", _add, "index music files and folders; safe to interrupt and to run again")
    add.add_argument("paths", nargs="+", type=file_path, metavar="PATH")
    sync = action("sync", _sync, "bring the catalog up to date with folders: new, moved, changed, missing")
    sync.add_argument(
        "paths",
        nargs="*",
        type=file_path,
        metavar="ROOT",
        help="folders (default: those that were indexed before)",
    )
    sync.add_argument("--dry-run", action="store_true", help="only say what would happen")
    sync.add_argument(
        "--settle",
        type=_seconds,
        default=0.0,
        metavar="SECONDS",
        help="leave files for the next time that changed less than this ago: they may still be copied",
    )
    sync.add_argument("--force", action="store_true", help="mark files as missing even if very many are")
    rebuild_ = action(
        "rebuild", _rebuild, "make the catalog again with this version's fingerprint and reading of tags"
    )
    rebuild_.add_argument(
        "--force",
        action="store_true",
        help="also if tracks are lost, whose music is gone and cannot be made again",
    )
    for parser in (add, sync, rebuild_):
        parser.add_argument(
            "--workers", type=_positive, metavar="N", help="processes that read files (default: one a core)"
        )
        parser.add_argument(
            "--failed", type=file_path, metavar="LOG", help="write what could not be read to a file, one line each"
        )
    for parser in (add, sync):
        parser.add_argument(
            "--progress",
            choices=("bar", "json"),
            default="bar",
            help="on standard error: a bar, on a terminal only, or for programs a JSON object a line",
        )
    action("list", _list, "list all tracks")
    search = action("search", _search, "list the tracks whose tags or path hold every word of a text")
    search.add_argument("text", nargs="+", metavar="TEXT")
    remove = action("remove", _remove, "remove tracks by id, text or folder; the files stay")
    remove.add_argument("ids", nargs="*", metavar="ID")
    remove.add_argument("--search", metavar="TEXT", help="the tracks whose tags or path hold every word")
    remove.add_argument(
        "--under", type=file_path, metavar="PATH", help="the tracks of a file, or of a folder's files"
    )
    remove.add_argument("--owner", metavar="NAME", help="the tracks that were imported for an owner")
    export = action("export", _export, "write fingerprints, tags and links of tracks to a file, without any sound")
    export.add_argument("file", type=file_path, metavar="FILE")
    export.add_argument("text", nargs="*", metavar="TEXT", help="only tracks whose tags or path hold every word")
    export.add_argument("--no-covers", action="store_true", help="leave the covers out")
    import_ = action("import", _import, "merge such a file into the catalog")
    import_.add_argument("file", type=file_path, metavar="FILE")
    import_.add_argument(
        "--owner",
        required=True,
        metavar="NAME",
        help="whose tracks these are, for `remove --owner NAME`",
    )
    action("missing", _missing, "list the tracks whose files `sync` did not find any more")
    prune = action("prune", _prune, "remove the tracks whose files `sync` did not find any more")
    prune.add_argument(
        "--force", action="store_true", help="also if so many are gone that a disk may not be mounted"
    )
    duplicates = action(
        "duplicates", _duplicates, "list recordings that are there in several files, and those that share sound"
    )
    duplicates.add_argument(
        "--exact", action="store_true", help="only recordings that are the same, not those that share sound"
    )
    exclude = action("exclude", _exclude, "leave files out of the catalog by patterns, from the next sync on")
    exclude.add_argument(
        "patterns",
        nargs="*",
        metavar="PATTERN",
        help="as in a .gitignore (default: list the patterns)",
    )
    exclude.add_argument("--remove", action="store_true", help="take the patterns back")
    backup = action("backup", _backup, "copy the catalog to a new folder, also while it is in use")
    backup.add_argument("destination", type=file_path, metavar="DEST")
    restore_ = action("restore", _restore, "take a copy back, in one step")
    restore_.add_argument("source", type=file_path, metavar="SRC")
    restore_.add_argument(
        "--force", action="store_true", help="replace a catalog that holds tracks, or one that is damaged"
    )
    action("stats", _stats, "say how large the catalog is")
    action("verify", _verify, "read the whole catalog and say what is damaged")


def _seconds(text: str) -> float:
    """A number of seconds; argparse names the argument when it is none."""
    value = float(text)
    if not 0 <= value < float("inf"):
        raise ValueError(text)
    return value


def _positive(text: str) -> int:
    """A whole number from 1; argparse names the argument when it is none."""
    value = int(text)
    if value < 1:
        raise ValueError(text)
    return value


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a command works: a catalog's folder, or the copy of one in object storage."""

    name: str
    folder: Path
    remote: "RemoteCatalog | None" = None


def _run_in_place(run: Run, arguments: argparse.Namespace) -> int:
    """Run a command on the catalog that is named, or on the first one of the settings."""
    settings = read_settings(PipelineSettings)
    chosen = cast("CatalogPlace | None", arguments.catalog) or settings.catalog_places[0]
    if isinstance(chosen, Path):
        arguments.place = _Place(str(chosen), chosen)
        return run(arguments)
    from fingerprint.remote_catalogs.writing import open_remote_catalog  # noqa: PLC0415 - it loads AWS's library

    with open_remote_catalog(settings, chosen) as remote:
        arguments.place = _Place(str(chosen), remote.folder, remote)
        return run(arguments)


def _place(arguments: argparse.Namespace) -> _Place:
    return cast("_Place", arguments.place)


def _writer(arguments: argparse.Namespace, *, create: bool = False) -> CatalogWriter:
    place = _place(arguments)
    return CatalogWriter(place.folder, create=create, store=place.remote)


def _add(arguments: argparse.Namespace) -> int:
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


def _sync(arguments: argparse.Namespace) -> int:
    paths = cast("list[Path]", arguments.paths)
    if not paths:
        roots = {
            source.root
            for entry in _open(arguments).snapshot().entries()
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
            f"twitchaudio: {_count(report.too_many_missing, 'file')} of the catalog cannot be found, so many that "
            "a disk may not be mounted: they were not marked as missing. Run the command again with --force if "
            "they are gone.",
            file=sys.stderr,
        )
    if report.too_many_missing:
        return 1
    if not report.failed and not report.missing:
        return 0  # also when there is no music left in the folders
    return _status(report)


def _ingest(arguments: argparse.Namespace, paths: Sequence[Path], *, sync: Sync | None) -> IngestReport:
    place = _place(arguments)
    if place.remote is not None and sync is not None and sync.dry_run:
        _open(arguments)
    kept = f"New tracks of this run that are kept in {place.name}"
    with FailedLog(cast("Path | None", arguments.failed)) as log:
        in_lines = cast("str", arguments.progress) == "json"
        with _progress_lines() if in_lines else _progress_bar(kept) as show:
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
                print(f"{_count(named, 'moment')} for which no song was found before can be named now.")
        # Last: where the file cannot be written, it is known all the same what was done.
        log.write(report.failed, report.missing)
    return report


def _named_since(report: IngestReport, place: "_Place") -> int | None:
    """How many unknowns have a name by what was added; None where that cannot be known."""
    settings = read_settings(PipelineSettings)
    chosen = {str(each) for each in settings.catalog_places}
    if not report.added or place.name not in chosen:
        return None
    # Not above: it takes long to import, and most commands do without it.
    from server.cli.unknown_songs import named_since_it_grew  # noqa: PLC0415

    return named_since_it_grew(settings, place.folder)


@contextlib.contextmanager
def _progress_lines() -> Generator[Callable[[IngestProgress], None]]:
    """Progress for a program: a JSON object a line, at most four a second, and one at the end."""
    said_at, state = 0.0, {"done": 0, "total": 0, "added": 0, "failed": 0}

    def show(progress: IngestProgress) -> None:
        nonlocal said_at
        state.update(done=progress.done, total=progress.total)
        state["added"] += isinstance(progress.outcome, Read)
        state["failed"] += isinstance(progress.outcome, Unreadable) and not progress.outcome.by_choice
        if time.monotonic() - said_at >= _LINE_SECONDS:
            said_at = time.monotonic()
            print(json.dumps(state), file=sys.stderr, flush=True)

    try:
        yield show
    finally:
        print(json.dumps(state), file=sys.stderr, flush=True)


@contextlib.contextmanager
def _progress_bar(kept: str) -> Generator[Callable[[IngestProgress], None]]:
    """A progress bar for a terminal; a pipe or a log gets the lines only. Ctrl-C says how much is `kept`."""
    new = 0
    with tqdm(unit="file", file=sys.stderr, disable=None, dynamic_ncols=True, leave=False) as bar:

        def show(progress: IngestProgress) -> None:
            nonlocal new
            bar.total = progress.total
            bar.update(progress.done - bar.n)
            match progress.outcome:
                case Unreadable(path, reason):
                    tqdm.write(printable(f"skipped {path}: {reason}"), file=sys.stderr)
                case Read(path, _, _) | Known(path, _):
                    new += isinstance(progress.outcome, Read)
                    bar.set_postfix_str(printable(path.name[:40]), refresh=False)
                case None:
                    pass

        try:
            yield show
        except KeyboardInterrupt:
            tqdm.write(
                printable(f"twitchaudio: interrupted. {kept}: {new}. Run the command again to go on."),
                file=sys.stderr,
            )
            raise


def _rebuild(arguments: argparse.Namespace) -> int:
    place = _place(arguments)
    kept = f"{place.name} is as it was. Tracks of the new one that were decoded by this run"
    with FailedLog(cast("Path | None", arguments.failed)) as log:
        with _progress_bar(kept) as show:
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
                f"The catalog in {place.name} was made again: {_count(report.tracks, 'track')}, {report.kept} "
                f"with their stored peaks and {report.decoded} from their music, {report.updated} with new tags."
            )
        for entry in report.lost:
            print(printable(f"twitchaudio: the music of {entry.id} is gone: {entry.track.path}"), file=sys.stderr)
        if not report.swapped:
            print(
                f"twitchaudio: {_count(len(report.lost), 'track')} cannot be made again without the music, so the "
                "catalog was left as it is. Bring the music back, or run the command again with --force to go on "
                "without it.",
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
    return f"{', '.join(parts)}. The catalog in {name} holds {_count(tracks, 'track')}."


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


def _list(arguments: argparse.Namespace) -> int:
    shown = _print_tracks(_open(arguments).snapshot().tracks(), as_json=cast("bool", arguments.json))
    if not shown and not arguments.json:
        print("The catalog is empty. Add music with `twitchaudio catalog add PATH`.", file=sys.stderr)
    return 0


def _search(arguments: argparse.Namespace) -> int:
    found = _open(arguments).snapshot().search(_words(cast("list[str]", arguments.text)))
    shown = _print_tracks((entry.track for entry in found), as_json=cast("bool", arguments.json))
    if not shown and not arguments.json:
        print("No track matches.", file=sys.stderr)
    return 0 if shown else 1


def _words(texts: Sequence[str]) -> list[str]:
    return " ".join(texts).split()


def _matching(snapshot: Snapshot, texts: Sequence[str]) -> list[TrackEntry]:
    """The tracks whose tags or path, of any of their files, hold every word."""
    return list(snapshot.search(_words(texts)))


def _remove(arguments: argparse.Namespace) -> int:
    ids = list(dict.fromkeys(cast("list[str]", arguments.ids)))
    text, under = cast("str | None", arguments.search), cast("Path | None", arguments.under)
    owner = (cast("str | None", arguments.owner) or "").strip()
    if not ids and not (text or "").split() and under is None and not owner:
        print("twitchaudio: name what to remove: ids, --search, --under or --owner", file=sys.stderr)
        return 2
    with _writer(arguments) as writer:
        snapshot = writer.snapshot()
        named = {track_id: snapshot.entry(track_id) for track_id in ids}
        unknown = [track_id for track_id, entry in named.items() if entry is None]
        chosen = {entry.id for entry in named.values() if entry is not None}
        if text:
            chosen |= {entry.id for entry in _matching(snapshot, [text])}
        # Tracks that have other files, too, stay.
        outside = _without(
            snapshot,
            lambda source: (
                (under is not None and _is_under(source, under)) or (bool(owner) and source.owner == owner)
            ),
        )
        chosen |= {entry.id for entry, left in outside.values() if not left}
        changed = [entry.with_sources(left) for entry, left in outside.values() if entry.id not in chosen]
        if chosen or changed:
            writer.add([], replacing=chosen, describing=changed)
    if arguments.json:
        print(json.dumps({"removed": sorted(chosen), "unknown": unknown}))
    else:
        print(f"{_count(len(chosen), 'track')} removed.")
    if not unknown and not (chosen or changed):
        print("twitchaudio: no track matches", file=sys.stderr)
    for track_id in unknown:
        where = _place(arguments).name
        print(printable(f"twitchaudio: there is no track {track_id} in {where}"), file=sys.stderr)
    return 1 if unknown or not (chosen or changed) else 0


def _without(snapshot: Snapshot, chosen: Callable[[Source], bool]) -> dict[str, tuple[TrackEntry, list[Source]]]:
    """The tracks that have a file of some kind, each with its other files."""
    found: dict[str, tuple[TrackEntry, list[Source]]] = {}
    for entry in snapshot.entries():
        left = [source for source in entry.sources if not chosen(source)]
        if len(left) < len(entry.sources):
            found[entry.id] = (entry, left)
    return found


def _is_under(source: Source, folder: Path) -> bool:
    path = str(folder.absolute())
    return not source.owner and (source.path == path or source.path.startswith(path.rstrip("/") + "/"))


def _export(arguments: argparse.Namespace) -> int:
    snapshot = _open(arguments).snapshot()
    chosen = _matching(snapshot, cast("list[str]", arguments.text))
    if not chosen:
        print("twitchaudio: no track matches, so nothing was written", file=sys.stderr)
        return 1
    file = cast("Path", arguments.file)
    covers = None if arguments.no_covers else Covers(_place(arguments).folder)
    if covers is not None:
        _fetch_covers(arguments)
    left_out = export_tracks(snapshot, chosen, file, covers=covers)
    if arguments.json:
        print(json.dumps({"file": str(file), "tracks": len(chosen), "bytes": file.stat().st_size}))
    else:
        print(printable(f"{_count(len(chosen), 'track')} exported to {file}, without sound and without paths."))
    return _say_left_out(left_out)


def _backup(arguments: argparse.Namespace) -> int:
    destination = cast("Path", arguments.destination)
    directory = _open(arguments).directory
    _fetch_covers(arguments)
    held = back_up(directory, destination)
    return _say_copied(arguments, held, destination, f"copied to {destination}")


def _restore(arguments: argparse.Namespace) -> int:
    source = cast("Path", arguments.source)
    place = _place(arguments)
    restored = restore(source, place.folder, force=bool(arguments.force), store=place.remote)
    if restored.set_aside is not None:
        print(printable(f"twitchaudio: the damaged catalog's files are in {restored.set_aside}"), file=sys.stderr)
    return _say_copied(arguments, restored.snapshot, place.folder, f"restored from {source}")


def _say_copied(arguments: argparse.Namespace, snapshot: Snapshot, folder: Path, what: str) -> int:
    if arguments.json:
        print(json.dumps({"tracks": len(snapshot)}))
    else:
        print(printable(f"{_count(len(snapshot), 'track')} {what}."))
    return _say_left_out(len(Catalog(folder, any_fingerprint=True).lost_covers()))


def _say_left_out(covers: int) -> int:
    """The exit status of a command that leaves out covers that are damaged or not there."""
    if not covers:
        return 0
    print(
        f"twitchaudio: {_count(covers, 'cover')} left out: damaged, or not there. `twitchaudio catalog rebuild` "
        "takes covers from their files again",
        file=sys.stderr,
    )
    return 3


def _import(arguments: argparse.Namespace) -> int:
    owner = cast("str", arguments.owner).strip()
    if not owner or len(owner) > MAX_OWNER or printable(owner) != owner:
        print(f"twitchaudio: --owner takes a name of up to {MAX_OWNER} letters, on one line", file=sys.stderr)
        return 2
    file = cast("Path", arguments.file)
    check_export(file)  # before a catalog is begun for it
    with _writer(arguments, create=True) as writer:
        report = import_tracks(writer, file, owner)
    if arguments.json:
        print(json.dumps(dataclasses.asdict(report)))
    else:
        print(printable(f"{_count(report.added, 'track')} added, {report.already} there already, of {owner}."))
    return 0


def _missing(arguments: argparse.Namespace) -> int:
    found = [entry for entry in _open(arguments).snapshot().entries() if entry.missing]
    if arguments.json:
        for entry in found:
            since = max(source.missing_since or 0.0 for source in entry.sources)
            print(json.dumps(entry.track.to_json() | {"missing_since": _moment(since)}))
        return 0
    for entry in found:
        print(f"{_line(entry.track)}\n    {printable(entry.track.path)}")
    if not found:
        print("No track's file is missing, as far as the last sync saw.", file=sys.stderr)
    return 0


def _prune(arguments: argparse.Namespace) -> int:
    with _writer(arguments) as writer:
        plan = plan_pruning(list(writer.snapshot().entries()))
        refused = bool(plan.unmounted) and not arguments.force
        gone = frozenset[str]() if refused else plan.gone
        if not refused and (plan.gone or plan.changed):
            writer.add([], replacing=plan.gone, describing=plan.changed)
    if arguments.json:
        print(json.dumps({"removed": sorted(gone)}))
    elif not refused:
        print(f"{_count(len(gone), 'track')} removed.")
    if refused:
        where = ", ".join(f"{number} of {root or 'those named alone'}" for root, number in plan.unmounted)
        print(
            printable(
                f"twitchaudio: so many files are missing that a disk may not be mounted ({where}): nothing was "
                "removed. Run the command again with --force if they are gone."
            ),
            file=sys.stderr,
        )
    elif plan.back:
        print(
            f"twitchaudio: {_count(plan.back, 'file')} marked as missing are there again: run "
            "`twitchaudio catalog sync`",
            file=sys.stderr,
        )
    return 1 if refused else 0


def _duplicates(arguments: argparse.Namespace) -> int:
    snapshot = _open(arguments).snapshot()
    near = {} if arguments.exact else _near_duplicates(snapshot)
    entries = {entry.id: entry for entry in snapshot.entries() if len(entry.sources) > 1 or entry.id in near}
    others = {each.other_id for of_track in near.values() for each in of_track} - entries.keys()
    known = entries | {track_id: entry for track_id in others if (entry := snapshot.entry(track_id)) is not None}
    for entry in entries.values():
        of_track = [(known[each.other_id], each) for each in near.get(entry.id, ()) if each.other_id in known]
        if arguments.json:
            body = entry.track.to_json() | {"files": [_file_to_json(entry, source) for source in entry.sources]}
            print(json.dumps(body | {"near": [_near_to_json(other.track, each) for other, each in of_track]}))
            continue
        print(_line(entry.track))
        for source in entry.sources:
            marks = "*" if source is entry.preferred else " "
            note = " (missing)" if source.missing_since is not None else ""
            note += f" (of {source.owner})" if source.owner else ""
            print(printable(f"  {marks} {source.path}{note}"))
        for other, each in of_track:
            print(f"  ~ {_line(other.track)}\n      {_shared_text(each)}")
    if not entries and not arguments.json:
        print("No recording is there in more than one file or version.", file=sys.stderr)
    return 0


def _near_duplicates(snapshot: Snapshot) -> dict[str, list[NearDuplicate]]:
    """What each track shares with others, in a catalog that this version's landmarks can be looked up in."""
    made_by = snapshot.manifest.made_by
    if made_by is not None and made_by.landmarks != DEFAULT.identity:
        print(
            "twitchaudio: recordings that share sound are found after `twitchaudio catalog rebuild` only: another "
            "version made this catalog",
            file=sys.stderr,
        )
        return {}
    found = near_duplicates(snapshot)
    bar = tqdm(found, total=len(snapshot), unit="track", file=sys.stderr, disable=None, leave=False)
    return all_near_duplicates(iter(bar))


def _file_to_json(entry: TrackEntry, source: Source) -> dict[str, object]:
    return {
        "path": source.path,
        "preferred": source is entry.preferred,
        "missing": source.missing_since is not None,
        "owner": source.owner or None,
        "title": source.described.title,
        "artists": list(source.described.artists),
        "album": source.described.album,
    }


def _near_to_json(other: Track, near: NearDuplicate) -> dict[str, object]:
    return {
        "id": other.id,
        "title": other.title,
        "artists": list(other.artists),
        "album": other.album,
        "duration": round(other.duration_seconds, 3),
        "path": other.path,
        "shared_seconds": round(near.seconds, 1),
        "share": round(near.share, 3),
        "parts": [
            {"start": part.start_seconds, "end": part.end_seconds, "other_start": part.other_start_seconds}
            for part in near.parts
        ],
    }


def _shared_text(near: NearDuplicate) -> str:
    """How much two tracks share, and where the longest parts are."""
    longest = sorted(near.parts, key=lambda part: -part.seconds)[:3]
    places = ", ".join(
        f"{_clock(part.start_seconds)} to {_clock(part.end_seconds)} is its {_clock(part.other_start_seconds)}"
        for part in sorted(longest, key=lambda part: part.start_seconds)
    )
    more = f", and {len(near.parts) - len(longest)} more" if len(near.parts) > len(longest) else ""
    return f"shares {_clock(near.seconds)} ({near.share:.0%} of the shorter one): {places}{more}"


def _clock(seconds: float) -> str:
    return clock_text(round(seconds))


def _exclude(arguments: argparse.Namespace) -> int:
    patterns = cast("list[str]", arguments.patterns)
    if not patterns and arguments.remove:
        print("twitchaudio: name the patterns to take back", file=sys.stderr)
        return 2
    useless = [] if arguments.remove else [pattern for pattern in patterns if not is_pattern(pattern)]
    if useless:
        text = ", ".join(repr(pattern[:80]) for pattern in useless)
        print(printable(f"twitchaudio: no file can fit such a pattern: {text}"), file=sys.stderr)
        return 2
    if not patterns:
        excluded = _open(arguments).snapshot().manifest.excluded
        print(
            json.dumps(list(excluded)) if arguments.json else "\n".join(map(printable, excluded)),
            end="\n" if excluded else "",
        )
        return 0
    with _writer(arguments) as writer:
        known = writer.snapshot().manifest.excluded
        unknown = [pattern for pattern in patterns if pattern not in known] if arguments.remove else []
        if arguments.remove:
            kept = [pattern for pattern in known if pattern not in patterns]
        else:
            kept = list(dict.fromkeys([*known, *patterns]))
        if kept != list(known):
            writer.exclude(kept)
    if arguments.json:
        print(json.dumps(kept))
    else:
        print(f"{_count(len(kept), 'pattern')}. The next `twitchaudio catalog sync` leaves out what fits.")
    for pattern in unknown:
        print(printable(f"twitchaudio: there is no pattern {pattern}"), file=sys.stderr)
    return 1 if unknown else 0


def _stats(arguments: argparse.Namespace) -> int:
    catalog = _open(arguments)
    stats = catalog.stats()
    if arguments.json:
        print(json.dumps({"directory": _place(arguments).name, **dataclasses.asdict(stats)}))
        return 0
    print(printable(f"catalog      {_place(arguments).name}"))
    print(f"tracks       {stats.tracks} ({clock_text(round(stats.hours * 3600))} of music)")
    print(f"landmarks    {stats.landmarks}")
    print(f"on disk      {stats.size_bytes / 2**20:.1f} MiB in {_count(stats.segments, 'file')}, ", end="")
    print(f"{stats.bytes_per_minute / 1024:.1f} KiB per minute of music")
    print(f"fingerprint  {stats.fingerprint}")
    return 0


def _verify(arguments: argparse.Namespace) -> int:
    place = _place(arguments)
    if place.remote is not None:
        _open(arguments)
        _fetch_covers(arguments)
    catalog = Catalog(place.folder, any_fingerprint=True)
    problems = catalog.verify()
    if place.remote is not None:
        problems += place.remote.missing_files()
    if arguments.json:
        print(json.dumps({"ok": not problems, "problems": problems}))
    else:
        for problem in problems:
            print(printable(f"twitchaudio: {problem}"), file=sys.stderr)
        if not problems:
            whole = f"The catalog in {place.name} is whole: {_count(len(catalog.snapshot()), 'track')}."
            print(printable(whole))
    return 1 if problems else 0


def _open(arguments: argparse.Namespace) -> Catalog:
    """The catalog to read; one that is named must be there, while the one in the data folder may not be yet."""
    place = _place(arguments)
    if place.remote is not None:
        warning = place.remote.refresh_for_reading()
        if warning is not None:
            print(f"twitchaudio: {warning}", file=sys.stderr)
    elif arguments.catalog is not None:
        require_catalog(place.folder)
    return Catalog(place.folder, any_fingerprint=True)


def _fetch_covers(arguments: argparse.Namespace) -> None:
    """Have all covers here, for a command that reads them."""
    remote = _place(arguments).remote
    if remote is not None:
        remote.fetch_covers()


def _print_tracks(tracks: Iterable[Track], *, as_json: bool) -> int:
    """Print tracks, none of which is kept in memory; returns how many there were."""
    shown = 0
    for shown, track in enumerate(tracks, 1):  # noqa: B007 - it is counted
        print(json.dumps(track.to_json()) if as_json else _line(track))
    return shown


def _line(track: Track) -> str:
    artists = ", ".join(track.artists) or "(unknown artist)"
    album = f" [{track.album}]" if track.album else ""
    return printable(
        f"{track.id}  {clock_text(round(track.duration_seconds)):>8}  {artists} - {track.title}{album}"
    )


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
