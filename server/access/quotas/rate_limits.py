"""Rate limits shared by all servers: a counter in SQL for each subject and window of time."""

import math
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from sqlalchemy import bindparam, delete, select, update
from sqlalchemy.engine import Connection

from fingerprint.database import Database, to_us
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.upserts import count_up, insert_new
from server.access.limit_status import Limit, LimitStatus, most_restrictive
from server.access.tables import rate_counters as table

MINUTE: Final = 60
DAY: Final = 86_400
_DELETE_AT_ONCE: Final = 1_000
_WINDOW_NAMES: Final = {1: "second", MINUTE: "minute", 3_600: "hour", DAY: "day"}

# Built once: building a statement takes longer than running it on SQLite.
_COUNTERS: Final = select(table.c.subject, table.c.window_us, table.c.used).where(
    table.c.subject.in_(bindparam("subjects", expanding=True)),
    table.c.window_us.in_(bindparam("windows", expanding=True)),
)
_REFUND: Final = (
    update(table)
    .where(table.c.subject == bindparam("of"), table.c.window_us == bindparam("window"), table.c.used > 0)
    .values(used=table.c.used - 1)
)


class RateLimitedError(TwitchAudioError):
    """A rate limit is used up; `status` says which one and when its next window begins."""

    def __init__(self, status: LimitStatus) -> None:
        window = _WINDOW_NAMES.get(status.limit.seconds, f"{status.limit.seconds} s")
        detail = (
            f"At most {status.limit.most} new identifications per {window}: "
            f"ask again in {status.reset_seconds} s. Joining one that runs is free."
        )
        super().__init__(ProblemCode.RATE_LIMITED, detail, retry_after_seconds=status.reset_seconds)
        self.status = status


async def count_start(database: Database, limits: Sequence[Limit], now: datetime) -> LimitStatus | None:
    """Count one start against all limits or none, and return the most restrictive limit's status.

    Raises RateLimitedError (`rate-limited`) when a limit is used up; TwitchAudioError `busy`.
    """
    return most_restrictive(await database.transact(lambda connection: consume(connection, limits, now)))


def consume(connection: Connection, limits: Sequence[Limit], now: datetime) -> Sequence[LimitStatus]:
    """Count one start against each limit; the caller has to roll the transaction back when this raises.

    Raises RateLimitedError for the used-up limit with the longest wait.
    """
    if not limits:
        return []
    windows = {(limit.subject, window_start(limit, now)): limit.seconds * 1_000_000 for limit in limits}
    rows = [
        {"subject": subject, "window_us": start, "ends_us": start + length, "used": 1}
        for (subject, start), length in windows.items()
    ]
    count_up(connection, table, rows, "used")
    chosen = {"subjects": [subject for subject, _ in windows], "windows": [start for _, start in windows]}
    used = {(row.subject, row.window_us): row.used for row in connection.execute(_COUNTERS, chosen)}
    statuses = [status_of(limit, used[limit.subject, window_start(limit, now)], now) for limit in limits]
    exceeded = [status for status in statuses if status.left < 0]
    if exceeded:
        longest = max(exceeded, key=lambda each: each.reset_seconds)
        raise RateLimitedError(replace(longest, left=0))
    return statuses


@dataclass(frozen=True, slots=True, kw_only=True)
class Refund:
    """The counts of a start that did not happen. `receipt`: it is undone once, however often that is tried."""

    statuses: Sequence[LimitStatus]
    receipt: str = field(default_factory=lambda: secrets.token_hex(8))


def refund(connection: Connection, refunds: Sequence[Refund]) -> None:
    """Undo the counts of starts that did not happen. Locks counters in the same order as `count_up`.

    The receipt stays until the windows are over: the answer to an earlier try may have been lost.
    """
    counters: list[tuple[str, int]] = []
    for each in refunds:
        ends_us = max(status.start_us + status.limit.seconds * 1_000_000 for status in each.statuses)
        receipt = {"subject": f"refunded:{each.receipt}", "window_us": 0, "ends_us": ends_us, "used": 1}
        if insert_new(connection, table, receipt):
            counters += [(status.limit.subject, status.start_us) for status in each.statuses]
    if counters:
        connection.execute(_REFUND, [{"of": subject, "window": start} for subject, start in sorted(counters)])


async def delete_old_counters(database: Database, now: datetime) -> int:
    """Delete a batch of counters whose window is over; returns how many, 0 when none are left."""
    old = select(table.c.ends_us).where(table.c.ends_us < to_us(now)).order_by(table.c.ends_us)

    def work(connection: Connection) -> int:
        moments = connection.execute(old.limit(_DELETE_AT_ONCE)).scalars().all()
        if moments:
            connection.execute(delete(table).where(table.c.ends_us <= moments[-1]))
        return len(moments)

    return await database.transact(work)


def window_start(limit: Limit, now: datetime) -> int:
    """When the limit's current window began, in microseconds since 1970."""
    length = limit.seconds * 1_000_000
    return to_us(now) // length * length


def status_of(limit: Limit, used: int, now: datetime) -> LimitStatus:
    """What is left of a limit after `used` starts in its current window; negative when it is exceeded."""
    start = window_start(limit, now)
    left_us = start + limit.seconds * 1_000_000 - to_us(now)
    return LimitStatus(limit, limit.most - used, max(1, math.ceil(left_us / 1_000_000)), start)
