"""Where slots and counted starts are kept, so that all servers count together: SQL, or Redis in front of it."""

import logging
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Protocol

from cachetools import TTLCache
from sqlalchemy.engine import Connection

from fingerprint.database import Database
from fingerprint.domain.targets import AskedTarget
from server.access.limit_status import Limit, LimitStatus
from server.access.quotas import rate_limits, slots
from server.access.quotas.rate_limits import Refund
from server.access.quotas.slots import SLOT_FOR, Slot
from server.redis_link import RedisAwayError

MAX_SQL_SLOTS: Final = 10_000

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaRequest:
    """What a new job counts against: the slots of a quota key, and rate limits."""

    quota_key: str | None = None
    """Whose slots are used, such as `address:192.0.2.7`; None when concurrent jobs are not limited."""
    max_jobs: int = 0
    """How many slots the quota key has."""
    limits: Sequence[Limit] = ()


class QuotaStore(Protocol):
    """Slots and counters of all servers."""

    async def take(
        self,
        request: QuotaRequest,
        target: AskedTarget,
        now: datetime,
        *,
        released: Collection[str] = (),
        reusable: Slot | None = None,
    ) -> tuple[Slot | None, Sequence[LimitStatus]]:
        """Take a slot and count a start, both or neither; no slot when the request has no quota key.

        `released`: tokens of slots that are free although that is not stored yet; `reusable` is one of them.

        Raises AllTakenError, SharedError, RateLimitedError, TwitchAudioError `busy`.
        """
        ...

    async def give_back(self, freed: Sequence[Slot], refunds: Sequence[Refund]) -> None:
        """Free slots that no other job has taken by now, and undo counts. Raises TwitchAudioError `busy`."""
        ...

    async def delete_some(self, now: datetime) -> int:
        """Delete a batch of what is of no use any more; returns how many. Raises TwitchAudioError `busy`."""
        ...


class SqlQuotas:
    """Slots and counters in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def take(
        self,
        request: QuotaRequest,
        target: AskedTarget,
        now: datetime,
        *,
        released: Collection[str] = (),
        reusable: Slot | None = None,
    ) -> tuple[Slot | None, Sequence[LimitStatus]]:
        key = request.quota_key

        def work(connection: Connection) -> tuple[Slot | None, Sequence[LimitStatus]]:
            slot = None
            if key is not None:
                slot = slots.take(
                    connection,
                    key,
                    request.max_jobs,
                    target,
                    now,
                    released_tokens=released,
                    reusable_slot=reusable,
                )
            return slot, rate_limits.consume(connection, request.limits, now)

        return await self._database.transact(work)

    async def give_back(self, freed: Sequence[Slot], refunds: Sequence[Refund]) -> None:
        def work(connection: Connection) -> None:
            for slot in sorted(freed, key=lambda each: (each.quota_key, each.number)):
                slots.give_back(connection, slot)
            rate_limits.refund(connection, refunds)

        await self._database.transact(work)

    async def delete_some(self, now: datetime) -> int:
        counters = await rate_limits.delete_old_counters(self._database, now)
        return counters + await slots.delete_old_slots(self._database, now)


class AwayQuotas(Protocol):
    """A quota store that may also raise RedisAwayError."""

    async def take(
        self, request: QuotaRequest, target: AskedTarget, now: datetime, *, released: Collection[str] = ()
    ) -> tuple[Slot | None, Sequence[LimitStatus]]: ...

    async def give_back(self, freed: Sequence[Slot], refunds: Sequence[Refund]) -> None: ...


class QuotasWithFallback:
    """Redis, and SQL while Redis is away.

    The two do not know of each other's slots and counts: around an outage, a caller may have as many jobs and
    starts again as the limits allow.
    """

    def __init__(self, first: AwayQuotas, fallback: QuotaStore) -> None:
        self._first = first
        self._fallback = fallback
        # By token, the slots that were taken in SQL; by counter, the starts that were counted there.
        self._in_sql: TTLCache[str, None] = TTLCache(MAX_SQL_SLOTS, SLOT_FOR.total_seconds(), time.monotonic)
        self._counted_in_sql: TTLCache[tuple[str, int], None] = TTLCache(
            MAX_SQL_SLOTS, SLOT_FOR.total_seconds(), time.monotonic
        )

    async def take(
        self,
        request: QuotaRequest,
        target: AskedTarget,
        now: datetime,
        *,
        released: Collection[str] = (),
        reusable: Slot | None = None,
    ) -> tuple[Slot | None, Sequence[LimitStatus]]:
        try:
            return await self._first.take(request, target, now, released=released)
        except RedisAwayError:
            pass
        known = reusable if reusable is not None and reusable.token in self._in_sql else None
        slot, statuses = await self._fallback.take(request, target, now, released=released, reusable=known)
        if slot is not None:
            self._in_sql[slot.token] = None
        for each in statuses:
            self._counted_in_sql[each.limit.subject, each.start_us] = None
        return slot, statuses

    async def give_back(self, freed: Sequence[Slot], refunds: Sequence[Refund]) -> None:
        in_sql = [slot for slot in freed if slot.token in self._in_sql]
        counted = _those(refunds, self._is_counted_in_sql)
        if in_sql or counted:
            await self._fallback.give_back(in_sql, counted)
        others = [slot for slot in freed if slot not in in_sql]
        uncounted = _those(refunds, lambda status: not self._is_counted_in_sql(status))
        if others or uncounted:
            try:
                await self._first.give_back(others, uncounted)
            except RedisAwayError:
                # The slots end by themselves, or when their jobs are seen to have ended.
                _log.info("slots_left_to_expire", extra={"count": len(others)})

    async def delete_some(self, now: datetime) -> int:
        return await self._fallback.delete_some(now)

    def _is_counted_in_sql(self, status: LimitStatus) -> bool:
        return (status.limit.subject, status.start_us) in self._counted_in_sql


def _those(refunds: Sequence[Refund], wanted: Callable[[LimitStatus], bool]) -> Sequence[Refund]:
    """The refunds with the wanted counts of each, where there are any."""
    parts = [replace(each, statuses=[one for one in each.statuses if wanted(one)]) for each in refunds]
    return [part for part in parts if part.statuses]
