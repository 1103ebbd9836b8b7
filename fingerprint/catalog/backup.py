"""Copies of a whole catalog: made while it is in use, and taken back in one step."""

import contextlib
import os
from pathlib import Path

from fingerprint.catalog.cover_reader import KeepCover
from fingerprint.catalog.covers import Covers
from fingerprint.catalog.index import Catalog, Snapshot
from fingerprint.catalog.manifest import require_catalog, write_manifest
from fingerprint.catalog.picture_header import UnusablePictureError
from fingerprint.catalog.problems import CatalogError, DamagedCatalogError
from fingerprint.catalog.writer import CatalogWriter, SharedStore


def back_up(directory: Path, destination: Path) -> Snapshot:
    """Copy a catalog as it is at this moment to a new folder; commands that change it meanwhile do not matter.

    The copy has the same identity. It is read again and checked. Returns what it holds. Raises CatalogError.
    """
    require_catalog(directory)
    catalog = Catalog(directory, any_fingerprint=True)
    snapshot = catalog.snapshot()
    try:
        destination.mkdir(parents=True)
    except FileExistsError as error:
        raise CatalogError(f"{destination} is there already: name a folder that is to be made.") from error
    except OSError as error:
        raise CatalogError(f"{destination} cannot be made: {error.strerror}.") from error
    try:
        for live in (*snapshot.segments, *snapshot.descriptions):
            with (destination / live.segment.path.name).open("xb") as file:
                # From the mapped file, which a merge may have deleted meanwhile.
                file.write(live.segment.content)
                file.flush()
                os.fsync(file.fileno())
        _copy_covers(directory, snapshot, Covers(destination).keep)
        # Last, so that half a copy has none.
        write_manifest(destination, snapshot.manifest)
    except OSError as error:
        raise CatalogError(
            f"{destination} cannot be written: {error.strerror}. The copy is not whole; delete it."
        ) from error
    _require_whole(destination)
    return Catalog(destination, any_fingerprint=True).snapshot()


def restore(source: Path, directory: Path, *, force: bool, store: SharedStore | None = None) -> Snapshot:
    """Make a catalog hold what a copy holds, in one step; the old one answers until then.

    A catalog that holds tracks is replaced with `force` only. `store`: where it is shared. Returns what it holds.
    Raises CatalogError.
    """
    _require_whole(source)
    copied = Catalog(source, any_fingerprint=True).snapshot()
    with CatalogWriter(directory, any_fingerprint=True, store=store) as writer:
        if len(writer.snapshot()) and not force:
            raise CatalogError(
                f"The catalog in {directory} holds {len(writer.snapshot())} tracks: add --force to replace it."
            )
        try:
            _copy_covers(source, copied, writer.keep_cover)
        except OSError as error:
            raise CatalogError(
                f"The catalog in {directory} cannot be written to: {error.strerror}. It is as it was."
            ) from error
        writer.replace_content(copied)
        return writer.snapshot()


def _copy_covers(source: Path, snapshot: Snapshot, keep: KeepCover) -> None:
    """Have the covers of a snapshot kept elsewhere, too; one that is damaged is left out. Raises OSError."""
    covers = Covers(source)
    for name in sorted(snapshot.covers()):
        cover = covers.read(name)
        if cover is not None:
            with contextlib.suppress(UnusablePictureError):
                keep(cover.content)


def _require_whole(directory: Path) -> None:
    problems = Catalog(directory, any_fingerprint=True).verify()
    if problems:
        raise DamagedCatalogError(problems[0])
