"""Rate limits that several servers share: a counter in SQL for each subject and window of time."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import Select, Update, and_, bindparam, delete, insert, or_, select, update
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from fingerprint.database import Database, to_us
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from server.access.tables import rate_counters as table

MINUTE: Final = 60
DAY: Final = 86_400
_FORGET_AT_ONCE: Final = 1_000
_REFUND: Final = (
    update(table)
    .where(table.c.subject == bindparam("refunded"), table.c.window_us == bindparam("start"), table.c.used > 0)
    .values(used=table.c.used - 1)
)
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

    def spend_in(self, connection: Connection, limits: Sequence[Limit], now: datetime) -> Sequence[Spent]:
        """The same as a part of a transaction, which has to be rolled back when this raises."""
        if not limits:
            return []
        # Always in the same order, so that two never wait for each other.
        ordered = sorted(limits, key=lambda each: each.subject)
        take, look = _statements(len(ordered))
        names = _names(ordered, now)
        took = connection.execute(take, names).rowcount
        used: dict[str, int] = {row.subject: row.used for row in connection.execute(look, names)}
        missing = [limit for limit in ordered if limit.subject not in used]
        if took < len(ordered) - len(missing):
            # All is rolled back. The one that is over for longest says when to come back.
            over = [
                _spent(limit, now, limit.most) for limit in ordered if used.get(limit.subject, 0) >= limit.most
            ]
            raise RateLimitedError(max(over, key=lambda each: each.reset_seconds))
        for limit in missing:
            _begin(connection, limit, now)
        return [_spent(limit, now, used.get(limit.subject, 1)) for limit in ordered]

    def refund_in(self, connection: Connection, spent: Sequence[Spent]) -> None:
        """Take one start back: nothing was started."""
        for each in sorted(spent, key=lambda each: each.limit.subject):
            connection.execute(_REFUND, {"refunded": each.limit.subject, "start": each.start_us})

    async def forget(self, now: datetime) -> None:
        """Delete counters whose time is over, some at a time."""
        old = select(table.c.ends_us).where(table.c.ends_us < to_us(now)).order_by(table.c.ends_us)

        def work(connection: Connection) -> bool:
            moments = connection.execute(old.limit(_FORGET_AT_ONCE)).scalars().all()
            if moments:
                connection.execute(delete(table).where(table.c.ends_us <= moments[-1]))
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


@lru_cache(maxsize=32)
def _statements(count: int) -> tuple[Update, Select[str, int]]:
    """For so many limits: count one against each of the counters that are there and not used up; what is used.

    Putting a statement together takes longer than SQLite takes to do it, so it is done once.
    """
    rows = [
        and_(table.c.subject == bindparam(f"subject_{number}"), table.c.window_us == bindparam(f"start_{number}"))
        for number in range(count)
    ]
    free = [and_(row, table.c.used < bindparam(f"most_{number}")) for number, row in enumerate(rows)]
    take = update(table).where(or_(*free)).values(used=table.c.used + 1)
    return take, select(table.c.subject, table.c.used).where(or_(*rows))


def _names(limits: Sequence[Limit], now: datetime) -> dict[str, Any]:
    """The values of `_statements`."""
    values: dict[str, Any] = {}
    for number, limit in enumerate(limits):
        values[f"subject_{number}"] = limit.subject
        values[f"start_{number}"] = _start(limit, now)
        values[f"most_{number}"] = limit.most
    return values


def _begin(connection: Connection, limit: Limit, now: datetime) -> None:
    """Count one against a counter that was not there. Raises RateLimitedError."""
    if limit.most > 0:
        try:
            with connection.begin_nested():
                start = _start(limit, now)
                ends = start + limit.seconds * 1_000_000
                values = {"subject": limit.subject, "window_us": start, "ends_us": ends, "used": 1}
                connection.execute(insert(table).values(**values))
        except IntegrityError:
            if connection.execute(_statements(1)[0], _names([limit], now)).rowcount:
                return
        else:
            return
    raise RateLimitedError(_spent(limit, now, limit.most))
