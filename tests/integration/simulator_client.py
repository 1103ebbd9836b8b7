"""A plain viewer of the simulated Twitch, and content that plays ladders of tones, so that sound tells its place.

Second n of "Low ladder" is a tone of 400 + 20 n Hz, of "High ladder" one of 2000 + 20 n Hz.
"""

import asyncio
import io
import json
import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import av
import numpy as np
from numpy.typing import NDArray
from yarl import URL

from simulator.clock import SimulatedClock
from simulator.content import ChannelPlan, ClipPlan, Content, VideoPlan
from simulator.library import SongFile, write_flac
from simulator.program import Item, Playlist
from simulator.simulator import Simulator
from simulator.songs import SongTags

RATE = 48_000
WEB_CLIENT = "kimne78kx3ncx6brgo4mv6wki5h1ko"
LIVE_HASH = "ed230aa1e33e07eebb8928504583da78a5173989fadfb1ac94be06a04f3cdbe9"
CLIP_HASH = "993d9a5131f15a37bd16f32342c44ed1e0b1a9b968c6afdb662d2cddd595f6c5"
LIVE, CLIP, VIDEO = "ladders", "TallLadderOfTones-abc_DEF-12-", "2210987009"

STREAM_QUERY = """
query PlaybackAccessToken($login: String!) {
  streamPlaybackAccessToken(
    channelName: $login, params: {platform: "web", playerBackend: "mediaplayer", playerType: "site"}
  ) {
    value
    signature
    authorization { isForbidden forbiddenReasonCode }
  }
}"""
VIDEO_QUERY = """
query($id: ID!) { videoPlaybackAccessToken(id: $id, params: {platform: "web"}) { value signature } }"""
CLIP_QUERY = """
query($slug: ID!) {
  clip(slug: $slug) {
    id slug title durationSeconds broadcaster { login displayName }
    playbackAccessToken(params: {platform: "web", playerBackend: "mediaplayer", playerType: "site"}) {
      signature value
    }
    videoQualities { quality frameRate sourceURL }
    assets { aspectRatio videoQualities { quality videoCodec sourceURL } }
  }
}"""


def tone(song: SongFile, offset: float) -> float:
    """The frequency heard at a place of a song."""
    return (400.0 if song.title.startswith("Low") else 2000.0) + 20.0 * int(offset)


def _ladder(folder: Path, title: str, seconds: int) -> SongFile:
    tags = SongTags(title=title, artists=("The Steps",), album="Up", label="L", isrc="ZZTWA2600000", date="2026")
    song = SongFile(path=folder / f"{title}.flac", tags=tags, seconds=float(seconds))
    if not song.path.exists():
        times = np.arange(RATE) / RATE
        sound = np.concatenate([0.5 * np.sin(2 * np.pi * tone(song, second) * times) for second in range(seconds)])
        write_flac(song.path, np.stack([sound, 0.5 * sound]).astype(np.float32), tags)
    return song


def ladder_cast(folder: Path) -> Content:
    """Two live channels, one that is offline, clips of the three address forms, and a VOD with a muted part."""
    folder.mkdir(exist_ok=True)
    low, high = _ladder(folder, "Low ladder", 30), _ladder(folder, "High ladder", 30)
    both = Playlist(items=(Item(song=low, seconds=22), Item(song=high, start_seconds=5, seconds=14)))

    def channel(login: str, number: int, *, live: bool = True, audio: str = "listed") -> ChannelPlan:
        return ChannelPlan(
            login=login,
            display_name=login.title(),
            user_id=71_000_300 + number,
            title="up and up",
            game="Music",
            playlist=both,
            live=live,
            audio=audio,
        )

    def clip(slug: str, address: str) -> ClipPlan:
        items = (Item(song=low, start_seconds=3, seconds=10),)
        return ClipPlan(slug=slug, login=LIVE, title="ten steps", playlist=Playlist(items=items), address=address)

    return Content(
        channels=(channel(LIVE, 1), channel("picture", 2, audio="missing"), channel("asleep", 3, live=False)),
        clips=(
            clip(CLIP, "v2"),
            clip("SignedAddress-1234567890abcdef", "signed"),
            clip("OldAddressMau5", "percent"),
        ),
        videos=(VideoPlan(video_id=VIDEO, login=LIVE, title="last week", playlist=both, muted=((12.0, 18.0),)),),
        songs=(low, high),
    )


@dataclass(frozen=True, slots=True)
class Listed:
    """A segment as a playlist lists it."""

    url: str
    seconds: float
    title: str
    at: datetime | None
    discontinuity: bool


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def content_type(self) -> str:
        """The header as it is."""
        return self.headers["Content-Type"]


