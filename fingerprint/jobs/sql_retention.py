"""Deletes old answers from SQL. Songs found in clips and videos stay: those never change, and save a question.

Any number of servers may do it at the same time: what one has deleted the others do not find.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import bindparam, delete, select
from sqlalchemy.engine import Connection

from fingerprint.database import Database, identifications, leases, to_us
from fingerprint.domain.identification import Kind, Status
from fingerprint.domain.problems import TwitchAudioError
from fingerprint.ports import Clock

_DELETE_AT_ONCE: Final = 500
_PAUSE_SECONDS: Final = 0.05
_INTERVAL_SECONDS: Final = 3_600.0
_DELETED: Final = [
    (str(kind), str(status))
    for kind in Kind
    for status in Status
    if not (kind in (Kind.CLIP, Kind.VIDEO) and status is Status.SUCCESSFUL)
]
"""What is not kept for ever. For each, the index finds the old ones without a look at those that stay."""

_OLD: Final = (
    select(identifications.c.id)
    .where(
        identifications.c.kind == bindparam("of_kind"),
        identifications.c.status == bindparam("with_status"),
        identifications.c.created_us < bindparam("before"),
    )
    .order_by(identifications.c.created_us)
    .limit(_DELETE_AT_ONCE)
)
_log = logging.getLogger(__name__)


async def delete_old_answers(database: Database, clock: Clock, *, before: datetime) -> int:
    """Delete the identifications begun before a moment, and the leases on their targets; gives how many.

    Some at a time, with pauses, so that requests never wait for long. Raises TwitchAudioError `busy`.
    """
    count = 0
    for kind, status in _DELETED:
        values = {"of_kind": kind, "with_status": status, "before": to_us(before)}
        while ids := [str(row.id) for row in await database.rows(_OLD, values)]:
            await database.transact(lambda connection, ids=ids: _delete(connection, ids, clock.now()))
            count += len(ids)
            await clock.sleep(_PAUSE_SECONDS)
    return count


def _delete(connection: Connection, ids: list[str], now: datetime) -> None:
    # A lease that has moved on to a newer identification stays. Without one, fencing tokens begin at 1 once more:
    # whoever held an earlier one had it for an identification that is gone.
    over = (leases.c.identification_id.in_(ids), leases.c.expires_us <= to_us(now))
    connection.execute(delete(leases).where(*over))
    connection.execute(delete(identifications).where(identifications.c.id.in_(ids)))


@asynccontextmanager
async def old_answers_deleted(database: Database, clock: Clock, *, keep_days: int) -> AsyncGenerator[None]:
    """Delete answers that are older than so many days, now and then, during the block."""
    task = asyncio.create_task(
        _keep_deleting(database, clock, timedelta(days=keep_days)), name="delete old answers"
    )
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _keep_deleting(database: Database, clock: Clock, keep: timedelta) -> None:
    while True:
        try:
            count = await delete_old_answers(database, clock, before=clock.now() - keep)
        except TwitchAudioError:
            pass  # the database is away: the next time
        else:
            if count:
                _log.info("old_answers_deleted", extra={"count": count})
        await clock.sleep(_INTERVAL_SECONDS)
