"""Requests multivariant playlists from usher with playback tokens, in several ways until one is answered."""

import json
import logging
import random
import re
import secrets
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, cast

from yarl import URL

from fingerprint.domain.broadcasts import Broadcast
from fingerprint.domain.problems import ProblemCode, TwitchAudioError, UpstreamError
from fingerprint.hls.attributes import PlaylistError, address, seconds
from fingerprint.hls.playlist import MAX_CHARACTERS, by_preference, parse_multivariant, twitch_info
from fingerprint.media.fetch import Fetched, Fetcher, HostWantsPauseError, transient
from fingerprint.media.pcm import no_audio
from fingerprint.media.refusals import permanent_refusal
from fingerprint.ports import OnOutcome, ignore_outcome
from fingerprint.twitch.answers import PlaybackToken, blocked, is_html, quoted, restricted, restriction

REQUEST_SECONDS: Final = 3.0
_MAX_SERVER_FAILURES: Final = 2
_NUMBER: Final = re.compile(r"[0-9]{1,20}", re.ASCII)
_RECORDED: Final = re.compile(
    r"/[0-9a-f]{20}_[A-Za-z0-9_]{1,64}_([0-9]{1,20})_([0-9]{9,11})/[^/]+/index-(?:dvr|muted-[^/]+)\.m3u8", re.ASCII
)
"""The path of a VOD's media playlist: the broadcast's number, and when it began, in seconds since 1970."""

_FOLDER: Final = re.compile(r"/[0-9a-f]{20}_([A-Za-z0-9_]{1,25})_[0-9]{1,20}_[0-9]{9,11}/", re.ASCII)

_FIRST_BROADCAST: Final = 1_300_000_000.0
_MAX_TIME: Final = 10_000_000_000.0
"""Seconds since 1970: Twitch began in 2011, and this code is not used in 2286."""

_MAX_TOKENS: Final = 2
_MISSING: Final = ("does_not_exist", "does not exist", "not_found", "can not find", "cannot find")
"""What usher's words for a channel that is not live, and for a video that is gone, were seen to hold."""

STEP: Final = "usher"
ANSWER_STEP: Final = "usher-answer"

_log = logging.getLogger(__name__)


class PlaylistKind(StrEnum):
    """What a playlist is for: a live channel or a VOD."""

    CHANNEL = "channel"
    VIDEO = "video"


@dataclass(frozen=True, slots=True)
class Way:
    """A version of usher, the parameters for the token and its signature, and the pictures' codecs to ask for."""

    version: int
    token: str
    signature: str
    codecs: str


_ALL_CODECS: Final = "av1,h265,h264"
WAYS: Final = (
    Way(2, "token", "sig", "h264"),
    Way(1, "token", "sig", _ALL_CODECS),
    Way(2, "nauth", "nauthsig", "h264"),
    Way(1, "nauth", "nauthsig", _ALL_CODECS),
)
"""In the order to try: the web player's, the older version as yt-dlp asks it, and the names that some players send
for VODs. H.264 alone gets MPEG-TS wherever there is any. A channel may have other codecs only; whichever they are,
just the sound is decoded."""

_PATHS: Final[Mapping[tuple[PlaylistKind, int], str]] = {
    (PlaylistKind.CHANNEL, 2): "api/v2/channel/hls/{}.m3u8",
    (PlaylistKind.CHANNEL, 1): "api/channel/hls/{}.m3u8",
    (PlaylistKind.VIDEO, 2): "vod/v2/{}.m3u8",
    (PlaylistKind.VIDEO, 1): "vod/{}.m3u8",
}

_PARAMETERS: Final[Mapping[str, str]] = {
    "platform": "web",
    "player": "twitchweb",
    "player_backend": "mediaplayer",
    "allow_source": "true",
    "allow_audio_only": "true",
    "playlist_include_framerate": "true",
    "reassignments_supported": "true",
    "transcode_mode": "cbr_v1",
    "cdm": "wv",
    "acmb": "e30=",
}
"""What the web player sends, and `allow_audio_only`. Left out is what gets other renditions (`multigroup_video`),
what describes the machine, and `warp`, a transport that we do not speak."""

