"""Requests multivariant playlists from usher with playback tokens."""

import json
import logging
import random
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final, cast

from yarl import URL

from fingerprint.domain.problems import ProblemCode, TwitchAudioError, UpstreamError
from fingerprint.hls.attributes import PlaylistError
from fingerprint.hls.playlist import MAX_CHARACTERS, MultivariantPlaylist, parse_multivariant
from fingerprint.media.fetch import Fetched, Fetcher
from fingerprint.ports import OnOutcome, ignore_outcome
from fingerprint.twitch.answers import PlaybackToken, quoted, restricted

TOTAL_SECONDS: Final = 3.0
STEP: Final = "usher"
ANSWER_STEP: Final = "usher-answer"

_log = logging.getLogger(__name__)


class PlaylistKind(StrEnum):
    """What a playlist is for: a live channel or a VOD."""

    CHANNEL = "channel"
    VIDEO = "video"


_PATHS: Final[Mapping[PlaylistKind, tuple[str, ...]]] = {
    PlaylistKind.CHANNEL: ("api/v2/channel/hls/{}.m3u8", "api/channel/hls/{}.m3u8"),
    PlaylistKind.VIDEO: ("vod/v2/{}.m3u8", "vod/{}.m3u8"),
}
"""The second path is the older version, in case Twitch removes the first."""


class PlaybackTokenRefusedError(Exception):
    """usher refuses the playback token, or refuses it by now."""


class _PathGoneError(Exception):
    """The path does not exist; the other version may."""


def build_url(base: URL, path: str, name: str, token: PlaybackToken) -> URL:
    """The request's address for a login (lower case) or a video id; `path` and `name` are already validated."""
    return (base / path.format(name)).with_query(
        {
            "sig": token.signature,
            "token": token.value,
            "p": str(random.randrange(1_000_000)),  # noqa: S311 - Twitch wants any number
            "platform": "web",
            "allow_source": "true",
            "allow_audio_only": "true",
            "playlist_include_framerate": "true",
            "supported_codecs": "h264",
        }
    )


def parse_answer(kind: PlaylistKind, fetched: Fetched) -> MultivariantPlaylist:
    """The playlist in usher's answer.

    Raises TwitchAudioError: `not-live`, `video-not-found`, `restricted-stream`, `upstream-unavailable`;
    PlaybackTokenRefusedError and _PathGoneError.
    """
    if fetched.status == 200:
        try:
            return parse_multivariant(fetched.text)
        except PlaylistError as error:
            raise UpstreamError(STEP, f"Twitch's list of renditions cannot be used: {error}.") from error
    code, words = _error(fetched)
    _log.info("usher_refused", extra={"step": STEP, "status": fetched.status, "code": code, "words": words})
    if fetched.status == 403 or code in ("vod_manifest_restricted", "unauthorized_entitlements"):
        if not code and not words:
            raise PlaybackTokenRefusedError
        raise restricted("broadcast" if kind is PlaylistKind.CHANNEL else "video", code or words)
    if fetched.status == 404 and code:
        raise _missing(kind)
    if fetched.status in (404, 410):
        raise _PathGoneError
    raise UpstreamError(STEP, f"Twitch's usher answers {fetched.status}: {words or 'no reason given'}.")


def _missing(kind: PlaylistKind) -> TwitchAudioError:
    if kind is PlaylistKind.CHANNEL:
        return TwitchAudioError(ProblemCode.NOT_LIVE, "This channel is not live at the moment.")
    return TwitchAudioError(ProblemCode.VIDEO_NOT_FOUND, "Twitch has no such video (any more).")


def _error(fetched: Fetched) -> tuple[str, str]:
    """`error_code` and `error` in usher's array of one object; empty texts for anything else."""
    try:
        body: Any = json.loads(fetched.text)
    except (ValueError, RecursionError):
        return "", ""
    first: Any = cast("list[Any]", body)[0] if isinstance(body, list) and body else None
    if not isinstance(first, dict):
        return "", ""
    found = cast("dict[str, Any]", first)
    return quoted(str(found.get("error_code") or "")), quoted(str(found.get("error") or ""))


class Usher:
    """Sends requests to usher: the newer path first, then the older one."""

    def __init__(self, fetcher: Fetcher, base: URL, *, on_outcome: OnOutcome = ignore_outcome) -> None:
        self._fetcher = fetcher
        self._base = base
        self._on_outcome = on_outcome

    async def playlist(
        self, kind: PlaylistKind, name: str, token: PlaybackToken
    ) -> tuple[MultivariantPlaylist, URL]:
        """The playlist, and the address that its URIs are relative to.

        Raises TwitchAudioError: `not-live`, `video-not-found`, `restricted-stream`, `upstream-unavailable`,
        `timeout`; PlaybackTokenRefusedError.
        """
        for path in _PATHS[kind]:
            url = build_url(self._base, path, name, token)
            fetched = await self._fetcher.get(
                url, step=STEP, max_bytes=MAX_CHARACTERS, total_seconds=TOTAL_SECONDS
            )
            try:
                playlist = parse_answer(kind, fetched)
            except _PathGoneError:
                self._on_outcome(ANSWER_STEP, "path-gone")
            except PlaybackTokenRefusedError:
                self._on_outcome(ANSWER_STEP, "token-refused")
                raise
            except TwitchAudioError as error:
                self._on_outcome(ANSWER_STEP, str(error.code))
                raise
            else:
                self._on_outcome(ANSWER_STEP, "ok")
                return playlist, url
        raise _missing(kind)
