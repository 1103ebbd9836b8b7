"""Stores audit log entries in SQL: inserts batches, reads the newest first, and applies retention."""

import random
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, and_, delete, func, or_, select, true, update
from sqlalchemy.engine import Connection

from fingerprint.database import Database, to_us
from fingerprint.domain.text import clean_text
from fingerprint.upserts import insert_all
from server.audit import figures
from server.audit.addresses import cut_address
from server.audit.entries import AuditEntry, AuditKind
from server.audit.search import SEARCH_SECONDS, AuditFilter, AuditPage, search
from server.audit.tables import log_entries as table

VALUE_LIMIT: Final = 2_000
_DELETE_CHUNK: Final = 250
_COUNT_CHUNK: Final = 100_000
_BULK: Final = [
    str(kind) for kind in (AuditKind.API, AuditKind.WEBSITE, AuditKind.REFUSAL, AuditKind.LOGIN_FAILED)
]
_OLDEST: Final = select(table.c.moment_us).order_by(table.c.moment_us)


def new_row(entry: AuditEntry) -> dict[str, Any]:
    """An entry as a row with a random id. Texts from clients are cleaned and cut to the column's length."""

    moment, who = to_us(entry.moment), entry.who
    # Many entries share all texts but the address, so cleaned texts are cached.
    return {
        "moment_us": moment,
        # Distinguishes entries of the same moment; it need not be unpredictable.
        "id": random.getrandbits(62),
        "kind": entry.kind.value,
        "who": who.id and _cleaned(who.id, 64),
        "name": who.name and _cleaned(who.name, 100),
        "address": who.address and clean_text(who.address, 45),
        "whole_us": None if who.address is None else moment,
        "what": _cleaned(entry.what, 150),
        "subject": entry.subject and _cleaned(entry.subject, 200),
        "code": entry.code and _cleaned(entry.code, 32),
        "status": entry.status,
        "ms": entry.ms,
        "before_value": entry.before and clean_text(entry.before, VALUE_LIMIT),
        "after_value": entry.after and clean_text(entry.after, VALUE_LIMIT),
        "request_id": entry.request_id and clean_text(entry.request_id, 32),
    }


_cleaned: Final = lru_cache(maxsize=1_024)(clean_text)


class AuditStore:
    """Inserts, reads and deletes audit log entries."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def write(self, rows: Sequence[dict[str, Any]], *, again: bool = False) -> None:
        """Insert rows of `new_row`, all or none; `again` says that an earlier attempt may have succeeded.

        Raises TwitchAudioError `busy`.
        """

        def work(connection: Connection) -> None:
            if again:
                first = (table.c.moment_us == rows[0]["moment_us"], table.c.id == rows[0]["id"])
                if connection.execute(select(table.c.id).where(*first)).first() is not None:
                    return
            insert_all(connection, table, rows)
            figures.count(connection, rows)

        await self._database.transact(work)

    async def read(self, chosen: AuditFilter) -> Sequence[AuditEntry]:
        """The newest entries that match a filter, however long that takes. Raises TwitchAudioError `busy`."""
        return (await search(self._database, chosen)).entries

    async def search(self, chosen: AuditFilter) -> AuditPage:
        """What is found within `SEARCH_SECONDS`. Raises TwitchAudioError `busy`."""
        return await search(self._database, chosen, seconds=SEARCH_SECONDS)

    async def delete_old_entries(self, before: datetime) -> int:
        """Delete a batch of entries older than `before`; returns how many, 0 when none are left."""
        return await self._delete(_OLDEST.where(table.c.moment_us < to_us(before)).limit(_DELETE_CHUNK))

    async def delete_oldest(self, most: int) -> int:
        """Delete a batch of the oldest entries, about `most` at most; returns how many.

        Entries that any client can cause go first, so that a flood does not push out what operators changed.
        """
        limit = min(most, _DELETE_CHUNK)

        def work(connection: Connection) -> int:
            # Of each kind by itself, which its index finds; of several at once, MySQL would sort all there are.
            moments = [
                moment
                for kind in _BULK
                for moment in connection.execute(_OLDEST.where(table.c.kind == str(kind)).limit(limit)).scalars()
            ]
            if not moments:
                return 0
            oldest = sorted(moments)[:limit]
            for kind in _BULK:
                connection.execute(delete(table).where(table.c.kind == str(kind), table.c.moment_us <= oldest[-1]))
            return len(oldest)

        return await self._database.transact(work) or await self._delete(_OLDEST.limit(limit))

    async def count(self) -> int:
        """How many entries there are, counted in steps. Raises TwitchAudioError `busy`."""
        number = 0
        rest: ColumnElement[bool] = true()
        in_order = select(table.c.moment_us, table.c.id).order_by(table.c.moment_us, table.c.id)
        while last := await self._database.first(in_order.where(rest).limit(1).offset(_COUNT_CHUNK - 1)):
            number += _COUNT_CHUNK
            later = or_(table.c.moment_us > last.moment_us, table.c.id > last.id)
            rest = and_(table.c.moment_us >= last.moment_us, later)
        row = await self._database.first(select(func.count()).select_from(table).where(rest))
        return number + (0 if row is None else int(row[0]))

    async def _delete(self, oldest: Select[tuple[int]]) -> int:
        def work(connection: Connection) -> int:
            moments = connection.execute(oldest).scalars().all()
            if moments:
                connection.execute(delete(table).where(table.c.moment_us <= moments[-1]))
            return len(moments)

        return await self._database.transact(work)

    async def truncate_old_addresses(self, before: datetime) -> int:
        """Truncate a batch of addresses in entries older than `before`; returns how many, 0 when done."""
        whole = (
            select(table.c.whole_us, table.c.address)
            .where(table.c.whole_us < to_us(before))
            .order_by(table.c.whole_us)
            .limit(_DELETE_CHUNK)
        )

        def work(connection: Connection) -> int:
            rows = connection.execute(whole).all()
            for address in sorted({row.address for row in rows}):
                here = (table.c.address == address, table.c.moment_us <= rows[-1].whole_us)
                change = update(table).where(*here).values(address=cut_address(address), whole_us=None)
                connection.execute(change)
            return len(rows)

        return await self._database.transact(work)
