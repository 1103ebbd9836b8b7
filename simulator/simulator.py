"""The simulated Twitch as one aiohttp application, and a context manager that runs it on a port."""

import asyncio
import hashlib
import secrets
import socket
import ssl
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from aiohttp import web

from simulator.accounts import Accounts, Person
from simulator.channel import Channel
from simulator.clip import Clip
from simulator.clip_files import ClipRoutes
from simulator.clock import SimulatedClock
from simulator.content import ChannelPlan, ClipPlan, Content, VideoPlan, demo_content
from simulator.control import ControlRoutes
from simulator.delivery import LiveRoutes
from simulator.faults import Fault, FaultPlan, Step
from simulator.gql import GqlRoutes
from simulator.helix import HelixRoutes
from simulator.hosts import Hosts
from simulator.library import SongFile, composed_songs, own_songs
from simulator.media import Muxer
from simulator.playback_tokens import PlaybackTokens
from simulator.program import NowPlaying, Program, ProgramEncoder
from simulator.sign_in import SignInRoutes
from simulator.signing import Signer
from simulator.transport import Latency, RequestLog, Transport
from simulator.usher import UsherRoutes
from simulator.video import Video
from simulator.video_delivery import VideoRoutes
from simulator.world import World

_BODY_LIMIT: Final = 1 << 20


def make_simulator(world: World, *, hosts: Hosts, transport: Transport | None = None) -> web.Application:
    """The application that serves a world. `hosts`: the addresses of its parts in answers."""
    transport = transport or Transport(world.clock)
    signer = Signer(secrets.token_bytes(32))
    tokens = PlaybackTokens(signer, world.clock)
    app = web.Application(client_max_size=_BODY_LIMIT)
    for routes in (
        GqlRoutes(world, tokens, transport, hosts),
        UsherRoutes(world, tokens, signer, transport, hosts),
        LiveRoutes(world, signer, transport, hosts),
        VideoRoutes(world, transport),
        ClipRoutes(world, tokens, transport),
        SignInRoutes(world, world.accounts, transport, hosts),
        HelixRoutes(world, world.accounts, transport),
        ControlRoutes(world, transport),
    ):
        routes.add_to(app)
    return app


async def make_world(content: Content, cache: Path, *, clock: SimulatedClock | None = None) -> World:
    """Encode all programmes in threads (the first time, CPU time of about a hundredth of their length).

    Raises ValueError for content that cannot be played, OSError for a folder that cannot be written.
    """
    clock = clock or SimulatedClock()
    program_encoder = ProgramEncoder(cache)
    loop = asyncio.get_running_loop()
    muxer = await asyncio.to_thread(Muxer)
    pool = ThreadPoolExecutor(max_workers=2, thread_name_prefix="program_encoder")
    try:
        playlists = list(dict.fromkeys(plan.playlist for plan in (*content.channels, *content.videos)))
        made = await asyncio.gather(
            *(loop.run_in_executor(pool, program_encoder.program, playlist) for playlist in playlists)
        )
        # One after another, since they share the muxer's codec templates.
        files = [
            await loop.run_in_executor(pool, _clip_content, program_encoder, plan, muxer) for plan in content.clips
        ]
        ad_ring = await loop.run_in_executor(pool, program_encoder.advertisement)
        silence_ring = await loop.run_in_executor(pool, program_encoder.silence)
    finally:
        # A cancelled caller does not wait: the encoding under way finishes or is discarded by itself.
        pool.shutdown(wait=False, cancel_futures=True)
    programs = dict(zip(playlists, made, strict=True))
    now = clock.now()
    channels = {plan.login: Channel(plan, programs[plan.playlist], clock) for plan in content.channels}
    return World(
        clock=clock,
        accounts=Accounts(map(_person, content.channels), clock),
        muxer=muxer,
        ad_ring=ad_ring,
        silence_ring=silence_ring,
        channels=channels,
        clips={
            plan.slug: Clip(plan, file, _seconds(plan), now - timedelta(hours=5))
            for plan, file in zip(content.clips, files, strict=True)
        },
        videos={plan.video_id: _video(plan, programs[plan.playlist], clock) for plan in content.videos},
    )


