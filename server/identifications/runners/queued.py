"""Shared by all runners: a bound on running jobs, and a short queue that is fair between callers."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager
from functools import partial
from typing import Final, Protocol

from fingerprint.asked_ahead import AskedAhead
from fingerprint.domain.identification import Identification
from fingerprint.domain.problems import Problem, ProblemCode, TwitchAudioError
from fingerprint.domain.targets import Target
from fingerprint.job_ports import LEASE_SECONDS, JobOutcome, JobStore, Lease
from fingerprint.ports import Clock, OnStage
from fingerprint.standstill import Standstill
from server.identifications.runners.fair_queue import FairQueue, Reservation

MAX_QUEUE_SECONDS: Final = 30.0
"""A job that has waited this long for its turn is given up, since its requests have timed out."""

_log = logging.getLogger(__name__)


class Work(Protocol):
    """What is done with a job when its turn has come."""

    async def __call__(
        self,
        lease: Lease,
        identification: Identification,
        target: Target,
        on_stage: OnStage,
        on_heard: Callable[[], None],
        *,
        ahead: AskedAhead | None,
    ) -> JobOutcome | None:
        """The finished identification; None when the lease was lost to another owner.

        It calls `on_heard` when only storing is left, for which no other job should have to wait. `ahead`: what
        was asked for while the lease was claimed.
        """
        ...


AskAhead = Callable[[Target], AbstractAsyncContextManager[AskedAhead | None]]
"""Asks Twitch about a target while the lease of its job is claimed; see `Pipeline.asked_ahead`."""


class QueuedRunner:
    """Does jobs whose lease this server has claimed: it queues them, and does `work` for each in its turn."""

    def __init__(
        self,
        work: Work,
        *,
        store: JobStore,
        clock: Clock,
        max_running: int,
        max_queued: int,
        max_queue_seconds: float = MAX_QUEUE_SECONDS,
        ask_ahead: AskAhead | None = None,
    ) -> None:
        self._ask_ahead = ask_ahead
        self._work = work
        self._store = store
        self._clock = clock
        self._queue = FairQueue(max_running=max_running, max_queued=max_queued)
        self._queue_seconds = max_queue_seconds

    @property
    def running(self) -> int:
        """Jobs that are being worked on now."""
        return self._queue.running

    @property
    def queued(self) -> int:
        """Jobs that wait for their turn."""
        return self._queue.queued

    def reserve(self, caller: str | None) -> AbstractContextManager[Reservation]:
        """Room for one job of a caller while the block runs; `caller` is None for a job that is taken over.

        Enter it before the job's lease is claimed. Raises TwitchAudioError `busy` at once when there is no room.
        """
        return self._queue.reserve(caller)

    @asynccontextmanager
    async def asked_ahead(self, target: Target) -> AsyncGenerator[AskedAhead | None]:
        """What is asked for ahead of a job that need not wait for its turn; None otherwise."""
        if self._ask_ahead is None or not self._queue.has_turn:
            yield None
            return
        async with self._ask_ahead(target) as ahead:
            yield ahead

    async def run(
        self,
        reservation: Reservation,
        lease: Lease,
        identification: Identification,
        target: Target,
        on_stage: OnStage,
        *,
        ahead: AskedAhead | None = None,
    ) -> JobOutcome | None:
        """Do the job: the finished identification, or None when the lease was lost to another owner."""
        with self._queue.turn(reservation) as turn:
            current = await self._wait(turn, lease)
            if current is None:
                return None
            if not turn.done():
                return await self._give_up(current, identification)
            on_heard = partial(self._queue.only_stores, reservation)
            return await self._work(current, identification, target, on_stage, on_heard, ahead=ahead)

    async def _wait(self, turn: asyncio.Future[None], lease: Lease) -> Lease | None:
        """Keep the lease alive until it is the job's turn or too late; None when the lease was lost."""
        give_up_at = self._clock.monotonic() + self._queue_seconds
        with Standstill() as still:
            # Nobody had a turn while the process stood still.
            while not turn.done() and self._clock.monotonic() - still.seconds < give_up_at:
                await asyncio.wait({turn}, timeout=LEASE_SECONDS / 3)
                if turn.done():
                    break
                renewed = await self._renew(lease)
                if renewed is None:
                    return None
                lease = renewed
        return lease

    async def _renew(self, lease: Lease) -> Lease | None:
        now = self._clock.now()
        try:
            return await self._store.renew(lease, now=now, lease_seconds=LEASE_SECONDS)
        except Exception as error:  # noqa: BLE001 - whatever keeps it from being renewed may be over in time
            if not isinstance(error, TwitchAudioError):
                _log.exception("lease_not_renewed", extra={"job_id": lease.identification_id})
            return lease if now < lease.expires_at else None

    async def _give_up(self, lease: Lease, identification: Identification) -> JobOutcome | None:
        detail = "Too much is going on: this had to wait too long for its turn. Try again in a moment."
        problem = Problem(code=ProblemCode.BUSY, detail=detail, retry_after_seconds=5.0)
        failed = identification.failed(problem, self._clock.now())
        return JobOutcome(failed) if await self._store.finish(lease, failed) else None
