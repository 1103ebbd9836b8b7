"""Stores the website's sessions in SQL: the user, the encrypted Twitch tokens, and when a session ends."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.engine import Connection

from fingerprint.database import Database, from_us, to_us
from fingerprint.records import record_of
from fingerprint.setting_formats import Secret
from fingerprint.upserts import lock
from server.access.identity.limits import SESSIONS_PER_USER
from server.access.identity.oauth import Tokens
from server.access.identity.session_keys import SessionKeys
from server.access.identity.twitch_user import ID_PREFIX, TwitchUser
from server.access.tables import web_sessions as table
from server.audit.changes import ChangeLog
from server.leases import CLOCKS_APART

NEWEST: Final = 20
"""Sessions that `count_of_other_keys` looks at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSession:
    """A stored session. `access` and `refresh` are None when their encryption key is no longer configured."""

    sha256: str
    user: TwitchUser
    access: Secret | None
    refresh: Secret | None
    token_expires_at: datetime
    created_at: datetime
    seen_at: datetime
    validated_at: datetime
    refreshing_until: datetime
    ended_at: datetime | None


def session_hash(session_id: str) -> str:
    """The SHA-256 of a session's id in hexadecimal, which is stored instead of the id."""
    return hashlib.sha256(session_id.encode("utf-8", "replace")).hexdigest()


