"""Fetches a live stream's or VOD's media playlist."""

import asyncio
from dataclasses import replace
from datetime import datetime
from typing import Final

from yarl import URL

from fingerprint.domain.problems import ProblemCode, TwitchAudioError, UpstreamError
from fingerprint.hls.ads import unknown_signs
from fingerprint.hls.attributes import EncryptedPlaylistError, PlaylistError
from fingerprint.hls.dates import with_true_dates
from fingerprint.hls.playlist import (
    MAX_LIVE_CHARACTERS,
    MAX_VIDEO_CHARACTERS,
    LongPlaylistError,
    MediaPlaylist,
    parse_media,
)
from fingerprint.media.fetch import Fetcher, TooLongError
from fingerprint.media.refusals import PROTECTED, permanent_refusal

PLAYLIST_SECONDS: Final = 3.0
VIDEO_PLAYLIST_SECONDS: Final = 10.0
"""The time limit for a VOD's playlist, which may list days."""

_LONG_BYTES: Final = 256 << 10
"""A playlist that is longer is parsed in a thread, since the event loop would stop for it."""

MAX_LIVE_SEGMENTS: Final = 2_000
"""How many of a live list's segments are looked at, from the newest on: an hour of 2 s."""

STEP: Final = "playlist"

MAX_RENDITIONS: Final = 5
"""How many renditions of a stream or VOD are tried at most."""


class PlaylistRefusedError(Exception):
    """The rendition's playlist is not given out: 403, 404, or permanently. Other renditions may still play."""

    def __init__(self, status: int) -> None:
        super().__init__(f"HTTP {status}")
        self.status = status


async def fetch_playlist(
    fetcher: Fetcher, url: URL, *, video: bool = False, began: datetime | None = None
) -> MediaPlaylist:
    """The current playlist; that of a VOD (`video`) may be much longer. `began`: when a live broadcast did.

    Raises PlaylistRefusedError, UpstreamError with step `playlist`, and `restricted-stream` when it is encrypted.
    """
    try:
        return await _playlist(fetcher, url, video=video, began=began)
    except (TooLongError, LongPlaylistError) as error:
        if not video:
            raise _unusable(fetcher, error) from error
        detail = "This video is too long for this server: Twitch's list of its segments has more than two days."
        raise UpstreamError(STEP, detail, retry_after_seconds=None) from error
    except PlaylistError as error:
        raise _unusable(fetcher, error) from error


def _unusable(fetcher: Fetcher, error: TooLongError | PlaylistError) -> UpstreamError:
    if isinstance(error, UpstreamError):
        return error
    return UpstreamError(STEP, f"{fetcher.upstream}'s list of segments cannot be used: {error}.")


async def _playlist(fetcher: Fetcher, url: URL, *, video: bool, began: datetime | None) -> MediaPlaylist:
    fetched = await fetcher.get(
        url,
        step=STEP,
        max_bytes=MAX_VIDEO_CHARACTERS if video else MAX_LIVE_CHARACTERS,
        total_seconds=VIDEO_PLAYLIST_SECONDS if video else PLAYLIST_SECONDS,
    )
    if fetched.status in (403, 404) or permanent_refusal(STEP, fetcher.upstream, fetched.status):
        raise PlaylistRefusedError(fetched.status)
    if fetched.status != 200:
        raise UpstreamError(
            STEP, f"{fetcher.upstream} answers {fetched.status} for a playlist. Try again in a moment."
        )
    try:
        if len(fetched.body) > _LONG_BYTES:
            playlist = await asyncio.to_thread(_parsed, fetched.text, video=video, began=began)
        else:
            playlist = _parsed(fetched.text, video=video, began=began)
    except EncryptedPlaylistError as error:
        raise TwitchAudioError(ProblemCode.RESTRICTED_STREAM, PROTECTED) from error
    if not video:
        fetcher.note_unknown(unknown_signs(playlist))
    return playlist


def _parsed(text: str, *, video: bool, began: datetime | None) -> MediaPlaylist:
    playlist = parse_media(text)
    if video:
        return playlist
    if len(playlist.segments) > MAX_LIVE_SEGMENTS:
        playlist = replace(playlist, segments=playlist.segments[-MAX_LIVE_SEGMENTS:], elapsed_seconds=None)
    return with_true_dates(playlist, began=began)
