"""Watches in SQL. A row is also the lease: one server at a time works on a due watch."""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, and_, case, delete, func, or_, select, update
from sqlalchemy.engine import Connection

from fingerprint.database import Database, to_us
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.ports import Broadcaster
from fingerprint.records import record_of
from fingerprint.upserts import insert_new, lock
from server.access.revocations import UNDO_WITHIN
from server.audit.changes import ChangeLog
from server.channels.tables import watches as table
from server.channels.watch import OWNER, Ended, Next, Watch, WatchState
from server.leases import CLOCKS_APART, lease_is_over

_RUNNING: Final = table.c.state == str(WatchState.RUNNING)
_BY_OWNER: Final = table.c.made_by.startswith(OWNER, autoescape=True)


class WatchStore:
    """Starts, stops, lists and leases watches."""

    def __init__(self, database: Database, *, changes: ChangeLog | None = None) -> None:
        self._database = database
        self._changes = changes or ChangeLog()

    async def start(
        self,
        channel: str,
        *,
        every_seconds: int,
        budget: int,
        made_by: str,
        most: int,
        now: datetime,
        channel_id: str | None = None,
    ) -> tuple[Watch, bool]:
        """Watch a channel from now on: its watch, and whether it was not watched before.

        A running watch gets the new terms and keeps its `used`. The channel's owner leaves another's watch
        as it is, and gives `channel_id`.

        Raises TwitchAudioError `busy` when `most` others run.
        """
        terms = {"every_seconds": every_seconds, "budget": budget, "made_by": made_by, "next_us": to_us(now)}
        fresh = {
            **terms,
            "state": str(WatchState.RUNNING),
            "reason": None,
            "used": 0,
            "quiet": 0,
            "offline": 0,
            "created_us": to_us(now),
            "last_us": None,
            # Whose login it is by now is asked again, unless a sign-in says it.
            "channel_id": channel_id,
            "owner": "",
            "lease_us": 0,
        }
        mine = table.c.channel == channel
        running = select(func.count()).select_from(table).where(_RUNNING)

        def begin(connection: Connection) -> bool:
            lock(connection, "watches")
            if made_by.startswith(OWNER):
                before = connection.execute(select(table).where(mine)).first()
                if before is not None and before.state == str(WatchState.RUNNING) and before.made_by != made_by:
                    if before.channel_id not in (None, channel_id):
                        detail = "The watch of the channel that had this name before is about to follow it."
                        raise TwitchAudioError(ProblemCode.BUSY, detail, retry_after_seconds=60.0)
                    return False
                if before is not None and before.made_by == made_by and before.last_us is not None:
                    fresh["used"] = before.used if before.last_us >= _day_us(now) else 0
                    fresh["last_us"] = before.last_us
            said = f"every {every_seconds} s, budget {budget}"
            self._changes.record(connection, "watch", channel, after=said)
            if not insert_new(connection, table, {"channel": channel, "fence": 1, **fresh}):
                if connection.execute(update(table).where(mine, _RUNNING).values(**terms)).rowcount:
                    return False
                connection.execute(update(table).where(mine).values(**fresh, fence=table.c.fence + 1))
            if made_by.startswith(OWNER):
                _check_room_of_owners(connection, most)
            elif connection.execute(running).scalar_one() > most:
                detail = f"{most} channels are being watched, which is the most. Stop one first."
                raise TwitchAudioError(ProblemCode.BUSY, detail, retry_after_seconds=60.0)
            return True

        def work(connection: Connection) -> tuple[Watch, bool]:
            started = begin(connection)
            # Read here, so that nothing fails after it is stored.
            return _watch(connection.execute(select(table).where(mine)).one()), started

        return await self._database.transact(work)

    async def stop(self, channel: str, *, now: datetime, channel_id: str | None = None) -> bool:
        """End a watch, with `channel_id` unless it is another channel's; False when the channel is not watched."""
        ended = {"state": str(WatchState.ENDED), "reason": str(Ended.STOPPED), "next_us": to_us(now)}
        statement = update(table).where(table.c.channel == channel, _RUNNING)
        if channel_id is not None:
            statement = statement.where(or_(table.c.channel_id.is_(None), table.c.channel_id == channel_id))

        def work(connection: Connection) -> bool:
            if not connection.execute(statement.values(**ended)).rowcount:
                return False
            self._changes.record(connection, "stop watch", channel)
            return True

        return await self._database.transact(work)

    async def undo_stop(self, channel: str, *, most: int, now: datetime) -> None:
        """Go on with a watch that was stopped just now.

        Raises TwitchAudioError `not-found`, and `busy` when `most` others run.
        """
        stopped = (table.c.state == str(WatchState.ENDED), table.c.reason == str(Ended.STOPPED))
        recent = table.c.next_us >= to_us(now - UNDO_WITHIN)
        change = update(table).where(table.c.channel == channel, *stopped, recent)
        values = {"state": str(WatchState.RUNNING), "reason": None, "lease_us": 0, "fence": table.c.fence + 1}
        running = select(func.count()).select_from(table).where(_RUNNING)

        def work(connection: Connection) -> None:
            lock(connection, "watches")
            if connection.execute(running).scalar_one() >= most:
                detail = f"{most} channels are being watched, which is the most. Stop one first."
                raise TwitchAudioError(ProblemCode.BUSY, detail, retry_after_seconds=60.0)
            if not connection.execute(change.values(**values)).rowcount:
                raise TwitchAudioError(ProblemCode.NOT_FOUND, "This can only be undone for a minute.")
            self._changes.record(connection, "stop watch undone", channel)

        await self._database.transact(work)

    async def get(self, channel: str) -> Watch | None:
        """A channel's watch, running or ended."""
        row = await self._database.first(select(table).where(table.c.channel == channel))
        return None if row is None else _watch(row)

    async def newest(self, *, limit: int = 200) -> Sequence[Watch]:
        """Up to `limit` watches: the running ones first, then those that ended, each newest first."""
        order = (table.c.state.desc(), table.c.created_us.desc(), table.c.channel)
        rows = await self._database.rows(select(table).order_by(*order).limit(limit))
        return [_watch(row) for row in rows]

    # --- Leases -----------------------------------------------------------------------------------------

    async def due(self, now: datetime, *, limit: int) -> Sequence[str]:
        """Up to `limit` channels whose watches are due and not leased, the longest due first."""
        free = _free(now)
        statement = select(table.c.channel).where(*free).order_by(table.c.next_us).limit(limit)
        return [row.channel for row in await self._database.rows(statement)]

    async def take(self, channel: str, *, owner: str, now: datetime, lease_seconds: float) -> Watch | None:
        """Lease a due watch and count one identification; None when another server was faster.

        Those of a watch by the channel's owner are counted by the day.
        """
        lease = to_us(now + timedelta(seconds=lease_seconds))
        free = _free(now)
        change = update(table).where(table.c.channel == channel, *free)
        values = {
            "owner": owner,
            "lease_us": lease,
            "last_us": to_us(now),
            "fence": table.c.fence + 1,
            # Evaluated before `last_us` is set: statements name columns in the table's order.
            "used": case((_first_of_day(now), 1), else_=table.c.used + 1),
        }

        def work(connection: Connection) -> Watch | None:
            if not connection.execute(change.values(**values)).rowcount:
                return None
            return _watch(connection.execute(select(table).where(table.c.channel == channel)).one())

        return await self._database.transact(work)

    async def put_back(self, watch: Watch, after: Next, *, now: datetime) -> bool:
        """End the lease and store the next step; False when the watch was stopped or taken over meanwhile."""
        values: dict[str, Any] = {"lease_us": 0, "quiet": after.quiet, "offline": after.offline}
        if not after.counted:
            values["used"] = table.c.used - 1
        if after.reason is None:
            tried_at = min(now, watch.last_at or now)
            due = max(now, tried_at + timedelta(seconds=after.wait_seconds))
            values["next_us"] = to_us(due)
        else:
            values |= {"state": str(WatchState.ENDED), "reason": after.reason}
        return await self._write(watch, values)

    async def release(self, watch: Watch, *, now: datetime) -> bool:
        """End the lease without counting the try, so that another server takes the watch at once."""
        return await self._write(watch, {"lease_us": 0, "next_us": to_us(now), "used": table.c.used - 1})

    async def _write(self, watch: Watch, values: Mapping[str, Any]) -> bool:
        mine = (table.c.channel == watch.channel, table.c.fence == watch.fence, _RUNNING)
        return bool(await self._database.change(update(table).where(*mine).values(**values)))


