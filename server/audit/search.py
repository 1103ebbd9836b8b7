"""Finds audit log entries, the newest first, among millions: always along an index, and in bounded steps.

One condition alone is answered by its index. Of several, the one with the fewest entries leads: its entries are
read in steps and compared with the others. Such a search may end before it has seen all; the page then says how
far it came, and the next one goes on from there.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Row, Select, func, or_, select
from sqlalchemy.engine import Connection

from fingerprint.database import Database, from_us, to_us
from server.audit.addresses import cut_address
from server.audit.entries import AuditEntry, AuditKind, Who
from server.audit.tables import log_entries as table

SEARCH_SECONDS: Final = 1.0
"""How long a page of the admin site searches; a step takes a fraction of that."""

_STEP_ROWS: Final = 4_000
_PROBE_ROWS: Final = 10_000


class Position(NamedTuple):
    """A place in the log, which is ordered by time and then by id."""

    moment_us: int
    id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """Selects entries that match all given fields. `who` is an id or a name."""

    kinds: Sequence[AuditKind] = ()
    who: str | None = None
    address: str | None = None
    subject: str | None = None
    code: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    """Entries before this moment; `since` is inclusive."""
    before: Position | None = None
    """Entries older than this one: where an earlier page ended."""
    limit: int = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditPage:
    """Entries that match a filter, and where older ones follow."""

    entries: Sequence[AuditEntry]
    next: Position | None
    """For `AuditFilter.before` of the next page; None when there is nothing older."""
    searched_to: datetime | None = None
    """Set when time ran out before the page was full: what is older than this moment was not searched."""


async def search(database: Database, chosen: AuditFilter, *, seconds: float | None = None) -> AuditPage:
    """The newest entries that match a filter; within about `seconds`, or however long it takes.

    At least one step is made, so that pages come to an end. Raises TwitchAudioError `busy`.
    """
    loop = asyncio.get_running_loop()
    ends = None if seconds is None else loop.time() + seconds
    conditions, span = _conditions(chosen), _span(chosen)
    lead = next(iter(conditions), None)
    if len(conditions) > 1:
        counts = await database.read(
            lambda connection: {name: _probe(connection, name, conditions[name], span) for name in conditions}
        )
        lead = min(counts, key=lambda name: counts[name])
    # One more than asked for shows whether anything follows.
    wanted = chosen.limit + 1
    rows: list[Row[Any]] = []
    step_rows = wanted
    while True:
        step = _Step(lead, conditions, span, step_rows, wanted - len(rows))
        found = await database.read(step.run)
        rows += found.rows
        if len(rows) == wanted:
            last = rows[-2]
            return AuditPage(entries=_entries(rows[:-1]), next=Position(last.moment_us, last.id))
        if found.rest is None:
            return AuditPage(entries=_entries(rows), next=None)
        if ends is not None and loop.time() >= ends:
            return AuditPage(entries=_entries(rows), next=found.rest, searched_to=from_us(found.rest.moment_us))
        span = replace(span, before=found.rest)
        step_rows = max(wanted, _STEP_ROWS)


def _conditions(chosen: AuditFilter) -> Mapping[str, Sequence[str]]:
    """The values that columns may have; columns that select few entries as a rule come first."""
    conditions: dict[str, Sequence[str]] = {}
    if chosen.who is not None:
        conditions["who" if ":" in chosen.who else "name"] = [chosen.who]
    if chosen.address is not None:
        conditions["address"] = sorted({chosen.address, cut_address(chosen.address)})
    if chosen.subject is not None:
        conditions["subject"] = [chosen.subject]
    if chosen.code is not None:
        conditions["code"] = [chosen.code]
    if chosen.kinds:
        conditions["kind"] = sorted({str(kind) for kind in chosen.kinds})
    return conditions


@dataclass(frozen=True, slots=True)
class _Span:
    """The part of the log that is searched."""

    since_us: int | None
    before: Position | None

    def moments(self) -> Sequence[ColumnElement[bool]]:
        """Conditions on the moment alone: what an index finds; they take in more of the last moment."""
        moment = table.c.moment_us
        conditions: list[ColumnElement[bool]] = [] if self.since_us is None else [moment >= self.since_us]
        if self.before is not None:
            last = self.before.moment_us
            conditions.append(moment <= last if self.before.id > 0 else moment < last)
        return conditions

    def exactly(self) -> Sequence[ColumnElement[bool]]:
        if self.before is None or self.before.id == 0:
            return self.moments()
        older = or_(table.c.moment_us < self.before.moment_us, table.c.id < self.before.id)
        return [*self.moments(), older]


def _span(chosen: AuditFilter) -> _Span:
    until = None if chosen.until is None else Position(to_us(chosen.until), 0)
    ends = [end for end in (until, chosen.before) if end is not None]
    return _Span(None if chosen.since is None else to_us(chosen.since), min(ends, default=None))


def _probe(connection: Connection, column: str, values: Sequence[str], span: _Span) -> int:
    """How many entries have one of the values, up to some thousands."""
    some = [
        _along(column, select(table.c.moment_us))
        .where(table.c[column] == value, *span.moments())
        .limit(_PROBE_ROWS)
        for value in values
    ]
    counts = [select(func.count()).select_from(each.subquery()) for each in some]
    return sum(connection.execute(count).scalar_one() for count in counts)


def _along(column: str | None, query: Select[*tuple[Any, ...]]) -> Select[*tuple[Any, ...]]:
    """Have MySQL use the index of a column, or the primary key: its guess may be the one for another column."""
    index = "PRIMARY" if column is None else f"ix_log_entries_{column}"
    return query.with_hint(table, f"FORCE INDEX ({index})", "mysql")


class _Found(NamedTuple):
    rows: Sequence[Row[Any]]
    rest: Position | None
    """Where the part of the log begins that was not looked at; None when all was."""


@dataclass(frozen=True, slots=True)
class _Step:
    """Looks at the newest `rows` entries of each value of the leading column, for at most `limit` that match."""

    lead: str | None
    conditions: Mapping[str, Sequence[str]]
    span: _Span
    rows: int
    limit: int

    def run(self, connection: Connection) -> _Found:
        values: Sequence[str | None] = [None] if self.lead is None else self.conditions[self.lead]
        starts = [start for value in values if (start := self._start(connection, value)) is not None]
        start_us = max(starts, default=None)
        rows = [row for value in values for row in self._matching(connection, value, start_us)]
        rows.sort(key=lambda row: (row.moment_us, row.id), reverse=True)
        return _Found(rows[: self.limit], None if start_us is None else Position(start_us, 0))

    def _start(self, connection: Connection, value: str | None) -> int | None:
        """The moment of the last entry to look at; None when there are fewer."""
        moments = select(table.c.moment_us).where(*self._led(value), *self.span.moments())
        newest_first = moments.order_by(table.c.moment_us.desc()).limit(1).offset(self.rows)
        return connection.execute(_along(self.lead, newest_first)).scalar()

    def _matching(self, connection: Connection, value: str | None, start_us: int | None) -> Sequence[Row[Any]]:
        found = select(table).where(*self._led(value), *self.span.exactly())
        if start_us is not None:
            found = found.where(table.c.moment_us >= start_us)
        for name, wanted in self.conditions.items():
            if name != self.lead:
                # An expression, so that the database does not take the index of this column.
                found = found.where(table.c[name].concat("").in_(wanted))
        newest_first = found.order_by(table.c.moment_us.desc(), table.c.id.desc()).limit(self.limit)
        return connection.execute(_along(self.lead, newest_first)).all()

    def _led(self, value: str | None) -> Sequence[ColumnElement[bool]]:
        return [] if self.lead is None else [table.c[self.lead] == value]


def _entries(rows: Sequence[Row[Any]]) -> Sequence[AuditEntry]:
    return [
        AuditEntry(
            moment=from_us(row.moment_us),
            kind=AuditKind(row.kind),
            who=Who(id=row.who, name=row.name, address=row.address),
            what=row.what,
            subject=row.subject,
            code=row.code,
            status=row.status,
            ms=None if row.ms is None else round(row.ms, 2),
            before=row.before_value,
            after=row.after_value,
            request_id=row.request_id,
        )
        for row in rows
    ]