_LIVE_PARAMETERS: Final[Mapping[str, str]] = {"fast_bread": "true"}
"""Only with it usher lists the segments that are being made, and the longer window."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Playlists:
    """The media playlists of the renditions that have sound, in the order to try, and the way that listed them.

    `channel_id`: the broadcaster's id, where the token names it. `broadcast`: what they are of, where they tell.
    """

    urls: tuple[URL, ...] = field(repr=False)
    way: int
    channel_id: str | None = None
    broadcast: Broadcast | None = None


class UsherFailure(Exception):  # noqa: N818 - it describes an answer, and is handled as one
    """An answer that another way may better. `error` is reported when none does."""

    def __init__(self, outcome: str, error: TwitchAudioError) -> None:
        super().__init__(outcome)
        self.outcome = outcome
        self.error = error


TOKEN_REFUSED: Final = "token-refused"  # noqa: S105 - an outcome
PATH_GONE: Final = "path-gone"
SERVER_FAILED: Final = "failing"


def build_url(base: URL, kind: PlaylistKind, way: Way, name: str, token: PlaybackToken) -> URL:
    """The request's address for a login (lower case) or a video id; `name` is already validated."""
    live = _LIVE_PARAMETERS if kind is PlaylistKind.CHANNEL else {}
    return (base / _PATHS[kind, way.version].format(name)).with_query(
        {
            way.signature: token.signature,
            way.token: token.value,
            "p": str(random.randrange(1_000_000)),  # noqa: S311 - Twitch wants any number
            "play_session_id": secrets.token_hex(16),
            "supported_codecs": way.codecs,
            **_PARAMETERS,
            **live,
        }
    )


def parse_answer(kind: PlaylistKind, fetched: Fetched, base: URL) -> tuple[URL, ...]:
    """The addresses of the media playlists in usher's answer, in the order to try. `base`: the answer's address.

    Raises TwitchAudioError for what usher itself says: `not-live`, `video-not-found`, `restricted-stream`, and
    UsherFailure for everything that another way may better.
    """
    code, words = _error(fetched)
    said = code or words
    if fetched.status == 200 and not said:
        return _media_playlists(fetched, base)
    _log.info("usher_refused", extra={"step": STEP, "status": fetched.status, "code": code, "words": words})
    subject = "broadcast" if kind is PlaylistKind.CHANNEL else "video"
    known = next((text for text in (code, words) if restriction(text)), None)
    if fetched.status == 200 or 400 <= fetched.status < 500:
        # Its own words count more than the status, which proxies and caches change.
        if known is not None:
            raise restricted(subject, known)
        if (said and fetched.status in (404, 410)) or _says_missing(code, words):
            raise _missing(kind)
    detail = f"Twitch's usher answers {fetched.status}: {words or 'no reason given'}."
    if fetched.status in (404, 410):
        raise UsherFailure(PATH_GONE, _unnamed(kind, fetched.status))
    if transient(fetched.status):
        raise UsherFailure(SERVER_FAILED, UpstreamError(STEP, detail))
    if is_html(fetched.text):
        raise UsherFailure("blocked", blocked(STEP, fetched.status))
    if (fetched.status == 403 and not said) or (fetched.status in (401, 403) and _is_about_token(said)):
        raise UsherFailure(TOKEN_REFUSED, _token_refused())
    if said and fetched.status == 403:
        raise UsherFailure("refused", restricted(subject, said))
    final = permanent_refusal(STEP, "Twitch", fetched.status)
    if final is not None and not said and fetched.status in (402, 407, 421, 451):
        raise UsherFailure("refused", final)
    raise UsherFailure("refused", UpstreamError(STEP, detail, retry_after_seconds=None))


def _media_playlists(fetched: Fetched, base: URL) -> tuple[URL, ...]:
    try:
        playlist = parse_multivariant(fetched.text)
    except PlaylistError as error:
        raise UsherFailure("unreadable", _unusable(str(error))) from error
    urls: list[URL] = []
    unusable = ""
    for rendition in by_preference(playlist):
        try:
            urls.append(address(base, rendition.uri))
        except PlaylistError as error:
            unusable = unusable or str(error)
    if unusable and not urls:
        raise UsherFailure("unreadable", _unusable(unusable))
    if not urls:
        raise UsherFailure("no-audio", no_audio("none of the broadcast's renditions has sound"))
    return tuple(dict.fromkeys(urls))


def live_broadcast(text: str) -> Broadcast | None:
    """The broadcast that a live multivariant playlist is of; None unless it tells its number and its start."""
    info = twitch_info(text)
    number = info.get("BROADCAST-ID", "")
    now, running = (seconds(info.get(name, ""), most=_MAX_TIME) for name in ("SERVER-TIME", "STREAM-TIME"))
    if not _NUMBER.fullmatch(number) or now is None or running is None:
        return None
    return _broadcast(number, now - running)


def recorded_broadcast(url: URL) -> Broadcast | None:
    """The broadcast that a VOD's media playlist is of, by its address; None for highlights and uploads."""
    found = _RECORDED.fullmatch(url.path)
    return None if found is None else _broadcast(found[1], float(found[2]))


def channel_of(url: URL) -> str | None:
    """The login that the channel of a VOD, highlight or upload had, by the address of its media playlist."""
    found = _FOLDER.match(url.path)
    return None if found is None else found[1].lower()


def _broadcast(number: str, started_at: float) -> Broadcast | None:
    if not _FIRST_BROADCAST <= started_at <= _MAX_TIME:
        return None
    return Broadcast(id=number, started_at=datetime.fromtimestamp(started_at, UTC))


def _unusable(why: str) -> UpstreamError:
    return UpstreamError(STEP, f"Twitch's list of renditions cannot be used: {why}.")


