"""Deletes old answers from SQL, but not the songs found in clips and videos, which never change.

Any number of servers may run this at the same time: rows that one has deleted are not found by the others.
"""

import contextlib
import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from sqlalchemy import bindparam, delete, select
from sqlalchemy.engine import Connection

from fingerprint.background import Background, unhurried
from fingerprint.database import Database, heard_spans, identifications, leases, to_us
from fingerprint.domain.identification import Kind, Status
from fingerprint.domain.problems import TwitchAudioError
from fingerprint.ports import Clock

_ROWS_PER_DELETE: Final = 250
_INTERVAL_SECONDS: Final = 3_600.0
_FAILED_INTERVAL_SECONDS: Final = 30.0
_DELETED: Final = [
    (str(kind), str(status))
    for kind in Kind
    for status in Status
    if not (kind in (Kind.CLIP, Kind.VIDEO) and status is Status.SUCCESSFUL)
]
"""The kinds and states that are deleted. The index finds the old rows of each without reading those that stay."""

FAILED_DAYS: Final = 7
"""How long failed jobs are kept at most: each question about a made-up channel leaves one."""

MAX_FAILED: Final = 1_000
"""How many failed jobs of each kind are kept, the newest ones."""

FAILED_STAY: Final = timedelta(seconds=30)
"""How long failed jobs are kept at least: clients ask for them by their id."""

_OLD: Final = (
    select(identifications.c.id)
    .where(
        identifications.c.kind == bindparam("of_kind"),
        identifications.c.status == bindparam("with_status"),
        identifications.c.created_us < bindparam("before"),
    )
    .order_by(identifications.c.created_us)
    .limit(_ROWS_PER_DELETE)
)
_NEWEST_EXCESS: Final = (
    select(identifications.c.created_us)
    .where(identifications.c.kind == bindparam("of_kind"), identifications.c.status == str(Status.FAILED))
    .order_by(identifications.c.created_us.desc())
    .limit(1)
    .offset(bindparam("kept"))
)
_log = logging.getLogger(__name__)


async def delete_old_answers(
    database: Database, clock: Clock, *, before: datetime, only_failed: bool = False
) -> int:
    """Delete the identifications that began before a moment, and the leases on their targets; returns how many.

    In batches with pauses in between, so that requests never wait for long. Raises TwitchAudioError `busy`.
    """
    count = 0
    for kind, status in _DELETED:
        if not only_failed or status == str(Status.FAILED):
            count += await _delete_older(database, clock, kind, status, to_us(before))
    return count


async def delete_excess_failures(database: Database, clock: Clock, *, keep: int = MAX_FAILED) -> int:
    """Delete all failed jobs but the newest `keep` of each kind, and those of the last `FAILED_STAY`; how many.

    Raises TwitchAudioError `busy`.
    """
    count = 0
    for kind in Kind:
        row = await database.first(_NEWEST_EXCESS, {"of_kind": str(kind), "kept": keep})
        if row is not None:
            before_us = min(row.created_us + 1, to_us(clock.now() - FAILED_STAY))
            count += await _delete_older(database, clock, str(kind), str(Status.FAILED), before_us)
    return count


async def _delete_older(database: Database, clock: Clock, kind: str, status: str, before_us: int) -> int:
    count, values = 0, {"of_kind": kind, "with_status": status, "before": before_us}
    while ids := [str(row.id) for row in await database.rows(_OLD, values)]:
        async with unhurried(clock):
            await database.transact(lambda connection, ids=ids: delete_answers(connection, ids, clock.now()))
        count += len(ids)
    return count


def delete_answers(connection: Connection, ids: Sequence[str], now: datetime) -> None:
    """Delete identifications, their places in time lines, and the leases on their targets that are over."""
    # A lease that has moved on to a newer identification stays. Without one, fencing tokens start at 1 again:
    # an owner with an earlier token had it for an identification that is deleted.
    over = (leases.c.identification_id.in_(ids), leases.c.expires_us <= to_us(now))
    connection.execute(delete(leases).where(*over))
    connection.execute(delete(heard_spans).where(heard_spans.c.identification_id.in_(ids)))
    connection.execute(delete(identifications).where(identifications.c.id.in_(ids)))


@asynccontextmanager
async def old_answers_deleted(
    database: Database, clock: Clock, *, keep_days: int | None, background: Background
) -> AsyncGenerator[None]:
    """Delete answers older than `keep_days`, and failed jobs sooner, in the background during the block."""
    async with background.running(
        {
            "delete old answers": partial(_keep_deleting, database, clock, keep_days),
            "delete failed jobs": partial(_keep_few_failures, database, clock),
        }
    ):
        yield


async def _keep_few_failures(database: Database, clock: Clock) -> None:
    while True:
        with contextlib.suppress(TwitchAudioError):
            await delete_excess_failures(database, clock)
        await clock.sleep(_FAILED_INTERVAL_SECONDS)


async def _keep_deleting(database: Database, clock: Clock, keep_days: int | None) -> None:
    while True:
        try:
            now = clock.now()
            failed = now - timedelta(days=FAILED_DAYS)
            count = await delete_old_answers(database, clock, before=failed, only_failed=True)
            if keep_days is not None:
                count += await delete_old_answers(database, clock, before=now - timedelta(days=keep_days))
        except TwitchAudioError:
            pass  # the database cannot be reached: try again at the next interval
        else:
            if count:
                _log.info("old_answers_deleted", extra={"count": count})
        await clock.sleep(_INTERVAL_SECONDS)
