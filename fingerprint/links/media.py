"""Covers and previews of songs at the services that are asked for links, fetched here so that visitors need not.

A visitor's browser never contacts a service: what an answer names is an address of this server. It leads only to
what was found for an answer, is fetched only from listed hosts over https, never from private addresses, is
bounded in size and time, is looked at before it is given out, and is kept in a folder for a while. Covers are
decoded and written again by a sandboxed worker. Addresses of previews are signed and expire, so that they are
asked for by the song's id each time. A playlist takes them in one form, which the worker makes as well.
"""

import asyncio
import hashlib
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from yarl import URL

from fingerprint.catalog.covers import Cover
from fingerprint.catalog.picture_header import UnusablePictureError, picture_header
from fingerprint.domain.artwork import EDGES, Artwork, artwork_of
from fingerprint.domain.identification import ExternalIds
from fingerprint.domain.problems import ProblemCode, TwitchAudioError, UpstreamError
from fingerprint.links.finder import LinkFinder, ServiceTrack, media_tracks
from fingerprint.links.media_store import MediaFolder, MediaStore
from fingerprint.links.services import TrackMedia
from fingerprint.media.fetch import Fetcher
from fingerprint.media.picture_pool import PicturePool
from fingerprint.media.small_pictures import UndecodablePictureError
from fingerprint.ports import Clock
from fingerprint.providers.errors import ProviderError
from fingerprint.single_flight import SingleFlightCache

PREVIEWS: Final = "/api/v1/previews"
"""The path that the addresses of previews begin with."""

MAX_COVER_BYTES: Final = 4 << 20
MAX_PREVIEW_BYTES: Final = 4 << 20
"""The longest file of a service; a preview of 30 s has half a megabyte."""

FETCH_SECONDS: Final = 10.0
PREVIEW_DAY_SECONDS: Final = 86_400.0
"""How long a preview is kept."""

MISSING_SECONDS: Final = 60.0
"""How long it counts that a service has no such file, or cannot be reached."""

MAX_IN_MEMORY: Final = 64
MAX_WAIT_SECONDS: Final = 4.0
"""How long somebody who waits for a file may wait for the service's rate: once, after the answer that named it."""

_PREVIEW: Final = re.compile(r"(deezer|apple)-([0-9]{1,20})")
_MP3: Final = re.compile(rb"ID3|\xff[\xe2-\xff]")
_UNAVAILABLE: Final = "This preview cannot be played right now. Try again in a moment."

PACKED: Final = ".aac"
"""What a preview's name ends with for the form that playlists take: AAC that is at most `PACKED_SECONDS` long."""

PACKED_SECONDS: Final = 30.0

MEDIA_TYPES: Final = {".mp3": "audio/mpeg", ".m4a": "audio/mp4", PACKED: "audio/aac"}
"""The media type of a kept preview, by the ending of its file."""

_ORIGINALS: Final = (".mp3", ".m4a")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundMedia:
    """The cover and the preview of a song, as an answer names them. `complete`: every service answered."""

    artwork: tuple[Artwork, ...] = ()
    preview: str | None = None
    complete: bool = True