class Viewer:
    """Asks the simulator what a player asks Twitch."""

    def __init__(self, twitch: Simulator, session: aiohttp.ClientSession) -> None:
        self.twitch = twitch
        self._session = session

    async def get(self, url: str, **headers: str) -> Reply:
        """GET, the address as it is."""
        async with self._session.get(URL(url, encoded=True), headers=headers) as response:
            return Reply(response.status, response.headers, await response.read())

    async def post(self, url: str, body: object, **headers: str) -> Reply:
        """POST of JSON."""
        async with self._session.post(url, data=json.dumps(body), headers=headers) as response:
            return Reply(response.status, response.headers, await response.read())

    async def gql(self, body: object, *, client: str | None = WEB_CLIENT, **headers: str) -> Reply:
        """POST to gql as a known client."""
        if client is not None:
            headers["Client-ID"] = client
        return await self.post(self.twitch.gql_url, body, **headers)

    async def token(self, login: str = LIVE) -> dict[str, Any]:
        """A live playback token by full query text."""
        reply = await self.gql({"query": STREAM_QUERY, "variables": {"login": login}})
        return reply.json["data"]["streamPlaybackAccessToken"]

    async def usher(
        self, login: str = LIVE, token: Mapping[str, Any] | None = None, *, version: int = 2, **query: str
    ) -> Reply:
        """A multivariant playlist, with the usual parameters unless `query` says otherwise."""
        return await self._usher(login, token if token is not None else await self.token(login), version, query)

    async def _usher(self, login: str, token: Mapping[str, Any], version: int, query: Mapping[str, str]) -> Reply:
        path = "api/v2/channel/hls" if version == 2 else "api/channel/hls"
        parameters = {
            "allow_source": "true",
            "allow_audio_only": "true",
            "supported_codecs": "h264",
            "p": "7",
            "fast_bread": "true",
        }
        query = {**parameters, "sig": token.get("signature", ""), "token": token.get("value", ""), **query}
        return await self.get(str(URL(f"{self.twitch.usher_url}/{path}/{login}.m3u8").with_query(query)))

    async def renditions(self, login: str = LIVE, **query: str) -> dict[str, str]:
        """Addresses by name, from usher v2."""
        reply = await self._usher(login, await self.token(login), 2, query)
        assert reply.status == 200, reply.text
        return dict(re.findall(r'STABLE-VARIANT-ID="([^"]+)".*\n(\S+)', reply.text))

    async def playlist(self, login: str = LIVE, rendition: str = "audio_only") -> "MediaPlaylist":
        """A new session's media playlist."""
        return await self.reload((await self.renditions(login))[rendition])

    async def reload(self, url: str) -> "MediaPlaylist":
        """The media playlist at an address."""
        reply = await self.get(url)
        assert reply.status == 200, reply.status
        return MediaPlaylist(url, reply.text)

    async def sound(self, *segments: Listed, head: bytes = b"") -> NDArray[np.float32]:
        """What segments decode to when they are put one after another, shape (2, n)."""
        content = head
        for segment in segments:
            reply = await self.get(segment.url)
            assert reply.status == 200, reply.status
            content += reply.body
        return decoded(content)

    async def control(self, path: str, body: object) -> Reply:
        """POST to the control endpoint."""
        return await self.post(f"{self.twitch.control_url}/{path}", body)


class MediaPlaylist:
    """A media playlist, read with no more care than these tests need."""

    def __init__(self, url: str, text: str) -> None:
        self.url = url
        self.text = text
        self.segments: list[Listed] = []
        at: datetime | None = None
        seconds, title, discontinuity = 0.0, "", False
        for line in text.splitlines():
            if line.startswith("#EXT-X-PROGRAM-DATE-TIME:"):
                at = datetime.fromisoformat(line.partition(":")[2])
            elif line.startswith("#EXTINF:"):
                length, _, title = line.partition(":")[2].partition(",")
                seconds = float(length)
            elif line == "#EXT-X-DISCONTINUITY":
                discontinuity = True
            elif line and not line.startswith("#"):
                self.segments.append(Listed(line, seconds, title, at, discontinuity))
                discontinuity = False

    def tag(self, name: str) -> str | None:
        """The first value of a tag."""
        found = re.search(rf"^#{name}:(.*)$", self.text, re.MULTILINE)
        return found[1] if found else None

    @property
    def sequence(self) -> int:
        """MEDIA-SEQUENCE."""
        return int(self.tag("EXT-X-MEDIA-SEQUENCE") or -1)

    @property
    def live(self) -> list[Listed]:
        """The segments that are no ads."""
        return [segment for segment in self.segments if "|" not in segment.title]


def decoded(content: bytes) -> NDArray[np.float32]:
    """All sound of a file in memory, shape (2, n)."""
    with av.open(io.BytesIO(content), "r") as container:
        frames = [_samples(frame) for frame in container.decode(container.streams.audio[0])]
    return np.concatenate(frames, axis=1)


def _samples(frame: av.AudioFrame) -> NDArray[np.float32]:
    return frame.to_ndarray().astype(np.float32, copy=False)


def frequency(sound: NDArray[np.float32], at_seconds: float) -> float:
    """The loudest frequency in the quarter second around a moment, in Hz."""
    first = round((at_seconds - 0.125) * RATE)
    piece = sound[0, first : first + RATE // 4]
    spectrum = np.abs(np.fft.rfft(piece * np.hanning(piece.size), 1 << 16))
    return float(np.argmax(spectrum)) * RATE / (1 << 16)


def signed(url: str, token: Mapping[str, str]) -> str:
    """A clip's address with its token."""
    mark = "&" if "?" in url else "?"
    return f"{url}{mark}sig={token['signature']}&token={quote(token['value'], safe='')}"


@asynccontextmanager
async def a_viewer(folder: Path) -> AsyncGenerator[Viewer]:
    """A simulator whose clock stands still, and somebody who watches it."""
    clock = SimulatedClock()
    clock.freeze()
    cast_of_ladders = await asyncio.to_thread(ladder_cast, folder)
    async with (
        Simulator(cache=folder, content=cast_of_ladders, clock=clock) as twitch,
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as session,
    ):
        yield Viewer(twitch, session)