def _person(plan: ChannelPlan) -> Person:
    return Person(
        user_id=str(plan.user_id),
        login=plan.login,
        display_name=plan.display_name,
        broadcaster_type="affiliate",
    )


def _clip_content(program_encoder: ProgramEncoder, plan: ClipPlan, muxer: Muxer) -> bytes:
    return program_encoder.clip_file(plan.playlist, muxer).read_bytes()


def _seconds(plan: ClipPlan) -> float:
    return sum(item.length for item in plan.playlist.items) / 48_000


def _video(plan: VideoPlan, program: Program, clock: SimulatedClock) -> Video:
    created = clock.now() - timedelta(days=7)
    digits = hashlib.sha256(plan.video_id.encode()).hexdigest()[:20]
    broadcast = 40_000_000_000 + int(plan.video_id)
    return Video(
        plan=plan,
        program=program,
        root=f"{digits}_{plan.login}_{broadcast}_{int(created.timestamp())}",
        created_at=created,
        clock=clock,
    )


class Simulator:
    """Runs a simulated Twitch on a loopback port for as long as the context lasts.

        async with Simulator(cache=folder) as twitch:
            twitch.channel("neonharbour").configure(stalled=True)
            twitch.channel("neonharbour").faults.add(Fault(step=Step.SEGMENT, kind=FaultKind.RESET, times=1))
            twitch.latency.set(40)

    `cache` keeps songs and encoded media between runs. Without `content` it is the demo's, played from the files
    under `music`, or from the composed songs. `host` may be an IPv6 address; with `tls` everything is served over
    https. Entering raises NoMusicError, ValueError or OSError (port in use).
    """

    def __init__(
        self,
        *,
        cache: Path,
        content: Content | None = None,
        music: Path | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        latency_ms: float = 0.0,
        tls: ssl.SSLContext | None = None,
        hosts: Hosts | None = None,
        clock: SimulatedClock | None = None,
    ) -> None:
        self.clock: Final = clock or SimulatedClock()
        self._cache = cache
        self._content = content
        self._music = music
        self._host = host
        self._port = port
        self._tls = tls
        self._hosts = hosts
        self._transport = Transport(self.clock)
        self._transport.latency.set(latency_ms)
        self._stack = AsyncExitStack()
        self._world: World | None = None
        self._abandoned = threading.Event()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            stack.callback(self._abandoned.set)
            family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
            listening = await asyncio.to_thread(socket.create_server, (self._host, self._port), family=family)
            stack.callback(listening.close)
            self._port = listening.getsockname()[1]
            if self._content is None:
                self._content = demo_content(await asyncio.to_thread(self._songs))
            self._world = await make_world(self._content, self._cache, clock=self.clock)
            stack.callback(self._world.muxer.close)
            app = make_simulator(
                self._world, hosts=self._hosts or Hosts.at(self.base_url), transport=self._transport
            )
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5, handle_signals=False)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            await web.SockSite(runner, listening, ssl_context=self._tls).start()
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    def _songs(self) -> Sequence[SongFile]:
        if self._music is not None:
            return own_songs(self._music)
        return composed_songs(self._cache, abandoned=self._abandoned)

    # --- addresses ------------------------------------------------------------------------------------

    @property
    def base_url(self) -> str:
        """The base address of all parts."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{'http' if self._tls is None else 'https'}://{host}:{self._port}"

    @property
    def gql_url(self) -> str:
        """The address that stands in for https://gql.twitch.tv/gql."""
        return f"{self.base_url}/gql"

    @property
    def usher_url(self) -> str:
        """The address that stands in for https://usher.ttvnw.net."""
        return self.base_url

    @property
    def helix_url(self) -> str:
        """The address that stands in for https://api.twitch.tv/helix."""
        return f"{self.base_url}/helix"

    @property
    def id_url(self) -> str:
        """The address that stands in for https://id.twitch.tv."""
        return self.base_url

    @property
    def control_url(self) -> str:
        """The address of the control endpoint."""
        return f"{self.base_url}/_control"

    @property
    def media_hosts(self) -> tuple[str, ...]:
        """The hosts that TWITCHAUDIO_MEDIA_HOSTS must allow."""
        return (self._host,)

    def environment(self) -> dict[str, str]:
        """The environment variables that point a server at this simulator."""
        return {
            "TWITCHAUDIO_TWITCH_GQL_URL": self.gql_url,
            "TWITCHAUDIO_TWITCH_USHER_URL": self.usher_url,
            "TWITCHAUDIO_TWITCH_HELIX_URL": self.helix_url,
            "TWITCHAUDIO_TWITCH_ID_URL": self.id_url,
            "TWITCHAUDIO_MEDIA_HOSTS": ",".join(self.media_hosts),
        }

    # --- content --------------------------------------------------------------------------------------

    @property
    def world(self) -> World:
        """The state of everything, to inspect and to change."""
        if self._world is None:
            raise RuntimeError("the simulator has not been started")
        return self._world

    @property
    def content(self) -> Content:
        """The channels, clips and VODs, and the songs that they play."""
        if self._content is None:
            raise RuntimeError("the simulator has not been started")
        return self._content

    @property
    def songs(self) -> tuple[SongFile, ...]:
        """The music files, from which a catalog can be built that knows all songs."""
        return self.content.songs

    def channel(self, login: str) -> Channel:
        """The channel with a login. Raises KeyError."""
        return self.world.channels[login]

    def clip(self, slug: str) -> Clip:
        """The clip with a slug. Raises KeyError."""
        return self.world.clips[slug]

    def video(self, video_id: str) -> Video:
        """The VOD with an id, also one that is the recording of a live broadcast. Raises KeyError."""
        found = self.world.video(video_id)
        if found is None:
            raise KeyError(video_id)
        return found

    def configure_channel(self, login: str, **changes: bool | float | str) -> None:
        """Set a channel's switches by name. Raises SwitchError, KeyError."""
        self.channel(login).configure(**changes)

    def restart(self, login: str) -> None:
        """End a channel's broadcast and begin another one, with a number and VOD of its own. Raises KeyError."""
        self.world.restart(login)

    def now_playing(self, login: str, at: datetime | None = None) -> NowPlaying | None:
        """The song that a channel plays at a time (default: now) and how far it is; None during ads for all.

        Compare it with a segment's PROGRAM-DATE-TIME: exact to half an AAC frame, 11 ms.
        """
        return self.channel(login).playing_at(at)

    @property
    def accounts(self) -> Accounts:
        """The people, applications and access tokens."""
        return self.world.accounts

    @property
    def faults(self) -> FaultPlan:
        """The faults that apply to every channel."""
        return self.world.faults

    def demand(self, *names: str) -> None:
        """Serve only requests that have these things which browsers send. Raises ValueError for unknown names."""
        self._transport.demand(*names)

    @property
    def latency(self) -> Latency:
        """The delay that is added to every answer."""
        return self._transport.latency

    @property
    def requests(self) -> RequestLog:
        """The log of the requests so far."""
        return self._transport.log

    def fail(self, fault: Fault, *, login: str | None = None) -> None:
        """Add a fault, for one channel or for all."""
        (self.faults if login is None else self.channel(login).faults).add(fault)

    def count(self, step: Step, target: str | None = None) -> int:
        """How many requests of a kind are in the log (of the newest 5000)."""
        return self.requests.count(step, target)

    def reset(self) -> None:
        """Turn every switch, fault and latency off, clear the log, and set the clock to the machine's time."""
        self.world.reset()
        self.latency.set()
        self.demand()
        self.requests.clear()
