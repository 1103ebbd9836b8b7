"""Deletes old reports, corrections, where songs were heard, and whose clips were asked about, with their answers.

Whose clips and VODs were asked about is only a cache: of it, the newest `MAX_CLIP_OWNERS` stay in any case.

Any number of servers may run this at the same time: rows that one has deleted are not found by the others.
"""

import contextlib
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Column, ColumnElement, Table, delete, select, true, tuple_
from sqlalchemy.engine import Connection

from fingerprint.background import Background, unhurried
from fingerprint.database import Database, to_us
from fingerprint.domain.identification import Kind
from fingerprint.domain.problems import TwitchAudioError
from fingerprint.ports import Clock
from server.access.tables import clip_owners
from server.channels.tables import reports
from server.owner_choices.tables import play_corrections
from server.songs.finds import FIND_DAYS
from server.songs.tables import finds, song_hearings

MAX_CLIP_OWNERS: Final = 100_000
_ROWS_PER_DELETE: Final = 250
_INTERVAL_SECONDS: Final = 3_600.0
_OLD: Final[tuple[tuple[Table, Column[Any], Column[Any], ColumnElement[bool]], ...]] = (
    (reports, reports.c.id, reports.c.created_us, true()),
    (clip_owners, clip_owners.c.slug, clip_owners.c.seen_us, true()),
    # As the answers: those about clips and VODs stay.
    (play_corrections, play_corrections.c.id, play_corrections.c.until_us, play_corrections.c.recording.is_(None)),
    (song_hearings, song_hearings.c.id, song_hearings.c.last_us, song_hearings.c.kind == str(Kind.STREAM)),
)
"""Tables, their keys, when a row is from, and which of them are deleted."""


async def delete_old_rows(database: Database, clock: Clock, *, before: datetime) -> int:
    """Delete the rows from before a moment, a few at a time; returns how many. Raises TwitchAudioError `busy`."""
    count = 0
    for table, key, moment, which in _OLD:
        old = select(key).where(moment < to_us(before), which).limit(_ROWS_PER_DELETE)
        while ids := [row[0] for row in await database.rows(old)]:

            def work(connection: Connection, table: Table = table, key: Any = key, ids: Any = ids) -> None:
                connection.execute(delete(table).where(key.in_(ids)))

            async with unhurried(clock):
                await database.transact(work)
            count += len(ids)
    return count


async def delete_old_finds(database: Database, clock: Clock, *, keep_days: int | None) -> int:
    """Delete finds that are older than `FIND_DAYS`, or than `keep_days`; returns how many.

    Raises TwitchAudioError `busy`.
    """
    days = FIND_DAYS if keep_days is None else min(FIND_DAYS, keep_days)
    old = finds.c.found_us < to_us(clock.now() - timedelta(days=days))
    oldest = select(finds.c.user_id, finds.c.identification_id).where(old).limit(_ROWS_PER_DELETE)
    count = 0
    while keys := [tuple(row) for row in await database.rows(oldest)]:

        def work(connection: Connection, keys: Any = keys) -> None:
            chosen = tuple_(finds.c.user_id, finds.c.identification_id).in_(keys)
            connection.execute(delete(finds).where(chosen))

        async with unhurried(clock):
            await database.transact(work)
        count += len(keys)
    return count


async def delete_excess_owners(database: Database, clock: Clock, *, keep: int = MAX_CLIP_OWNERS) -> int:
    """Delete all but the newest `keep` owners of clips and VODs; returns how many.

    Raises TwitchAudioError `busy`.
    """
    newest = select(clip_owners.c.seen_us).order_by(clip_owners.c.seen_us.desc()).offset(keep).limit(1)
    oldest = await database.first(newest)
    if oldest is None:
        return 0
    count = 0
    old = select(clip_owners.c.slug).where(clip_owners.c.seen_us <= oldest.seen_us).limit(_ROWS_PER_DELETE)
    while slugs := [row.slug for row in await database.rows(old)]:

        def work(connection: Connection, slugs: Sequence[str] = slugs) -> None:
            connection.execute(delete(clip_owners).where(clip_owners.c.slug.in_(slugs)))

        async with unhurried(clock):
            await database.transact(work)
        count += len(slugs)
    return count


@asynccontextmanager
async def old_rows_deleted(
    database: Database, clock: Clock, *, keep_days: int | None, background: Background
) -> AsyncGenerator[None]:
    """Delete rows older than `keep_days` (None for never), and those beyond a bound, during the block."""

    async def keep_deleting() -> None:
        while True:
            with contextlib.suppress(TwitchAudioError):
                await delete_excess_owners(database, clock)
                await delete_old_finds(database, clock, keep_days=keep_days)
                if keep_days is not None:
                    await delete_old_rows(database, clock, before=clock.now() - timedelta(days=keep_days))
            await clock.sleep(_INTERVAL_SECONDS)

    async with background.running({"delete old rows": keep_deleting}):
        yield
