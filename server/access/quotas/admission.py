"""Who may start a job now: so many at once, and so many in a while. Joining one that runs is free."""

import asyncio
import contextlib
import dataclasses
import logging
import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from sqlalchemy.engine import Connection

from fingerprint.database import Database
from fingerprint.domain.identification import Identification
from fingerprint.domain.problems import TwitchAudioError
from fingerprint.domain.targets import TwitchTarget
from fingerprint.ports import Clock
from server.access.quotas import slots
from server.access.quotas.rate_limits import Limit, RateCounters, RateLimitedError, Spent
from server.access.quotas.slots import AllTakenError, JobInProgressError, SharedError, Slot

Running = Callable[[TwitchTarget], Awaitable[Identification | None]]
"""What somebody works on for a target, whichever server does."""

CLAIM_SECONDS: Final = 5.0
"""How long after taking its place a job may not have been claimed yet."""

LOOK_SECONDS: Final = 1.0
"""How long a job that was just started, or has just ended on another server, is waited for."""

KEPT_USED_UP: Final = 10_000
_LOOK_EACH_SECONDS: Final = 0.05
_RETRY_SECONDS: Final = 1.0
_GATHER_SECONDS: Final = 0.05
_TIDY_SECONDS: Final = 60.0
_CLOSE_SECONDS: Final = 1.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Starter:
    """Somebody who would start a job: whose places they use, how many there are, and their limits.

    No `holder`: as many at once as they like.
    """

    holder: str | None = None
    at_once: int = 0
    limits: Sequence[Limit] = ()


class QuotaAdmission:
    """The right to one job (`server.identifications.admission.JobAdmission`)."""

    def __init__(
        self, admissions: "Admissions", slot: Slot | None, spent: Sequence[Spent], on_start: Callable[[], None]
    ) -> None:
        self._admissions = admissions
        self._slot = slot
        self._on_start = on_start
        self._started = self._ended = False
        self.spent = spent

    def job_started(self) -> None:
        """The job runs."""
        self._started = True
        self._on_start()

    def job_ended(self) -> None:
        """The job is over: its place is free. One that never started has cost nothing."""
        if not self._ended:
            self._ended = True
            self._admissions.give_back(self._slot, () if self._started else self.spent)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Return:
    """What is to be given back in SQL, until when that makes sense."""

    slot: Slot | None
    spent: Sequence[Spent]
    until: float