def _token_refused() -> UpstreamError:
    return UpstreamError(
        STEP,
        "Twitch's usher does not accept the playback tokens that gql gives out: both have to be reached from the "
        "same address.",
        retry_after_seconds=None,
    )


def _is_about_token(words: str) -> bool:
    lowered = words.lower()
    return any(sign in lowered for sign in ("token", "nauth", "signature", "expired"))


def _says_missing(*texts: str) -> bool:
    return any(sign in text.lower() for text in texts for sign in _MISSING)


def _missing(kind: PlaylistKind) -> TwitchAudioError:
    if kind is PlaylistKind.CHANNEL:
        return TwitchAudioError(ProblemCode.NOT_LIVE, "This channel is not live at the moment.")
    return TwitchAudioError(ProblemCode.VIDEO_NOT_FOUND, "Twitch has no such video (any more).")


def _unnamed(kind: PlaylistKind, status: int) -> TwitchAudioError:
    """The error for "not found" without a reason: usher gives one for channels that are not live."""
    if kind is PlaylistKind.VIDEO:
        return _missing(kind)
    return UpstreamError(STEP, f"Twitch's usher answers {status} without a reason. Try again in a moment.")


def _error(fetched: Fetched) -> tuple[str, str]:
    """`error_code` and `error` in usher's array of one object, or in an object with such a code; else empty texts.

    Without a code, an object may be of any server on the way.
    """
    if fetched.text.lstrip()[:1] not in ("[", "{"):
        return "", ""
    try:
        body: Any = json.loads(fetched.text)
    except (ValueError, RecursionError):
        return "", ""
    first: object = body
    if isinstance(body, list):
        first = cast("list[object]", body)[0] if body else None
    found = cast("dict[str, Any]", first) if isinstance(first, dict) else {}
    if found is body and "error_code" not in found:
        return "", ""
    return quoted(str(found.get("error_code") or "")), quoted(str(found.get("error") or ""))


class Usher:
    """Sends requests to usher in the order of WAYS; see docs/capture.md for what leads on to the next."""

    def __init__(self, fetcher: Fetcher, base: URL, *, on_outcome: OnOutcome = ignore_outcome) -> None:
        self._fetcher = fetcher
        self._base = base
        self._on_outcome = on_outcome

    async def playlists(
        self,
        kind: PlaylistKind,
        name: str,
        new_token: Callable[[], Awaitable[PlaybackToken]],
        *,
        first_way: int = 0,
    ) -> Playlists:
        """The media playlists of a channel or VOD.

        `new_token` is called again, once, when the first token is refused. `first_way`: where in WAYS to begin.
        Raises TwitchAudioError: `not-live`, `video-not-found`, `restricted-stream`, `no-audio`,
        `upstream-unavailable`, `timeout`, and what `new_token` raises.
        """
        token, tokens = await new_token(), 1
        failures: list[UsherFailure] = []
        ways = deque([*range(first_way, len(WAYS)), *range(first_way)])
        while ways and sum(each.outcome == SERVER_FAILED for each in failures) < _MAX_SERVER_FAILURES:
            try:
                urls, broadcast = await self._ask(kind, WAYS[ways[0]], name, token)
                return Playlists(urls=urls, way=ways[0], channel_id=token.channel_id, broadcast=broadcast)
            except UsherFailure as failure:
                failures.append(failure)
                if failure.outcome == TOKEN_REFUSED and tokens < _MAX_TOKENS:
                    token, tokens = await new_token(), tokens + 1  # the first may just have expired
                else:
                    ways.popleft()
        raise _most_telling(failures)

    async def _ask(
        self, kind: PlaylistKind, way: Way, name: str, token: PlaybackToken
    ) -> tuple[tuple[URL, ...], Broadcast | None]:
        url = build_url(self._base, kind, way, name, token)
        try:
            fetched = await self._fetcher.get(
                url, step=STEP, max_bytes=MAX_CHARACTERS, total_seconds=REQUEST_SECONDS
            )
        except HostWantsPauseError:
            raise
        except UpstreamError as error:
            raise UsherFailure(SERVER_FAILED, error) from error
        try:
            urls = parse_answer(kind, fetched, url)
        except UsherFailure as failure:
            self._on_outcome(ANSWER_STEP, failure.outcome)
            raise
        except TwitchAudioError as error:
            self._on_outcome(ANSWER_STEP, str(error.code))
            raise
        self._on_outcome(ANSWER_STEP, "ok")
        live = kind is PlaylistKind.CHANNEL
        return urls, live_broadcast(fetched.text) if live else recorded_broadcast(urls[0])


def _most_telling(failures: list[UsherFailure]) -> TwitchAudioError:
    """The error to report when no way was answered: a refusal in usher's own words, or else the first one."""
    own = (failure.error for failure in failures if failure.error.code is ProblemCode.RESTRICTED_STREAM)
    return next(own, failures[0].error)
