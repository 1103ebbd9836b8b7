"""A server that takes a webhook's messages."""

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass
class Receiver:
    """A server that takes messages, and answers as it is told."""

    url: str = ""
    status: int = 204
    held: int = 0
    """Messages to `/held` that got no answer yet: they get one when `go` is set."""
    go: asyncio.Event = field(default_factory=asyncio.Event)
    got: asyncio.Queue[tuple[dict[str, str], bytes]] = field(
        default_factory=asyncio.Queue[tuple[dict[str, str], bytes]]
    )

    async def take(self, request: web.Request) -> web.Response:
        await self.got.put(
            ({name.lower(): value for name, value in request.headers.items()}, await request.read())
        )
        return web.Response(status=self.status, headers={"Location": "/elsewhere"})

    async def hold(self, _request: web.Request) -> web.Response:
        self.held += 1
        await self.go.wait()
        return web.Response(status=204)

    @property
    def silent_url(self) -> str:
        return self.url.removesuffix("/hook") + "/held"

    async def next(self, secret: str) -> dict[str, Any]:
        """The next message, whose signature is right; 30 s at most."""
        async with asyncio.timeout(30):
            headers, body = await self.got.get()
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        key = base64.b64decode(secret.removeprefix("whsec_"))
        expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        assert headers["webhook-signature"] == f"v1,{expected}"
        assert headers["content-type"] == "application/json"
        return json.loads(body)


@asynccontextmanager
async def receiving() -> AsyncGenerator[Receiver]:
    """A receiver on loopback during the block."""
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/hook", receiver.take)
    app.router.add_post("/held", receiver.hold)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port: int = runner.addresses[0][1]
    receiver.url = f"http://127.0.0.1:{port}/hook"
    try:
        yield receiver
    finally:
        receiver.go.set()
        await runner.cleanup()
