"""Adds links, covers and previews to songs that lack them: stored ones at once, others after the answer."""

import asyncio
import dataclasses
import logging
from collections.abc import Callable
from typing import Final

from fingerprint.domain.identification import ExternalIds, Identification, Song
from fingerprint.domain.problems import TwitchAudioError
from fingerprint.job_ports import JobStore
from fingerprint.jobs.clean import clean
from fingerprint.links.finder import LinkFinder, wanting
from fingerprint.links.media import FoundMedia, LinkMedia
from fingerprint.links.store import FoundLinks, LinkStore, song_key
from fingerprint.ports import Clock
from fingerprint.tasks import Closing, cancel_and_wait

AT_ONCE_SECONDS: Final = 0.25
"""How long an answer may wait for stored links."""

LOOK_UP_SECONDS: Final = 60.0
MAX_LOOK_UPS: Final = 100
"""Answers whose songs are looked up at the same time; further answers get no links."""

MAX_SONGS: Final = 10
DAY_SECONDS: Final = 86_400.0

_log = logging.getLogger(__name__)


class LinkEnricher(Closing):
    """Adds links to answers. An async context manager that owns the look-ups under way."""

    def __init__(
        self,
        finder: LinkFinder,
        link_store: LinkStore,
        store: JobStore,
        clock: Clock,
        media: LinkMedia | None = None,
    ) -> None:
        self._finder = finder
        self._link_store = link_store
        self._store = store
        self._clock = clock
        self._media = media
        self._tasks: set[asyncio.Task[None]] = set()
        self._listeners: list[Callable[[Identification], None]] = []
        self._forget_at = clock.monotonic()

    def add_listener(self, listener: Callable[[Identification], None]) -> None:
        """Call `listener` with every stored answer that got links. It must not block or raise."""
        self._listeners.append(listener)

    async def enrich(self, identification: Identification) -> Identification:
        """The answer with the stored links; missing ones are looked up and stored in the background."""
        songs = [song for song in identification.songs[:MAX_SONGS] if self._wanting(song) and song_key(song)]
        if not songs or identification.song is None:
            return identification
        known: dict[str, FoundLinks] = {}
        missing: list[Song] = []
        try:
            async with asyncio.timeout(AT_ONCE_SECONDS):
                for song in songs:
                    key = song_key(song)
                    assert key is not None, "only songs with a key are looked up"
                    found = await self._link_store.get(key, self._clock.now())
                    if found is None:
                        missing.append(song)
                    else:
                        known[key] = found
        except (TwitchAudioError, TimeoutError):
            return identification
        linked = with_links(identification, known)
        if (missing or linked != identification) and len(self._tasks) < MAX_LOOK_UPS:
            task = asyncio.create_task(self._look_up(linked, missing, changed=linked != identification))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return linked

    def _wanting(self, song: Song) -> bool:
        """Whether something that could be looked up is missing."""
        return wanting(song.ids) or (self._media is not None and not (song.artwork and song.preview))

    async def _look_up(self, identification: Identification, missing: list[Song], *, changed: bool) -> None:
        try:
            async with asyncio.timeout(LOOK_UP_SECONDS):
                known: dict[str, FoundLinks] = {}
                for song in missing:
                    key = song_key(song)
                    assert key is not None, "as above"
                    ids, complete = await self._finder.find(song)
                    media = FoundMedia() if self._media is None else await self._media.find(ids)
                    known[key] = FoundLinks(ids=ids, artwork=media.artwork, preview=media.preview)
                    if complete and media.complete:
                        found = (
                            known[key] if ids != song.ids else dataclasses.replace(known[key], ids=ExternalIds())
                        )
                        await self._link_store.put(key, found, self._clock.now())
                        await self._forget_old()
                linked = clean(with_links(identification, known))
                if changed or linked != identification:
                    await self._store.update_answer(linked)
                    for listener in self._listeners:
                        listener(linked)
        except (TwitchAudioError, TimeoutError) as error:
            _log.info("links_not_stored", extra={"job_id": identification.id, "error": type(error).__name__})
        except Exception:  # noqa: BLE001 - the answer is published; a failure of its links is only logged
            _log.exception("links_crashed", extra={"job_id": identification.id})

    async def _forget_old(self) -> None:
        """Delete expired links from the store, at most once a day."""
        now = self._clock.monotonic()
        if now >= self._forget_at:
            self._forget_at = now + DAY_SECONDS
            await self._link_store.delete_expired(self._clock.now())

    async def wait_until_idle(self) -> None:
        """Wait until no look-up is under way."""
        while self._tasks:
            await asyncio.wait(set(self._tasks))

    async def close(self) -> None:
        """Cancel the look-ups under way."""
        await cancel_and_wait(*self._tasks)


def with_links(identification: Identification, known: dict[str, FoundLinks]) -> Identification:
    """The answer with unknown ids, covers and previews filled in from `known`, by `song_key`."""

    def filled(song: Song) -> Song:
        found = known.get(song_key(song) or "")
        if found is None:
            return song
        return dataclasses.replace(
            song,
            ids=song.ids.filled(found.ids),
            artwork=song.artwork or found.artwork,
            preview=song.preview or found.preview,
        )

    if not known or identification.song is None:
        return identification
    return dataclasses.replace(
        identification,
        song=filled(identification.song),
        songs=tuple(filled(song) for song in identification.songs),
    )
