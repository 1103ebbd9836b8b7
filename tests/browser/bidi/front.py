"""One HTTPS port of this machine that answers under several names, with certificates of a throw-away authority."""

import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import trustme
from aiohttp import web

from tests.browser.bidi.launch import Loopback

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

UNTRUSTED: Final = "untrusted.example"
"""A name whose certificate is of an authority that no browser knows."""

NAMES: Final = (
    *("www.twitch.tv", "clips.twitch.tv", "player.twitch.tv", "id.twitch.tv"),
    *("songs.example", UNTRUSTED),
)


@dataclass(slots=True)
class Front:
    """What is served under each name; a name without a handler answers 404."""

    loopback: Loopback
    handlers: dict[str, Handler] = field(default_factory=dict[str, Handler])

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Hand a request to the handler of the name it was sent to."""
        handler = self.handlers.get((request.host or "").partition(":")[0])
        if handler is None:
            raise web.HTTPNotFound
        return await handler(request)


@asynccontextmanager
async def fronted(folder: Path) -> AsyncGenerator[Front]:
    """Serve on a free port for as long as the block runs."""
    trusted, untrusted = trustme.CA(), trustme.CA()
    authority = folder / "authority.pem"
    trusted.cert_pem.write_to_path(str(authority))
    good, bad = _context(trusted, *NAMES), _context(untrusted, UNTRUSTED)

    def choose(socket: ssl.SSLObject | ssl.SSLSocket, name: str | None, _context: ssl.SSLContext) -> None:
        if name == UNTRUSTED:
            socket.context = bad

    good.sni_callback = choose
    front = Front(Loopback())
    app = web.Application(client_max_size=1 << 20)
    app.router.add_route("*", "/{anything:.*}", front.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5, handle_signals=False)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=good)
        await site.start()
        port: int = runner.addresses[0][1]
        front.loopback = Loopback(NAMES, port, authority)
        yield front
    finally:
        await runner.cleanup()


def _context(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)  # pyright: ignore[reportUnknownMemberType] - also PyOpenSSL's
    return context
