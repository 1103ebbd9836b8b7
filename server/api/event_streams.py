"""Server-sent events: how a stream begins, and how it is written to a listener who may take nothing."""

import asyncio
from typing import Final

from aiohttp import web

from server.settings import ServerLimits

RETRY: Final = b"retry: 1000\n\n"
"""The first thing in a stream: milliseconds before a client whose stream ended comes again."""


async def open_stream(request: web.Request) -> web.StreamResponse:
    """Begin an event stream. From here on an error can only end it."""
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
    """Send. Raises TimeoutError for a listener who takes nothing; it is to be dropped."""
    async with asyncio.timeout(limits.events_write_seconds):
        await response.write(data)
