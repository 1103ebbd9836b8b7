"""Admission of new jobs: limits how many run at once and how many start in a window of time.

Joining a job that already runs is not limited.

Lock order, so that transactions cannot deadlock: slots by quota key and number, then rate counters by subject and
window (the order of `count_up`).
"""

import asyncio
import contextlib
import dataclasses
import logging
import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from cachetools import TLRUCache

from fingerprint.background import Background
from fingerprint.domain.identification import Identification
from fingerprint.domain.problems import TwitchAudioError
from fingerprint.domain.targets import AskedTarget
from fingerprint.ports import Clock
from fingerprint.tasks import cancel_and_wait
from server.access.limit_status import LimitStatus
from server.access.quotas import slots
from server.access.quotas.rate_limits import RateLimitedError, Refund
from server.access.quotas.slots import AllTakenError, JobInProgressError, SharedError, Slot
from server.access.quotas.store import QuotaRequest, QuotaStore
from server.leases import CLOCKS_APART

Running = Callable[[AskedTarget], Awaitable[Identification | None]]
"""Returns the running identification of a target, on any server; None when there is none."""

CLAIM_SECONDS: Final = 5.0
"""How long after taking a slot its job may take to be claimed in the job store."""

LOOK_SECONDS: Final = 1.0
"""How long `admit` waits to find out whether the jobs of taken slots run or have ended."""

MAX_REMEMBERED_LIMITS: Final = 10_000
_LOOK_EACH_SECONDS: Final = 0.05
_RETRY_SECONDS: Final = 1.0
_GATHER_SECONDS: Final = 0.05
_TIDY_SECONDS: Final = 60.0
_CLOSE_SECONDS: Final = 1.0

_log = logging.getLogger(__name__)


class QuotaAdmission:
    """Permission to run one job; implements `server.identifications.admission.JobAdmission`."""

    def __init__(
        self,
        admissions: "Admissions",
        slot: Slot | None,
        limit_statuses: Sequence[LimitStatus],
        on_start: Callable[[], None],
    ) -> None:
        self._admissions = admissions
        self._slot = slot
        self._on_start = on_start
        self._started = self._ended = False
        self.limit_statuses = limit_statuses

    def job_started(self) -> None:
        self._started = True
        self._on_start()

    def job_ended(self) -> None:
        """Free the slot, and refund the rate limits if the job never started. Repeated calls do nothing."""
        if not self._ended:
            self._ended = True
            self._admissions.give_back(self._slot, () if self._started else self.limit_statuses)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Return:
    """A slot and counted starts to give back in SQL, unless the monotonic time `until` has passed."""

    slot: Slot | None
    refund: Refund | None
    until: float