class SessionStore:
    """Reads and changes sessions. All methods raise TwitchAudioError `busy` while the database does not answer."""

    def __init__(self, database: Database, keys: SessionKeys) -> None:
        self._database = database
        self._keys = keys

    async def create(self, sha256: str, user: TwitchUser, tokens: Tokens, *, now: datetime, due: datetime) -> None:
        """Store a new session; ends the user's oldest sessions beyond `SESSIONS_PER_USER`."""
        moment = to_us(now)

        def add(connection: Connection) -> None:
            lock(connection, "web-sessions")
            mine = select(table.c.sha256).where(table.c.user_id == user.id, table.c.ended_us.is_(None))
            newest_first = mine.order_by(table.c.created_us.desc(), table.c.sha256)
            known = connection.execute(newest_first).scalars().all()
            for old in known[SESSIONS_PER_USER - 1 :]:
                connection.execute(_ended(old, moment))
            connection.execute(
                insert(table).values(
                    sha256=sha256,
                    user_id=user.id,
                    login=user.login,
                    created_us=moment,
                    seen_us=moment,
                    refreshing_us=0,
                    **self._tokens(tokens, user.scopes, now),
                    due_us=to_us(due),
                )
            )

        await self._database.transact(add)

    async def get(self, sha256: str) -> StoredSession | None:
        """The session, also if it has ended; None when there is none."""
        row = await self._database.first(select(table).where(table.c.sha256 == sha256))
        return None if row is None else self._session(row)

    async def count_of_other_keys(self) -> int:
        """How many of the `NEWEST` newest sessions were encrypted with none of our keys, as by another server."""
        newest = select(table.c.tokens).where(table.c.ended_us.is_(None)).order_by(table.c.created_us.desc())
        rows = await self._database.rows(newest.limit(NEWEST))
        return sum(self._keys.open_tokens(row.tokens) is None for row in rows)

    async def seen(self, sha256: str, now: datetime) -> None:
        """Record that a session was used."""
        await self._change(sha256, seen_us=to_us(now))

    async def validated(self, sha256: str, user: TwitchUser, *, now: datetime, due: datetime) -> None:
        """Record that Twitch confirmed the access token and whose it is."""
        await self._change(
            sha256,
            login=user.login,
            scopes=" ".join(sorted(user.scopes)),
            validated_us=to_us(now),
            due_us=to_us(due),
        )

    async def end(self, sha256: str, now: datetime) -> None:
        """End a session on all servers; its token still has to be revoked at Twitch."""
        await self._database.change(_ended(sha256, to_us(now)))

    async def end_all(self, user_id: str, now: datetime) -> int:
        """End all sessions of a user on all servers; returns how many. Their tokens still have to be revoked."""
        change = update(table).where(table.c.user_id == user_id, table.c.ended_us.is_(None))
        return await self._database.change(change.values(ended_us=to_us(now), due_us=to_us(now)))

    async def forget(self, sha256: str) -> None:
        """Delete a session, once its token is revoked or invalid."""
        await self._database.change(delete(table).where(table.c.sha256 == sha256))

    async def begin_refresh(self, session: StoredSession, *, now: datetime, until: datetime) -> bool:
        """Claim the exclusive right to refresh a session's tokens, which ends at `until`.

        False when another server has it. A claim that ends much later than a new one is of a clock that was ahead.
        """
        if now < session.refreshing_until <= until + CLOCKS_APART:
            return False
        where = (table.c.sha256 == session.sha256, table.c.refreshing_us == to_us(session.refreshing_until))
        return bool(await self._database.change(update(table).where(*where).values(refreshing_us=to_us(until))))

    async def renew(self, sha256: str, tokens: Tokens, *, now: datetime, due: datetime) -> None:
        """Replace a session's tokens by refreshed ones."""
        await self._change(sha256, refreshing_us=0, due_us=to_us(due), **self._tokens(tokens, tokens.scopes, now))

    async def give_back(self, sha256: str) -> None:
        """Release the right to refresh the tokens, so that another server can try."""
        await self._change(sha256, refreshing_us=0)

    async def take_due(self, limit: int, *, now: datetime, until: datetime) -> Sequence[StoredSession]:
        """Claim up to `limit` sessions that are due for maintenance; other servers skip them until `until`."""
        due = select(table).where(table.c.due_us <= to_us(now)).order_by(table.c.due_us).limit(limit)
        rows = await self._database.rows(due)
        taken: list[StoredSession] = []
        for row in rows:
            mine = (table.c.sha256 == row.sha256, table.c.due_us == row.due_us)
            if await self._database.change(update(table).where(*mine).values(due_us=to_us(until))):
                taken.append(self._session(row))
        return taken

    async def put_off(self, sha256: str, due: datetime) -> None:
        """Set when the session is due for maintenance next."""
        await self._change(sha256, due_us=to_us(due))

    async def _change(self, sha256: str, **values: object) -> None:
        await self._database.change(update(table).where(table.c.sha256 == sha256).values(**values))

    def _tokens(self, tokens: Tokens, scopes: frozenset[str], now: datetime) -> dict[str, Any]:
        refresh = None if tokens.refresh is None else tokens.refresh.reveal()
        content = json.dumps({"access": tokens.access.reveal(), "refresh": refresh})
        return {
            "tokens": self._keys.seal_tokens(content.encode()),
            "scopes": " ".join(sorted(scopes)),
            "token_expires_us": to_us(now + timedelta(seconds=tokens.seconds)),
            "validated_us": to_us(now),
        }

    def _session(self, row: Any) -> StoredSession:
        opened = self._keys.open_tokens(row.tokens)
        tokens: dict[str, str | None] = {} if opened is None else json.loads(opened)
        access, refresh = tokens.get("access"), tokens.get("refresh")
        return record_of(
            StoredSession,
            row,
            user=TwitchUser(id=row.user_id, login=row.login, scopes=frozenset(row.scopes.split())),
            access=None if access is None else Secret(access),
            refresh=None if refresh is None else Secret(refresh),
            refreshing_until=from_us(row.refreshing_us),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedInUser:
    """A user with `count` sessions that have not ended, and when one of them was last used, to the hour."""

    user_id: str
    login: str
    count: int
    seen_at: datetime


async def list_sessions(database: Database) -> Sequence[SignedInUser]:
    """All users who are signed in, the last one seen first."""
    seen = func.max(table.c.seen_us).label("seen_us")
    statement = (
        select(table.c.user_id, func.max(table.c.login).label("login"), func.count().label("sessions"), seen)
        .where(table.c.ended_us.is_(None))
        .group_by(table.c.user_id)
        .order_by(seen.desc(), table.c.user_id)
    )
    return [
        SignedInUser(user_id=row.user_id, login=row.login, count=row.sessions, seen_at=from_us(row.seen_us))
        for row in await database.rows(statement)
    ]


async def end_sessions(database: Database, user: str, *, now: datetime, changes: ChangeLog) -> int:
    """End all sessions of a user, by login or `id:NUMBER`, for the operator; returns how many."""
    mine = table.c.user_id == user.removeprefix(ID_PREFIX) if user.startswith(ID_PREFIX) else table.c.login == user

    def end(connection: Connection) -> int:
        change = update(table).where(mine, table.c.ended_us.is_(None))
        ended = connection.execute(change.values(ended_us=to_us(now), due_us=to_us(now))).rowcount
        if ended:
            changes.record(connection, "end sessions", user, before=str(ended))
        return ended

    return await database.transact(end)


def _ended(sha256: str, moment: int) -> Any:
    change = update(table).where(table.c.sha256 == sha256, table.c.ended_us.is_(None))
    return change.values(ended_us=moment, due_us=moment)
