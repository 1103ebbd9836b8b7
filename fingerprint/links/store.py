"""Stores looked-up ids, covers and previews in SQL for weeks, for all servers, and the newest in memory."""

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, cast

from cachetools import LRUCache
from sqlalchemy import BigInteger, Column, Text, delete, select

from fingerprint.database import Database, exact_text, sql_table, to_us
from fingerprint.domain.artwork import Artwork
from fingerprint.domain.credits import artist_keys, title_key
from fingerprint.domain.identification import ExternalIds, Song
from fingerprint.links.services import plain_isrc
from fingerprint.upserts import upsert

FOUND_TTL: Final = timedelta(days=60)
NOT_FOUND_TTL: Final = timedelta(days=7)
"""The time after which a song without links is looked up again."""

MAX_CACHED: Final = 2_000

table: Final = sql_table(
    "song_links",
    Column("song", exact_text(80), primary_key=True),
    Column("ids", Text, nullable=False),
    # When it is to be looked up again.
    Column("until_us", BigInteger, nullable=False),
)


def song_key(song: Song) -> str | None:
    """The key that a song's ids are stored under: the ISRC, else title and artists; None without either."""
    isrc = plain_isrc(song)
    if isrc is not None:
        return f"isrc:{isrc}"
    if not song.artists:
        return None
    names = json.dumps([title_key(song.title), *sorted(artist_keys(song.artists))])
    return f"text:{hashlib.sha256(names.encode('utf-8', 'surrogatepass')).hexdigest()}"


_NONE: Final = ExternalIds()


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundLinks:
    """What was looked up for a song."""

    ids: ExternalIds = _NONE
    artwork: tuple[Artwork, ...] = ()
    preview: str | None = None


class LinkStore:
    """Stores what was looked up, by song. Raises TwitchAudioError `busy` when the database cannot be reached."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._cache: LRUCache[str, tuple[int, FoundLinks]] = LRUCache(MAX_CACHED)

    async def get(self, key: str, now: datetime) -> FoundLinks | None:
        """What is stored, of which all may be unknown; None when the song must be looked up."""
        cached = self._cache.get(key)
        if cached is None:
            query = select(table.c.until_us, table.c.ids).where(table.c.song == key)
            row = await self._database.first(query)
            if row is None:
                return None
            links = _links(row.ids)
            if links is None:
                return None
            cached = self._cache[key] = int(row.until_us), links
        return cached[1] if to_us(now) < cached[0] else None

    async def put(self, key: str, links: FoundLinks, now: datetime) -> None:
        """Store what was found."""
        until = to_us(now + (FOUND_TTL if links != FoundLinks() else NOT_FOUND_TTL))
        values = {
            **dataclasses.asdict(links.ids),
            "artwork": [dataclasses.asdict(each) for each in links.artwork],
            "preview": links.preview,
        }
        body = json.dumps(values, separators=(",", ":"))
        row = {"song": key, "ids": body, "until_us": until}
        await self._database.transact(lambda connection: upsert(connection, table, row))
        self._cache[key] = until, links

    async def delete_expired(self, now: datetime) -> None:
        """Delete entries that expired long ago."""
        await self._database.change(delete(table).where(table.c.until_us < to_us(now - FOUND_TTL)))


def _links(body: str) -> FoundLinks | None:
    """What an entry says; None for one that was made before covers and previews were looked up."""
    values = cast("dict[str, Any]", json.loads(body))
    if "preview" not in values:
        return None
    known: dict[str, Any] = {item.name: values.get(item.name) for item in dataclasses.fields(ExternalIds)}
    for name in ("spotify_artists", "deezer_artists"):
        known[name] = tuple(known[name] or ())
    return FoundLinks(
        ids=ExternalIds(**known),
        artwork=tuple(Artwork(**each) for each in values["artwork"]),
        preview=values["preview"],
    )
