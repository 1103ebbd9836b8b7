"""The names of channels as they are stored: each login that a channel had, and since when."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from sqlalchemy import BigInteger, Column, Index, case, or_, select, update
from sqlalchemy.engine import Connection

from fingerprint.database import exact_text, from_us, sql_table, to_us
from fingerprint.domain.identification import Identification
from fingerprint.ports import Broadcaster
from fingerprint.upserts import insert_new
from server.leases import CLOCKS_APART

channel_names: Final = sql_table(
    "channel_names",
    Column("login", exact_text(64), primary_key=True),
    Column("channel_id", exact_text(32), primary_key=True),
    # Since when the channel has had the login, as far as is known; 0 for the first channel that was seen with it.
    Column("since_us", BigInteger, nullable=False),
    # When Twitch last said so.
    Column("seen_us", BigInteger, nullable=False),
    Index("ix_channel_names_channel", "channel_id"),
)

_MAX_SPANS: Final = 10
_EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Follower(Protocol):
    """Rows that belong to channels or users, and hold an id beside a login."""

    def unbound(self, connection: Connection) -> Collection[str]:
        """The logins of rows that have no id yet."""
        ...

    def bound(self, connection: Connection) -> Collection[str]:
        """The ids that rows have."""
        ...

    def follow(self, connection: Connection, account: Broadcaster) -> None:
        """Fill in the id of the rows that have this login and no id, and the login of the rows with this id."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class NameSpan:
    """A time in which a channel had a login; answers from it under this login are of the channel."""

    login: str
    channel_id: str
    since: datetime
    until: datetime | None = None

    def covers(self, answer: Identification) -> bool:
        """Whether an answer under this login is of the channel: it says so, or is of the time."""
        if answer.channel_id is not None:
            return answer.channel_id == self.channel_id
        return answer.created_at >= self.since


@dataclass(frozen=True, slots=True)
class HeardName:
    """An account that has a login: since when, and when Twitch last said so."""

    account: Broadcaster
    since: datetime
    seen: datetime


def write_name(connection: Connection, heard: HeardName, followers: Sequence[Follower], now: datetime) -> bool:
    """Write one name; whether it is news. Followers are changed in the same transaction.

    What a clock noted that was ahead counts as noted just before, so that it is not the newest until that time.
    """
    table, account = channel_names, heard.account
    same = (table.c.login == account.login, table.c.channel_id == account.id)
    concerned = or_(table.c.login == account.login, table.c.channel_id == account.id)
    ahead_us, before_us = to_us(now + CLOCKS_APART), to_us(heard.seen) - 1
    rows = connection.execute(select(table).where(concerned)).all()
    if any(row.seen_us > ahead_us for row in rows):
        since = case((table.c.since_us > ahead_us, before_us), else_=table.c.since_us)
        change = update(table).where(concerned, table.c.seen_us > ahead_us)
        connection.execute(change.values(since_us=since, seen_us=before_us))
        rows = connection.execute(select(table).where(concerned)).all()
    holders = [row for row in rows if row.login == account.login]
    names = [row for row in rows if row.channel_id == account.id]
    known = any(row.channel_id == account.id for row in holders)
    seen_us = to_us(heard.seen)
    if any(row.seen_us > seen_us for row in (*holders, *names)):
        # Something newer is known, of this account or of another with the login.
        return False
    values = {"since_us": to_us(heard.since) if holders else 0, "seen_us": seen_us}
    if not known:
        row = {"login": account.login, "channel_id": account.id, **values}
        known = not insert_new(connection, table, row)
    if known:
        connection.execute(update(table).where(*same).values(seen_us=seen_us))
    newest = [max(found, key=lambda row: row.seen_us, default=None) for found in (holders, names)]
    if all(row is not None and (row.login, row.channel_id) == (account.login, account.id) for row in newest):
        return False
    for follower in followers:
        follower.follow(connection, account)
    return True


def read_newest(connection: Connection, login: str) -> tuple[Broadcaster, datetime] | None:
    """The account that had a login last, and when Twitch last said so."""
    table = channel_names
    statement = select(table).where(table.c.login == login).order_by(table.c.seen_us.desc()).limit(1)
    row = connection.execute(statement).first()
    return None if row is None else (Broadcaster(id=row.channel_id, login=login), from_us(row.seen_us))


def read_spans(connection: Connection, login: str) -> Sequence[NameSpan]:
    """The logins of the channel that had a login last, the newest first."""
    newest = read_newest(connection, login)
    return () if newest is None else read_spans_of(connection, newest[0].id)


def read_spans_of(connection: Connection, channel_id: str) -> Sequence[NameSpan]:
    """The logins of a channel, the newest first."""
    table = channel_names
    by_id = select(table).where(table.c.channel_id == channel_id).order_by(table.c.seen_us.desc())
    names = connection.execute(by_id.limit(_MAX_SPANS)).all()
    others: dict[str, list[int]] = {}
    sharers = select(table.c.login, table.c.since_us).where(
        table.c.login.in_([row.login for row in names]), table.c.channel_id != channel_id
    )
    for row in connection.execute(sharers):
        others.setdefault(row.login, []).append(row.since_us)
    return tuple(_span(row, others.get(row.login, ())) for row in names)


def _span(row: Any, others_since_us: Collection[int]) -> NameSpan:
    until_us = min((since for since in others_since_us if since > row.since_us), default=None)
    return NameSpan(
        login=row.login,
        channel_id=row.channel_id,
        since=_EARLIEST if not row.since_us else from_us(row.since_us),
        until=None if until_us is None else from_us(until_us),
    )
