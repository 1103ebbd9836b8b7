"""The evidence of the learned catalog in SQL: fingerprints of what providers named, without any sound.

All servers that share the database learn from it together, and each makes its own catalog of it.
"""

import hashlib
from base64 import b64decode, b64encode
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, and_, delete, func, or_, select, update
from sqlalchemy.engine import Connection

from fingerprint.catalog.learning import CaptureOrigin, SongCapture
from fingerprint.database import Database, from_us, to_us
from fingerprint.domain.channel_traces import ChannelTraces
from fingerprint.domain.credits import artist_keys, title_key, version_key
from fingerprint.domain.identification import IdentificationId, Kind, Song
from fingerprint.domain.links import links_of
from fingerprint.domain.text import clean_text
from fingerprint.jobs.clean import clean_song
from fingerprint.records import clips_and_videos_of
from fingerprint.upserts import insert_new, lock
from server.learning.tables import learned_captures as captures
from server.learning.tables import learned_songs as songs

MAX_CAPTURES_AT_A_PLACE: Final = 6
"""How many captures of one stretch of a song are kept; the oldest makes room for another."""

MAX_CAPTURES_OF_A_SONG: Final = 150

_LOCK: Final = "learned"
_SWEPT_AT_ONCE: Final = 500

_song_decoder: Final = msgspec.json.Decoder(Song)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCapture:
    """A capture of a song that a provider named, to be kept: `number` tells the songs of one answer apart."""

    identification_id: IdentificationId
    number: int
    kind: Kind
    target: str
    song: Song
    capture: SongCapture
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What tells whether anything has changed."""

    songs: int = 0
    version: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownSong:
    """A song, and its captures in the order in which they were made."""

    song: Song
    version: int
    captures: tuple[SongCapture, ...]


def learned_key(song: Song) -> str:
    """The same key for all answers about one recording: its ISRC, else its id at a service, else its names."""
    if song.isrc:
        return f"isrc:{song.isrc.upper()}"[:100]
    link = next((str(link) for link in links_of(song).values() if link is not None), None)
    if link is not None and len(link) <= 100:
        return link
    names = repr((title_key(song.title), version_key(song.title), sorted(artist_keys(song.artists))))
    return f"names:{hashlib.sha256(names.encode()).hexdigest()[:32]}"


class LearnedStore:
    """Keeps captures of songs, and tells which songs have changed. Bounded in bytes, by song and by place."""

    def __init__(self, database: Database, *, max_bytes: int) -> None:
        self._database = database
        self._max_bytes = max_bytes

    async def add(self, new: NewCapture, *, now: datetime) -> None:
        """Keep a capture; where there is no room, the oldest are deleted."""
        key = learned_key(new.song)
        fingerprint = b64encode(new.capture.fingerprint).decode()
        origin, offset = new.capture.origin, new.capture.offset_seconds
        row = {
            "id": f"{new.identification_id}:{new.number}",
            "identification_id": new.identification_id,
            "song_key": key,
            "kind": str(new.kind),
            "target": clean_text(new.target)[:191],
            "channel": origin.channel,
            "channel_id": origin.channel_id,
            "offset_s": offset,
            "seconds": new.seconds,
            "began_us": None if origin.song_began is None else round(origin.song_began * 1_000_000),
            "fingerprint": fingerprint,
            "bytes": len(fingerprint),
            "created_us": to_us(now),
        }
        song = msgspec.json.encode(clean_song(new.song)).decode()
        of_song = captures.c.song_key == key
        oldest = (captures.c.created_us, captures.c.id)
        middle = captures.c.offset_s + captures.c.seconds / 2
        here = (of_song, middle > offset, middle < offset + new.seconds)

        def work(connection: Connection) -> None:
            lock(connection, _LOCK)
            if not insert_new(connection, captures, row):
                return
            insert_new(connection, songs, {"song_key": key, "song": song, "version": 0, "channels": 0})
            connection.execute(update(songs).where(songs.c.song_key == key).values(song=song))
            for where, most in ((here, MAX_CAPTURES_AT_A_PLACE), ((of_song,), MAX_CAPTURES_OF_A_SONG)):
                ids = connection.execute(select(captures.c.id).where(*where).order_by(*oldest)).scalars().all()
                if len(ids) > most:
                    connection.execute(delete(captures).where(captures.c.id.in_(ids[: len(ids) - most])))
            changed = {key}
            sums = select(func.count(), func.coalesce(func.sum(captures.c.bytes), 0)).select_from(captures)
            while (found := connection.execute(sums).one())[1] > self._max_bytes:
                chosen = select(captures.c.id).order_by(*oldest).limit(max(1, found[0] // 100))
                changed |= _delete(connection, captures.c.id.in_(connection.execute(chosen).scalars().all()))
            _touch(connection, changed, now)

        await self._database.transact(work)

    async def state(self) -> State:
        """A value that changes with every change."""
        columns = (func.count().label("songs"), func.coalesce(func.max(songs.c.version), 0).label("version"))
        row = await self._database.first(select(*columns).select_from(songs))
        return State() if row is None else State(songs=int(row.songs), version=int(row.version))

    async def candidates(self) -> Mapping[str, int]:
        """The versions of the songs that were heard on more than one channel, by key."""
        rows = await self._database.rows(select(songs.c.song_key, songs.c.version).where(songs.c.channels > 1))
        return {row.song_key: row.version for row in rows}

    async def song(self, key: str) -> KnownSong | None:
        """A song with its captures; None when there is none with the key."""
        row = await self._database.first(select(songs).where(songs.c.song_key == key))
        if row is None:
            return None
        statement = (
            select(captures).where(captures.c.song_key == key).order_by(captures.c.created_us, captures.c.id)
        )
        found = await self._database.rows(statement)
        return KnownSong(
            song=_song_decoder.decode(row.song),
            version=row.version,
            captures=tuple(_capture(each) for each in found),
        )

    async def size(self) -> tuple[int, int]:
        """How many captures are kept, and how many bytes their fingerprints have."""
        columns = (func.count().label("captures"), func.coalesce(func.sum(captures.c.bytes), 0).label("size"))
        row = await self._database.first(select(*columns).select_from(captures))
        return (0, 0) if row is None else (int(row.captures), int(row.size))

    async def forget_answers(self, ids: Collection[IdentificationId], *, now: datetime) -> int:
        """Delete what was learned from answers; returns how many captures."""
        return await self._forget(captures.c.identification_id.in_(list(ids)), now)

    async def forget_songs(self, keys: Collection[str], *, now: datetime) -> int:
        """Delete all that was learned of songs; returns how many captures."""
        return await self._forget(captures.c.song_key.in_(list(keys)), now)

    async def forget_stretch(self, key: str, first: float, last: float, *, now: datetime) -> int:
        """Delete the captures of a song that have a part of it between two seconds; returns how many."""
        overlaps = and_(captures.c.offset_s < last, captures.c.offset_s + captures.c.seconds > first)
        return await self._forget(and_(captures.c.song_key == key, overlaps), now)

    async def delete_old(self, *, before: datetime, now: datetime) -> None:
        """Delete what is from before a moment, some captures at a time."""
        old = select(captures.c.id).where(captures.c.created_us < to_us(before)).limit(_SWEPT_AT_ONCE)
        while ids := [row.id for row in await self._database.rows(old)]:
            await self._forget(captures.c.id.in_(ids), now)

    async def _forget(self, which: ColumnElement[bool], now: datetime) -> int:
        def work(connection: Connection) -> int:
            lock(connection, _LOCK)
            count = connection.execute(select(func.count()).select_from(captures).where(which)).scalar_one()
            if count:
                _touch(connection, _delete(connection, which), now)
            return count

        return await self._database.transact(work)


def forget_learned(
    connection: Connection, traces: ChannelTraces, logins: Collection[str], *, now: datetime
) -> int:
    """Delete the captures of a channel, its clips and its VODs; returns how many.

    `logins`: those that are still its.
    """
    which = clips_and_videos_of(captures, traces)
    which.append(and_(captures.c.channel.in_(list(logins)), captures.c.channel_id.is_(None)))
    if traces.channel_id is not None:
        which.append(captures.c.channel_id == traces.channel_id)
    lock(connection, _LOCK)
    count = connection.execute(select(func.count()).select_from(captures).where(or_(*which))).scalar_one()
    if count:
        _touch(connection, _delete(connection, or_(*which)), now)
    return count


def _delete(connection: Connection, which: ColumnElement[bool]) -> set[str]:
    """Delete captures; returns the keys of their songs."""
    keys = set(connection.execute(select(captures.c.song_key).where(which).distinct()).scalars().all())
    connection.execute(delete(captures).where(which))
    return keys


def _touch(connection: Connection, keys: Iterable[str], now: datetime) -> None:
    """Give songs whose captures have changed a new version, and delete those without any."""
    newest = connection.execute(select(func.coalesce(func.max(songs.c.version), 0))).scalar_one()
    version = max(to_us(now), newest + 1)
    for key in sorted(keys):
        of_song = select(captures.c.channel, captures.c.channel_id).where(captures.c.song_key == key).distinct()
        rows = connection.execute(of_song).all()
        if rows:
            channels = len({row.channel_id or row.channel for row in rows})
            values = {"version": version, "channels": channels}
            connection.execute(update(songs).where(songs.c.song_key == key).values(**values))
        else:
            connection.execute(delete(songs).where(songs.c.song_key == key))


def _capture(row: Any) -> SongCapture:
    return SongCapture(
        fingerprint=b64decode(row.fingerprint),
        offset_seconds=row.offset_s,
        origin=CaptureOrigin(
            channel=row.channel,
            channel_id=row.channel_id,
            song_began=None if row.began_us is None else from_us(row.began_us).timestamp(),
        ),
    )
