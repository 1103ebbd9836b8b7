"""What this server gives out of its catalogs and of services: covers, in several sizes, and songs."""

import asyncio
import contextlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from fingerprint.catalog.catalogs import Catalogs
from fingerprint.catalog.covers import Cover
from fingerprint.catalog.heard_landmarks import points_of_track
from fingerprint.catalog.problems import CatalogError
from fingerprint.domain.artwork import EDGES, artwork_of, parse_artwork_name, parse_card_name
from fingerprint.domain.identification import CatalogRef, Song
from fingerprint.domain.landmark_points import HEARD, Points, points_of_text
from fingerprint.links.media import LinkMedia
from fingerprint.media.picture_pool import PicturePool
from fingerprint.media.small_pictures import UndecodablePictureError
from fingerprint.ports import Clock
from fingerprint.single_flight import SingleFlightCache

MAX_SCALED: Final = 256
"""How many scaled pictures are kept in memory. None has more than 300 x 300 pixels, which is some 50 KB."""

MAX_CARDS: Final = 24
"""How many cards are kept in memory, some 700 KB each."""

MAX_DRAWN: Final = 500
"""How many tracks' points are kept in memory, some 10 KB each."""

MISSING_SECONDS: Final = 5.0
"""How long it counts that there is no such picture."""


@dataclass(frozen=True, slots=True)
class CardKey:
    """What a card shows: the cover with a digest, or else the drawing with a name, and the words on it."""

    digest: str
    drawing: str
    texts: tuple[str, ...] = ()


class ArtworkStore:
    """Reads covers from the catalogs in some folders, else from services, and scales them.

    An async context manager.
    """

    def __init__(self, directories: Sequence[Path], *, clock: Clock, media: LinkMedia | None = None) -> None:
        self._catalogs = Catalogs(directories)
        self._media = media
        self._pool = PicturePool()
        self._scaled: SingleFlightCache[str, bytes | None] = SingleFlightCache(
            clock=clock,
            fresh_seconds=lambda made: MISSING_SECONDS if made is None else math.inf,
            max_entries=MAX_SCALED,
        )
        self._tracks: SingleFlightCache[str, Points] = SingleFlightCache(
            clock=clock,
            fresh_seconds=lambda made: math.inf if made else MISSING_SECONDS,
            max_entries=MAX_DRAWN,
        )
        self._cards: SingleFlightCache[CardKey, bytes | None] = SingleFlightCache(
            clock=clock,
            fresh_seconds=lambda made: MISSING_SECONDS if made is None else math.inf,
            max_entries=MAX_CARDS,
        )

    async def __aenter__(self) -> Self:
        await self._pool.__aenter__()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self._scaled.close()
        await self._cards.close()
        await self._tracks.close()
        await self._pool.__aexit__(None, None, None)

    async def picture(self, name: str) -> bytes | None:
        """The JPEG picture with a name, the last part of an `Artwork.url`; None if there is none.

        Raises TwitchAudioError `busy` when too many are made, `upstream-unavailable` when the service that has the
        picture cannot be reached.
        """
        asked = parse_artwork_name(name)
        if asked is None:
            return None
        digest, edge = asked
        if edge in EDGES[1:] and (scaled := await self._scaled.get(name, lambda: self._scale(digest, edge))):
            return scaled
        cover = await self._cover(digest)
        return cover.content if cover is not None and edge == max(cover.width, cover.height) else None

    def has_to_be_made(self, name: str) -> bool:
        """Whether a picture is neither kept nor one that the catalog has as it is; without reading anything."""
        asked = parse_artwork_name(name)
        if asked is not None:
            return asked[1] in EDGES[1:] and self._scaled.fresh(name) is None
        card = parse_card_name(name)
        return card is not None and self.card_has_to_be_made(CardKey(*card))

    def card_has_to_be_made(self, card: CardKey) -> bool:
        """Whether a card is not kept."""
        return self._cards.fresh(card) is None

    async def card(self, card: CardKey) -> bytes | None:
        """The PNG picture that shows a song beside a link; None if there is none. Raises as above."""
        return await self._cards.get(card, lambda: self._card(card))

    async def _card(self, card: CardKey) -> bytes | None:
        try:
            if not card.digest:
                points = await self.points(card.drawing)
                return await self._pool.card(drawing=card.drawing, points=points, texts=card.texts)
            cover = await self._cover(card.digest)
            return cover and await self._pool.card(
                cover=cover.content, media_type=cover.media_type, texts=card.texts
            )
        except UndecodablePictureError:
            return None

    async def _cover(self, digest: str) -> Cover | None:
        """The cover with a digest, of a catalog, else of a service. Raises TwitchAudioError."""
        cover = await asyncio.to_thread(self._catalogs.cover_named, f"{digest}.jpg")
        return await self._media.cover(digest) if cover is None and self._media is not None else cover

    async def points(self, drawing: str) -> Points:
        """The landmarks of the drawing with a name: those heard, or of a track; none where it has neither."""
        if drawing.startswith(HEARD):
            return points_of_text(drawing.removeprefix(HEARD))
        return await self._tracks.get(drawing, lambda: asyncio.to_thread(self._points_of_track, drawing))

    def _points_of_track(self, track_id: str) -> Points:
        with contextlib.suppress(CatalogError):
            return points_of_track(self._catalogs.snapshot(), track_id)
        return ()

    def song(self, track_id: str) -> Song | None:
        """The song that a track of the catalogs is; None without such a track. Blocks."""
        track = self._catalogs.track(track_id)
        if track is None:
            return None
        cover = None if track.cover is None else self._catalogs.cover_named(track.cover)
        return Song(
            title=track.title,
            **track.metadata,
            duration_seconds=round(track.duration_seconds, 3),
            artwork=() if cover is None else artwork_of(cover.digest, cover.width, cover.height),
            catalog=CatalogRef(track_id=track.id, path=track.path),
        )

    async def _scale(self, digest: str, edge: int) -> bytes | None:
        """A cover with a longer edge of so many pixels; None if there is no larger one to make it of."""
        cover = await self._cover(digest)
        if cover is None or max(cover.width, cover.height) <= edge:
            return None
        try:
            return await self._pool.small_jpeg(cover.content, cover.media_type, max_edge=edge)
        except UndecodablePictureError:
            return None
