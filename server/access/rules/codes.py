"""Access codes: a user who redeems one may ask in `subscribers` mode until the operator revokes the code."""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import insert, or_, select, update
from sqlalchemy.engine import Connection

from fingerprint.database import Database, to_us
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.domain.text import clean_text
from fingerprint.records import record_of
from fingerprint.setting_formats import Secret
from server.access.revocations import revoke, undo_revocation
from server.access.rules_version import change_rules
from server.access.tables import access_code_uses as uses
from server.access.tables import access_codes as codes
from server.audit.changes import ChangeLog

NOTE_LIMIT: Final = 200
# Without characters that are easily confused, such as O and 0.
_ALPHABET: Final = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"
_GROUPS: Final = 6
_GROUP: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessCode:
    """The record of an access code, without the code itself."""

    id: str
    note: str
    most_uses: int
    used: int
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


def new_code() -> Secret:
    """Generate a random code of 148 bits, in groups of letters and digits that are easy to read out."""
    groups = ("".join(secrets.choice(_ALPHABET) for _ in range(_GROUP)) for _ in range(_GROUPS))
    return Secret("-".join(groups))


def code_hash(text: str) -> str:
    """The SHA-256 of a code in hexadecimal, which is stored; ignores case, dashes and spaces."""
    return hashlib.sha256("".join(text.upper().replace("-", "").split()).encode("utf-8", "replace")).hexdigest()


class CodeStore:
    """Stores access codes and the users who redeemed them, in SQL."""

    def __init__(self, database: Database, *, changes: ChangeLog | None = None) -> None:
        self._database = database
        self._changes = changes or ChangeLog()

    async def create(
        self, *, now: datetime, note: str = "", most_uses: int = 1, expires_at: datetime | None = None
    ) -> tuple[str, Secret]:
        """Create a code; returns its id and its text, which is not stored."""
        secret, code_id = new_code(), secrets.token_hex(6)
        row: dict[str, Any] = {
            "id": code_id,
            "sha256": code_hash(secret.reveal()),
            "note": clean_text(note, NOTE_LIMIT),
            "most_uses": most_uses,
            "used": 0,
            "created_us": to_us(now),
            "expires_us": None if expires_at is None else to_us(expires_at),
        }
        until = "" if expires_at is None else f", until {expires_at:%Y-%m-%d %H:%M}"
        described = f"{most_uses} uses{until}: {row['note']}"

        def work(connection: Connection) -> None:
            connection.execute(insert(codes).values(**row))
            self._changes.record(connection, "create access code", code_id, after=described)

        # Not `change_rules`: a code has no effect before it is redeemed.
        await self._database.transact(work)
        return code_id, secret

    async def all(self) -> Sequence[AccessCode]:
        """All codes, the oldest first. Raises TwitchAudioError `busy`."""
        rows = await self._database.rows(select(codes).order_by(codes.c.created_us, codes.c.id))
        return [record_of(AccessCode, row) for row in rows]

    async def revoke(self, code_id: str, now: datetime) -> None:
        """Revoke a code, also for the users who redeemed it. Raises TwitchAudioError `not-found`, `busy`."""

        def work(connection: Connection) -> None:
            code = revoke(connection, codes, code_id, now, what="access code")
            if code is not None:
                used = f"used {code.used} of {code.most_uses}: {code.note}"
                self._changes.record(connection, "revoke access code", code_id, before=used)

        await change_rules(self._database, work)

    async def undo_revoke(self, code_id: str, now: datetime) -> None:
        """Undo a revocation of the last minute. Raises TwitchAudioError `not-found`, `busy`."""

        def change(connection: Connection) -> None:
            undo_revocation(connection, codes, code_id, now)
            self._changes.record(connection, "undo revoking access code", code_id)

        await change_rules(self._database, change)

    async def redeem(self, text: str, user_id: str, now: datetime) -> None:
        """Redeem a code for a user; redeeming it again costs no further use.

        Raises TwitchAudioError `code-invalid`, with the same text whether the code is unknown, used up, expired or
        revoked.
        """
        digest = code_hash(text)
        alive = (codes.c.revoked_us.is_(None), or_(codes.c.expires_us.is_(None), codes.c.expires_us > to_us(now)))

        def work(connection: Connection) -> None:
            code = connection.execute(select(codes).where(codes.c.sha256 == digest, *alive)).first()
            if code is None:
                raise invalid
            mine = (uses.c.code_id == code.id, uses.c.user_id == user_id)
            if connection.execute(select(uses.c.user_id).where(*mine)).first() is not None:
                return
            take = update(codes).where(codes.c.id == code.id, codes.c.used < codes.c.most_uses, *alive)
            if not connection.execute(take.values(used=codes.c.used + 1)).rowcount:
                raise invalid
            row = {"code_id": code.id, "user_id": user_id, "redeemed_us": to_us(now)}
            connection.execute(insert(uses).values(**row))

        detail = "The access code is not valid: it may be mistyped, used up, expired or revoked."
        invalid = TwitchAudioError(ProblemCode.CODE_INVALID, detail)
        await change_rules(self._database, work)

    async def redeemed(self, user_id: str) -> bool:
        """Whether the user has redeemed a code that is not revoked."""
        statement = (
            select(uses.c.user_id)
            .join(codes, codes.c.id == uses.c.code_id)
            .where(uses.c.user_id == user_id, codes.c.revoked_us.is_(None))
            .limit(1)
        )
        return await self._database.first(statement) is not None
