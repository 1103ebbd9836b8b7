"""Keeps the songs that people found who were signed in: for themselves alone, a bounded number of each."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import and_, delete, or_, select
from sqlalchemy.engine import Connection

from fingerprint.database import Database, to_us
from fingerprint.domain.channel_traces import ChannelTraces
from fingerprint.domain.identification import Identification, Kind
from fingerprint.domain.problems import invalid_input
from fingerprint.domain.songs import song_id
from fingerprint.records import clips_and_videos_of, record_of
from fingerprint.upserts import upsert
from server.songs.tables import finds as table

MAX_FINDS: Final = 500
"""How many finds of a user are kept, the newest ones."""

FIND_DAYS: Final = 400
"""How many days a find is kept at most."""

_AGAIN: Final = timedelta(minutes=15)
"""One song on one channel found again within this time is one find."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Find:
    """A song that a user found, and where. `source`: the channel, or else the clip's slug or the VOD's number."""

    identification_id: str
    song_id: str
    title: str
    artists: str
    source: str
    found_at: datetime
    channel: str | None = None


class FindStore:
    """Reads and changes the finds of one user at a time. Its methods raise TwitchAudioError `busy`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of(self, user_id: str) -> Sequence[Find]:
        """A user's finds, newest first."""
        mine = select(table).where(table.c.user_id == user_id)
        newest = mine.order_by(table.c.found_us.desc(), table.c.identification_id).limit(MAX_FINDS)
        return [
            record_of(Find, row, source=row.channel or row.target) for row in await self._database.rows(newest)
        ]

    async def keep(self, user_id: str, answer: Identification, *, now: datetime) -> None:
        """Keep the song of an answer, and only the newest `MAX_FINDS`.

        Raises TwitchAudioError `invalid-input` for an answer that has no song, or that is about a file.
        """
        song = answer.song
        if song is None or answer.kind is Kind.FILE:
            raise invalid_input("Only songs that were found on Twitch are kept.")
        values = {
            "user_id": user_id,
            "identification_id": answer.id,
            "song_id": song_id(song),
            "title": song.title,
            "artists": ", ".join(song.artists),
            "kind": str(answer.kind),
            "target": answer.target,
            "channel": answer.target if answer.kind is Kind.STREAM else answer.channel,
            "channel_id": answer.channel_id,
            "found_us": to_us(now),
        }
        await self._database.transact(lambda connection: _keep(connection, values, now))

    async def delete_all(self, user_id: str) -> int:
        """Delete all finds of a user; returns how many there were."""
        return await self._database.transact(
            lambda connection: connection.execute(delete(table).where(table.c.user_id == user_id)).rowcount
        )


def _keep(connection: Connection, values: dict[str, Any], now: datetime) -> None:
    mine = table.c.user_id == values["user_id"]
    newest = select(table).where(mine).order_by(table.c.found_us.desc()).limit(1)
    known = connection.execute(newest).first()
    if (
        known is not None
        and (known.song_id, known.target) == (values["song_id"], values["target"])
        and known.found_us > to_us(now - _AGAIN)
    ):
        connection.execute(delete(table).where(mine, table.c.identification_id == known.identification_id))
    upsert(connection, table, values)
    order = (table.c.found_us.desc(), table.c.identification_id)
    beyond = select(table.c.identification_id).where(mine).order_by(*order).offset(MAX_FINDS).limit(MAX_FINDS)
    if old := [row.identification_id for row in connection.execute(beyond)]:
        connection.execute(delete(table).where(mine, table.c.identification_id.in_(old)))


def forget_finds(connection: Connection, traces: ChannelTraces, logins: Sequence[str]) -> int:
    """Delete what was found on a channel, in its clips and VODs, and what its owner found; returns how many."""
    here = clips_and_videos_of(table, traces)
    named = table.c.channel.in_(logins)
    if traces.channel_id is None:
        here.append(named)
    else:
        here += [and_(named, table.c.channel_id.is_(None)), table.c.channel_id == traces.channel_id]
        here.append(table.c.user_id == traces.channel_id)
    return connection.execute(delete(table).where(or_(*here))).rowcount
