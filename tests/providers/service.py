"""What the simulated providers share: a small real server whose next answers can be scripted."""

import asyncio
import ssl
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from aiohttp import BodyPartReader, web
from yarl import URL

from fingerprint.domain.audio import Pcm
from fingerprint.domain.problems import TwitchAudioError
from fingerprint.media.decode import decode_bytes
from tests.waiting import skip_time, until

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What is answered instead of the real thing."""

    status: int = 200
    body: bytes = b""
    content_type: str = "application/json"
    after: Callable[[], object] | None = None
    """What has to hold first, and `after_seconds` from then on."""
    after_seconds: float = 0.0
    stalls: bool = False
    """The answer never comes, or never ends: a time limit of less than 100 s is over at once."""
    drip_seconds: float = 0.0
    """One byte at a time, so long apart."""
    cut: bool = False
    """The connection is dropped instead of an answer."""


@dataclass(slots=True)
class Script:
    """Replies that are given in order before the real ones; `always` is given each time."""

    replies: deque[Reply] = field(default_factory=deque[Reply])
    always: Reply | None = None
    questions: int = 0

    def next(self) -> Reply | None:
        self.questions += 1
        return self.replies.popleft() if self.replies else self.always


async def give(request: web.Request, reply: Reply) -> web.StreamResponse:
    if reply.after is not None:
        await until(reply.after)
    await asyncio.sleep(reply.after_seconds)
    if reply.stalls and not reply.drip_seconds:
        skip_time(100)
        await asyncio.Event().wait()
    if reply.cut:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()
    if not reply.drip_seconds:
        return web.Response(status=reply.status, body=reply.body, content_type=reply.content_type)
    response = web.StreamResponse(status=reply.status, headers={"Content-Type": reply.content_type})
    await response.prepare(request)
    for position in range(len(reply.body)):
        await response.write(reply.body[position : position + 1])
        if reply.stalls:
            skip_time(reply.drip_seconds)
        await asyncio.sleep(0 if reply.stalls else reply.drip_seconds)
    return response


@asynccontextmanager
async def served(*routes: web.RouteDef, tls: ssl.SSLContext | None = None) -> AsyncGenerator[URL]:
    """The address of a server on loopback with these routes."""
    app = web.Application(client_max_size=32 << 20)
    app.add_routes(routes)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
        address: Any = runner.addresses[0]
        yield URL.build(scheme="https" if tls else "http", host="127.0.0.1", port=address[1])
    finally:
        await runner.cleanup()


@dataclass(slots=True)
class Form:
    """A multipart form as it came: texts by name, and files as (name, content)."""

    texts: dict[str, str] = field(default_factory=dict[str, str])
    files: dict[str, tuple[str, bytes]] = field(default_factory=dict[str, tuple[str, bytes]])


async def read_form(request: web.Request) -> Form:
    """Part by part, so that nothing is guessed."""
    form = Form()
    async for part in await request.multipart():
        assert isinstance(part, BodyPartReader)
        assert part.name is not None, "a part without a name"
        content = bytes(await part.read(decode=True))
        if part.filename is None:
            form.texts[part.name] = content.decode()
        else:
            form.files[part.name] = (part.filename, content)
    return form


def heard_in(file: bytes) -> Pcm | None:
    """The sound in an uploaded file; None when it cannot be decoded or is silent."""
    container = {b"RIFF": "wav", b"OggS": "ogg", b"fLaC": "flac"}.get(file[:4], "mp3")
    try:
        pcm = decode_bytes(file, container=container, max_seconds=30.0)
    except TwitchAudioError:
        return None
    return pcm if pcm.duration_seconds >= 1.0 and float(np.abs(pcm.samples).max()) > 1e-3 else None