class Admissions:
    """Takes places and counts starts, both or neither, in one transaction."""

    def __init__(self, database: Database, *, clock: Clock, running: Running) -> None:
        self._database = database
        self._clock = clock
        self._running = running
        self._counters = RateCounters(database)
        # Jobs of this server that are over, whose rows may not say so yet.
        self._over: dict[str, Slot] = {}
        self._returns: list[_Return] = []
        self._giver: asyncio.Task[None] | None = None
        self._tidier: asyncio.Task[None] | None = None
        # Limits that are used up, and until when: whoever floods is not worth a query. The oldest first.
        self._used_up: dict[str, tuple[Spent, float]] = {}
        self._pending: set[asyncio.Task[QuotaAdmission | None]] = set()

    async def admit(
        self, starter: Starter, target: TwitchTarget, on_start: Callable[[], None]
    ) -> QuotaAdmission | None:
        """The admission for a job; None when nothing is counted. `on_start` is called once the job runs.

        Raises JobInProgressError (`job-in-progress`), RateLimitedError (`rate-limited`), TwitchAudioError `busy`.
        """
        if starter.holder is None and not starter.limits:
            return QuotaAdmission(self, None, (), on_start)
        self._refuse_used_up(starter)
        if self._tidier is None:
            self._tidier = asyncio.create_task(self._tidy(), name="forget old counters")
        task = asyncio.create_task(self._admit(starter, target, on_start), name="admit a job")
        self._pending.add(task)
        task.add_done_callback(self._pending.discard)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            # Whoever asked is gone, and what was taken for them must not stay taken.
            task.add_done_callback(_abandon)
            raise

    def _refuse_used_up(self, starter: Starter) -> None:
        for limit in starter.limits:
            spent, until = self._used_up.get(limit.subject, (None, 0.0))
            left = until - self._clock.monotonic()
            if spent is not None and spent.limit == limit and left > 0:
                raise RateLimitedError(dataclasses.replace(spent, reset_seconds=math.ceil(left)))

    def _note_used_up(self, spent: Spent) -> None:
        self._used_up.pop(spent.limit.subject, None)
        while len(self._used_up) >= KEPT_USED_UP:
            del self._used_up[next(iter(self._used_up))]
        self._used_up[spent.limit.subject] = (spent, self._clock.monotonic() + spent.reset_seconds)

    def give_back(self, slot: Slot | None, spent: Sequence[Spent]) -> None:
        """Free a place, and take back what was counted. This server knows at once, the others soon."""
        if slot is None and not spent:
            return
        for each in spent:
            self._used_up.pop(each.limit.subject, None)
        if slot is not None:
            self._over[slot.token] = slot
        until = self._clock.monotonic() + slots.SLOT_FOR.total_seconds()
        self._returns.append(_Return(slot=slot, spent=spent, until=until))
        if self._giver is None or self._giver.done():
            self._giver = asyncio.create_task(self._give_back(), name="give places back")

    async def close(self) -> None:
        """End what is under way, and give back what is not yet."""
        if self._pending:
            await asyncio.wait(self._pending)
        for task in (self._giver, self._tidier):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        with contextlib.suppress(TimeoutError, TwitchAudioError):
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self._give_back_once()

    async def _admit(
        self, starter: Starter, target: TwitchTarget, on_start: Callable[[], None]
    ) -> QuotaAdmission | None:
        look_until = self._clock.monotonic() + LOOK_SECONDS
        over: set[str] = set()
        while True:
            try:
                slot, spent = await self._take(starter, target, over)
            except SharedError:
                return None
            except RateLimitedError as error:
                self._note_used_up(error.spent)
                raise
            except AllTakenError as error:
                running, ended, unclear = await self._look(error.slots)
                over |= ended
                if ended:
                    continue
                if not unclear or self._clock.monotonic() >= look_until:
                    raise JobInProgressError(starter.at_once, running) from None
                await self._clock.sleep(_LOOK_EACH_SECONDS)
            else:
                return QuotaAdmission(self, slot, spent, on_start)

    async def _take(
        self, starter: Starter, target: TwitchTarget, over: set[str]
    ) -> tuple[Slot | None, Sequence[Spent]]:
        # What is known here is looked up here: the work may be done in another thread.
        now, free = self._clock.now(), {*over, *self._over}
        left = next((each for each in self._over.values() if each.holder == starter.holder), None)

        def work(connection: Connection) -> tuple[Slot | None, Sequence[Spent]]:
            slot = None
            if starter.holder is not None:
                slot = slots.take(connection, starter.holder, starter.at_once, target, now, free, left)
            return slot, self._counters.spend_in(connection, starter.limits, now)

        slot, spent = await self._database.transact(work)
        if slot is not None:
            self._taken_again(slot)
        return slot, spent

    def _taken_again(self, slot: Slot) -> None:
        """A place that was to be given back, and is another job's now, need not be."""
        for token, old in list(self._over.items()):
            if (old.holder, old.number) == (slot.holder, slot.number):
                del self._over[token]
                self._returns = [each for each in self._returns if each.slot is not old or each.spent]

    async def _look(self, taken: Sequence[Slot]) -> tuple[str | None, set[str], bool]:
        """One job that runs, the tokens of places whose job is over, and whether there is a place in between."""
        running, ended, unclear = None, set[str](), False
        claimed_by = self._clock.now() - timedelta(seconds=CLAIM_SECONDS)
        for slot in taken:
            found = await self._running(slot.target)
            if found is not None:
                running = running or found.id
            elif slot.taken_at < claimed_by:
                ended.add(slot.token)
            else:
                unclear = True
        return running, ended, unclear

    async def _give_back(self) -> None:
        while self._returns:
            # Whoever starts one job after the other takes the place again before that is worth a transaction.
            await self._clock.sleep(_GATHER_SECONDS)
            try:
                await self._give_back_once()
            except TwitchAudioError:
                _log.warning("places_not_given_back", extra={"count": len(self._returns)})
                await self._clock.sleep(_RETRY_SECONDS)

    async def _give_back_once(self) -> None:
        now = self._clock.monotonic()
        # Later than this the rows count no more by themselves.
        batch = [each for each in self._returns if each.until > now]

        def work(connection: Connection) -> None:
            # In one order, so that two servers never wait for each other.
            for each in sorted(batch, key=lambda each: "" if each.slot is None else each.slot.holder):
                if each.slot is not None:
                    slots.give_back(connection, each.slot)
            for each in batch:
                self._counters.refund_in(connection, each.spent)

        if batch:
            await self._database.transact(work)
        done = {id(each) for each in batch}
        self._returns = [each for each in self._returns if id(each) not in done and each.until > now]
        open_tokens = {each.slot.token for each in self._returns if each.slot is not None}
        self._over = {token: slot for token, slot in self._over.items() if token in open_tokens}

    async def _tidy(self) -> None:
        while True:
            with contextlib.suppress(TwitchAudioError):
                await self._counters.forget(self._clock.now())
                while await slots.forget(self._database, self._clock.now()):
                    await self._clock.sleep(_LOOK_EACH_SECONDS)
            await self._clock.sleep(_TIDY_SECONDS)


def _abandon(task: asyncio.Task[QuotaAdmission | None]) -> None:
    if not task.cancelled() and task.exception() is None:
        admission = task.result()
        if admission is not None:
            admission.job_ended()
