"""Makes a folder a copy of a catalog in object storage: only index files that are new are fetched.

Beside the catalog's files, the folder has

    covers/       covers that were fetched so far
    origin.json   which manifest the copy is of: its ETag, and a digest of its content
    incoming/     index files that are being fetched; those that are whole are used by the next attempt
    writer.lock   held by the process that changes the folder

Files are fetched first and the manifest is replaced last, so a reader sees the old catalog or the new one, and one
that is killed loses nothing.
"""

import asyncio
import contextlib
import hashlib
import json
import os
import secrets
import shutil
import time
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Final

from fingerprint.catalog.covers import FOLDER_NAME, MAX_COVER_BYTES, Covers, cover_name
from fingerprint.catalog.index import Catalog
from fingerprint.catalog.index_file import IndexSegment
from fingerprint.catalog.manifest import (
    MANIFEST_NAME,
    Manifest,
    SegmentEntry,
    Stamp,
    manifest_leftovers,
    manifest_stamp,
    parse_manifest,
    segment_names,
    write_manifest,
)
from fingerprint.catalog.picture_header import UnusablePictureError
from fingerprint.catalog.problems import CatalogError, DamagedCatalogError, NoCatalogError
from fingerprint.remote_catalogs.object_store import ObjectMissingError, ObjectStore, ObjectTooLargeError

ORIGIN_NAME: Final = "origin.json"
INCOMING_NAME: Final = "incoming"
FETCH_ATTEMPTS: Final = 20
"""How often writers may replace the catalog while it is being fetched."""

FETCHED_AT_ONCE: Final = 4
COVERS_AT_ONCE: Final = 8
COVERS_OF_A_TURN: Final = 200
"""How many covers are fetched before the catalog is looked at again."""

UNUSED_SECONDS: Final = 3600.0
"""Copies that were not looked at for so long make room for others."""