class WatchFollower:
    """Lets watches follow their channels when these are renamed."""

    def unbound(self, connection: Connection) -> Collection[str]:
        """The logins of running watches that have no id yet."""
        return set(
            connection.execute(select(table.c.channel).where(_RUNNING, table.c.channel_id.is_(None))).scalars()
        )

    def bound(self, connection: Connection) -> Collection[str]:
        """None: a watch asks for its channel's login before each try."""
        del connection
        return ()

    def follow(self, connection: Connection, account: Broadcaster) -> None:
        """Fill in the id of the watch of this login, and let the watch with this id have this login."""
        here = table.c.channel == account.login
        connection.execute(update(table).where(here, table.c.channel_id.is_(None)).values(channel_id=account.id))
        renamed = connection.execute(select(table).where(table.c.channel_id == account.id, ~here)).first()
        if renamed is None:
            return
        there = table.c.channel == renamed.channel
        taken = connection.execute(select(table).where(here)).first()
        if taken is not None and taken.channel_id == account.id and taken.state == str(WatchState.RUNNING):
            # The channel is watched under its new login already.
            connection.execute(delete(table).where(there))
            return
        if taken is not None:
            connection.execute(delete(table).where(here))
        connection.execute(update(table).where(there).values(channel=account.login))


def _free(now: datetime) -> tuple[ColumnElement[bool], ...]:
    """Which watches are due and not leased. A try that is yet to come was noted by a clock that was ahead."""
    tried = func.coalesce(table.c.last_us, table.c.created_us)
    due = or_(table.c.next_us <= to_us(now), tried > to_us(now + CLOCKS_APART))
    return _RUNNING, due, lease_is_over(table.c.lease_us, now)


def most_owner_watches(most: int) -> int:
    """How many of all watches may be their channels' owners', so that operators find room."""
    return (most + 1) // 2


def _check_room_of_owners(connection: Connection, most: int) -> None:
    running = select(func.count()).select_from(table).where(_RUNNING)
    theirs = running.where(_BY_OWNER)
    if connection.execute(running).scalar_one() > most or connection.execute(
        theirs
    ).scalar_one() > most_owner_watches(most):
        detail = "This server is watching as many channels as it can. Try again later."
        raise TwitchAudioError(ProblemCode.BUSY, detail, retry_after_seconds=600.0)


def _day_us(now: datetime) -> int:
    """When the day of `now` began, in UTC."""
    return to_us(now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0))


def _first_of_day(now: datetime) -> ColumnElement[bool]:
    return and_(_BY_OWNER, table.c.last_us < _day_us(now))


def _watch(row: Row[Any]) -> Watch:
    return record_of(Watch, row, state=WatchState(row.state))