class Admissions:
    """Takes a slot and counts a start in one step: both or neither."""

    def __init__(
        self, quotas: QuotaStore, *, clock: Clock, running: Running, background: Background | None = None
    ) -> None:
        self._quotas = quotas
        self._clock = clock
        self._background = background or Background(clock)
        self._running = running
        # By token: slots whose job on this server has ended, but whose rows may not be updated yet.
        self._released: dict[str, Slot] = {}
        self._returns: list[_Return] = []
        self._returner: asyncio.Task[None] | None = None
        self._cleaner: asyncio.Task[None] | None = None
        # Used-up limits by subject, and until when: refused without a query.
        self._used_up: TLRUCache[str, tuple[LimitStatus, float]] = TLRUCache(
            MAX_REMEMBERED_LIMITS, lambda _subject, used_up, _now: used_up[1], clock.monotonic
        )
        self._pending: set[asyncio.Task[QuotaAdmission | None]] = set()

    async def admit(
        self, request: QuotaRequest, target: AskedTarget, on_start: Callable[[], None]
    ) -> QuotaAdmission | None:
        """Admit a job; None when the quota key has just started a job for this target on another server.

        `on_start` is called once the job runs. Raises JobInProgressError (`job-in-progress`), RateLimitedError
        (`rate-limited`), TwitchAudioError `busy`.
        """
        if request.quota_key is None and not request.limits:
            return QuotaAdmission(self, None, (), on_start)
        self._refuse_used_up(request)
        if self._cleaner is None:
            self._cleaner = self._background.start("delete old counters", self._delete_old_rows)
        task = asyncio.create_task(self._admit(request, target, on_start), name="admit a job")
        self._pending.add(task)
        task.add_done_callback(self._pending.discard)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            # The client is gone: free the slot once it is taken.
            task.add_done_callback(_abandon)
            raise

    def _refuse_used_up(self, request: QuotaRequest) -> None:
        for limit in request.limits:
            status, until = self._used_up.get(limit.subject, (None, 0.0))
            if status is not None and status.limit == limit:
                seconds = max(1, math.ceil(until - self._clock.monotonic()))
                raise RateLimitedError(dataclasses.replace(status, reset_seconds=seconds))

    def give_back(self, slot: Slot | None, refunds: Sequence[LimitStatus]) -> None:
        """Free a slot and refund counted starts: at once on this server, soon after that on the others."""
        if slot is None and not refunds:
            return
        for each in refunds:
            self._used_up.pop(each.limit.subject, None)
        if slot is not None:
            self._released[slot.token] = slot
        until = self._clock.monotonic() + slots.SLOT_FOR.total_seconds()
        refund = Refund(statuses=refunds) if refunds else None
        self._returns.append(_Return(slot=slot, refund=refund, until=until))
        if self._returner is None or self._returner.done():
            self._returner = self._background.start("give slots back", self._give_back)

    async def close(self) -> None:
        """Finish admissions in progress, and spend at most a second on storing what is not yet given back."""
        if self._pending:
            await asyncio.wait(self._pending)
        await cancel_and_wait(self._returner, self._cleaner)
        with contextlib.suppress(TimeoutError, TwitchAudioError):
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self._give_back_once()

    async def _admit(
        self, request: QuotaRequest, target: AskedTarget, on_start: Callable[[], None]
    ) -> QuotaAdmission | None:
        look_until = self._clock.monotonic() + LOOK_SECONDS
        released: set[str] = set()
        while True:
            try:
                slot, statuses = await self._take(request, target, released)
            except SharedError:
                return None
            except RateLimitedError as error:
                until = self._clock.monotonic() + error.status.reset_seconds
                self._used_up[error.status.limit.subject] = (error.status, until)
                raise
            except AllTakenError as error:
                running, ended, unclear = await self._check_slots(error.slots)
                released |= ended
                if ended:
                    continue
                if not unclear or self._clock.monotonic() >= look_until:
                    raise JobInProgressError(request.quota_key, request.max_jobs, running) from None
                await self._clock.sleep(_LOOK_EACH_SECONDS)
            else:
                return QuotaAdmission(self, slot, statuses, on_start)

    async def _take(
        self, request: QuotaRequest, target: AskedTarget, released: set[str]
    ) -> tuple[Slot | None, Sequence[LimitStatus]]:
        # Read our state before the first wait.
        now, free, key = self._clock.now(), {*released, *self._released}, request.quota_key
        reusable = next((each for each in self._released.values() if each.quota_key == key), None)

        slot, statuses = await self._quotas.take(request, target, now, released=free, reusable=reusable)
        if slot is not None:
            self._cancel_return(slot)
        return slot, statuses

    def _cancel_return(self, slot: Slot) -> None:
        """Drop the pending return of a slot that a new job has reused."""
        for token, old in list(self._released.items()):
            if (old.quota_key, old.number) == (slot.quota_key, slot.number):
                del self._released[token]
                self._returns = [each for each in self._returns if each.slot is not old or each.refund]

    async def _check_slots(self, taken: Sequence[Slot]) -> tuple[str | None, set[str], bool]:
        """The id of a running job, the tokens of slots whose job has ended, and whether any slot is undecided."""
        running, ended, unclear = None, set[str](), False
        now = self._clock.now()
        claimed_by, ahead = now - timedelta(seconds=CLAIM_SECONDS), now + CLOCKS_APART
        for slot in taken:
            found = await self._running(slot.target)
            if found is not None:
                running = running or found.id
            elif not claimed_by <= slot.taken_at <= ahead:
                ended.add(slot.token)
            else:
                unclear = True
        return running, ended, unclear

    async def _give_back(self) -> None:
        while self._returns:
            # Often the next job reuses the slot meanwhile, which saves this transaction.
            await self._clock.sleep(_GATHER_SECONDS)
            try:
                await self._give_back_once()
            except TwitchAudioError:
                _log.warning("slots_not_given_back", extra={"count": len(self._returns)})
                await self._clock.sleep(_RETRY_SECONDS)

    async def _give_back_once(self) -> None:
        now = self._clock.monotonic()
        # Rows of older slots have expired by themselves.
        batch = [each for each in self._returns if each.until > now]

        freed = [each.slot for each in batch if each.slot is not None]
        refunds = [each.refund for each in batch if each.refund is not None]

        if batch:
            await self._quotas.give_back(freed, refunds)
        done = {id(each) for each in batch}
        self._returns = [each for each in self._returns if id(each) not in done and each.until > now]
        open_tokens = {each.slot.token for each in self._returns if each.slot is not None}
        self._released = {token: slot for token, slot in self._released.items() if token in open_tokens}

    async def _delete_old_rows(self) -> None:
        while True:
            with contextlib.suppress(TwitchAudioError):
                while await self._quotas.delete_some(self._clock.now()):
                    await self._clock.sleep(_LOOK_EACH_SECONDS)
            await self._clock.sleep(_TIDY_SECONDS)


def _abandon(task: asyncio.Task[QuotaAdmission | None]) -> None:
    if not task.cancelled() and task.exception() is None:
        admission = task.result()
        if admission is not None:
            admission.job_ended()
