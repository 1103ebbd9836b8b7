"""streamlink and yt-dlp as they are, led to a simulated Twitch by a proxy that answers under Twitch's names.

Clients ask the proxy to CONNECT to a host of Twitch's; it ends TLS with a certificate of a throw-away authority
and hands everything on to the simulator. No name is looked up, and each CONNECT says where a client wants to go.
"""

import asyncio
import contextlib
import os
import ssl
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import av
import numpy as np
import trustme
from yarl import URL

from fingerprint.domain.audio import Pcm
from simulator.hosts import Hosts
from simulator.simulator import Simulator
from tests.integration.capture_twitch import content_of
from tests.programs import Ran, run_program

_HOSTS: Final = Hosts.twitch()
NAMES: Final = tuple(
    {
        *("gql.twitch.tv", "usher.ttvnw.net", "www.twitch.tv", "clips.twitch.tv", "static-cdn.jtvnw.net"),
        *(URL(base).host or "" for base in (_HOSTS.playlist, _HOSTS.segment, _HOSTS.clip, _HOSTS.video)),
    }
)
CLIENT_SECONDS: Final = 90.0


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate authority of this test run, and a certificate for Twitch's names."""

    file: Path
    context: ssl.SSLContext


def make_authority(folder: Path) -> Authority:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate = authority.issue_cert(*NAMES)
    certificate.configure_cert(context)  # pyright: ignore[reportUnknownMemberType] - it also takes PyOpenSSL's
    file = folder / "authority.pem"
    authority.cert_pem.write_to_path(str(file))
    return Authority(file, context)


@dataclass(frozen=True, slots=True)
class RealClients:
    """A simulator, and the real clients before it. `connected` lists the hosts that they wanted to reach."""

    twitch: Simulator
    proxy: str
    authority: Path
    folder: Path
    connected: list[str]

    async def streamlink(self, *arguments: str) -> Ran:
        options = ["--no-config", "--http-proxy", self.proxy, "--webbrowser", "False", "--force"]
        return await self._run("streamlink", *options, *arguments)

    async def yt_dlp(self, *arguments: str) -> Ran:
        options = [
            *("--ignore-config", "--no-cache-dir", "--compat-options", "no-certifi", "--proxy", self.proxy),
            *(
                "--retries",
                "0",
                "--extractor-retries",
                "0",
                "--fixup",
                "never",
                "--force-overwrites",
                "--no-mtime",
            ),
        ]
        return await self._run("yt_dlp", *options, *arguments)

    async def _run(self, module: str, *arguments: str) -> Ran:
        environment = {
            "PATH": os.defpath,
            "HOME": str(self.folder),
            "REQUESTS_CA_BUNDLE": str(self.authority),
            "SSL_CERT_FILE": str(self.authority),
        }
        command = (sys.executable, "-m", module, *arguments)
        return await run_program(*command, folder=self.folder, seconds=CLIENT_SECONDS, environment=environment)


@asynccontextmanager
async def real_clients(cache: Path, authority: Authority) -> AsyncGenerator[RealClients]:
    content = await asyncio.to_thread(content_of, cache / "music")
    async with Simulator(cache=cache / "media", content=content, hosts=Hosts.twitch()) as twitch:
        port = URL(twitch.base_url).port
        assert port is not None
        connected: list[str] = []
        async with _proxy(port, authority.context, connected) as address:
            yield RealClients(twitch, address, authority.file, cache, connected)


@asynccontextmanager
async def _proxy(port: int, context: ssl.SSLContext, connected: list[str]) -> AsyncGenerator[str]:
    under_way: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        under_way.add(task)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                request = (await reader.readuntil(b"\r\n\r\n")).split()
                connected.append(request[1].decode().rpartition(":")[0])
                writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
                await writer.drain()
                await writer.start_tls(context)
                simulator_reader, simulator = await asyncio.open_connection("127.0.0.1", port)
                await asyncio.gather(_pump(reader, simulator), _pump(simulator_reader, writer))
        finally:
            writer.close()
            under_way.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        tasks = list(under_way)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        with contextlib.suppress(OSError):
            while content := await reader.read(1 << 16):
                writer.write(content)
                await writer.drain()
    finally:
        writer.close()


def sound_of(file: Path) -> Pcm:
    """What a client wrote, decoded."""
    with av.open(str(file)) as container:
        resampler = av.AudioResampler(format="fltp", layout="mono", rate=48_000)
        pieces = [
            piece.to_ndarray()
            for frame in (*container.decode(audio=0), None)
            for piece in resampler.resample(frame)
        ]
    return Pcm(np.ascontiguousarray(np.concatenate(pieces, axis=1), dtype=np.float32), 48_000)
