"""Makes the set lists of whole VODs: each is listened to by exactly one of the servers that share the database.

How far it is, is stored every few seconds together with its lease. A server that stops hands its work on; that of
a server that was killed is taken over when its lease ends, and goes on from there.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Final, Self

from fingerprint.background import Background, log_unexpected, passing
from fingerprint.domain.problems import Problem, ProblemCode, TwitchAudioError
from fingerprint.domain.targets import VideoTarget
from fingerprint.domain.tracklist import Tracklist
from fingerprint.job_ports import HeardBefore
from fingerprint.jobs.clean import clean_song
from fingerprint.ports import Clock
from fingerprint.tasks import Closing, cancel_and_wait, wait_until_woken
from fingerprint.whole import WholeRecordings
from server.channels.video_set_list import VideoSetList
from server.channels.video_set_list_store import VideoSetListStore
from server.observability import Metrics

_log = logging.getLogger(__name__)

_PASSING: Final = (
    ProblemCode.BUSY,
    ProblemCode.TIMEOUT,
    ProblemCode.UPSTREAM_UNAVAILABLE,
    ProblemCode.RECOGNIZER_UNAVAILABLE,
)
"""Problems after which the work goes on, a few times. It is begun only while recognizers can answer."""


_SWITCHED_OFF: Final = (ProblemCode.MAINTENANCE, ProblemCode.INACTIVE, ProblemCode.STREAMS_DISABLED)
"""What the operator has switched off for a while: the work waits, and goes on after that."""

CheckVideo = Callable[[VideoTarget], Awaitable[None]]
"""Raises TwitchAudioError while a VOD may not be listened to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkLimits:
    """Bounds of one server's work on set lists; times are in seconds."""

    at_once: int = 1
    poll_seconds: float = 2.0
    lease_seconds: float = 60.0
    save_seconds: float = 5.0
    attempts: int = 4
    """How often it is tried to go on without any progress in between."""
    wait_seconds: float = 10.0
    """The wait between two attempts."""
    max_hours: int = 24
    hours_a_day: int | None = None
    """How many hours of sound one caller may have listened to in a day, for all set lists together."""


