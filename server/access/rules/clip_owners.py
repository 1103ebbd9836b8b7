"""Whose a clip or a video is: asked of Twitch once, then stored in SQL for all servers and cached in memory."""

import logging
import math
from collections.abc import Awaitable, Callable
from typing import Final

from sqlalchemy import select

from fingerprint.database import Database, to_us
from fingerprint.domain.problems import TwitchAudioError
from fingerprint.ports import Broadcaster, ClipOwners, Clock
from fingerprint.single_flight import SingleFlightCache
from fingerprint.upserts import insert_new
from server.access.tables import clip_owners as table

NO_OWNER_SECONDS: Final = 60.0
"""How long it is cached that Twitch names no broadcaster: the clip may still be processed."""

FAILED_SECONDS: Final = 2.0

VIDEO: Final = "video:"
"""Before a video's id in the table of slugs, which have no colon."""

_log = logging.getLogger(__name__)


class CachedClipOwners:
    """A `ClipOwners` with a cache in memory and SQL; concurrent callers for one clip or video share a look-up."""

    def __init__(self, database: Database, owners: ClipOwners, *, clock: Clock) -> None:
        self._database = database
        self._owners = owners
        self._clock = clock
        self._known: SingleFlightCache[str, Broadcaster | None] = SingleFlightCache(
            clock=clock,
            fresh_seconds=lambda owner: NO_OWNER_SECONDS if owner is None else math.inf,
            failure_seconds=FAILED_SECONDS,
        )

    async def broadcaster(self, slug: str) -> Broadcaster | None:
        return await self._known.get(slug, lambda: self._find(slug, lambda: self._owners.broadcaster(slug)))

    async def video_owner(self, video_id: str) -> Broadcaster | None:
        key = f"{VIDEO}{video_id}"
        return await self._known.get(key, lambda: self._find(key, lambda: self._owners.video_owner(video_id)))

    async def close(self) -> None:
        """End the look-ups that are in progress."""
        await self._known.close()

    async def _find(self, key: str, ask: Callable[[], Awaitable[Broadcaster | None]]) -> Broadcaster | None:
        row = await self._database.first(select(table).where(table.c.slug == key))
        if row is not None:
            return Broadcaster(id=row.broadcaster_id, login=row.login)
        found = await ask()
        if found is not None:
            await self._write(key, found)
        return found

    async def _write(self, slug: str, found: Broadcaster) -> None:
        seen = to_us(self._clock.now())
        row = {"slug": slug, "broadcaster_id": found.id, "login": found.login, "seen_us": seen}
        try:
            await self._database.transact(lambda connection: insert_new(connection, table, row))
        except TwitchAudioError:
            _log.info("clip_owner_not_stored")
