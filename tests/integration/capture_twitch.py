"""A simulated Twitch that plays one long, rising tone ladder, and a capture that listens to it.

Second n of the program is a tone of 400 + 20 n Hz, so any sound tells which moment it was taken from.
"""

import wave
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
from yarl import URL

from fingerprint.clock import SystemClock
from fingerprint.domain.audio import Pcm, Recording
from fingerprint.domain.targets import Target, parse_target
from fingerprint.media.capture import StreamCapture
from fingerprint.media.decoder import DecoderPool
from fingerprint.media.fetch import Fetcher
from fingerprint.media.host_pauses import MAX_PAUSE_SECONDS
from fingerprint.media.hosts import AllowList
from fingerprint.ports import MediaSource
from fingerprint.twitch.fetcher import twitch_allow_list, twitch_fetcher
from fingerprint.twitch.live_source_cache import LiveSourceCache
from fingerprint.twitch.resolve import TwitchResolver
from fingerprint.upstream_settings import TwitchSettings
from simulator.clock import SimulatedClock
from simulator.content import ChannelPlan, ClipPlan, Content, VideoPlan
from simulator.library import own_songs
from simulator.program import Item, Playlist
from simulator.simulator import Simulator

LADDER_SECONDS = 60
RATE = 48_000
SLUG = "TallLadderOfTones-abc_DEF-123"
VIDEO = "2210987009"
MUTED = (20.0, 40.0)


def ladder(path: Path) -> None:
    """Write the ladder as WAV."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(RATE)
        times = np.arange(RATE) / RATE
        for second in range(LADDER_SECONDS):
            sound = np.sin(2 * np.pi * tone(second) * times)
            file.writeframes(np.stack([12_000 * sound, 6_000 * sound], axis=1).astype("<i2").tobytes())


def tone(second: float) -> float:
    """The frequency heard in a second of the ladder."""
    return 400.0 + 20.0 * int(second % LADDER_SECONDS)


def heard(pcm: Pcm, at_seconds: float) -> float:
    """The frequency in the half second around a moment of a recording."""
    piece = pcm.cut(at_seconds - 0.25, 0.5).mono
    spectrum = np.abs(np.fft.rfft(piece * np.hanning(len(piece)), n=1 << 15))
    return float(np.argmax(spectrum)) * pcm.rate / (1 << 15)


def content_of(folder: Path) -> Content:
    """One channel, one clip and one VOD that all play the ladder."""
    path = folder / "ladder.wav"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        ladder(path)
    songs = own_songs(folder)
    playlist = Playlist(items=(Item(song=songs[0]),))
    return Content(
        channels=(
            ChannelPlan(
                login="ladder",
                display_name="Ladder",
                user_id=71_000_201,
                title="up",
                game="Music",
                playlist=playlist,
            ),
        ),
        clips=(
            ClipPlan(
                slug=SLUG,
                login="ladder",
                title="a few rungs",
                playlist=Playlist(items=(Item(song=songs[0], start_seconds=5.0, seconds=20.0),)),
                address="signed",
            ),
        ),
        videos=(VideoPlan(video_id=VIDEO, login="ladder", title="all rungs", playlist=playlist, muted=(MUTED,)),),
        songs=songs,
    )


class SkippingClock:
    """The simulator's frozen clock, which whoever sleeps pushes on: nobody waits for real."""

    def __init__(self, clock: SimulatedClock) -> None:
        self._clock = clock
        self.slept = 0.0

    def now(self) -> datetime:
        return self._clock.now()

    def monotonic(self) -> float:
        return self._clock.monotonic()

    async def sleep(self, seconds: float) -> None:
        self.slept += seconds
        self._clock.advance(seconds)


class PauseClock(SystemClock):
    """Skips the pauses that hosts ask for."""

    def __init__(self) -> None:
        self.slept = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.slept

    async def sleep(self, seconds: float) -> None:
        self.slept += seconds


async def first_take(capture: StreamCapture, source: MediaSource, seconds: float = 6.0) -> Recording:
    async with aclosing(capture.takes(source, seconds)) as takes:
        return await anext(takes)


@dataclass(frozen=True, slots=True)
class Listener:
    """Everything from a target's text to a recording."""

    twitch: Simulator
    clock: SkippingClock
    resolver: TwitchResolver
    media: Fetcher
    decoder: DecoderPool
    pauses: PauseClock
    sessions: LiveSourceCache
    capture: StreamCapture
    login: str = "ladder"

    def afresh(self) -> "Listener":
        """The same with nothing remembered, and a simulator with its clock stopped and every switch off.

        Nor does it list segments that it is still making: how much of one has come is not the same every time.
        """
        self.twitch.reset()
        self.twitch.configure_channel("ladder", prefetch=False)
        self.twitch.clock.freeze()
        self.twitch.clock.advance(1.3)
        self.pauses.slept += MAX_PAUSE_SECONDS
        return self.anew()

    def anew(self) -> "Listener":
        """The same with nothing remembered."""
        return listener_of(self.twitch, self.resolver, self.media, self.decoder, self.pauses)

    async def listen(self, target: str | Target, seconds: float = 6.0) -> Recording:
        source = await self.sessions.resolve(parse_target(target) if isinstance(target, str) else target)
        return await first_take(self.capture, source, seconds)

    def rung(self, started_at: datetime, seconds: float) -> float:
        """The tone that the channel plays so long after a time."""
        playing = self.twitch.now_playing(self.login, started_at + timedelta(seconds=seconds))
        assert playing is not None, "there is an ad at that moment"
        return tone(playing.offset_seconds)


@asynccontextmanager
async def listening(cache: Path, *, settings: TwitchSettings | None = None) -> AsyncGenerator[Listener]:
    """A simulator, and a listener that knows no other host."""
    async with Simulator(cache=cache / "media", content=content_of(cache / "music")) as twitch:
        settings = settings or TwitchSettings(
            gql_url=URL(twitch.gql_url), usher_url=URL(twitch.usher_url), media_hosts=twitch.media_hosts
        )
        pauses = PauseClock()
        async with (
            twitch_fetcher(twitch_allow_list(settings), clock=pauses) as services,
            twitch_fetcher(AllowList.of_media_hosts(settings.media_hosts), clock=pauses) as media,
            DecoderPool(workers=1) as decoder,
        ):
            yield listener_of(twitch, TwitchResolver(services, settings), media, decoder, pauses)


def listener_of(
    twitch: Simulator, resolver: TwitchResolver, media: Fetcher, decoder: DecoderPool, pauses: PauseClock
) -> Listener:
    clock = SkippingClock(twitch.clock)
    sessions = LiveSourceCache(resolver, clock)
    capture = StreamCapture(fetcher=media, decoder=decoder, clock=clock, sources=sessions)
    return Listener(twitch, clock, resolver, media, decoder, pauses, sessions, capture)
