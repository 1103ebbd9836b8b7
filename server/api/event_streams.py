"""Server-sent events: opening a stream, and writing to a client that may have stopped reading."""

import asyncio
from typing import Final

from aiohttp import web

from server.settings import ServerLimits

RETRY: Final = b"retry: 1000\n\n"
"""Sent first in a stream: milliseconds after which a client whose stream ended reconnects."""


async def open_stream(request: web.Request) -> web.StreamResponse:
    """Begin an event stream with status 200: from here on an error can only end it."""
    response = web.StreamResponse(
        headers={
            "Content-Type": "text/event-stream; charset=utf-8",
            "Cache-Control": "no-store",
            "X-Accel-Buffering": "no",
        }
    )
    await response.prepare(request)
    return response


async def write(response: web.StreamResponse, data: bytes, limits: ServerLimits) -> None:
    """Send data. Raises TimeoutError when the client reads nothing for `events_write_seconds`: drop it then."""
    async with asyncio.timeout(limits.events_write_seconds):
        await response.write(data)
