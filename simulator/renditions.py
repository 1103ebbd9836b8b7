"""The renditions of a channel or VOD, and multivariant playlists in the forms of usher v1 and v2."""

import base64
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from simulator.usher_parameters import PlaylistParameters

AUDIO_ONLY: Final = "audio_only"
NO_SOUND: Final = "video_only"
"""A rendition that is listed only by a fault: its segments have a picture and no sound."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendition:
    """One rendition in a multivariant playlist.

    `name` is its id in usher v1 and its folder, `label` its name for people in v1, `stable_id` its id in v2.
    """

    name: str
    label: str
    bandwidth: int
    codecs: str
    resolution: str | None = None
    frame_rate: float | None = None
    source: bool = False
    group: str = "landscape"

    @property
    def audio_only(self) -> bool:
        """Whether it has no video track."""
        return self.resolution is None

    @property
    def stable_id(self) -> str:
        """The id in usher v2, which names the source by its picture, since some players do not know "chunked"."""
        return self.label.partition(" ")[0] if self.source else self.name

    @property
    def codec_family(self) -> str:
        """The video codec, h264 or h265, or none."""
        return "none" if self.audio_only else "h265" if self.codecs.startswith("hev1") else "h264"


def _h264(name: str, label: str, bandwidth: int, profile: str, resolution: str, *, frame_rate: float) -> Rendition:
    return Rendition(
        name=name,
        label=label,
        bandwidth=bandwidth,
        codecs=f"avc1.{profile},mp4a.40.2",
        resolution=resolution,
        frame_rate=frame_rate,
    )


_SOURCE: Final = replace(
    _h264("chunked", "1080p60 (source)", 8_534_030, "64002A", "1920x1080", frame_rate=60.0), source=True
)
_TRANSCODES: Final = (
    _h264("720p60", "720p60", 3_422_999, "4D401F", "1280x720", frame_rate=60.0),
    _h264("480p30", "480p", 1_427_999, "4D401F", "852x480", frame_rate=30.0),
    _h264("160p30", "160p", 230_000, "4D400C", "284x160", frame_rate=30.0),
)
_PORTRAIT: Final = replace(
    _h264("portrait_852p30", "852p portrait", 1_400_000, "4D401F", "480x852", frame_rate=30.0), group="portrait"
)
_ENHANCED: Final = Rendition(
    name="1440p60",
    label="1440p60",
    bandwidth=9_200_000,
    codecs="hev1.1.6.L150.B0,mp4a.40.2",
    resolution="2560x1440",
    frame_rate=60.0,
)


RENDITION_NAMES: Final = (
    *(each.name for each in (_SOURCE, *_TRANSCODES, _PORTRAIT, _ENHANCED)),
    AUDIO_ONLY,
    NO_SOUND,
)
"""The names of all renditions."""


def offered(
    *,
    audio: str,
    parameters: PlaylistParameters,
    seed: str,
    portrait: bool = False,
    enhanced: bool = False,
    hevc_alone: bool = False,
    transcodes: bool = True,
    audio_label: str = "audio_only",
) -> list[Rendition]:
    """The renditions that a playlist lists, in a random order that is the same for the same `seed`."""
    sound = Rendition(name=AUDIO_ONLY, label=audio_label, bandwidth=160_000, codecs="mp4a.40.2")
    if audio == "only":
        return [sound] if parameters.audio_only else []
    everything = [] if hevc_alone else [_SOURCE, *(_TRANSCODES if transcodes else ())]
    if portrait:
        everything.append(_PORTRAIT)
    if enhanced or hevc_alone:
        everything.append(_ENHANCED)
    random.Random(seed).shuffle(everything)  # noqa: S311 - an order, no secret
    if audio == "listed":
        everything.insert(len(everything) // 2, sound)
    return [
        each
        for each in everything
        if (parameters.audio_only or not each.audio_only)
        and (parameters.source or not each.source)
        and (each.audio_only or each.codec_family in parameters.codecs)
        and (parameters.multigroup or each.group == "landscape")
    ]


def multivariant(
    renditions: Sequence[Rendition],
    address: Callable[[Rendition], str],
    *,
    version: int,
    info: dict[str, str],
    parameters: PlaylistParameters,
    session_data: bool = False,
    sound_address: str | None = None,
) -> str:
    """The playlist's text, as usher v1 or v2 writes it. `info`: the attributes of EXT-X-TWITCH-INFO.

    `sound_address`: the sound of all renditions is one of its own there, in EXT-X-MEDIA (RFC 8216, 4.3.4.1).
    """
    lines = ["#EXTM3U"]
    if session_data:
        lines += [f'#EXT-X-SESSION-DATA:DATA-ID="{name}",VALUE="{value}"' for name, value in info.items()]
    else:
        lines.append("#EXT-X-TWITCH-INFO:" + ",".join(f'{name}="{value}"' for name, value in info.items()))
    if parameters.unavailable:
        lines.append(_unavailable())
    if sound_address is not None:
        lines.append(
            '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="audio",NAME="audio_only",AUTOSELECT=YES,DEFAULT=YES,'
            f'URI="{sound_address}"'
        )
    for each in renditions:
        if version == 1:
            chosen = "NO" if each.audio_only else "YES"
            lines.append(
                f'#EXT-X-MEDIA:TYPE=VIDEO,GROUP-ID="{each.name}",NAME="{each.label}",'
                f"AUTOSELECT={chosen},DEFAULT={chosen}"
            )
        apart = "" if sound_address is None else ',AUDIO="audio"'
        lines += [f"#EXT-X-STREAM-INF:{_attributes(each, version, parameters)}{apart}", address(each)]
    return "\n".join(lines) + "\n"


def _attributes(each: Rendition, version: int, parameters: PlaylistParameters) -> str:
    parts = [f"BANDWIDTH={each.bandwidth}"]
    if each.resolution:
        parts.append(f"RESOLUTION={each.resolution}")
    parts.append(f'CODECS="{each.codecs}"')
    rate = f"FRAME-RATE={each.frame_rate:.3f}" if each.frame_rate and parameters.frame_rate else None
    if version == 1:
        parts.append(f'VIDEO="{each.name}"')
        return ",".join([*parts, *([rate] if rate else [])])
    if rate:
        parts.append(rate)
    parts += [f'STABLE-VARIANT-ID="{each.stable_id}"', f'IVS-NAME="{each.stable_id}"']
    if not each.audio_only:
        parts += [f'IVS-GROUPS="{each.group}"', f'IVS-VARIANT-SOURCE="{"source" if each.source else "transcode"}"']
    return ",".join(parts)


def _unavailable() -> str:
    withheld = [
        {
            "NAME": "1440p60",
            "BANDWIDTH": 9_200_000,
            "CODECS": "hev1.1.6.L150.B0,mp4a.40.2",
            "RESOLUTION": "2560x1440",
            "FILTER_REASONS": ["FR_CODEC_NOT_REQUESTED"],
            "AUTHORIZATION_REASONS": ["AUTHZ_NOT_LOGGED_IN"],
            "GROUP-ID": "1440p60",
            "FRAME-RATE": 60.0,
        }
    ]
    value = base64.b64encode(json.dumps(withheld).encode()).decode()
    return f'#EXT-X-SESSION-DATA:DATA-ID="com.amazon.ivs.unavailable-media",VALUE="{value}"'
