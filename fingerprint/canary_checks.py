"""What Twitch is expected to answer, and how an answer differs from that, without I/O."""

import json
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, cast

from fingerprint.hls.ads import Verdict, unknown_signs, verdicts
from fingerprint.hls.playlist import MediaPlaylist, Rendition

TOKEN_SECONDS: Final = (600.0, 3_600.0)
"""How long a live channel's token is expected to be valid; 1200 s were recorded."""

SEGMENT_SECONDS: Final = ((1.9, 2.1), (4.0, 4.3))
"""Lengths of live segments that were recorded."""

VIDEO_SEGMENT_SECONDS: Final = 10.0

MIN_WINDOW_SECONDS: Final = 20.0

MAX_AGE_SECONDS: Final = 45.0


def token_notes(value: str, *, login: str, now: float) -> list[str]:
    """How the content of a live channel's token differs from what was recorded. `now`: seconds since 1970."""
    try:
        content = json.loads(value)
    except (ValueError, RecursionError):
        return ["the token is no longer JSON"]
    if not isinstance(content, dict):
        return ["the token is no longer a JSON object"]
    found = cast("dict[str, Any]", content)
    notes: list[str] = []
    expires = found.get("expires")
    if not isinstance(expires, (int, float)):
        notes.append("the token does not say when it expires")
    elif not TOKEN_SECONDS[0] <= expires - now <= TOKEN_SECONDS[1]:
        notes.append(f"the token is valid for {expires - now:.0f} s, not for 1200 s")
    if found.get("channel") != login:
        notes.append("the token does not name the channel")
    if found.get("version") not in (2, 3):
        notes.append(f"the token's version is {str(found.get('version'))[:20]}, not 2 or 3")
    return notes


def rendition_notes(renditions: Sequence[Rendition]) -> list[str]:
    """How a list of renditions differs from what was recorded."""
    notes: list[str] = []
    if not any(rendition.audio_only for rendition in renditions):
        notes.append("no rendition is audio only, though it was asked for")
    if any(rendition.sound_elsewhere for rendition in renditions):
        notes.append("the sound is a rendition of its own")
    if all(rendition.audio_only for rendition in renditions):
        notes.append("no rendition has a picture")
    if not any(rendition.name for rendition in renditions):
        notes.append("no rendition has a name")
    if not any(rendition.codecs for rendition in renditions):
        notes.append("no rendition says its codecs")
    return notes


def playlist_notes(playlist: MediaPlaylist) -> list[str]:
    """How a live media playlist differs from what was recorded."""
    notes = [f"unknown {kind.replace('-', ' ')} {value[:60]!r}" for kind, value in unknown_signs(playlist)]
    segments = playlist.segments
    if not any(segment.started_at for segment in segments):
        notes.append("no segment has a date")
    if playlist.duration_seconds < MIN_WINDOW_SECONDS and Verdict.AD not in verdicts(playlist):
        notes.append(f"{playlist.duration_seconds:.0f} s are listed, not 30 s")
    odd = sorted({round(each.duration_seconds, 1) for each in segments if not _is_usual(each.duration_seconds)})
    if odd:
        notes.append(f"segments of {', '.join(f'{seconds:g}' for seconds in odd[:5])} s")
    if any(segment.init for segment in segments):
        notes.append("segments are fragmented MP4 with an init section")
    if playlist.ended:
        notes.append("the broadcast has ended")
    return notes


def age_notes(playlist: MediaPlaylist, *, now: datetime) -> list[str]:
    """Whether a live playlist is of another time than now."""
    newest = max((segment.ended_at for segment in playlist.segments if segment.ended_at), default=None)
    age = 0.0 if newest is None else (now - newest).total_seconds()
    if age > MAX_AGE_SECONDS:
        return [f"the newest sound is {age:.0f} s old: the broadcast stands still, or is delayed"]
    return [f"its dates are {-age:.0f} s ahead of this machine's clock"] if age < -MAX_AGE_SECONDS else []


def video_notes(playlist: MediaPlaylist) -> list[str]:
    """How a VOD's media playlist differs from what was recorded."""
    notes: list[str] = []
    *whole, _last = playlist.segments
    odd = sorted({round(each.duration_seconds, 1) for each in whole} - {VIDEO_SEGMENT_SECONDS})
    if odd:
        notes.append(f"segments of {', '.join(f'{seconds:g}' for seconds in odd[:5])} s")
    if len({segment.init for segment in playlist.segments}) > 1:
        notes.append("there are several init sections")
    if any(segment.started_at for segment in playlist.segments):
        notes.append("segments have dates")
    if playlist.date_ranges or playlist.prefetch:
        notes.append("it has tags of live streams")
    return notes


def _is_usual(seconds: float) -> bool:
    return any(low <= seconds <= high for low, high in SEGMENT_SECONDS)


_ADDRESS: Final = re.compile(r"https?://([^\s/?#\"'<>@]*@)?([^\s/?#\"'<>]*)[^\s\"'<>]*")
_IPV4: Final = re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?!\.?\w)")
_IPV6: Final = re.compile(
    r"(?<![\w:])(?=[0-9A-Fa-f:]*(?:::|[A-Fa-f]))(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?![\w:])"
)
_OPAQUE: Final = re.compile(r"[A-Za-z0-9_+/=%-]{24,}")
_NAME: Final = re.compile(r"[a-z]{2,14}(-[a-z]{2,14})+|[a-z]{2,14}([A-Z][a-z]{2,14}){2,}|EXT-X(-[A-Z0-9]{2,14})+")
"""Long names of classes, fields and tags, which no secret looks like."""


def redacted(text: str, *secrets: str) -> str:
    """A text without addresses' paths and queries, IP addresses, and anything long enough to be a secret."""
    for secret in filter(None, secrets):
        text = text.replace(secret, "(hidden)")
    text = _ADDRESS.sub(lambda found: f"https://{found[2]}/...", text)
    text = _IPV6.sub("(address)", _IPV4.sub("(address)", text))
    return _OPAQUE.sub(lambda found: found[0] if _NAME.fullmatch(found[0]) else "(hidden)", text)
