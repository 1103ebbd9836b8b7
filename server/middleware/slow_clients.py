"""Closes connections that never send a request's head, which aiohttp itself would keep open forever.

Slow bodies are limited where they are read, idle connections between requests by aiohttp's keep-alive timeout.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

_log = logging.getLogger(__name__)


class SlowClients:
    """Tracks which connections have sent a request, and closes those that have not within `head_seconds`."""

    def __init__(self, *, head_seconds: float) -> None:
        self._head_seconds = head_seconds
        self._served: set[RequestHandler] = set()
        self._first_seen: dict[RequestHandler, float] = {}

    def note(self, request: web.Request) -> None:
        """Hook before each request: records that the connection has sent one."""
        self._served.add(request.protocol)

    @asynccontextmanager
    async def watching(self, runner: web.AppRunner) -> AsyncGenerator[None]:
        """Check the runner's connections periodically while the block runs."""
        sweeper = asyncio.create_task(self._sweep(runner))
        try:
            yield
        finally:
            sweeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await sweeper

    async def _sweep(self, runner: web.AppRunner) -> None:
        while True:
            await asyncio.sleep(self._head_seconds / 4)
            if runner.server is not None:
                self.close_silent(runner.server.connections, time.monotonic())

    def close_silent(self, connections: list[RequestHandler], now: float) -> None:
        """Close connections that have sent nothing for `head_seconds`; `now` is monotonic, in seconds."""
        open_now = set(connections)
        self._served &= open_now
        seen = self._first_seen
        self._first_seen = {connection: seen.get(connection, now) for connection in open_now - self._served}
        silent = [
            connection for connection, since in self._first_seen.items() if now - since >= self._head_seconds
        ]
        for connection in silent:
            connection.force_close()
        if silent:
            _log.info("silent_connections_closed", extra={"count": len(silent)})
