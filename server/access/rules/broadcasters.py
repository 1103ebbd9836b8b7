"""Stores the broadcasters whose subscribers may ask in `subscribers` mode."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import delete, func, select, update
from sqlalchemy.engine import Connection

from fingerprint.database import Database, to_us
from fingerprint.domain.problems import ProblemCode, TwitchAudioError, invalid_input
from fingerprint.domain.text import clean_text
from fingerprint.ports import Broadcaster
from fingerprint.records import record_of
from fingerprint.upserts import insert_new
from server.access.identity.twitch_user import ID_PREFIX
from server.access.rules.lists import user_value
from server.access.rules_version import change_rules, rules_changed
from server.access.tables import subscribe_broadcasters as table
from server.audit.changes import ChangeLog

NOTE_LIMIT: Final = 200
MAX_BROADCASTERS: Final = 50
"""Limited because a user's subscription to each broadcaster takes one call to Twitch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedBroadcaster:
    """A broadcaster for the operator's list; `login` is the login at the time of listing."""

    id: str
    login: str
    note: str
    created_at: datetime


class BroadcasterStore:
    """Reads and changes the list of broadcasters in SQL."""

    def __init__(self, database: Database, *, changes: ChangeLog | None = None) -> None:
        self._database = database
        self._changes = changes or ChangeLog()

    async def all(self) -> Sequence[ListedBroadcaster]:
        """All broadcasters, sorted by login. Raises TwitchAudioError `busy`."""
        rows = await self._database.rows(select(table).order_by(table.c.login, table.c.user_id))
        return [record_of(ListedBroadcaster, row, id=row.user_id) for row in rows]

    async def add(self, user_id: str, login: str, *, note: str, now: datetime) -> None:
        """Add a broadcaster. Raises TwitchAudioError `invalid-input`, `busy`."""
        values = {
            "user_id": user_id,
            "login": login,
            "note": clean_text(note, NOTE_LIMIT),
            "created_us": to_us(now),
        }

        def work(connection: Connection) -> None:
            if (connection.execute(select(func.count()).select_from(table)).scalar() or 0) >= MAX_BROADCASTERS:
                raise invalid_input(f"At most {MAX_BROADCASTERS} broadcasters can be listed.")
            if not insert_new(connection, table, values):
                raise invalid_input(f"{login or user_id} is listed already.")
            self._changes.record(connection, "add to broadcasters", _subject(user_id, login), after=note)

        await change_rules(self._database, work)

    async def remove(self, text: str) -> str:
        """Remove a broadcaster, named by login or `id:NUMBER`; returns the listed name.

        Raises TwitchAudioError `not-found`, `invalid-input`, `busy`.
        """
        value = user_value(text)
        number = value.removeprefix(ID_PREFIX)
        same = table.c.login == value if number == value else table.c.user_id == number

        def work(connection: Connection) -> str:
            row = connection.execute(select(table).where(same)).first()
            if row is None:
                raise TwitchAudioError(ProblemCode.NOT_FOUND, f"{value} is not listed.")
            connection.execute(delete(table).where(table.c.user_id == row.user_id))
            subject = _subject(row.user_id, row.login)
            self._changes.record(connection, "remove from broadcasters", subject, before=row.note)
            return row.login or f"{ID_PREFIX}{row.user_id}"

        return await change_rules(self._database, work)


class BroadcasterFollower:
    """Keeps the logins of listed broadcasters up to date. They are listed by id."""

    def unbound(self, connection: Connection) -> Collection[str]:
        """None: each has its id."""
        del connection
        return ()

    def bound(self, connection: Connection) -> Collection[str]:
        """The ids of all broadcasters."""
        return set(connection.execute(select(table.c.user_id)).scalars())

    def follow(self, connection: Connection, account: Broadcaster) -> None:
        """Store the login of the broadcaster with this id, if it is listed."""
        renamed = update(table).where(table.c.user_id == account.id, table.c.login != account.login)
        if connection.execute(renamed.values(login=account.login)).rowcount:
            rules_changed(connection)


def _subject(user_id: str, login: str) -> str:
    return f"{ID_PREFIX}{user_id} {login}".strip()
