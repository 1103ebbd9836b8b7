"""Fetches a live stream's or VOD's media playlist."""

from typing import Final

from yarl import URL

from fingerprint.domain.problems import UpstreamError
from fingerprint.hls.ads import unknown_signs
from fingerprint.hls.attributes import PlaylistError
from fingerprint.hls.playlist import MAX_CHARACTERS, MediaPlaylist, parse_media
from fingerprint.media.fetch import Fetcher

PLAYLIST_SECONDS: Final = 3.0
STEP: Final = "playlist"


class PlaylistGoneError(Exception):
    """The playlist is gone or has ended: no more segments will come."""


async def fetch_playlist(fetcher: Fetcher, url: URL) -> MediaPlaylist:
    """The current playlist. Raises PlaylistGoneError, and UpstreamError with step `playlist`."""
    fetched = await fetcher.get(url, step=STEP, max_bytes=MAX_CHARACTERS, total_seconds=PLAYLIST_SECONDS)
    if fetched.status in (403, 404, 410):
        raise PlaylistGoneError
    if fetched.status != 200:
        raise UpstreamError(
            STEP, f"{fetcher.upstream} answers {fetched.status} for a playlist. Try again in a moment."
        )
    try:
        playlist = parse_media(fetched.text)
    except PlaylistError as error:
        raise UpstreamError(STEP, f"{fetcher.upstream}'s list of segments cannot be used: {error}.") from error
    fetcher.note_unknown(unknown_signs(playlist))
    return playlist
