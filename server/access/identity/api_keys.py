"""API keys: `ta_`, 30 random base62 characters (178 bits), and 6 characters with the CRC-32 of the rest.

The format is GitHub's (github.blog, 2021-04-05): secret scanners find such keys, and typos are refused without a
query. Only a key's SHA-256 is stored, which needs no salt because the keys are random.
"""

import hashlib
import hmac
import secrets
import string
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Row, insert, select, update
from sqlalchemy.engine import Connection

from fingerprint.database import Database, to_us
from fingerprint.domain.problems import invalid_input
from fingerprint.domain.text import clean_text
from fingerprint.records import record_of, row_of
from fingerprint.setting_formats import Secret
from server.access.revocations import revoke, undo_revocation
from server.access.rules_version import change_rules
from server.access.scopes import DEFAULT_SCOPES, SCOPES
from server.access.tables import api_keys as table
from server.audit.changes import ChangeLog

PREFIX: Final = "ta_"
NAME_LIMIT: Final = 100
_RANDOM: Final = 30
_CHECK: Final = 6
_SHOWN: Final = 8
_BASE62: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase


def new_key(prefix: str = PREFIX) -> Secret:
    """Generate a random key; with another prefix, a secret of the same format for another purpose."""
    body = prefix + "".join(secrets.choice(_BASE62) for _ in range(_RANDOM))
    return Secret(body + _checksum(body))


def well_formed(key: str, prefix: str = PREFIX) -> bool:
    """Whether a text has the format and checksum of a key; does not query the database."""
    if len(key) != len(prefix) + _RANDOM + _CHECK or not key.startswith(prefix) or not key.isascii():
        return False
    return hmac.compare_digest(_checksum(key[:-_CHECK]), key[-_CHECK:])


def key_hash(key: str) -> str:
    """The SHA-256 of a key in hexadecimal, which is stored instead of the key."""
    # Bytes of a header that are not UTF-8 arrive as surrogates.
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def key_name(text: str) -> str:
    """A key's name as it is stored. Raises TwitchAudioError `invalid-input` for one without any words."""
    name = clean_text(text, NAME_LIMIT)
    if not name:
        raise invalid_input("A key needs a name that says whose it is.")
    return name


def _checksum(body: str) -> str:
    number = zlib.crc32(body.encode())
    digits = ""
    for _ in range(_CHECK):
        number, digit = divmod(number, len(_BASE62))
        digits = _BASE62[digit] + digits
    return digits


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """The record of an API key, without the key itself. Rate limits count the jobs that it starts."""

    id: str
    shown: str
    name: str
    scopes: frozenset[str]
    per_minute: int | None
    per_day: int | None
    at_once: int | None
    """How many jobs may run at once; None for the default, `KEY_JOBS`."""
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    used_at: datetime | None

    def limits_in_words(self) -> list[str]:
        """The key's own limits as short texts such as `60 a minute`, for the operator."""
        rates = [f"{most} a {unit}" for most, unit in ((self.per_minute, "minute"), (self.per_day, "day")) if most]
        return [*rates, *([] if self.at_once is None else [f"{self.at_once} at once"])]

    def valid(self, now: datetime) -> bool:
        """Whether the key is neither revoked nor expired at `now`."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


class ApiKeyStore:
    """Stores API keys in SQL. All methods raise TwitchAudioError `busy` while the database does not answer."""

    def __init__(self, database: Database, *, changes: ChangeLog | None = None) -> None:
        self._database = database
        self._changes = changes or ChangeLog()

    async def create(
        self,
        name: str,
        *,
        now: datetime,
        scopes: Iterable[str] = DEFAULT_SCOPES,
        per_minute: int | None = None,
        per_day: int | None = None,
        at_once: int | None = None,
        expires_at: datetime | None = None,
    ) -> tuple[ApiKey, Secret]:
        """Create a key; its text is returned only here. Raises TwitchAudioError `invalid-input`, `busy`."""
        chosen = frozenset(scopes)
        if not chosen or not chosen <= set(SCOPES):
            raise invalid_input(f"A key's scopes are out of {', '.join(SCOPES)}.")
        called = key_name(name)
        secret = new_key()
        key = ApiKey(
            id=secrets.token_hex(6),
            shown=secret.reveal()[: len(PREFIX) + _SHOWN],
            name=called,
            scopes=chosen,
            per_minute=per_minute,
            per_day=per_day,
            at_once=at_once,
            created_at=now,
            expires_at=expires_at,
            revoked_at=None,
            used_at=None,
        )

        def add(connection: Connection) -> None:
            row = row_of(key, sha256=key_hash(secret.reveal()), scopes=",".join(sorted(key.scopes)))
            connection.execute(insert(table).values(row))
            self._changes.record(connection, "create API key", key.id, after=_described(key))

        await change_rules(self._database, add)
        return key, secret

    async def find(self, key: str) -> ApiKey | None:
        """The record of a key, also a revoked or expired one; None when the key does not exist."""
        digest = key_hash(key)
        row = await self._database.first(select(table).where(table.c.sha256 == digest))
        if row is None or not hmac.compare_digest(str(row.sha256), digest):
            return None
        return _api_key(row)

    async def valid_hashes(self) -> frozenset[str]:
        """The hashes of all keys that are not revoked; some may have expired."""
        valid = select(table.c.sha256).where(table.c.revoked_us.is_(None))
        return frozenset(str(row.sha256) for row in await self._database.rows(valid))

    async def get(self, key_id: str) -> ApiKey | None:
        """The key with this id, also a revoked or expired one; None when there is none."""
        row = await self._database.first(select(table).where(table.c.id == key_id))
        return None if row is None else _api_key(row)

    async def all(self) -> Sequence[ApiKey]:
        """All keys, the oldest first."""
        rows = await self._database.rows(select(table).order_by(table.c.created_us, table.c.id))
        return [_api_key(row) for row in rows]

    async def revoke(self, key_id: str, now: datetime) -> None:
        """Revoke a key permanently. Raises TwitchAudioError `not-found`, `busy`."""

        def change(connection: Connection) -> None:
            row = revoke(connection, table, key_id, now, what="API key")
            if row is not None:
                self._changes.record(connection, "revoke API key", key_id, before=_described(_api_key(row)))

        await change_rules(self._database, change)

    async def undo_revoke(self, key_id: str, now: datetime) -> None:
        """Undo a revocation of the last minute. Raises TwitchAudioError `not-found`, `busy`."""

        def change(connection: Connection) -> None:
            undo_revocation(connection, table, key_id, now)
            self._changes.record(connection, "undo revoking API key", key_id)

        await change_rules(self._database, change)

    async def record_uses(self, uses: Mapping[str, datetime]) -> None:
        """Store when keys, by id, were last used."""

        def work(connection: Connection) -> None:
            for key_id, moment in sorted(uses.items()):
                statement = update(table).where(table.c.id == key_id)
                connection.execute(statement.values(used_us=to_us(moment)))

        await self._database.transact(work)


def _described(key: ApiKey) -> str:
    """The key's name, scopes, limits and expiry, for the audit log."""
    limits = key.limits_in_words()
    until = [] if key.expires_at is None else [f"until {key.expires_at:%Y-%m-%d %H:%M}"]
    return ", ".join([key.name, "+".join(sorted(key.scopes)), *limits, *until])


def _api_key(row: Row[Any]) -> ApiKey:
    return record_of(ApiKey, row, scopes=frozenset(row.scopes.split(",")))
