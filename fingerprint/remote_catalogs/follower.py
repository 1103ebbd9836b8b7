"""Keeps copies of catalogs in object storage up to date, so that servers and functions see a new track soon."""

import asyncio
import logging
from collections.abc import Mapping
from contextlib import AsyncExitStack
from importlib import import_module
from typing import TYPE_CHECKING, Final, Self

from fingerprint.background import Background
from fingerprint.catalog.problems import CatalogBusyError, CatalogError
from fingerprint.catalog.write_lock import WriteLock
from fingerprint.pipeline_settings import PipelineSettings
from fingerprint.setting_formats import S3Address
from fingerprint.tasks import cancel_and_wait

if TYPE_CHECKING:
    from fingerprint.remote_catalogs.copies import Copy

POLL_SECONDS: Final = 3.0
"""How often the shared catalogs are looked at."""

MAX_WAIT_SECONDS: Final = 30.0
"""The longest pause while a catalog cannot be reached; pauses double until then."""

_log = logging.getLogger(__name__)


class CatalogFollower:
    """The copies that one process keeps up to date. An async context manager; leaving it ends the following.

    While a shared catalog cannot be reached, the last copy of it answers.
    """

    def __init__(self, settings: PipelineSettings, *, poll_seconds: float = POLL_SECONDS) -> None:
        self._settings = settings
        self._poll_seconds = poll_seconds
        self._copies: dict[S3Address, Copy] = {}
        self._problems: dict[S3Address, str] = {}
        self._turn = asyncio.Lock()
        self._stack = AsyncExitStack()
        self._following: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        if not self._settings.remote_catalogs:
            return self
        # AWS's library takes long to load, and most servers do not need it.
        await asyncio.to_thread(import_module, "fingerprint.remote_catalogs.copies")
        from fingerprint.remote_catalogs.copies import Copy  # noqa: PLC0415 - see above
        from fingerprint.remote_catalogs.object_store import open_store  # noqa: PLC0415 - see above

        for address in self._settings.remote_catalogs:
            store = await self._stack.enter_async_context(open_store(address, self._settings.s3_endpoint))
            folder = self._settings.catalog_folder(address)
            self._copies[address] = Copy(store, folder, max_bytes=self._settings.catalog_copies_mb << 20)
        return self

    async def __aexit__(self, *error: object) -> None:
        await cancel_and_wait(self._following)
        await self._stack.aclose()

    @property
    def problems(self) -> Mapping[S3Address, str]:
        """Why catalogs could not be reached the last time, one sentence for each."""
        return self._problems

    async def check(self) -> None:
        """Raise CatalogError with the problems, when there are any."""
        if self._problems:
            raise CatalogError(" ".join(self._problems.values()))

    def follow(self, background: Background) -> None:
        """Refresh the copies from now on, in the background."""
        if self._copies and self._following is None:
            self._following = background.start("follow the catalogs", self._follow)

    async def _follow(self) -> None:
        wait = self._poll_seconds
        while True:
            await self.refresh(covers=True)
            wait = min(2 * wait, max(MAX_WAIT_SECONDS, wait)) if self._problems else self._poll_seconds
            await asyncio.sleep(wait)

    async def refresh(self, *, covers: bool = False) -> None:
        """Make every copy what is shared now, with some of the `covers` that are new.

        Never fails: `problems` says which ones are as they were.
        """
        async with self._turn:
            await asyncio.gather(
                *(self._refresh(address, copy, covers=covers) for address, copy in self._copies.items())
            )

    async def _refresh(self, address: S3Address, copy: "Copy", *, covers: bool) -> None:
        try:
            if await asyncio.to_thread(copy.checked_seconds_ago) < self._poll_seconds / 2:
                return  # by another process of this server
            await asyncio.to_thread(copy.folder.mkdir, parents=True, exist_ok=True)
            lock = WriteLock(copy.folder / "writer.lock")
            await asyncio.to_thread(lock.take)
            try:
                if await copy.refresh():
                    _log.info("catalog_copied", extra={"catalog": str(address)})
                if covers:
                    await copy.fetch_covers()
            finally:
                await asyncio.to_thread(lock.release)
        except CatalogBusyError:
            return  # another process does it
        except (CatalogError, OSError) as error:
            detail = error.detail if isinstance(error, CatalogError) else f"{copy.folder}: {error.strerror}"
            if self._problems.get(address) != detail:
                exists = await asyncio.to_thread(lambda: copy.exists)
                _log.warning(
                    "catalog_not_refreshed",
                    extra={"catalog": str(address), "error": detail, "answers_from_copy": exists},
                )
            self._problems[address] = detail
        else:
            if self._problems.pop(address, None) is not None:
                _log.info("catalog_refreshed_again", extra={"catalog": str(address)})
