"""What usher answers to each parameter: one table, so that nothing is given that was not asked for."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

STREAMLINK: Final = "streamlink 8.6.3, plugins/twitch.py (2026-10-29)"
YT_DLP: Final = "yt-dlp 2026.10.26, extractor/twitch.py"
RECORDED: Final = "DmitryScaletta/twitch-dlp, src/lib/hlsParser.mock.md: recorded answers (2026)"
PREFETCH: Final = "streamlink#1676: both playlists (2018-05-22); alamminsalo/orion#243: the parameter (2018-09-20)"
XTRA: Final = "thiscallnet/Xtra#83 (2026-08-22): sent with `fast_bread`; what it does alone is not known, a guess"
WEB_PLAYER: Final = "qsniyg/maxurl#489 and the clients that send it (2026); no answer is known to change, a guess"

_CODECS: Final = {"avc1": "h264", "h264": "h264", "h265": "h265", "hevc": "h265", "av1": "av1"}


@dataclass(frozen=True, slots=True)
class UsherParameter:
    """A parameter of usher's requests. `effect`: what the answer has because of it, as docs/simulator.md words it.

    `source`: where that can be read, with its date.
    """

    name: str
    effect: str
    source: str


TABLE: Final = (
    UsherParameter("allow_source", "`true` lists the source rendition", STREAMLINK),
    UsherParameter("allow_audio_only", "`true` lists `audio_only`", RECORDED),
    UsherParameter("supported_codecs", "lists only renditions in these codecs; `h264` without it", STREAMLINK),
    UsherParameter("playlist_include_framerate", "`true` adds FRAME-RATE", STREAMLINK),
    UsherParameter("multigroup_video", "`true` lists portrait renditions", STREAMLINK),
    UsherParameter("include_unavailable", "`true` adds the list of renditions that are withheld", RECORDED),
    UsherParameter(
        "fast_bread",
        "`true`: live media playlists list the segments that are being made (EXT-X-TWITCH-PREFETCH), and their "
        "whole window; 6 segments without it",
        PREFETCH,
    ),
    UsherParameter("low_latency", "none", XTRA),
    UsherParameter("platform", "AV1 is listed only with `web`", STREAMLINK),
    UsherParameter("p", "none", STREAMLINK),
    UsherParameter("player", "none", YT_DLP),
    UsherParameter("allow_spectre", "none", YT_DLP),
    UsherParameter("player_backend", "none", WEB_PLAYER),
    UsherParameter("play_session_id", "none", WEB_PLAYER),
    UsherParameter("reassignments_supported", "none", WEB_PLAYER),
    UsherParameter("transcode_mode", "none", WEB_PLAYER),
    UsherParameter("cdm", "none", WEB_PLAYER),
    UsherParameter("acmb", "none", WEB_PLAYER),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaylistParameters:
    """The parameters of a request that have an effect."""

    audio_only: bool
    source: bool
    codecs: frozenset[str]
    frame_rate: bool
    multigroup: bool
    unavailable: bool
    fast: bool


def playlist_parameters(query: Mapping[str, str]) -> PlaylistParameters:
    """Reads a request's query. Players write `true` and `True`."""

    def on(name: str) -> bool:
        return query.get(name, "").lower() == "true"

    asked = query.get("supported_codecs", "h264").lower().split(",")
    if query.get("platform", "").lower() != "web":
        asked = [name for name in asked if name.strip() != "av1"]
    return PlaylistParameters(
        audio_only=on("allow_audio_only"),
        source=on("allow_source"),
        codecs=frozenset(_CODECS[name.strip()] for name in asked if name.strip() in _CODECS),
        frame_rate=on("playlist_include_framerate"),
        multigroup=on("multigroup_video"),
        unavailable=on("include_unavailable"),
        fast=on("fast_bread"),
    )