class VideoSetLists(Closing):
    """Works on this server's share of all set lists: an async context manager that works while it is open.

    `whole`: what listens; None where this server cannot. `check` is asked every few seconds, since the operator
    may block a VOD's channel or switch the service off while it is listened to.
    """

    def __init__(
        self,
        store: VideoSetListStore,
        *,
        whole: WholeRecordings | None,
        heard_before: HeardBefore,
        check: CheckVideo,
        clock: Clock,
        owner: str,
        metrics: Metrics,
        limits: WorkLimits | None = None,
        background: Background | None = None,
    ) -> None:
        self._store = store
        self._whole = whole
        self._heard_before = heard_before
        self._check = check
        self._clock = clock
        self._background = background or Background(clock)
        self._owner = owner
        self._limits = limits or WorkLimits()
        self._jobs: set[asyncio.Task[None]] = set()
        self._woken = asyncio.Event()
        self._loop: asyncio.Task[None] | None = None
        self._ends = metrics.counter(
            "twitchaudio_set_lists_total", "Set lists of whole VODs that ended.", "outcome"
        )
        metrics.gauge("twitchaudio_set_lists_running", "Set lists of VODs at work.", lambda: len(self._jobs))

    async def __aenter__(self) -> Self:
        if self._whole is not None and self._limits.at_once:
            self._loop = self._background.start("set lists of videos", self._run)
        return self

    async def unavailable_reason(self) -> str | None:
        """Why no VOD can be listened to; None when one can."""
        if self._whole is None:
            return "This server has its recognizers in AWS Lambda, where whole VODs cannot be listened to."
        if not self._limits.at_once:
            return "The operator has switched set lists of whole VODs off."
        return await self._whole.unavailable_reason()

    def wake(self) -> None:
        """Take what waits at once instead of at the next poll, after one was started here."""
        self._woken.set()

    async def close(self) -> None:
        """Take no further set list, and hand the others on."""
        await cancel_and_wait(self._loop)
        await cancel_and_wait(*self._jobs)

    async def _run(self) -> None:
        while True:
            self._woken.clear()
            with passing(_log, "set_lists_not_read"):
                await self._take()
            await wait_until_woken(self._woken, self._limits.poll_seconds)

    async def _take(self) -> None:
        while len(self._jobs) < self._limits.at_once:
            job = await self._store.take(
                owner=self._owner, now=self._clock.now(), lease_seconds=self._limits.lease_seconds
            )
            if job is None:
                return
            task = asyncio.create_task(self._work(job), name=f"set list of {job.video}")
            self._jobs.add(task)
            task.add_done_callback(self._on_done)

    def _on_done(self, task: asyncio.Task[None]) -> None:
        self._jobs.discard(task)
        log_unexpected(task)
        self._woken.set()

    async def _work(self, job: VideoSetList) -> None:
        listening = _Listening(job.tracklist)
        try:
            problem = await self._listen(job, listening)
        except asyncio.CancelledError:
            with contextlib.suppress(TwitchAudioError, TimeoutError):
                async with asyncio.timeout(1.0):
                    await self._store.release(job, listening.found)
            raise
        except _LostError:
            return
        except Exception:  # noqa: BLE001 - whatever it was, whoever waits has to learn of it
            _log.exception("set_list_crashed", extra={"video": job.video})
            problem = Problem(code=ProblemCode.INTERNAL, detail="This is a fault of ours. It is logged.")
        try:
            await self._store.finish(job, listening.found, now=self._clock.now(), problem=problem)
        except TwitchAudioError:
            # Its lease ends by itself, and the next server goes on from what is stored.
            _log.warning("set_list_not_stored", extra={"video": job.video})
            return
        self._ends.add("successful" if problem is None else str(problem.code))

    async def _listen(self, job: VideoSetList, listening: "_Listening") -> Problem | None:
        """Listen to the end: None, or the problem that keeps it from getting there."""
        left, reached = self._limits.attempts, listening.found.position
        while True:
            try:
                await self._listen_once(job, listening)
            except TwitchAudioError as error:
                if listening.found.position > reached:
                    left, reached = self._limits.attempts, listening.found.position
                left -= 1
                if error.code not in _PASSING or not left:
                    return error.problem
                _log.info("set_list_goes_on", extra={"video": job.video, "code": str(error.code)})
            else:
                return None
            await self._save(job, listening)
            await self._clock.sleep(self._limits.wait_seconds)

    async def _listen_once(self, job: VideoSetList, listening: "_Listening") -> None:
        assert self._whole is not None, "without it, none is taken"
        await self._until_allowed(job, listening)
        saved_at: float | None = None
        growing = self._whole.listen(
            VideoTarget(job.video, 0.0),
            listening.found,
            heard_before=self._heard_before,
            max_seconds=self._limits.max_hours * 3600.0,
        )
        async with aclosing(growing):
            async for found in growing:
                listening.found = found
                now = self._clock.monotonic()
                if saved_at is None or now - saved_at >= self._limits.save_seconds:
                    saved_at = now
                    await self._save(job, listening)
                    await self._until_allowed(job, listening)

    async def _until_allowed(self, job: VideoSetList, listening: "_Listening") -> None:
        """Wait while the service is switched off. Raises what the check raises, `rate-limited` and _LostError."""
        hours, found = self._limits.hours_a_day, listening.found
        if hours is not None and (found.duration is None or found.position < found.duration):
            await self._store.check_hours(job, hours, now=self._clock.now())
        while True:
            try:
                await self._check(VideoTarget(job.video, 0.0))
            except TwitchAudioError as error:
                if error.code not in _SWITCHED_OFF:
                    raise
            else:
                return
            await self._clock.sleep(self._limits.wait_seconds)
            await self._save(job, listening)

    async def _save(self, job: VideoSetList, listening: "_Listening") -> None:
        """Raises _LostError when the job was cancelled or taken over."""
        cleaned = [replace(entry, song=clean_song(entry.song)) for entry in listening.found.entries]
        listening.found = replace(listening.found, entries=tuple(cleaned))
        kept = await self._store.save(
            job, listening.found, now=self._clock.now(), lease_seconds=self._limits.lease_seconds
        )
        if not kept:
            raise _LostError


@dataclass(slots=True)
class _Listening:
    """What is known so far, also when the work is interrupted."""

    found: Tracklist


class _LostError(Exception):
    """The set list was cancelled, or another server works on it."""
