"""Server-sent events: opening a stream, and writing to a client that may have stopped reading."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Final, TypeVar

from aiohttp import web

from fingerprint.domain.problems import TwitchAudioError
from server import keys
from server.middleware.request_turns import end_turn

T = TypeVar("T")

RETRY: Final = b"retry: 1000\n\n"
"""Sent first in a stream: milliseconds after which a client whose stream ended reconnects."""

KEEP_ALIVE: Final = b": still here\n\n"
"""A comment, which clients skip."""

_log = logging.getLogger(__name__)


def encode_event(name: bytes, data: bytes, *, event_id: str | None) -> bytes:
    """An event with a name, one line of data, and the id that a client sends when it comes back, if it has one."""
    line = b"" if event_id is None else b"id: %b\n" % event_id.encode()
    return b"event: %b\n%bdata: %b\n\n" % (name, line, data)


def last_event_id(request: web.Request) -> str | None:
    """The id of the last event that the client has had, when it comes back after its stream broke."""
    return request.headers.get("Last-Event-ID") or None


async def send_events(
    request: web.Request,
    values: AsyncGenerator[T | None],
    encode: Callable[[T], bytes],
    *,
    first_is_there: bool = False,
) -> web.StreamResponse:
    """Answer with status 200 and an event for each value, a comment for each None, until `values` ends.

    Once the stream has begun, an error can only end it: with `first_is_there`, the first value is awaited before
    that, so that a refusal is an answer of its own. A client that reads nothing for `events_write_seconds` is
    disconnected.
    """
    seconds = request.app[keys.SETTINGS].limits.events_write_seconds
    response = web.StreamResponse(
        headers={
            "Content-Type": "text/event-stream; charset=utf-8",
            "Cache-Control": "no-store",
            "X-Accel-Buffering": "no",
        }
    )

    async def write(data: bytes) -> None:
        async with asyncio.timeout(seconds):
            await response.write(data)

    end_turn(request)
    async with aclosing(values):
        first = await anext(values, None) if first_is_there else None
        await response.prepare(request)
        if request.method == "HEAD":
            return response
        try:
            await write(RETRY if first is None else RETRY + encode(first))
            async for value in values:
                await write(KEEP_ALIVE if value is None else encode(value))
            await response.write_eof()
        except (TimeoutError, ConnectionError) as error:
            _log.info("listener_dropped", extra={"error": type(error).__name__})
        except TwitchAudioError as error:
            _log.info("listener_refused", extra={"code": str(error.code)})
    return response
