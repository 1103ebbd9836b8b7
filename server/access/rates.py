"""Rate limits that several servers share: a counter in SQL for each subject and window of time."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, Update, and_, delete, insert, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from fingerprint.database import Database, to_us
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from server.access.tables import rate_counters as table

MINUTE: Final = 60
DAY: Final = 86_400
_FORGET_AT_ONCE: Final = 1_000
_WORDS: Final = {1: "second", MINUTE: "minute", 3_600: "hour", DAY: "day"}


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `most` starts in each window of `seconds`; windows begin at whole multiples of it."""

    subject: str
    most: int
    seconds: int


@dataclass(frozen=True, slots=True)
class Spent:
    """What is left of a limit, and seconds until it begins anew. `start_us` is the window's name."""

    limit: Limit
    left: int
    reset_seconds: int
    start_us: int


class RateLimitedError(TwitchAudioError):
    """A limit is used up. `spent` is that limit."""

    def __init__(self, spent: Spent) -> None:
        window = _WORDS.get(spent.limit.seconds, f"{spent.limit.seconds} s")
        detail = (
            f"At most {spent.limit.most} new identifications per {window}: "
            f"ask again in {spent.reset_seconds} s. Joining one that runs is free."
        )
        super().__init__(ProblemCode.RATE_LIMITED, detail, retry_after_seconds=spent.reset_seconds)
        self.spent = spent


def nearest(spent: Sequence[Spent]) -> Spent | None:
    """The limit that is nearest to its end."""
    return min(spent, key=lambda each: each.left / each.limit.most, default=None)


class RateCounters:
    """Counters in SQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def spend(self, limits: Sequence[Limit], now: datetime) -> Spent | None:
        """Count one start against all limits, or against none. Gives the one that is nearest to its end.

        Raises RateLimitedError (`rate-limited`) when one is used up.
        """
        if not limits:
            return None
        return nearest(await self._database.transact(lambda connection: self.spend_in(connection, limits, now)))

    async def spend_in(
        self, connection: AsyncConnection, limits: Sequence[Limit], now: datetime
    ) -> Sequence[Spent]:
        """The same as a part of a transaction, which has to be rolled back when this raises."""
        if not limits:
            return []
        # Always in the same order, so that two never wait for each other.
        ordered = sorted(limits, key=lambda each: each.subject)
        took = (await connection.execute(_take(ordered, now))).rowcount
        used = await _used(connection, ordered, now)
        missing = [limit for limit in ordered if limit.subject not in used]
        if took < len(ordered) - len(missing):
            # All is rolled back. The one that is over for longest says when to come back.
            over = [
                _spent(limit, now, limit.most) for limit in ordered if used.get(limit.subject, 0) >= limit.most
            ]
            raise RateLimitedError(max(over, key=lambda each: each.reset_seconds))
        for limit in missing:
            await _begin(connection, limit, now)
        return [_spent(limit, now, used.get(limit.subject, 1)) for limit in ordered]

    async def refund_in(self, connection: AsyncConnection, spent: Sequence[Spent]) -> None:
        """Take one start back: nothing was started."""
        for each in sorted(spent, key=lambda each: each.limit.subject):
            row = (table.c.subject == each.limit.subject, table.c.window_us == each.start_us, table.c.used > 0)
            await connection.execute(update(table).where(*row).values(used=table.c.used - 1))

    async def forget(self, now: datetime) -> None:
        """Delete counters whose time is over, some at a time."""
        old = select(table.c.ends_us).where(table.c.ends_us < to_us(now)).order_by(table.c.ends_us)

        async def work(connection: AsyncConnection) -> bool:
            moments = (await connection.execute(old.limit(_FORGET_AT_ONCE))).scalars().all()
            if moments:
                await connection.execute(delete(table).where(table.c.ends_us <= moments[-1]))
            return bool(moments)

        while await self._database.transact(work):
            pass


def _start(limit: Limit, now: datetime) -> int:
    length = limit.seconds * 1_000_000
    return to_us(now) // length * length


def _spent(limit: Limit, now: datetime, used: int) -> Spent:
    start = _start(limit, now)
    left_us = start + limit.seconds * 1_000_000 - to_us(now)
    return Spent(limit, max(0, limit.most - used), max(1, math.ceil(left_us / 1_000_000)), start)


def _row(limit: Limit, now: datetime) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return table.c.subject == limit.subject, table.c.window_us == _start(limit, now)


def _take(limits: Sequence[Limit], now: datetime) -> Update:
    """Count one against each of the counters that are there and not used up."""
    open_rows = or_(*(and_(*_row(limit, now), table.c.used < limit.most) for limit in limits))
    return update(table).where(open_rows).values(used=table.c.used + 1)


async def _used(connection: AsyncConnection, limits: Sequence[Limit], now: datetime) -> dict[str, int]:
    rows = or_(*(and_(*_row(limit, now)) for limit in limits))
    found = await connection.execute(select(table.c.subject, table.c.used).where(rows))
    return {row.subject: row.used for row in found}


async def _begin(connection: AsyncConnection, limit: Limit, now: datetime) -> None:
    """Count one against a counter that was not there. Raises RateLimitedError."""
    if limit.most > 0:
        try:
            async with connection.begin_nested():
                start = _start(limit, now)
                ends = start + limit.seconds * 1_000_000
                values = {"subject": limit.subject, "window_us": start, "ends_us": ends, "used": 1}
                await connection.execute(insert(table).values(**values))
        except IntegrityError:
            if (await connection.execute(_take([limit], now))).rowcount:
                return
        else:
            return
    raise RateLimitedError(_spent(limit, now, limit.most))