class LinkMedia:
    """Finds, fetches and keeps covers and previews. An async context manager.

    `fetcher` fetches the files; it has an allow-list of the services' hosts.
    """

    def __init__(
        self, finder: LinkFinder, fetcher: Fetcher, store: MediaStore, folder: MediaFolder, *, clock: Clock
    ) -> None:
        self._finder = finder
        self._fetcher = fetcher
        self._store = store
        self._folder = folder
        self._pool = PicturePool()
        self._covers: SingleFlightCache[str, Cover | None] = SingleFlightCache(
            clock=clock,
            fresh_seconds=MISSING_SECONDS,
            failure_seconds=MISSING_SECONDS,
            max_entries=MAX_IN_MEMORY,
        )
        self._previews: SingleFlightCache[str, Path | None] = SingleFlightCache(
            clock=clock,
            # A file may be deleted to make room for others; that there is none holds longer.
            fresh_seconds=lambda found: MISSING_SECONDS if found is None else 0.0,
            failure_seconds=MISSING_SECONDS,
            max_entries=MAX_IN_MEMORY,
        )

    async def __aenter__(self) -> Self:
        await self._pool.__aenter__()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self._covers.close()
        await self._previews.close()
        await self._pool.__aexit__(None, None, None)

    async def find(self, ids: ExternalIds) -> FoundMedia:
        """The cover and the preview of the song with these ids. The cover is fetched, so that its size is known.

        Raises TwitchAudioError `busy` when the store cannot be reached.
        """
        artwork: tuple[Artwork, ...] = ()
        preview: str | None = None
        complete = True
        for track in media_tracks(ids):
            if artwork and preview:
                break
            try:
                media = await self._finder.media(track) or TrackMedia()
            except ProviderError as error:
                _log.info("link_media_not_found", extra={"service": track.service, "detail": error.detail})
                complete = False
                continue
            if preview is None and media.preview is not None:
                name = f"{track.service}-{track.id}"
                await self._store.put({name: ""})
                preview = f"{PREVIEWS}/{name}"
            if not artwork and media.cover is not None:
                try:
                    artwork = await self._found_cover(media.cover)
                except UpstreamError as error:
                    _log.info("link_cover_not_fetched", extra={"service": track.service, "detail": error.detail})
                    # What may not be fetched now may not be fetched later.
                    complete = complete and error.retry_after_seconds is None
        return FoundMedia(artwork=artwork, preview=preview, complete=complete)

    async def _found_cover(self, address: URL) -> tuple[Artwork, ...]:
        digest = hashlib.sha256(str(address).encode()).hexdigest()[:32]
        cover = await self._covers.get(digest, lambda: self._fetched_cover(digest, address))
        if cover is None:
            return ()
        await self._store.put({digest: str(address)})
        return artwork_of(digest, cover.width, cover.height)

    async def cover(self, digest: str) -> Cover | None:
        """The cover with a digest; None when it was never found for an answer, or is not there any more.

        Raises UpstreamError; TwitchAudioError `busy`.
        """
        return await self._covers.get(digest, lambda: self._load_cover(digest))

    async def _load_cover(self, digest: str) -> Cover | None:
        address = await self._store.address(digest)
        return None if not address else await self._fetched_cover(digest, URL(address, encoded=True))

    async def _fetched_cover(self, digest: str, address: URL) -> Cover | None:
        name = f"{digest}.jpg"
        content = await asyncio.to_thread(self._folder.read, name)
        if content is None:
            fetched = await self._fetched(address, step="cover", max_bytes=MAX_COVER_BYTES)
            try:
                header = picture_header(fetched or b"")
                content = await self._pool.small_jpeg(fetched or b"", header.media_type, max_edge=EDGES[0])
            except (UnusablePictureError, UndecodablePictureError):
                return None
            try:
                await asyncio.to_thread(self._folder.keep, name, content)
            except OSError as error:
                _log.warning("link_media_not_kept", extra={"error": type(error).__name__})
        try:
            header = picture_header(content)
        except UnusablePictureError:
            return None
        return Cover(
            name=name, content=content, media_type=header.media_type, width=header.width, height=header.height
        )

    async def kept_preview(self, name: str) -> Path | None:
        """The file of a preview that is kept; None if it is not, or for a name that is none."""
        packed = name.endswith(PACKED)
        plain = name.removesuffix(PACKED)
        if not _PREVIEW.fullmatch(plain):
            return None
        return await asyncio.to_thread(self._kept_preview, plain, (PACKED,) if packed else _ORIGINALS)

    def _kept_preview(self, name: str, endings: Sequence[str]) -> Path | None:
        kept = (self._folder.path(name + ending, max_age_seconds=PREVIEW_DAY_SECONDS) for ending in endings)
        return next(filter(None, kept), None)

    async def preview(self, name: str) -> Path | None:
        """The file of a preview, fetched if it is not kept; None if there is none, or no answer has named it.

        Raises TwitchAudioError `upstream-unavailable`, `busy`.
        """
        kept = await self.kept_preview(name)
        make = self._packed_preview if name.endswith(PACKED) else self._fetched_preview
        return kept or await self._previews.get(name, lambda: make(name))

    async def _packed_preview(self, name: str) -> Path | None:
        kept = await self.kept_preview(name)
        if kept is not None:  # another caller's was made between our look and our turn
            return kept
        path = await self.preview(name.removesuffix(PACKED))
        if path is None:
            return None
        try:
            content = await asyncio.to_thread(path.read_bytes)
            packed = await self._pool.packed_sound(content, path.suffix, max_seconds=PACKED_SECONDS)
        except UndecodablePictureError:
            return None
        except OSError as error:  # deleted since, to make room
            raise _busy() from error
        return await self._keep(name, packed)

    async def _fetched_preview(self, name: str) -> Path | None:
        kept = await self.kept_preview(name)
        if kept is not None:  # another caller's fetch ended between our look and our turn
            return kept
        found = _PREVIEW.fullmatch(name)
        if found is None or await self._store.address(name) is None:
            return None
        try:
            media = await self._finder.media(ServiceTrack(found[1], found[2]), max_wait_seconds=MAX_WAIT_SECONDS)
            if media is None or media.preview is None:
                return None
            content = await self._fetched(media.preview, step="preview", max_bytes=MAX_PREVIEW_BYTES)
        except (ProviderError, UpstreamError) as error:
            _log.info("preview_not_fetched", extra={"name": name, "detail": error.detail})
            code = ProblemCode.UPSTREAM_UNAVAILABLE
            raise TwitchAudioError(code, _UNAVAILABLE, retry_after_seconds=MISSING_SECONDS) from error
        ending = None if content is None else _ending(content)
        if content is None or ending is None:
            return None
        return await self._keep(name + ending, content)

    async def _keep(self, name: str, content: bytes) -> Path:
        """Keep a preview. Raises TwitchAudioError `busy`."""
        try:
            return await asyncio.to_thread(self._folder.keep, name, content)
        except OSError as error:
            _log.warning("link_media_not_kept", extra={"error": type(error).__name__})
            raise _busy() from error

    async def _fetched(self, address: URL, *, step: str, max_bytes: int) -> bytes | None:
        """A file of a service; None when it is not there. Raises UpstreamError."""
        fetched = await self._fetcher.get(address, step=step, max_bytes=max_bytes, total_seconds=FETCH_SECONDS)
        if fetched.status in (404, 410):
            return None
        if fetched.status != 200:
            raise UpstreamError(step, f"The {step} is answered with the status {fetched.status}.")
        return fetched.body


def _busy() -> TwitchAudioError:
    return TwitchAudioError(ProblemCode.BUSY, _UNAVAILABLE, retry_after_seconds=MISSING_SECONDS)


def _ending(content: bytes) -> str | None:
    """The ending of a file with this sound; None for what is neither MP3 nor AAC in MP4."""
    if _MP3.match(content):
        return ".mp3"
    return ".m4a" if content[4:8] == b"ftyp" else None
