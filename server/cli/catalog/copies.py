"""`twitchaudio catalog export`, `import`, `backup` and `restore`: a catalog in files of its own."""

import argparse
import dataclasses
import json
import sys
from pathlib import Path
from typing import Final, cast

from fingerprint.catalog.backup import back_up, restore
from fingerprint.catalog.covers import Covers
from fingerprint.catalog.exchange import check_export, export_tracks, import_tracks
from fingerprint.catalog.index import Catalog, Snapshot
from fingerprint.catalog.manifest import manifest_stamp
from fingerprint.domain.text import printable
from server.cli.catalog.place import (
    fetch_covers,
    open_catalog,
    open_writer,
    place_of,
    saying_that_nothing_was_made,
    saying_what_is_held,
)
from server.cli.catalog.text import count_text, matching
from server.own_command import as_typed

MAX_OWNER: Final = 200


def export_catalog(arguments: argparse.Namespace) -> int:
    """Write tracks to a file, without sound."""
    snapshot = open_catalog(arguments).snapshot()
    chosen = matching(snapshot, cast("list[str]", arguments.text))
    if not chosen:
        print("twitchaudio: no track matches, so nothing was written", file=sys.stderr)
        return 1
    file = cast("Path", arguments.file)
    covers = None if arguments.no_covers else Covers(place_of(arguments).folder)
    if covers is not None:
        fetch_covers(arguments)
    with saying_that_nothing_was_made(file):
        left_out = export_tracks(snapshot, chosen, file, covers=covers)
    if arguments.json:
        print(json.dumps({"file": str(file), "tracks": len(chosen), "bytes": file.stat().st_size}))
    else:
        print(
            printable(f"{count_text(len(chosen), 'track')} exported to {file}, without sound and without paths.")
        )
    return _say_left_out(left_out)


def back_up_catalog(arguments: argparse.Namespace) -> int:
    """Copy the catalog to a new folder."""
    destination = cast("Path", arguments.destination)
    directory = open_catalog(arguments).directory
    fetch_covers(arguments)
    with saying_that_nothing_was_made(destination):
        held = back_up(directory, destination)
    return _say_copied(arguments, held, destination, f"copied to {destination}")


def restore_catalog(arguments: argparse.Namespace) -> int:
    """Take a copy back."""
    source = cast("Path", arguments.source)
    place = place_of(arguments)
    with saying_what_is_held(arguments):
        restored = restore(source, place.folder, force=bool(arguments.force), store=place.remote)
    if restored.set_aside is not None:
        print(printable(f"twitchaudio: the damaged catalog's files are in {restored.set_aside}"), file=sys.stderr)
    return _say_copied(arguments, restored.snapshot, place.folder, f"restored from {source}")


def _say_copied(arguments: argparse.Namespace, snapshot: Snapshot, folder: Path, what: str) -> int:
    if arguments.json:
        print(json.dumps({"tracks": len(snapshot)}))
    else:
        print(printable(f"{count_text(len(snapshot), 'track')} {what}."))
    return _say_left_out(len(Catalog(folder, any_fingerprint=True).lost_covers()))


def _say_left_out(covers: int) -> int:
    """The exit status of a command that leaves out covers that are damaged or not there."""
    if not covers:
        return 0
    print(
        as_typed(
            f"twitchaudio: {count_text(covers, 'cover')} left out: damaged, or not there. "
            "`twitchaudio catalog rebuild` takes covers from their files again"
        ),
        file=sys.stderr,
    )
    return 3


def import_export(arguments: argparse.Namespace) -> int:
    """Merge an exported file into the catalog."""
    owner = cast("str", arguments.owner).strip()
    if not owner or len(owner) > MAX_OWNER or printable(owner) != owner:
        print(f"twitchaudio: --owner takes a name of up to {MAX_OWNER} letters, on one line", file=sys.stderr)
        return 2
    file = cast("Path", arguments.file)
    if manifest_stamp(place_of(arguments).folder) is None:
        check_export(file)  # before a catalog is begun for it
    go_on = " Run the command again to go on."
    with saying_what_is_held(arguments, go_on), open_writer(arguments, create=True) as writer:
        report = import_tracks(writer, file, owner)
    if arguments.json:
        print(json.dumps(dataclasses.asdict(report)))
    else:
        print(printable(f"{count_text(report.added, 'track')} added, {report.already} there already, of {owner}."))
    return 0
