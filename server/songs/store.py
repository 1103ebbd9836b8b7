"""Stores where each song was heard, beside the answers that say it, for `/api/v1/songs/{id}`."""

import asyncio
import hashlib
import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from cachetools import LRUCache
from sqlalchemy import ColumnElement, Row, and_, delete, or_, select, update
from sqlalchemy.engine import Connection

from fingerprint.database import Database, from_us, to_us
from fingerprint.domain.channel_traces import ChannelTraces
from fingerprint.domain.identification import Identification, Kind
from fingerprint.domain.problems import TwitchAudioError
from fingerprint.domain.songs import plain_isrc
from fingerprint.records import clips_and_videos_of, record_of
from fingerprint.tasks import Closing
from fingerprint.upserts import insert_new
from server.songs.hearings import LONGEST_GAP, Hearing, hearings_of, longest_gap
from server.songs.tables import song_hearings as table

RECORD_SECONDS: Final = 2.0
"""How long an answer may wait until it is noted where its song was heard."""

MAX_RENOTED: Final = 20
"""How many answers about one clip or moment are noted again."""

MAX_NOTED: Final = 10_000
"""How many hearings a server remembers to be noted."""

_log = logging.getLogger(__name__)


class SongStore(Closing):
    """Notes where songs were heard, and tells it. Its methods raise TwitchAudioError `busy`, unless they say."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._noted: LRUCache[tuple[str, str], None] = LRUCache(MAX_NOTED)
        # The newest answers that were noted as they were given.
        self._given: LRUCache[str, None] = LRUCache(MAX_NOTED)
        # What is being noted while the answer is sent: at most one for each job that has just ended.
        self._noting: set[asyncio.Task[Identification]] = set()

    async def close(self) -> None:
        await self._settled()

    def note_meanwhile(self, answer: Identification) -> None:
        """Note an answer while it is given, which need not wait for it: what reads hearings here does."""
        noting = asyncio.create_task(self.note(answer), name="note hearing")
        self._noting.add(noting)
        noting.add_done_callback(self._noting.discard)

    async def _settled(self) -> None:
        """Wait until what is being noted is, which takes `RECORD_SECONDS` at most."""
        if self._noting:
            await asyncio.wait(set(self._noting))

    async def note(self, answer: Identification) -> Identification:
        """An `AnswerEnricher` that changes nothing, and notes where the songs of an answer were heard.

        Never raises: an answer is given all the same when that fails.
        """
        found = hearings_of(answer)
        if found:
            gap = longest_gap(() if answer.song is None else (answer.song,))
            try:
                async with asyncio.timeout(RECORD_SECONDS):
                    await self._database.transact(lambda connection: _write(connection, found, gap))
                self._given[answer.id] = None
            except (TwitchAudioError, TimeoutError) as error:
                _log.info("hearing_not_noted", extra={"job_id": answer.id, "error": type(error).__name__})
        return answer

    async def note_old(self, answer: Identification) -> None:
        """Note an answer that another process gave, maybe before answers were noted. Never raises."""
        await self._settled()
        if answer.song is not None and answer.id not in self._given:
            self._given[answer.id] = None  # at once: thousands may read it at the same time
            await self.note_missing(hearings_of(answer))

    async def note_missing(self, found: Sequence[Hearing], *, gap: timedelta = LONGEST_GAP) -> None:
        """Note hearings of answers that were given before this was noted, so that their songs have pages.

        All are of one target. Those already known cost one query, once, and change nothing. Never raises.
        """
        unsure = {(hearing.song_id, hearing.identification_id): None for hearing in found}
        if self._noted.keys() >= unsure.keys():
            return
        await self._settled()
        try:
            async with asyncio.timeout(RECORD_SECONDS):
                missing = await self._database.read(lambda connection: _missing(connection, found, gap))
                if missing:
                    await self._database.transact(lambda connection: _write(connection, missing, gap))
            self._noted.update(unsure)
        except (TwitchAudioError, TimeoutError) as error:
            _log.info("hearing_not_noted", extra={"target": found[0].target, "error": type(error).__name__})

    async def forget_between(self, channel: str, identifier: str, since: datetime, until: datetime) -> None:
        """Delete that a song was heard on a channel within a time: its plays are of another song after all."""
        await self._settled()
        here = (table.c.song_id == identifier, table.c.target == channel, table.c.kind == str(Kind.STREAM))
        within = (table.c.last_us >= to_us(since), table.c.first_us <= to_us(until))
        await self._database.change(delete(table).where(*here, *within))
        self._noted.clear()

    async def answers_about(self, kind: Kind, target: str, at_seconds: int | None = None) -> Sequence[str]:
        """The ids of noted answers about a clip, or about a moment of a VOD."""
        here = [table.c.kind == str(kind), table.c.target == target]
        if at_seconds is not None:
            here.append(table.c.at_s == at_seconds)
        query = select(table.c.identification_id).where(*here).distinct().limit(MAX_RENOTED)
        return [row.identification_id for row in await self._database.rows(query)]

    async def hearings(self, identifier: str, *, limit: int, before: datetime | None = None) -> Sequence[Hearing]:
        """Where a song was heard before a moment, newest first, under any of its ids."""
        await self._settled()
        return await self._database.read(lambda connection: _read(connection, identifier, limit, before))

    async def newest_live(self, *, limit: int) -> Sequence[Hearing]:
        """The newest hearings on live channels."""
        await self._settled()
        query = select(table).where(table.c.kind == str(Kind.STREAM)).order_by(table.c.last_us.desc()).limit(limit)
        return [_hearing_of(row) for row in await self._database.rows(query)]


def _write(connection: Connection, found: Sequence[Hearing], gap: timedelta) -> None:
    for hearing in found:
        if hearing.kind is Kind.STREAM:
            _write_live(connection, hearing, gap)
    recorded = [hearing for hearing in found if hearing.kind is not Kind.STREAM]
    if recorded:
        # What an earlier answer about the same clip or moment said does not count any more.
        here = [table.c.target == recorded[0].target, table.c.kind == str(recorded[0].kind)]
        if recorded[0].kind is Kind.VIDEO:
            here.append(table.c.at_s == recorded[0].at_seconds)
        connection.execute(delete(table).where(*here))
        for hearing in recorded:
            insert_new(connection, table, _row(hearing))


def _missing(connection: Connection, found: Sequence[Hearing], gap: timedelta) -> Sequence[Hearing]:
    """Those of the hearings that are not noted. Of a clip or a moment of a VOD, an answer's are noted together."""
    first = found[0]
    here = [table.c.target == first.target, table.c.kind == str(first.kind)]
    if first.kind is not Kind.STREAM:
        if first.kind is Kind.VIDEO:
            here.append(table.c.at_s == first.at_seconds)
        known = connection.execute(select(table.c.id).where(*here).limit(1)).first()
        return found if known is None else ()
    here += [
        table.c.song_id.in_({hearing.song_id for hearing in found}),
        table.c.last_us >= to_us(min(hearing.first_heard for hearing in found) - gap),
    ]
    rows = connection.execute(select(table.c.song_id, table.c.first_us, table.c.last_us).where(*here)).all()
    return [
        hearing
        for hearing in found
        if not any(
            row.song_id == hearing.song_id
            and row.first_us <= to_us(hearing.last_heard + gap)
            and row.last_us >= to_us(hearing.first_heard - gap)
            for row in rows
        )
    ]


