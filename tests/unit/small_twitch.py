"""A Twitch in this process: one channel, VOD and clip, behind the real fetcher, with nothing on any wire.

Of a request everything is real but the sending: retries, time limits, pauses, circuit breakers and the allow-list.
"""

import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from yarl import URL

from fingerprint.domain.audio import SAMPLE_RATE, Pcm
from fingerprint.media.ahead import DecodingAhead, SoundListener
from fingerprint.media.fetch import BodyFilter, Fetched, Fetcher
from fingerprint.media.hosts import AllowList
from fingerprint.media.partial_response import PartialResponse
from fingerprint.media.pcm import Decoded
from fingerprint.ports import ClipSource, LiveSource, VideoSource
from tests.builders import NOON

HOST = "https://pop.playlist.ttvnw.net"
RENDITIONS = ("audio_only", "160p30")
PACKET = b"\x47" + bytes(187)
FRAGMENT = b"\0\0\0\x08moof\0\0\0\x10mdat" + bytes(8)
INIT = b"\0\0\0\x08ftyp\0\0\0\x08moov"
SEGMENT_SECONDS = 2.0
CLIP = b"\0\0\0\x08ftyp\0\0\0\x08moov\0\0\0\x0cmdatclip"

LIVE = LiveSource(
    channel="ladder",
    playlist=URL(f"{HOST}/live/audio_only/list.m3u8"),
    alternatives=(URL(f"{HOST}/live/160p30/list.m3u8"),),
)
VIDEO = VideoSource(
    video_id="1",
    playlist=URL(f"{HOST}/vod/audio_only/list.m3u8"),
    alternatives=(URL(f"{HOST}/vod/160p30/list.m3u8"),),
    at_seconds=5.0,
)
CLIP_SOURCE = ClipSource(url=URL(f"{HOST}/clip.mp4"), duration_seconds=6.0)


def usher_list(kind: str) -> str:
    return "".join(
        (
            "#EXTM3U\n",
            *(
                f'#EXT-X-STREAM-INF:BANDWIDTH={1000 * (1 + number)},CODECS="mp4a.40.2{codec}"\n'
                f"{HOST}/{kind}/{name}/list.m3u8\n"
                for number, (name, codec) in enumerate(zip(RENDITIONS, ("", ",avc1.4D"), strict=True))
            ),
        )
    )


def media_list(*, live: bool, count: int = 6, init: bool = False) -> str:
    """Segments of 2 s, of which the newest live one has just ended."""
    lines = ["#EXTM3U", "#EXT-X-TARGETDURATION:2", f"#EXT-X-MEDIA-SEQUENCE:{100 if live else 0}"]
    lines += ['#EXT-X-MAP:URI="init.mp4"'] if init else []
    for number in range(count):
        date = NOON + timedelta(seconds=SEGMENT_SECONDS * (number - count))
        lines += [f"#EXT-X-PROGRAM-DATE-TIME:{date:%Y-%m-%dT%H:%M:%S}.000Z"] if live else []
        lines += [f"#EXTINF:{SEGMENT_SECONDS:.3f},{'live' if live else ''}", f"{number}.{'mp4' if init else 'ts'}"]
    return "\n".join(lines if live else [*lines, "#EXT-X-ENDLIST"])


class Sending(Protocol):
    """What the fetcher knows of a request that is to be sent."""

    @property
    def step(self) -> str: ...

    @property
    def body(self) -> bytes | None: ...

    @property
    def new_filter(self) -> Callable[[int], BodyFilter] | None: ...


Fault = Callable[[str, URL], Awaitable[Fetched | None]]
"""What happens to a request for a step: nothing (None), another response, or an exception."""


async def no_fault(_step: str, _url: URL) -> Fetched | None:
    return None


