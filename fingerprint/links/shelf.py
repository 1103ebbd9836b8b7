"""What was found about songs, kept in SQL for weeks and shared by all servers; the newest also in memory."""

import dataclasses
import hashlib
import json
from collections import OrderedDict
from datetime import datetime, timedelta
from typing import Any, Final, cast

from sqlalchemy import BigInteger, Column, Table, Text, delete, select

from fingerprint.database import MYSQL_TABLE, Database, exact_text, metadata, to_us, upsert
from fingerprint.domain.identification import ExternalIds, Song
from fingerprint.links.services import plain_isrc, plain_name

FOUND_KEPT: Final = timedelta(days=60)
NOTHING_KEPT: Final = timedelta(days=7)
"""After so long a song without links is looked up again."""

REMEMBERED: Final = 2_000

table: Final = Table(
    "song_links",
    metadata,
    Column("song", exact_text(80), primary_key=True),
    Column("ids", Text, nullable=False),
    # When it is to be looked up again.
    Column("until_us", BigInteger, nullable=False),
    **MYSQL_TABLE,
)


def song_key(song: Song) -> str | None:
    """What songs are kept under: the ISRC, else title and artists; None without either."""
    isrc = plain_isrc(song)
    if isrc is not None:
        return f"isrc:{isrc}"
    if not song.artists:
        return None
    names = json.dumps([plain_name(song.title), *sorted(plain_name(name) for name in song.artists)])
    return f"text:{hashlib.sha256(names.encode('utf-8', 'surrogatepass')).hexdigest()}"


class LinkShelf:
    """Ids by song. A database that is away raises TwitchAudioError `busy`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._near: OrderedDict[str, tuple[int, ExternalIds]] = OrderedDict()

    async def get(self, key: str, now: datetime) -> ExternalIds | None:
        """What was found, which may be nothing; None when it is to be looked up."""
        near = self._near.get(key)
        if near is None:
            query = select(table.c.until_us, table.c.ids).where(table.c.song == key)
            row = await self._database.first(query)
            if row is None:
                return None
            near = int(row.until_us), _ids(row.ids)
            self._remember(key, near)
        return near[1] if to_us(now) < near[0] else None

    async def put(self, key: str, ids: ExternalIds, now: datetime) -> None:
        """Keep what was found, and clear away what is out of date."""
        until = to_us(now + (FOUND_KEPT if ids != ExternalIds() else NOTHING_KEPT))
        body = json.dumps(dataclasses.asdict(ids), separators=(",", ":"))
        values = {"song": key, "ids": body, "until_us": until}
        await self._database.transact(lambda connection: upsert(connection, table, values))
        self._remember(key, (until, ids))

    async def forget(self, now: datetime) -> None:
        """Delete what is long out of date."""
        await self._database.change(delete(table).where(table.c.until_us < to_us(now - FOUND_KEPT)))

    def _remember(self, key: str, near: tuple[int, ExternalIds]) -> None:
        self._near[key] = near
        self._near.move_to_end(key)
        while len(self._near) > REMEMBERED:
            self._near.popitem(last=False)


def _ids(body: str) -> ExternalIds:
    values = cast("dict[str, Any]", json.loads(body))
    known: dict[str, Any] = {item.name: values.get(item.name) for item in dataclasses.fields(ExternalIds)}
    for name in ("spotify_artists", "deezer_artists"):
        known[name] = tuple(known[name] or ())
    return ExternalIds(**known)
