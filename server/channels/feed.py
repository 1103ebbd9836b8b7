"""The newest play of a channel, told to any number of listeners as it changes.

One task a channel and process looks for news: at once when a job of this process ended, and every few seconds,
since another server may have had the answer. It lives as long as somebody listens.
"""

import asyncio
import contextlib
import logging
import random
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field, replace
from typing import Final

from fingerprint.domain.identification import Identification, Kind
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.ports import Clock
from server.identifications.service import IdentificationService
from server.identifications.set_list import Play, plays, song_key
from server.observability import Metrics

_ANSWERS: Final = 20
"""Answers read for the newest play, which may be made of many."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedLimits:
    """Bounds and times."""

    channels: int = 1_000
    listeners: int = 10_000
    poll_seconds: float = 3.0


@dataclass(slots=True, eq=False)
class _Station:
    """One channel that somebody listens to."""

    login: str
    listeners: int = 0
    play: Play | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    look: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None
    failed: TwitchAudioError | None = None


class ChannelFeed:
    """All channels that are listened to in this process."""

    def __init__(
        self,
        service: IdentificationService,
        *,
        clock: Clock,
        metrics: Metrics,
        limits: FeedLimits | None = None,
    ) -> None:
        self._service = service
        self._clock = clock
        self._limits = limits or FeedLimits()
        self._stations: dict[str, _Station] = {}
        self._listeners = 0
        self._closing = False
        service.tell(self._told)
        metrics.gauge("twitchaudio_feed_listeners", "Listeners to channels.", lambda: self._listeners)

    async def listen(self, login: str, idle_seconds: float) -> AsyncGenerator[Play | None]:
        """The newest play, if there is one, and each later state of it; None after `idle_seconds` without news.

        Ends when the server stops. Raises TwitchAudioError `busy`.
        """
        station = self._tune_in(login)
        shown: Play | None = None
        try:
            while not self._closing:
                changed = station.changed
                if station.failed is not None:
                    raise TwitchAudioError(station.failed.code, station.failed.detail, retry_after_seconds=5.0)
                if station.play is not None and station.play != shown:
                    shown = station.play
                    yield shown
                    continue
                try:
                    async with asyncio.timeout(idle_seconds):
                        await changed.wait()
                except TimeoutError:
                    yield None
        finally:
            self._leave(station)

    def _tune_in(self, login: str) -> _Station:
        station = self._stations.get(login)
        full = station is None and len(self._stations) >= self._limits.channels
        if full or self._listeners >= self._limits.listeners or self._closing:
            detail = "Too many are listening, or the server is restarting. Try again in a moment."
            raise TwitchAudioError(ProblemCode.BUSY, detail, retry_after_seconds=5.0)
        if station is None:
            station = self._stations[login] = _Station(login)
            station.task = asyncio.create_task(self._run(station), name=f"feed {login}")
        station.listeners += 1
        self._listeners += 1
        return station

    def _leave(self, station: _Station) -> None:
        station.listeners -= 1
        self._listeners -= 1
        # The task ends by itself at its next look, unless somebody comes back until then.
        if not station.listeners:
            station.look.set()

    def _told(self, answer: Identification) -> None:
        """A job of this process ended."""
        station = self._stations.get(answer.target) if answer.kind is Kind.STREAM else None
        if station is not None and answer.song is not None:
            station.look.set()

    async def _run(self, station: _Station) -> None:
        try:
            while station.listeners and not self._closing:
                station.look.clear()
                await self._look(station)
                jitter = random.uniform(0.8, 1.2)  # noqa: S311 - not for secrets
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._limits.poll_seconds * jitter):
                        await station.look.wait()
        except Exception as error:  # noqa: BLE001 - the last resort: those who listen must learn of it
            _log.exception("feed_crashed")
            station.failed = TwitchAudioError(ProblemCode.INTERNAL, f"The feed broke: {type(error).__name__}.")
        finally:
            if self._stations.get(station.login) is station:
                del self._stations[station.login]
            self._wake(station)

    async def _look(self, station: _Station) -> None:
        try:
            newest = await self._service.recent(station.login, limit=1)
            if not newest or (station.play is not None and newest[0].id == station.play.answers[0]):
                return
            answers = await self._service.recent(station.login, limit=_ANSWERS)
        except TwitchAudioError as error:
            # The database is away: those who listen stay, and hear of the next play.
            _log.info("feed_without_store", extra={"code": str(error.code)})
            return
        play = next(plays(answers), None)
        if play is None:
            return
        before = station.play
        whole = len(play.answers) < len(answers)
        if before is not None and not whole and song_key(before.song) == song_key(play.song):
            play = replace(play, first_heard=min(before.first_heard, play.first_heard))
        station.play = play
        self._wake(station)

    def _wake(self, station: _Station) -> None:
        changed, station.changed = station.changed, asyncio.Event()
        changed.set()

    async def close(self) -> None:
        """End every stream."""
        self._closing = True
        stations = list(self._stations.values())
        tasks = [station.task for station in stations if station.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for station in stations:
            self._wake(station)
