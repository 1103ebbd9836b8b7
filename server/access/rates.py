"""Rate limits that several servers share: a counter in SQL for each subject and window of time."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from fingerprint.database import Database, to_us
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from server.access.tables import rate_counters as table

MINUTE: Final = 60
DAY: Final = 86_400
_KEEP: Final = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `most` starts in each window of `seconds`; windows begin at whole multiples of it."""

    subject: str
    most: int
    seconds: int


@dataclass(frozen=True, slots=True)
class Spent:
    """What is left of a limit, and seconds until it begins anew."""

    limit: Limit
    left: int
    reset_seconds: int


class RateLimitedError(TwitchAudioError):
    """A limit is used up. `spent` is that limit."""

    def __init__(self, spent: Spent) -> None:
        detail = (
            f"At most {spent.limit.most} new identifications per {_words(spent.limit.seconds)}: "
            f"ask again in {spent.reset_seconds} s. Joining one that runs is free."
        )
        super().__init__(ProblemCode.RATE_LIMITED, detail, retry_after_seconds=spent.reset_seconds)
        self.spent = spent


def _words(seconds: int) -> str:
    return {MINUTE: "minute", DAY: "day"}.get(seconds, f"{seconds} s")


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

        async def work(connection: AsyncConnection) -> list[Spent]:
            # Always in the same order, so that two never wait for each other.
            return [
                await _spend(connection, limit, now) for limit in sorted(limits, key=lambda each: each.subject)
            ]

        return min(await self._database.transact(work), key=lambda spent: spent.left / spent.limit.most)

    async def forget(self, now: datetime) -> None:
        """Delete counters whose time is long over."""
        async with self._database.write() as connection:
            await connection.execute(delete(table).where(table.c.window_us < to_us(now - _KEEP)))


async def _spend(connection: AsyncConnection, limit: Limit, now: datetime) -> Spent:
    length = limit.seconds * 1_000_000
    start = to_us(now) // length * length
    reset = max(1, math.ceil((start + length - to_us(now)) / 1_000_000))
    row = (table.c.subject == limit.subject, table.c.window_us == start)
    take = update(table).where(*row, table.c.used < limit.most).values(used=table.c.used + 1)
    if not (await connection.execute(take)).rowcount:
        used = (await connection.execute(select(table.c.used).where(*row))).scalar()
        if used is None and limit.most > 0:
            try:
                async with connection.begin_nested():
                    first = insert(table).values(subject=limit.subject, window_us=start, used=1)
                    await connection.execute(first)
                return Spent(limit, limit.most - 1, reset)
            except IntegrityError:
                if not (await connection.execute(take)).rowcount:
                    raise RateLimitedError(Spent(limit, 0, reset)) from None
        else:
            raise RateLimitedError(Spent(limit, 0, reset))
    used = (await connection.execute(select(table.c.used).where(*row))).scalar_one()
    return Spent(limit, max(0, limit.most - used), reset)
