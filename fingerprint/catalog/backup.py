"""Copies of a whole catalog: made while it is in use, and taken back in one step."""

import contextlib
import os
from pathlib import Path

from fingerprint.catalog.cover_reader import KeepCover
from fingerprint.catalog.covers import Covers
from fingerprint.catalog.index import Catalog, Snapshot
from fingerprint.catalog.manifest import MANIFEST_NAME, require_catalog, write_manifest
from fingerprint.catalog.picture_header import UnusablePictureError
from fingerprint.catalog.problems import CatalogError, DamagedCatalogError
from fingerprint.catalog.writer import CatalogWriter, SharedStore


def back_up(directory: Path, destination: Path) -> Snapshot:
    """Copy a catalog as it is at this moment to a new folder; commands that change it meanwhile do not matter.

    The copy has the same identity. It is read again and checked. Covers that are damaged are left out. Returns
    what it holds. Raises CatalogError, and then there is no copy.
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
        _copy(directory, snapshot, destination)
    except BaseException as error:
        _delete(destination, snapshot)
        if isinstance(error, OSError):
            reason = f"{destination} cannot be written: {error.strerror}. Nothing was copied."
            raise CatalogError(reason) from error
        raise
    return Catalog(destination, any_fingerprint=True).snapshot()


def _copy(directory: Path, snapshot: Snapshot, destination: Path) -> None:
    for live in (*snapshot.segments, *snapshot.descriptions):
        with (destination / live.segment.path.name).open("xb") as file:
            # From the mapped file, which a merge may have deleted meanwhile.
            file.write(live.segment.content)
            file.flush()
            os.fsync(file.fileno())
    _copy_covers(directory, snapshot, Covers(destination).keep)
    # Last, so that half a copy has none.
    write_manifest(destination, snapshot.manifest)
    problems = Catalog(destination, any_fingerprint=True).damage()
    if problems:
        raise DamagedCatalogError(problems[0].replace(str(destination), str(directory)))


def _delete(destination: Path, snapshot: Snapshot) -> None:
    """Delete half a copy, and nothing else that may be in its folder."""
    covers = Covers(destination)
    covers.drop(())
    with contextlib.suppress(OSError):
        for name in (MANIFEST_NAME, *snapshot.manifest.files):
            (destination / name).unlink(missing_ok=True)
        if covers.folder.is_dir():
            covers.folder.rmdir()
        destination.rmdir()


def restore(source: Path, directory: Path, *, force: bool, store: SharedStore | None = None) -> Snapshot:
    """Make a catalog hold what a copy holds, in one step; the old one answers until then.

    A catalog that holds tracks is replaced with `force` only. `store`: where it is shared. Covers that are damaged
    are left out. Returns what it holds. Raises CatalogError.
    """
    copy = Catalog(source, any_fingerprint=True)
    problems = copy.damage()
    if problems:
        raise DamagedCatalogError(problems[0])
    copied = copy.snapshot()
    with CatalogWriter(directory, any_fingerprint=True, store=store) as writer:
        if len(writer.snapshot()) and not force:
            raise CatalogError(
                f"The catalog in {directory} holds {len(writer.snapshot())} tracks: add --force to replace it."
            )
        _copy_covers(source, copied, writer.keep_cover)
        writer.replace_content(copied)
        return writer.snapshot()


def _copy_covers(source: Path, snapshot: Snapshot, keep: KeepCover) -> None:
    """Have the covers of a snapshot kept elsewhere, too; one that is damaged is left out.

    Raises what `keep` does, except UnusablePictureError.
    """
    covers = Covers(source)
    for name in sorted(snapshot.covers()):
        cover = covers.read(name)
        if cover is not None:
            with contextlib.suppress(UnusablePictureError):
                keep(cover.content)