def _write_live(connection: Connection, hearing: Hearing, gap: timedelta) -> None:
    """Write when a song was heard on a live channel: the hearing that it goes on with gets longer."""
    near = select(table).where(
        table.c.song_id == hearing.song_id,
        table.c.last_us >= to_us(hearing.first_heard - gap),
        table.c.first_us <= to_us(hearing.last_heard + gap),
        table.c.target == hearing.target,
        table.c.kind == str(hearing.kind),
    )
    known = connection.execute(near.order_by(table.c.last_us.desc()).limit(1)).first()
    if known is None:
        insert_new(connection, table, _row(hearing))
        return
    first, last = to_us(hearing.first_heard), to_us(hearing.last_heard)
    changed: dict[str, Any] = {"channel_id": hearing.channel_id or known.channel_id}
    if last >= known.last_us:
        changed |= {"last_us": last, "identification_id": hearing.identification_id}
    if first < known.first_us:
        changed |= {"first_us": first, "broadcast_id": hearing.broadcast, "at_s": hearing.at_seconds}
    connection.execute(update(table).where(table.c.id == known.id).values(changed))


def _row(hearing: Hearing) -> dict[str, Any]:
    # The same for the same answer, whichever server writes it.
    name = f"{hearing.song_id} {hearing.identification_id}"
    return {
        "id": hashlib.sha256(name.encode()).hexdigest()[:32],
        "song_id": hearing.song_id,
        "isrc": hearing.isrc,
        "kind": str(hearing.kind),
        "target": hearing.target,
        "channel": hearing.channel,
        "channel_id": hearing.channel_id,
        "identification_id": hearing.identification_id,
        "first_us": to_us(hearing.first_heard),
        "last_us": to_us(hearing.last_heard),
        "broadcast_id": hearing.broadcast,
        "at_s": hearing.at_seconds,
    }


def _read(connection: Connection, identifier: str, limit: int, before: datetime | None) -> Sequence[Hearing]:
    def newest(condition: ColumnElement[bool]) -> Sequence[Row[Any]]:
        query = select(table).where(condition)
        if before is not None:
            query = query.where(table.c.last_us < to_us(before))
        return connection.execute(query.order_by(table.c.last_us.desc()).limit(limit)).all()

    isrc = plain_isrc(identifier)
    if isrc is None:
        with_isrc = select(table.c.isrc).where(table.c.song_id == identifier)
        row = connection.execute(with_isrc.order_by(table.c.last_us.desc()).limit(1)).first()
        isrc = None if row is None else row.isrc
    # Two queries, each with an index, in place of one with OR.
    rows = {row.id: row for row in newest(table.c.song_id == identifier)}
    if isrc is not None:
        rows |= {row.id: row for row in newest(table.c.isrc == isrc)}
    ordered = sorted(rows.values(), key=lambda row: (row.last_us, row.id), reverse=True)
    return [_hearing_of(row) for row in ordered[:limit]]


def _hearing_of(row: Row[Any]) -> Hearing:
    return record_of(
        Hearing,
        row,
        kind=Kind(row.kind),
        first_heard=from_us(row.first_us),
        last_heard=from_us(row.last_us),
        broadcast=row.broadcast_id,
        at_seconds=row.at_s,
        corrected=False,
    )


def forget_hearings(connection: Connection, traces: ChannelTraces) -> int:
    """Delete where songs were heard on a channel, in its clips and its VODs; returns how many rows."""
    conditions = clips_and_videos_of(table, traces)
    if traces.channel_id is not None:
        conditions.append(table.c.channel_id == traces.channel_id)
    for name in traces.names:
        named = [table.c.channel == name.login, table.c.last_us >= max(0, to_us(name.since))]
        if name.until is not None:
            named.append(table.c.first_us < to_us(name.until))
        if traces.channel_id is not None:
            named.append(or_(table.c.channel_id.is_(None), table.c.channel_id == traces.channel_id))
        conditions.append(and_(*named))
    return connection.execute(delete(table).where(or_(*conditions))).rowcount if conditions else 0