@dataclass(slots=True)
class SmallTwitch:
    """What is answered, by path. `fault` goes first."""

    fault: Fault = no_fault
    init: bool = False
    """Segments are fMP4, with an init section."""

    sent: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    """The steps and paths of requests."""

    head: bytes = INIT
    """The init section."""

    lists: dict[str, str] = field(default_factory=dict[str, str])
    """Media playlists in place of the usual ones, by `live` or `vod`."""

    def answer(self, url: URL, body: bytes | None) -> Fetched:
        if body is not None:
            return _json(self._gql(json.loads(body)))
        kind = "vod" if "/vod/" in url.path else "live"
        if url.name == "list.m3u8":
            usual = media_list(live=kind == "live", init=self.init)
            return Fetched(200, self.lists.get(kind, usual).encode())
        if url.suffix == ".m3u8":
            return Fetched(200, usher_list(kind).encode())
        whole = {"init.mp4": self.head, "clip.mp4": CLIP}
        return Fetched(200, whole.get(url.name, FRAGMENT if url.suffix == ".mp4" else PACKET))

    def _gql(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        token = {"value": json.dumps({"channel_id": 7}), "signature": "ab" * 20}
        if "slug" in body["variables"]:
            files = [{"quality": "360", "sourceURL": f"{HOST}/clip.mp4"}]
            return {"clip": {"playbackAccessToken": token, "videoQualities": files, "durationSeconds": 6}}
        if "videos" in body.get("query", ""):
            return {"user": {"videos": {"edges": []}}}
        if "user(" in body.get("query", ""):
            return {"user": {"id": "7", "login": "ladder"}}
        return {"streamPlaybackAccessToken": token, "videoPlaybackAccessToken": token}


def _json(data: Mapping[str, Any]) -> Fetched:
    return Fetched(200, json.dumps({"data": data}).encode(), "application/json")


class SmallFetcher(Fetcher):
    """The real fetcher, whose requests are answered here."""

    def __init__(self, twitch: SmallTwitch, **more: Any) -> None:
        hosts = AllowList.of_media_hosts(("*.ttvnw.net", "gql.twitch.tv"))
        super().__init__(hosts, upstream="Twitch", **more)
        self._twitch = twitch

    async def _send(self, call: Sending, url: URL, partial: PartialResponse | None) -> tuple[Fetched, URL | None]:
        self._twitch.sent.append((call.step, url.path))
        fetched = await self._twitch.fault(call.step, url)
        if fetched is None:
            fetched = self._twitch.answer(url, call.body)
        if call.new_filter is not None and fetched.status in (200, 206):
            kept = call.new_filter(0)
            fetched = Fetched(fetched.status, await kept.feed(fetched.body) + kept.finish(), fetched.content_type)
        if partial is not None:
            partial.status = fetched.status
            partial.chunks.append(fetched.body)
        return fetched, None


_NOISE = np.random.default_rng(1).normal(0, 0.1, (1, 12 * SAMPLE_RATE)).astype(np.float32)


class SmallDecoder:
    """Finds noise of the length that is asked for in anything."""

    async def decode(self, encoded: bytes, *, container: str, max_seconds: float) -> Decoded:
        return Decoded(Pcm(_NOISE[:, : round(min(max_seconds, 12.0) * SAMPLE_RATE)], SAMPLE_RATE), ())

    def begin(self, *, max_seconds: float, listener: SoundListener | None = None) -> DecodingAhead | None:
        return None

    async def begin_long(self, *, container: str, max_seconds: float) -> DecodingAhead:
        raise NotImplementedError

    async def decode_file(self, path: Path, *, max_seconds: float) -> Decoded:
        raise NotImplementedError

    async def file_blocks(self, path: Path) -> AsyncGenerator[Pcm]:
        raise NotImplementedError
        yield  # pyright: ignore[reportUnreachable] - it is a generator


@asynccontextmanager
async def small_fetcher(twitch: SmallTwitch, **more: Any) -> AsyncGenerator[Fetcher]:
    async with SmallFetcher(twitch, **more) as fetcher:
        yield fetcher
