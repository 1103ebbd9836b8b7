"""Whose clip it is: asked of Twitch once, then kept in SQL for all servers, and in memory."""

import asyncio
import logging
from dataclasses import dataclass
from typing import Final

from sqlalchemy import select

from fingerprint.database import Database, insert_new, to_us
from fingerprint.domain.problems import TwitchAudioError
from fingerprint.ports import Broadcaster, ClipOwners, Clock
from server.access.tables import clip_owners as table

KEPT: Final = 10_000
NOBODY_SECONDS: Final = 60.0
"""How long it is kept that Twitch names nobody: the clip may still be in the making."""

FAILED_SECONDS: Final = 2.0

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Known:
    task: "asyncio.Task[Broadcaster | None]"
    until: float | None = None


class KeptClipOwners:
    """The port, with a memory. Everybody who asks for one clip at the same time shares the answer."""

    def __init__(self, database: Database, owners: ClipOwners, *, clock: Clock) -> None:
        self._database = database
        self._owners = owners
        self._clock = clock
        # By slug, the oldest first.
        self._known: dict[str, _Known] = {}

    async def broadcaster(self, slug: str) -> Broadcaster | None:
        """See the port."""
        known = self._known.get(slug)
        if known is None or (
            known.task.done() and known.until is not None and self._clock.monotonic() >= known.until
        ):
            known = self._look(slug)
        try:
            return await asyncio.shield(known.task)
        except TwitchAudioError as error:
            # A fresh one for each: one shared by thousands would collect all their tracebacks.
            raise TwitchAudioError(
                error.code, error.detail, retry_after_seconds=error.retry_after_seconds
            ) from error

    async def close(self) -> None:
        """End what is under way."""
        tasks = [known.task for known in self._known.values() if not known.task.done()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _look(self, slug: str) -> _Known:
        self._known.pop(slug, None)
        for oldest in list(self._known)[: max(0, len(self._known) - KEPT + 1)]:
            if self._known[oldest].task.done():
                del self._known[oldest]
        task = asyncio.create_task(self._found(slug), name="ask whose clip it is")
        # Whoever asked may be gone: nobody needs to be told then.
        task.add_done_callback(lambda done: None if done.cancelled() else done.exception())
        known = self._known[slug] = _Known(task)
        return known

    async def _found(self, slug: str) -> Broadcaster | None:
        keep: float | None = FAILED_SECONDS
        try:
            found = await self._read(slug)
            if found is None:
                found = await self._owners.broadcaster(slug)
                if found is not None:
                    await self._write(slug, found)
            keep = NOBODY_SECONDS if found is None else None
            return found
        finally:
            if keep is not None:
                self._known[slug].until = self._clock.monotonic() + keep

    async def _read(self, slug: str) -> Broadcaster | None:
        row = await self._database.first(select(table).where(table.c.slug == slug))
        return None if row is None else Broadcaster(id=row.broadcaster_id, login=row.login)

    async def _write(self, slug: str, found: Broadcaster) -> None:
        seen = to_us(self._clock.now())
        values = {"slug": slug, "broadcaster_id": found.id, "login": found.login, "seen_us": seen}
        try:
            await self._database.transact(lambda connection: insert_new(connection, table, values))
        except TwitchAudioError:
            _log.info("clip_owner_not_kept")
