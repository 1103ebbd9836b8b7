"""Stores the blacklist and the whitelist in SQL."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Table, delete, select, update
from sqlalchemy.engine import Connection

from fingerprint.database import Database, to_us
from fingerprint.domain.problems import ProblemCode, TwitchAudioError, invalid_input
from fingerprint.domain.text import clean_text
from fingerprint.ports import Broadcaster
from fingerprint.records import record_of
from fingerprint.upserts import insert_new
from server.access.identity.twitch_user import ID_PREFIX
from server.access.rules.blacklist_kinds import BlacklistKind
from server.access.rules.lists import OF_ACCOUNTS, blacklist_value, user_value
from server.access.rules_version import change_rules, rules_changed
from server.access.tables import blacklisted_values, whitelisted_users
from server.audit.changes import ChangeLog

NOTE_LIMIT: Final = 200
_LIST: Final[Mapping[Table, str]] = {blacklisted_values: "blacklist", whitelisted_users: "whitelist"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An entry of a list; `kind` is empty for the whitelist."""

    kind: str
    value: str
    note: str
    created_at: datetime


class ListStore:
    """Reads and changes both lists.

    Adding an existing value, or removing a missing one, raises an error and changes nothing.
    """

    def __init__(self, database: Database, *, changes: ChangeLog | None = None) -> None:
        self._database = database
        self._changes = changes or ChangeLog()

    async def blacklist(self) -> Sequence[Entry]:
        """All blacklisted values, sorted by kind."""
        return await self._all(blacklisted_values)

    async def whitelist(self) -> Sequence[Entry]:
        """All whitelisted users, sorted by value."""
        return await self._all(whitelisted_users)

    async def block(self, kind: BlacklistKind, text: str, *, reason: str, now: datetime) -> str:
        """Blacklist a value; returns it as stored. Raises TwitchAudioError `invalid-input`, `busy`."""
        row = {"kind": str(kind), "value": blacklist_value(kind, text)}
        await self._add(blacklisted_values, row, reason, now)
        return row["value"]

    async def unblock(self, kind: BlacklistKind, text: str) -> str:
        """Remove a value from the blacklist. Raises TwitchAudioError `not-found`, `invalid-input`, `busy`."""
        row = {"kind": str(kind), "value": blacklist_value(kind, text)}
        await self._remove(blacklisted_values, row)
        return row["value"]

    async def allow(self, text: str, *, note: str, now: datetime) -> str:
        """Whitelist a user; returns the value as stored. Raises TwitchAudioError `invalid-input`, `busy`."""
        row = {"value": user_value(text)}
        await self._add(whitelisted_users, row, note, now)
        return row["value"]

    async def disallow(self, text: str) -> str:
        """Remove a user from the whitelist. Raises TwitchAudioError `not-found`, `invalid-input`, `busy`."""
        row = {"value": user_value(text)}
        await self._remove(whitelisted_users, row)
        return row["value"]

    async def _all(self, table: Table) -> Sequence[Entry]:
        rows = await self._database.rows(select(table).order_by(*table.primary_key.columns))
        return [record_of(Entry, row, kind=getattr(row, "kind", "")) for row in rows]

    async def _add(self, table: Table, row: dict[str, str], note: str, now: datetime) -> None:
        values: dict[str, Any] = {**row, "note": clean_text(note, NOTE_LIMIT), "created_us": to_us(now)}

        def work(connection: Connection) -> None:
            if not insert_new(connection, table, values):
                raise invalid_input(f"{row['value']} is listed already.")
            self._changes.record(connection, f"add to {_LIST[table]}", _subject(row), after=values["note"])

        await change_rules(self._database, work)

    async def _remove(self, table: Table, row: dict[str, str]) -> None:
        where = [table.c[name] == value for name, value in row.items()]

        def work(connection: Connection) -> None:
            note = connection.execute(select(table.c.note).where(*where)).scalar()
            if note is None:
                raise TwitchAudioError(ProblemCode.NOT_FOUND, f"{row['value']} is not listed.")
            connection.execute(delete(table).where(*where))
            self._changes.record(connection, f"remove from {_LIST[table]}", _subject(row), before=note)

        await change_rules(self._database, work)


def _subject(row: Mapping[str, str]) -> str:
    return " ".join(row.values())


class ListFollower:
    """Lets entries of both lists that name an account by its login keep to that account."""

    def unbound(self, connection: Connection) -> Collection[str]:
        """The logins of entries that have no id yet."""
        return {
            row.value
            for table in _LIST
            for row in connection.execute(
                select(table.c.value).where(*_of_accounts(table), table.c.user_id.is_(None))
            )
            if not row.value.startswith(ID_PREFIX)
        }

    def bound(self, connection: Connection) -> Collection[str]:
        """The ids of entries that have one."""
        return {
            row.user_id
            for table in _LIST
            for row in connection.execute(select(table.c.user_id).where(table.c.user_id.is_not(None)))
        }

    def follow(self, connection: Connection, account: Broadcaster) -> None:
        """Fill in the id of entries with this login, and rename the entries with this id."""
        changed = 0
        for table in _LIST:
            of_accounts, same = _of_accounts(table), table.c.value == account.login
            unbound = update(table).where(*of_accounts, same, table.c.user_id.is_(None))
            changed += connection.execute(unbound.values(user_id=account.id)).rowcount
            keys = table.primary_key.columns
            renamed = select(*keys).where(*of_accounts, table.c.user_id == account.id, ~same)
            for row in connection.execute(renamed).all():
                before = [column == getattr(row, column.name) for column in keys]
                after = [
                    same if column.name == "value" else column == getattr(row, column.name) for column in keys
                ]
                taken = connection.execute(select(table.c.user_id).where(*after)).first()
                if taken is None:
                    changed += connection.execute(
                        update(table).where(*before).values(value=account.login)
                    ).rowcount
                elif taken.user_id == account.id:
                    changed += connection.execute(delete(table).where(*before)).rowcount
        if changed:
            rules_changed(connection)


def _of_accounts(table: Table) -> Sequence[Any]:
    return () if table is whitelisted_users else (table.c.kind.in_([str(kind) for kind in OF_ACCOUNTS]),)
