"""The notebook of unknowns in SQL: fingerprints of moments for which no song was found, without any sound.

A row is also the lease: one server at a time searches for it. Named ones stay, without fingerprints, until they
are as old as others are deleted.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, Row, and_, delete, func, or_, select, update
from sqlalchemy.engine import Connection

from fingerprint.database import Database, from_us, to_us
from fingerprint.domain.channel_traces import ChannelTraces
from fingerprint.domain.identification import Identification, IdentificationId, Kind
from fingerprint.domain.text import clean_text
from fingerprint.records import clips_and_videos_of, record_of
from fingerprint.upserts import insert_new, lock
from server.channels.tables import unknowns as table
from server.leases import lease_is_over

MAX_ROWS: Final = 10_000
MAX_BYTES: Final = 100 << 20
"""The most unknowns that are kept, and the most bytes of their fingerprints; the oldest are deleted beyond it."""

MAX_COUNTED: Final = 1_000_000_000
_LEASE: Final = timedelta(seconds=60)
_PAGE: Final = 500
_WAITING: Final = table.c.named_us.is_(None)

_generations: Final = msgspec.json.Decoder(dict[str, int])


class SoundPrint(msgspec.Struct, frozen=True):
    """The fingerprint of some seconds of sound, which begin `start` seconds after the first."""

    start: float
    fingerprint: bytes


_pieces: Final = msgspec.json.Decoder(list[SoundPrint])


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """A moment for which no song was found, and how many asked about it.

    `captured_at`: when its first sound began, where that is known. `song`: as what it was named since.
    """

    id: IdentificationId
    kind: Kind
    target: str
    channel: str | None
    channel_id: str | None
    captured_at: datetime | None
    seconds: float
    pieces: Sequence[SoundPrint]
    searched: Mapping[str, int]
    times: int
    created_at: datetime
    song: str

    def is_due(self, generations: Mapping[str, int]) -> bool:
        """Whether one of these catalogs has changed since it was searched for."""
        return any(number > self.searched.get(name, 0) for name, number in generations.items())


class UnknownStore:
    """Keeps unknowns, leases them to be searched for, and counts who asked."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(
        self,
        answer: Identification,
        pieces: Sequence[SoundPrint],
        *,
        captured_at: datetime | None,
        seconds: float,
        searched: Mapping[str, int],
        now: datetime,
    ) -> None:
        """Keep a moment; the oldest are deleted where there is no room."""
        body = msgspec.json.encode(list(pieces)).decode()
        row = {
            "id": answer.id,
            "kind": str(answer.kind),
            "target": clean_text(answer.target)[:191],
            "channel": answer.target[:64] if answer.kind is Kind.STREAM else answer.channel,
            "channel_id": answer.channel_id,
            "captured_us": None if captured_at is None else to_us(captured_at),
            "seconds": seconds,
            "pieces": body,
            "bytes": len(body),
            "searched": msgspec.json.encode(dict(searched)).decode(),
            "times": 1,
            "created_us": to_us(now),
            "named_us": None,
            "song": "",
            "lease_us": 0,
        }

        def work(connection: Connection) -> None:
            lock(connection, "unknowns")
            insert_new(connection, table, row)
            count, size = connection.execute(
                select(func.count(), func.coalesce(func.sum(table.c.bytes), 0)).select_from(table)
            ).one()
            if count > MAX_ROWS or size > MAX_BYTES:
                oldest = select(table.c.id).order_by(table.c.created_us, table.c.id).limit(max(1, MAX_ROWS // 100))
                ids = connection.execute(oldest).scalars().all()
                connection.execute(delete(table).where(table.c.id.in_(ids)))

        await self._database.transact(work)

    async def count_asked(self, asked: Mapping[str, int]) -> None:
        """Add to how often unknowns were asked for, by id; other ids are ignored."""

        def work(connection: Connection) -> None:
            for name, number in asked.items():
                mine = (table.c.id == name, table.c.times < MAX_COUNTED)
                connection.execute(update(table).where(*mine).values(times=table.c.times + number))

        await self._database.transact(work)

    async def due(self, generations: Mapping[str, int]) -> Sequence[str]:
        """The ids of those to search for again, since a catalog has changed; the most recent first."""
        found: list[str] = []
        last: tuple[int, str] | None = None
        while True:
            statement = select(table.c.id, table.c.created_us, table.c.searched).where(_WAITING)
            if last is not None:
                earlier = table.c.created_us < last[0]
                same = (table.c.created_us == last[0]) & (table.c.id < last[1])
                statement = statement.where(or_(earlier, same))
            order = (table.c.created_us.desc(), table.c.id.desc())
            rows = await self._database.rows(statement.order_by(*order).limit(_PAGE))
            for row in rows:
                known = _generations.decode(row.searched)
                if any(number > known.get(name, 0) for name, number in generations.items()):
                    found.append(row.id)
            if len(rows) < _PAGE:
                return found
            last = (rows[-1].created_us, rows[-1].id)

    async def take(self, unknown_id: str, generations: Mapping[str, int], *, now: datetime) -> Unknown | None:
        """Lease an unknown that is due; None when it is not any more, or another server searches for it."""
        free = (table.c.id == unknown_id, _WAITING, lease_is_over(table.c.lease_us, now))

        def work(connection: Connection) -> Unknown | None:
            taken = update(table).where(*free).values(lease_us=to_us(now + _LEASE))
            if not connection.execute(taken).rowcount:
                return None
            found = _unknown(connection.execute(select(table).where(table.c.id == unknown_id)).one())
            if found.is_due(generations):
                return found
            connection.execute(update(table).where(table.c.id == unknown_id).values(lease_us=0))
            return None

        return await self._database.transact(work)

    async def searched(self, unknown: Unknown, generations: Mapping[str, int]) -> None:
        """Record that it was searched for in vain, and end the lease."""
        known = {name: max(number, unknown.searched.get(name, 0)) for name, number in generations.items()}
        text = msgspec.json.encode({**unknown.searched, **known}).decode()
        mine = table.c.id == unknown.id
        await self._database.change(update(table).where(mine).values(searched=text, lease_us=0))

    async def named(self, unknown: Unknown, song: str, *, now: datetime) -> None:
        """Record what it was named, and delete its fingerprints."""
        values = {"named_us": to_us(now), "song": clean_text(song, 300), "pieces": "[]", "bytes": 0, "lease_us": 0}
        await self._database.change(update(table).where(table.c.id == unknown.id).values(**values))

    async def named_since(self, since: datetime) -> Sequence[tuple[datetime, str]]:
        """When unknowns were named, and the ids of their identifications, since a moment; the newest `_PAGE`."""
        statement = select(table.c.named_us, table.c.id).where(table.c.named_us >= to_us(since))
        rows = await self._database.rows(statement.order_by(table.c.named_us.desc()).limit(_PAGE))
        return [(from_us(row.named_us), row.id) for row in rows]

    async def delete(self, ids: Collection[str]) -> int:
        """Delete unknowns by the ids of their identifications; returns how many there were."""
        return await self._database.change(delete(table).where(table.c.id.in_(list(ids))))

    async def delete_old(self, *, before: datetime) -> None:
        """Delete what is from before a moment."""
        await self._database.change(delete(table).where(table.c.created_us < to_us(before)))

    async def most_asked(self, *, limit: int = 100) -> Sequence[Unknown]:
        """Those without a name that were asked for most often."""
        columns = [column for column in table.c if column.name not in ("pieces", "searched")]
        order = (table.c.times.desc(), table.c.created_us.desc(), table.c.id)
        statement = select(*columns).where(_WAITING).order_by(*order).limit(limit)
        return [_unknown(row) for row in await self._database.rows(statement)]

    async def count_named(self, *, since: datetime) -> int:
        """How many were named since a moment."""
        statement = select(func.count()).select_from(table).where(table.c.named_us >= to_us(since))
        row = await self._database.first(statement)
        return 0 if row is None else int(row[0])


def of_channel(traces: ChannelTraces, logins: Collection[str]) -> ColumnElement[bool]:
    """The condition for the unknowns of a channel, its clips and its VODs. `logins`: those that are still its."""
    conditions = clips_and_videos_of(table, traces)
    conditions.append(and_(table.c.channel.in_(list(logins)), table.c.channel_id.is_(None)))
    if traces.channel_id is not None:
        conditions.append(table.c.channel_id == traces.channel_id)
    return or_(*conditions)


def _unknown(row: Row[Any]) -> Unknown:
    pieces = _pieces.decode(row.pieces) if hasattr(row, "pieces") else ()
    searched = _generations.decode(row.searched) if hasattr(row, "searched") else {}
    return record_of(Unknown, row, kind=Kind(row.kind), pieces=pieces, searched=searched)