class Copy:
    """The copy of one catalog in a folder. A process holds the folder's lock while it changes it."""

    def __init__(self, store: ObjectStore, folder: Path, *, max_bytes: int) -> None:
        self._store = store
        self.folder = folder
        self._max_bytes = max_bytes
        self._covered: Stamp | None = None
        self._asked_of: Stamp | None = None
        self._asked: set[str] = set()
        """Covers that were asked for since the manifest changed: one that does not come stops no other."""

    @property
    def exists(self) -> bool:
        """Whether there is a copy, of any age."""
        return (self.folder / MANIFEST_NAME).exists()

    def checked_seconds_ago(self) -> float:
        """How long ago the copy was found to be the newest; infinite when it never was."""
        try:
            return max(0.0, time.time() - (self.folder / ORIGIN_NAME).stat().st_mtime)
        except OSError:
            return float("inf")

    def etag(self) -> str | None:
        """The ETag of the manifest that the copy is of; None when that is not known."""
        try:
            said = json.loads((self.folder / ORIGIN_NAME).read_bytes())
            content = (self.folder / MANIFEST_NAME).read_bytes()
            return str(said["etag"]) if said["manifest"] == _digest(content) else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def note_origin(self, content: bytes, etag: str) -> None:
        """Remember which manifest the copy is of, before or after it is. Raises OSError."""
        temporary = self.folder / f"origin-{secrets.token_hex(4)}.tmp"
        said = {"address": str(self._store.address), "etag": etag, "manifest": _digest(content)}
        temporary.write_text(json.dumps(said))
        temporary.replace(self.folder / ORIGIN_NAME)

    async def refresh(self) -> bool:
        """Make the folder what the store holds; returns whether it was something else.

        Raises NoCatalogError where the store holds no catalog, and CatalogError; then the copy is as it was.
        """
        try:
            await asyncio.to_thread(self.folder.mkdir, parents=True, exist_ok=True)
            return await self._refresh()
        except ObjectMissingError as error:
            raise NoCatalogError(f"There is no catalog at {self._store.address}.") from error
        except OSError as error:
            raise CatalogError(
                f"The copy of {self._store.address} in {self.folder} cannot be written: {error.strerror}."
            ) from error

    async def _refresh(self) -> bool:
        etag = await asyncio.to_thread(self.etag)
        incomplete: str | None = None
        for _ in range(FETCH_ATTEMPTS):
            found = await self._store.manifest(unless=incomplete or etag)
            if found is None and incomplete is None:
                await asyncio.to_thread(os.utime, self.folder / ORIGIN_NAME)
                return False
            if found is None:
                break
            manifest = parse_manifest(f"{self._store.address}/{MANIFEST_NAME}", found.content)
            try:
                fetched = await self._fetch(manifest)
            except ObjectMissingError:
                # A merge has removed it since the manifest was read; then there is a newer manifest.
                incomplete = found.etag
            else:
                await asyncio.to_thread(self._replace, manifest, found.content, found.etag, fetched)
                return True
        raise DamagedCatalogError(
            f"The catalog at {self._store.address} is damaged: its manifest lists files that are not there."
        )

    async def _fetch(self, manifest: Manifest) -> list[Path]:
        """Fetch the index files that are not here yet; returns where they are."""
        incoming = self.folder / INCOMING_NAME
        await asyncio.to_thread(incoming.mkdir, exist_ok=True)
        wanted, size = await asyncio.to_thread(self._missing, manifest)
        room = await asyncio.to_thread(self._room, size)
        slots = asyncio.Semaphore(FETCHED_AT_ONCE)

        async def fetch(entry: SegmentEntry) -> None:
            nonlocal room
            async with slots:
                temporary = incoming / f"{secrets.token_hex(4)}.part"
                try:
                    with await asyncio.to_thread(temporary.open, "xb") as file:
                        room -= await self._store.download(entry.file, file, max_bytes=room)
                        await asyncio.to_thread(_sync, file)
                    if room < 0:
                        raise self._store.too_large()
                    if not await asyncio.to_thread(_is_whole, temporary, entry, manifest):
                        raise DamagedCatalogError(
                            f"{self._store.address}/{entry.file} is damaged: it is not the file that the manifest "
                            "lists."
                        )
                    await asyncio.to_thread(temporary.replace, incoming / entry.file)
                finally:
                    await asyncio.to_thread(temporary.unlink, missing_ok=True)

        try:
            async with asyncio.TaskGroup() as group:
                for entry in wanted:
                    if not await asyncio.to_thread(_is_whole, incoming / entry.file, entry, manifest):
                        group.create_task(fetch(entry))
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from errors
        return [incoming / entry.file for entry in wanted]

    async def fetch_covers(self) -> bool:
        """Fetch some of the covers that are not here yet; returns whether there are more to fetch.

        Covers that no track needs are deleted. Those that the copy has no room for stay away. Raises CatalogError.
        """
        stamp = await asyncio.to_thread(manifest_stamp, self.folder)
        if stamp is None or stamp == self._covered:
            return False
        covers = Covers(self.folder)
        try:
            missing, room = await asyncio.to_thread(self._missing_covers, covers)
            if stamp != self._asked_of:
                self._asked_of, self._asked = stamp, set()
            wanted = [name for name in missing if name not in self._asked]
            chosen = wanted[: room // MAX_COVER_BYTES][:COVERS_OF_A_TURN]
            slots = asyncio.Semaphore(COVERS_AT_ONCE)

            async def fetch(name: str) -> None:
                content = BytesIO()
                async with slots:
                    with contextlib.suppress(ObjectMissingError, ObjectTooLargeError):
                        await self._store.download(f"{FOLDER_NAME}/{name}", content, max_bytes=MAX_COVER_BYTES)
                if cover_name(content.getvalue()) == name:
                    with contextlib.suppress(UnusablePictureError):
                        await asyncio.to_thread(covers.keep, content.getvalue())

            async with asyncio.TaskGroup() as group:
                for name in chosen:
                    group.create_task(fetch(name))
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from errors
        except OSError as error:
            raise CatalogError(
                f"The copy of {self._store.address} in {self.folder} cannot be written: {error.strerror}."
            ) from error
        self._asked.update(chosen)
        if len(chosen) == COVERS_OF_A_TURN < len(wanted):
            return True
        self._covered = stamp
        return False

    def _missing_covers(self, covers: Covers) -> tuple[list[str], int]:
        """The covers that are not here, and for how many bytes there is room."""
        needed = Catalog(self.folder, any_fingerprint=True).snapshot().covers()
        covers.drop(needed)
        here = set(covers.names())
        size = sum(path.stat().st_size for path in self.folder.glob("*.seg")) + covers.size()
        return sorted(needed - here), self._room(size)

    def _missing(self, manifest: Manifest) -> tuple[list[SegmentEntry], int]:
        """The index files that are not here, and the size of those that are, in bytes."""
        missing: list[SegmentEntry] = []
        size = 0
        for entry in (*manifest.segments, *manifest.descriptions):
            path = self.folder / entry.file
            if _is_whole(path, entry, manifest, read_all=False):
                size += path.stat().st_size
            else:
                missing.append(entry)
        return missing, size

    def _room(self, size: int) -> int:
        """How many bytes the copy may grow; copies that are not used any more make room."""
        others = [
            folder
            for folder in self.folder.parent.iterdir()
            if folder != self.folder and (folder / ORIGIN_NAME).is_file()
        ]
        taken = size
        for folder in others:
            if time.time() - (folder / ORIGIN_NAME).stat().st_mtime > UNUSED_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)
            else:
                taken += sum(path.stat().st_size for path in folder.glob("*.seg"))
        return max(0, self._max_bytes - taken)

    def _replace(self, manifest: Manifest, content: bytes, etag: str, fetched: Sequence[Path]) -> None:
        for path in fetched:
            path.replace(self.folder / path.name)
        write_manifest(self.folder, content)
        self.note_origin(content, etag)
        self.clear_up(manifest)

    def clear_up(self, manifest: Manifest) -> None:
        """Delete index files that the manifest does not list, and what a killed process left."""
        needed = manifest.files
        old = [name.path for name in segment_names(self.folder) if name.path.name not in needed]
        left = [*self.folder.glob("origin-*.tmp"), *(self.folder / INCOMING_NAME).glob("*")]
        for path in [*old, *manifest_leftovers(self.folder), *left]:
            # Windows keeps files that a reader has mapped; the next one tries again.
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)

    def forget(self) -> None:
        """Make the folder one without a catalog, because the store holds none."""
        if manifest_stamp(self.folder) is not None:
            (self.folder / MANIFEST_NAME).unlink()
        (self.folder / ORIGIN_NAME).unlink(missing_ok=True)
        self.clear_up(Manifest())


def _is_whole(path: Path, entry: SegmentEntry, manifest: Manifest, *, read_all: bool = True) -> bool:
    """Whether a file is the one that the manifest lists; `read_all`: and all of it is as it was written."""
    made_by = manifest.made_by
    try:
        segment = IndexSegment.open(path, identity=made_by.landmarks if made_by is not None else "")
    except (OSError, CatalogError):
        return False
    return (not entry.id or segment.id == entry.id) and not (read_all and segment.damage())


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
