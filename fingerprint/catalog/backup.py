"""Copies of a whole catalog: made while it is in use, and taken back in one step."""

import contextlib
import os
import secrets
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

from fingerprint.catalog.cover_reader import KeepCover
from fingerprint.catalog.covers import Covers
from fingerprint.catalog.index import Catalog, Snapshot, refuse_strangers
from fingerprint.catalog.manifest import (
    MANIFEST_NAME,
    read_manifest,
    require_catalog,
    segment_names,
    write_manifest,
)
from fingerprint.catalog.picture_header import UnusablePictureError
from fingerprint.catalog.problems import CatalogError, DamagedCatalogError
from fingerprint.catalog.shared_store import SharedStore
from fingerprint.catalog.write_lock import WriteLock
from fingerprint.catalog.writer import CatalogWriter
from fingerprint.unfinished import clear_left, room_beside


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoredCatalog:
    """What a catalog holds once a copy was taken back.

    `set_aside`: where the files of the damaged catalog are now that was there before; None if there was none.
    """

    snapshot: Snapshot
    set_aside: Path | None = None


def back_up(directory: Path, destination: Path) -> Snapshot:
    """Copy a catalog as it is at this moment to a new folder; commands that change it meanwhile do not matter.

    The copy has the same identity. It is read again and checked. Covers that are damaged are left out. Returns
    what it holds. Raises CatalogError, and then there is no copy.
    """
    require_catalog(directory)
    snapshot = Catalog(directory, any_fingerprint=True).snapshot()
    try:
        if os.path.lexists(destination):
            raise _there(destination)
        destination.parent.mkdir(parents=True, exist_ok=True)
        with room_beside(destination) as room:
            copy = room / "copy"
            copy.mkdir()
            _copy(directory, snapshot, copy)
            copy.rename(destination)
    except OSError as error:
        if os.path.lexists(destination):
            raise _there(destination) from error
        reason = f"{destination} cannot be written: {error.strerror}. Nothing was copied."
        raise CatalogError(reason) from error
    return Catalog(destination, any_fingerprint=True).snapshot()


def _there(destination: Path) -> CatalogError:
    return CatalogError(f"{destination} is there already: name a folder that is to be made.")


def _copy(directory: Path, snapshot: Snapshot, destination: Path) -> None:
    for live in (*snapshot.segments, *snapshot.descriptions):
        with (destination / live.segment.path.name).open("xb") as file:
            # From the mapped file, which a merge may have deleted meanwhile.
            for part in live.segment.parts():
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
    _copy_covers(directory, snapshot, Covers(destination).keep)
    # Last, so that half a copy has none.
    write_manifest(destination, snapshot.manifest)
    problems = Catalog(destination, any_fingerprint=True).damage()
    if problems:
        raise DamagedCatalogError(problems[0].replace(str(destination), str(directory)))


def restore(source: Path, directory: Path, *, force: bool, store: SharedStore | None = None) -> RestoredCatalog:
    """Make a catalog hold what a copy holds, in one step; the old one answers until then.

    A catalog that holds tracks is replaced with `force` only, and so is one that is damaged: its files are kept in
    a folder of their own. `store`: where it is shared. Covers of the copy that are damaged are left out. Raises
    CatalogError.
    """
    copy = Catalog(source, any_fingerprint=True)
    problems = copy.damage()
    if problems:
        raise DamagedCatalogError(problems[0])
    copied = copy.snapshot()
    damage = None if store is not None else _damage(directory)
    if damage is not None:
        if not force:
            raise DamagedCatalogError(
                f"{damage.detail} Or add --force to restore the copy here: what is damaged is kept beside it."
            )
        set_aside = _replace_damaged(source, directory)
        return RestoredCatalog(snapshot=Catalog(directory, any_fingerprint=True).snapshot(), set_aside=set_aside)
    with CatalogWriter(directory, any_fingerprint=True, store=store) as writer:
        if len(writer.snapshot()) and not force:
            raise CatalogError(
                f"The catalog in {directory} holds {len(writer.snapshot())} tracks: add --force to replace it."
            )
        clear_left(directory)
        _copy_covers(source, copied, writer.keep_cover)
        writer.replace_content(copied)
        return RestoredCatalog(snapshot=writer.snapshot())


def _damage(directory: Path) -> DamagedCatalogError | None:
    """Why a folder holds a catalog that cannot be opened."""
    try:
        refuse_strangers(directory, Catalog(directory, any_fingerprint=True).snapshot().manifest)
    except DamagedCatalogError as error:
        return error
    return None


def _replace_damaged(source: Path, directory: Path) -> Path:
    """Put a copy in the place of a catalog that cannot be opened; returns the folder that has its files now.

    The copy is made and checked in the catalog's folder first, so that only names change afterwards. A program
    that is killed meanwhile leaves a catalog without a manifest, which can be restored again.
    """
    set_aside = directory / f"damaged-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{secrets.token_hex(2)}"
    with WriteLock(directory / "writer.lock"), _room_in(directory) as room:
        beside = room / "whole"
        copied = back_up(source, beside)
        files = copied.manifest.files
        old = {name.path.name for name in segment_names(directory)} | files
        with contextlib.suppress(CatalogError):
            old |= read_manifest(directory).files
        try:
            set_aside.mkdir()
            for name in (MANIFEST_NAME, *sorted(old)):
                if os.path.lexists(directory / name):
                    (directory / name).rename(set_aside / name)
            for name in sorted(files):
                (beside / name).rename(directory / name)
            _copy_covers(beside, copied, Covers(directory).keep)
            write_manifest(directory, copied.manifest)
        except OSError as error:
            raise CatalogError(
                f"The catalog in {directory} cannot be written to: {error.strerror}. What was there is in "
                f"{set_aside}, and the copy can be restored again."
            ) from error
    return set_aside


@contextlib.contextmanager
def _room_in(directory: Path) -> Generator[Path]:
    """Room for a copy in a catalog's folder. Raises CatalogError."""
    try:
        with room_beside(directory / MANIFEST_NAME) as room:
            yield room
    except OSError as error:
        raise CatalogError(f"The catalog in {directory} cannot be written to: {error.strerror}.") from error


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
