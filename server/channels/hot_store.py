"""Hot channels in SQL: who asked about a channel in the last minute, and which server listens to it."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import ColumnElement, and_, delete, func, not_, or_, select, update
from sqlalchemy.engine import Connection

from fingerprint.database import Database, to_us
from fingerprint.upserts import insert_new, lock, upsert
from server.channels.tables import channel_askers as askers
from server.channels.tables import hot_channels as table
from server.leases import CLOCKS_APART, lease_is_over

ASKED: Final = timedelta(minutes=1)
"""The time within which askers are counted."""

LISTENED: Final = timedelta(minutes=2)
"""How long a channel is listened to after enough asked about it."""


class HotStore:
    """Counts askers, and leases hot channels to one server each."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def count(
        self, asked: Mapping[str, Collection[str]], *, needed: int, most: int, now: datetime
    ) -> Collection[str]:
        """Count who asked about channels; returns the channels that are listened to from now on.

        `needed`: different askers within `ASKED`. At most `most` channels are listened to at a time.
        """
        rows = [
            {"channel": channel, "asker": _hashed(channel, asker), "seen_us": to_us(now)}
            for channel, names in asked.items()
            for asker in names
        ]
        # Of a clock that was ahead, too.
        old = or_(askers.c.seen_us <= to_us(now - ASKED), askers.c.seen_us > to_us(now + CLOCKS_APART))
        enough = (
            select(askers.c.channel)
            .where(askers.c.channel.in_(list(asked)), not_(old))
            .group_by(askers.c.channel)
            .having(func.count() >= needed)
            .order_by(func.count().desc())
        )

        def work(connection: Connection) -> Collection[str]:
            lock(connection, "hot-channels")
            connection.execute(delete(askers).where(old))
            over = (not_(_is_hot(now)), lease_is_over(table.c.lease_us, now))
            connection.execute(delete(table).where(*over))
            for row in rows:
                upsert(connection, askers, row)
            return [
                channel
                for channel in connection.execute(enough).scalars().all()
                if _heat(connection, channel, most=most, until=to_us(now + LISTENED))
            ]

        return await self._database.transact(work)

    async def take(self, *, owner: str, limit: int, now: datetime, lease_seconds: float) -> Sequence[str]:
        """Lease at most `limit` hot channels to which no server listens."""
        free = (_is_hot(now), lease_is_over(table.c.lease_us, now))
        found = select(table.c.channel).where(*free).order_by(table.c.until_us).limit(limit)
        channels = [row.channel for row in await self._database.rows(found)]
        lease = {"owner": owner, "lease_us": to_us(now + timedelta(seconds=lease_seconds))}

        def work(connection: Connection) -> Sequence[str]:
            return [
                channel
                for channel in channels
                if connection.execute(
                    update(table).where(table.c.channel == channel, *free).values(**lease)
                ).rowcount
            ]

        return await self._database.transact(work) if channels else []

    async def renew(self, channel: str, *, owner: str, now: datetime, lease_seconds: float) -> bool:
        """Keep the lease; False when the channel is not hot any more, or was taken over."""
        mine = (table.c.channel == channel, table.c.owner == owner, _is_hot(now))
        lease_us = to_us(now + timedelta(seconds=lease_seconds))
        return bool(await self._database.change(update(table).where(*mine).values(lease_us=lease_us)))

    async def rename(self, channel: str, login: str, *, owner: str) -> bool:
        """Go on under a channel's new login; False when that is hot already, or another server has taken over."""

        def work(connection: Connection) -> bool:
            lock(connection, "hot-channels")
            mine = (table.c.channel == channel, table.c.owner == owner)
            row = connection.execute(select(table).where(*mine)).mappings().first()
            if row is None:
                return False
            connection.execute(delete(table).where(*mine))
            connection.execute(delete(askers).where(askers.c.channel == channel))
            return insert_new(connection, table, {**row, "channel": login})

        return await self._database.transact(work)

    async def release(self, channel: str, *, owner: str) -> None:
        """End the lease, so that another server goes on."""
        mine = (table.c.channel == channel, table.c.owner == owner)
        await self._database.change(update(table).where(*mine).values(owner="", lease_us=0))

    async def end(self, channel: str, *, owner: str) -> None:
        """Listen no longer: the channel has to become hot again."""

        def work(connection: Connection) -> None:
            mine = (table.c.channel == channel, table.c.owner == owner)
            if connection.execute(delete(table).where(*mine)).rowcount:
                connection.execute(delete(askers).where(askers.c.channel == channel))

        await self._database.transact(work)


def _is_hot(now: datetime) -> ColumnElement[bool]:
    """Whether a channel is to be listened to; not for as long as a clock was ahead that said so."""
    return and_(table.c.until_us > to_us(now), table.c.until_us <= to_us(now + LISTENED + CLOCKS_APART))


def _heat(connection: Connection, channel: str, *, most: int, until: int) -> bool:
    """Listen to a channel until a moment, or longer; False when there is no room for one more."""
    if connection.execute(update(table).where(table.c.channel == channel).values(until_us=until)).rowcount:
        return True
    if connection.execute(select(func.count()).select_from(table)).scalar_one() >= most:
        return False
    insert_new(connection, table, {"channel": channel, "until_us": until, "owner": "", "lease_us": 0})
    return True


def _hashed(channel: str, asker: str) -> str:
    return hashlib.sha256(f"{channel} {asker}".encode()).hexdigest()[:32]
