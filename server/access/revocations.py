"""Revoking keys, codes and tokens, and undoing it, for operators who chose the wrong one."""

from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, Table, select, update
from sqlalchemy.engine import Connection

from fingerprint.database import to_us
from fingerprint.domain.problems import ProblemCode, TwitchAudioError

UNDO_WITHIN: Final = timedelta(minutes=1)
"""After this, a revocation stays."""


def revoke(
    connection: Connection, table: Table, row_id: str, now: datetime, *only: ColumnElement[bool], what: str
) -> Row[Any] | None:
    """Revoke a row with an `id`; the row as it was, or None when it is revoked already.

    Raises TwitchAudioError `not-found`, with `what` it is, when there is none that satisfies `only`.
    """
    mine = (table.c.id == row_id, *only)
    row = connection.execute(select(table).where(*mine)).first()
    if row is None:
        raise TwitchAudioError(ProblemCode.NOT_FOUND, f"There is no {what} with the id {row_id[:50]!r}.")
    statement = update(table).where(*mine, table.c.revoked_us.is_(None))
    return row if connection.execute(statement.values(revoked_us=to_us(now))).rowcount else None


def undo_revocation(connection: Connection, table: Table, row_id: str, now: datetime) -> None:
    """Make a row with an `id` valid again. Raises TwitchAudioError `not-found` unless it was revoked just now."""
    recent = table.c.revoked_us >= to_us(now - UNDO_WITHIN)
    if not connection.execute(update(table).where(table.c.id == row_id, recent).values(revoked_us=None)).rowcount:
        detail = "A revocation can be undone for a minute. Make a new one instead."
        raise TwitchAudioError(ProblemCode.NOT_FOUND, detail)
