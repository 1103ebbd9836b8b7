"""Tokens for `song.txt`: each lets a chat bot ask for one channel, and nothing else.

A chat bot can send no headers, so this is the one secret that may be part of an address. It has the form of an API
key with another prefix, and only its SHA-256 is stored.
"""

import hmac
import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import ColumnElement, and_, func, insert, or_, select, update
from sqlalchemy.engine import Connection

from fingerprint.database import Database, from_us, to_us
from fingerprint.domain.problems import ProblemCode, TwitchAudioError, invalid_input
from fingerprint.domain.text import clean_text
from fingerprint.ports import Broadcaster
from fingerprint.records import record_of, row_of
from fingerprint.setting_formats import Secret
from fingerprint.upserts import lock
from server.access.identity.api_keys import key_hash, new_key, well_formed
from server.access.revocations import revoke, undo_revocation
from server.audit.changes import ChangeLog
from server.channels.tables import song_tokens as table

PREFIX: Final = "tas_"
OPERATOR: Final = "operator"
NOTE_LIMIT: Final = 200
MOST_PER_CHANNEL: Final = 20
"""Tokens of one channel that are valid at the same time."""

MADE_PER_DAY: Final = 50
"""Tokens of one channel that are made in a day, revoked ones included."""

_USED_STEP: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class SongToken:
    """A token's record, without the secret itself."""

    id: str
    channel: str
    channel_id: str | None
    """The channel's id, once Twitch has named it: the token is for that channel, whatever it is called."""
    note: str
    made_by: str
    created_at: datetime
    revoked_at: datetime | None
    used_at: datetime | None


class SongTokenStore:
    """Creates, finds, lists and revokes tokens in SQL."""

    def __init__(self, database: Database, *, changes: ChangeLog | None = None) -> None:
        self._database = database
        self._changes = changes or ChangeLog()

    async def create(
        self,
        channel: str,
        *,
        now: datetime,
        note: str = "",
        made_by: str = OPERATOR,
        channel_id: str | None = None,
    ) -> tuple[SongToken, Secret]:
        """Create a token for a channel, by its login and its id where known; the secret is returned only here.

        Raises TwitchAudioError `invalid-input` when the channel has too many already; `rate-limited` when too
        many were made today; `busy`.
        """
        secret = new_key(PREFIX)
        token = SongToken(
            id=secrets.token_hex(6),
            channel=channel,
            channel_id=channel_id,
            note=clean_text(note, NOTE_LIMIT),
            made_by=made_by,
            created_at=now,
            revoked_at=None,
            used_at=None,
        )

        def add(connection: Connection) -> None:
            lock(connection, "song-tokens")
            valid = select(func.count()).where(_of(channel, channel_id), table.c.revoked_us.is_(None))
            if connection.execute(valid).scalar_one() >= MOST_PER_CHANNEL:
                raise invalid_input(f"A channel has at most {MOST_PER_CHANNEL} tokens: revoke one first.")
            lately = select(func.count()).where(
                _of(channel, channel_id), table.c.created_us > to_us(now - timedelta(days=1))
            )
            if connection.execute(lately).scalar_one() >= MADE_PER_DAY:
                detail = f"A channel gets at most {MADE_PER_DAY} tokens a day: use one that is there."
                raise TwitchAudioError(ProblemCode.RATE_LIMITED, detail, retry_after_seconds=3_600.0)
            connection.execute(insert(table).values(row_of(token, sha256=key_hash(secret.reveal()))))
            self._changes.record(connection, "create song token", channel, after=f"{token.id}: {token.note}")

        await self._database.transact(add)
        return token, secret

    async def find(self, text: str, *, now: datetime) -> SongToken | None:
        """The valid token with this text, or None; records its use, to the minute."""
        if not well_formed(text, PREFIX):
            return None
        digest = key_hash(text)
        row = await self._database.first(select(table).where(table.c.sha256 == digest))
        if row is None or not hmac.compare_digest(str(row.sha256), digest):
            return None
        if row.revoked_us is not None:
            return None
        if row.used_us is None or now - from_us(row.used_us) > _USED_STEP:
            await self._database.change(update(table).where(table.c.id == row.id).values(used_us=to_us(now)))
        return record_of(SongToken, row)

    async def all(self, channel: str | None = None, *, channel_id: str | None = None) -> Sequence[SongToken]:
        """Every token, or those of one channel, the oldest first. With its id, an earlier owner's are left out."""
        statement = select(table).order_by(table.c.created_us, table.c.id)
        if channel is not None:
            statement = statement.where(_of(channel, channel_id))
        return [record_of(SongToken, row) for row in await self._database.rows(statement)]

    async def revoke(
        self, token_id: str, *, now: datetime, channel: str | None = None, channel_id: str | None = None
    ) -> None:
        """Make a token invalid permanently. Raises TwitchAudioError `not-found` when none has the id."""
        only = [] if channel is None else [_of(channel, channel_id)]

        def change(connection: Connection) -> None:
            known = revoke(connection, table, token_id, now, *only, what="song token")
            if known is not None:
                before = f"{token_id}: {known.note}"
                self._changes.record(connection, "revoke song token", known.channel, before=before)

        await self._database.transact(change)

    async def undo_revoke(self, token_id: str, *, now: datetime) -> None:
        """Undo a revocation of the last minute. Raises TwitchAudioError `not-found`."""

        def change(connection: Connection) -> None:
            undo_revocation(connection, table, token_id, now)
            self._changes.record(connection, "undo revoking song token", token_id)

        await self._database.transact(change)


class SongTokenFollower:
    """Lets tokens follow their channels when these are renamed."""

    def unbound(self, connection: Connection) -> Collection[str]:
        """The logins of valid tokens that have no id yet."""
        unbound = select(table.c.channel).where(table.c.channel_id.is_(None), table.c.revoked_us.is_(None))
        return set(connection.execute(unbound).scalars())

    def bound(self, connection: Connection) -> Collection[str]:
        """The ids of valid tokens that have one."""
        bound = select(table.c.channel_id).where(table.c.channel_id.is_not(None), table.c.revoked_us.is_(None))
        return set(connection.execute(bound).scalars())

    def follow(self, connection: Connection, account: Broadcaster) -> None:
        """Fill in the id of tokens for this login, and the login of tokens with this id."""
        here, mine = table.c.channel == account.login, table.c.channel_id == account.id
        connection.execute(update(table).where(here, table.c.channel_id.is_(None)).values(channel_id=account.id))
        connection.execute(update(table).where(mine, ~here).values(channel=account.login))


def _of(channel: str, channel_id: str | None) -> ColumnElement[bool]:
    here = table.c.channel == channel
    if channel_id is None:
        return here
    return or_(table.c.channel_id == channel_id, and_(here, table.c.channel_id.is_(None)))
