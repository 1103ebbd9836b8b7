"""Changes and reads a catalog in object storage, from programs without an event loop."""

import asyncio
from collections.abc import Collection, Coroutine, Generator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, TypeVar

from fingerprint.catalog.covers import FOLDER_NAME, is_cover_name
from fingerprint.catalog.manifest import read_manifest
from fingerprint.catalog.problems import CatalogBusyError, CatalogError, ChangedElsewhereError, NoCatalogError
from fingerprint.catalog.segment_name import is_segment_name
from fingerprint.catalog.write_lock import WriteLock
from fingerprint.pipeline_settings import PipelineSettings
from fingerprint.remote_catalogs.copies import Copy
from fingerprint.remote_catalogs.object_store import ObjectStore, open_store
from fingerprint.setting_formats import S3Address

T = TypeVar("T")

UNUSED_COVER: Final = timedelta(hours=1)
"""Covers of this age that no track needs are deleted; the track of a younger one may follow."""

UPLOADED_AT_ONCE: Final = 4
COVERS_AT_ONCE: Final = 8
LEFT_OVER: Final = timedelta(days=1)
"""Index files of this age that no manifest lists are what a killed writer left; a working one is faster."""


class RemoteCatalog:
    """A catalog in object storage and this machine's copy of it. A `SharedStore` for `CatalogWriter`.

    Comes from `open_remote_catalog`. Methods block, and raise CatalogError.
    """

    def __init__(self, runner: asyncio.Runner, store: ObjectStore, copy: Copy) -> None:
        self._runner = runner
        self._store = store
        self._copy = copy
        self._tidied = False

    @property
    def folder(self) -> Path:
        """The copy's folder."""
        return self._copy.folder

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(work)

    def refresh(self) -> None:
        """For a writer, which holds the copy's lock."""
        try:
            self._run(self._copy.refresh())
        except NoCatalogError:
            self._copy.forget()
        if not self._tidied:
            self._tidied = True
            with suppress(CatalogError):
                self._run(self._delete_leftovers())

    def publish(self, manifest: bytes, files: Sequence[Path]) -> None:
        """See `SharedStore`."""
        try:
            self._run(self._publish(manifest, files))
        except ChangedElsewhereError:
            self.retire([path.name for path in files])
            raise

    def publish_covers(self, paths: Sequence[Path]) -> None:
        """See `SharedStore`."""
        if paths:
            self._run(self._upload({path: f"{FOLDER_NAME}/{path.name}" for path in paths}, COVERS_AT_ONCE))

    def retire(self, names: Collection[str]) -> None:
        """See `SharedStore`."""
        with suppress(CatalogError):
            self._run(self._store.delete(names))

    def retire_covers(self, needed: Collection[str]) -> None:
        """See `SharedStore`."""
        with suppress(CatalogError):
            self._run(self._delete_covers(needed))

    def fetch_covers(self) -> None:
        """Have the copy hold all covers, for a reader that needs them, as far as they can be had. Never fails."""
        with suppress(CatalogError), WriteLock(self.folder / "writer.lock"):
            while self._run(self._copy.fetch_covers()):
                pass

    def refresh_for_reading(self) -> str | None:
        """Make the copy what is shared now; a sentence if it is not, and an older copy can be read.

        Raises CatalogError when there is no copy.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with WriteLock(self.folder / "writer.lock"):
                self._run(self._copy.refresh())
        except CatalogBusyError:
            if not self._copy.exists:
                raise
        except NoCatalogError:
            raise
        except CatalogError as error:
            if not self._copy.exists:
                raise
            minutes = round(self._copy.checked_seconds_ago() / 60)
            return f"{error.detail} This is how it was {minutes} minutes ago."
        except OSError as error:
            raise CatalogError(f"{self.folder} cannot be written: {error.strerror}.") from error
        return None

    def missing_files(self) -> list[str]:
        """What the manifest lists and is not there as it is in the copy, one sentence for each."""
        stored = {each.name: each.size for each in self._run(self._store.files())}
        return [
            f"{self._store.address}/{name} is damaged or missing"
            for name in sorted(read_manifest(self.folder).files)
            if stored.get(name) != (self.folder / name).stat().st_size
        ]

    async def _publish(self, manifest: bytes, files: Sequence[Path]) -> None:
        await self._upload({path: path.name for path in files}, UPLOADED_AT_ONCE)
        etag = await asyncio.to_thread(self._copy.etag)
        etag = await self._store.replace_manifest(manifest, etag=etag)
        try:
            await asyncio.to_thread(self._copy.note_origin, manifest, etag)
        except OSError as error:
            raise CatalogError(f"{self.folder} cannot be written: {error.strerror}.") from error

    async def _upload(self, files: Mapping[Path, str], at_once: int) -> None:
        slots = asyncio.Semaphore(at_once)

        async def upload(path: Path, name: str) -> None:
            async with slots:
                await self._store.upload(path, name)

        try:
            async with asyncio.TaskGroup() as group:
                for path, name in files.items():
                    group.create_task(upload(path, name))
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from errors

    async def _delete_covers(self, needed: Collection[str]) -> None:
        old = [
            each.name
            for each in await self._store.files(f"{FOLDER_NAME}/")
            if each.age > UNUSED_COVER
            and is_cover_name(name := each.name.removeprefix(f"{FOLDER_NAME}/"))
            and name not in needed
        ]
        etag = await asyncio.to_thread(self._copy.etag)
        if old and await self._store.manifest(unless=etag) is None:
            await self._store.delete(old)

    async def _delete_leftovers(self) -> None:
        needed = (await asyncio.to_thread(read_manifest, self.folder)).files
        old = [
            each.name
            for each in await self._store.files()
            if each.name not in needed and each.age > LEFT_OVER and is_segment_name(each.name)
        ]
        await self._store.delete(old)
        await self._store.abort_uploads(LEFT_OVER)


@contextmanager
def open_remote_catalog(settings: PipelineSettings, address: S3Address) -> Generator[RemoteCatalog]:
    """A catalog in object storage, in a thread without an event loop. Raises CatalogError."""
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        store = runner.run(stack.enter_async_context(open_store(address, settings.s3_endpoint)))
        copy = Copy(store, settings.catalog_folder(address), max_bytes=settings.catalog_copies_mb << 20)
        try:
            yield RemoteCatalog(runner, store, copy)
        finally:
            runner.run(stack.aclose())
