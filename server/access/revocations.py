"""Undoing the revocation of a key, code or token, for operators who chose the wrong one."""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Table, update
from sqlalchemy.engine import Connection

from fingerprint.database import to_us
from fingerprint.domain.problems import ProblemCode, TwitchAudioError

UNDO_WITHIN: Final = timedelta(minutes=1)
"""After this, a revocation stays."""


def undo_revocation(connection: Connection, table: Table, row_id: str, now: datetime) -> None:
    """Make a row with an `id` valid again. Raises TwitchAudioError `not-found` unless it was revoked just now."""
    recent = table.c.revoked_us >= to_us(now - UNDO_WITHIN)
    if not connection.execute(update(table).where(table.c.id == row_id, recent).values(revoked_us=None)).rowcount:
        detail = "A revocation can be undone for a minute. Make a new one instead."
        raise TwitchAudioError(ProblemCode.NOT_FOUND, detail)
