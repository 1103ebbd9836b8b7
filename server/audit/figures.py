"""Daily counts of events, updated with each audit log entry; they outlive the entries and are cheap to read."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.engine import Connection

from fingerprint.database import Database, from_us
from fingerprint.upserts import count_up
from server.audit.entries import AuditKind
from server.audit.tables import daily_figures as table

ANSWER: Final = "answer "
REFUSAL: Final = "refusal "
LATENCY: Final = "latency "

EDGES_MS: Final = (100, 200, 300, 500, 750, 1_000, 1_500, 2_000, 3_000, 5_000, 8_000, 15_000, 30_000)
"""Upper edges of the histogram's classes of answer times, in milliseconds; longer times count in the last one."""


def figure_names(row: Mapping[str, Any]) -> list[str]:
    """The names of the counters that a row of the audit log increments."""
    match row["kind"]:
        case AuditKind.ANSWER:
            names = [ANSWER + str(row["what"]).rpartition(" ")[2]]
            if row["ms"] is not None:
                names.append(f"{LATENCY}{latency_class(row['ms'])}")
            return names
        case AuditKind.REFUSAL:
            return [f"{REFUSAL}{row['code'] or 'other'}"]
        case _:
            return []


def figure_amount(row: Mapping[str, Any]) -> int:
    """How many events a row stands for: one, or the number of those that were not recorded one by one."""
    number, more, _ = str(row["what"]).partition(" more")
    return int(number) if more and number.isdecimal() else 1


def latency_class(ms: float) -> int:
    """The upper edge, in milliseconds, of the class that an answer time is counted in."""
    return next((edge for edge in EDGES_MS if ms <= edge), EDGES_MS[-1])


def median_ms(counts: Mapping[int, int]) -> float:
    """The median answer time from the counts by class, assuming an even spread within a class; 0 for no counts."""
    half = sum(counts.values()) / 2
    if half == 0:
        return 0.0
    below = 0.0
    for lower, edge in zip((0, *EDGES_MS), EDGES_MS, strict=False):
        here = counts.get(edge, 0)
        if below + here >= half and here:
            return lower + (edge - lower) * (half - below) / here
        below += here
    return float(EDGES_MS[-1])


def count(connection: Connection, rows: Iterable[Mapping[str, Any]]) -> None:
    """Count rows of the audit log, in the transaction that inserts them."""
    counts: Counter[tuple[str, str]] = Counter()
    for row in rows:
        for name in figure_names(row):
            counts[from_us(row["moment_us"]).date().isoformat(), name] += figure_amount(row)
    new = [{"day": day, "name": name, "amount": amount} for (day, name), amount in counts.items()]
    count_up(connection, table, new, "amount")


async def read(database: Database, since: date) -> dict[tuple[date, str], int]:
    """All counts by day and name from the day `since` on. Raises TwitchAudioError `busy`."""
    statement = select(table).where(table.c.day >= since.isoformat())
    rows = await database.rows(statement)
    return {(date.fromisoformat(row.day), row.name): row.amount for row in rows}


def day_of(moment: datetime) -> date:
    """The UTC day that a moment belongs to."""
    return moment.astimezone(UTC).date()
