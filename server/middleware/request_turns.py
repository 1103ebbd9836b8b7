"""Of one address, a few requests are worked on at the same time; further ones wait a moment for their turn.

So what a client asks is not behind all requests of another one that sends many at once. A thousand viewers behind
one address have the same processor time as before: nothing is refused, and what waits is not counted, such as for
an answer (long polls, live events), for a service elsewhere, or for the rest of a body.
"""

import asyncio
from collections import deque
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from server import keys
from server.access.identity.addresses import widely_counted

AT_ONCE: Final = 8
"""How many requests of an address, or of an IPv6 address's /56, are worked on at the same time."""

MAX_TURN_SECONDS: Final = 0.5
"""What takes longer than this waits for something, and the next one has its turn."""

MAX_WAIT_SECONDS: Final = 3.0
"""A turn comes after this in any case: the neighbors at an address cannot keep each other waiting.

In a long line it takes up to twice as long, so that what came at once is not begun at once after all.
"""

STEP_SECONDS: Final = 0.01
"""How much longer each further request in line waits for that."""


class Turn:
    """A request's right to be worked on, which ends with the request, or earlier."""

    __slots__ = ("_source", "_timer", "_turns")

    def __init__(self, turns: "RequestTurns", source: str | None) -> None:
        self._turns = turns
        self._source = source
        self._timer = None if source is None else asyncio.get_running_loop().call_later(MAX_TURN_SECONDS, self.end)

    def end(self) -> None:
        """Let the next request have its turn. May be called again."""
        source, self._source = self._source, None
        if source is not None:
            assert self._timer is not None
            self._timer.cancel()
            self._turns.release(source)


TURN: Final = web.RequestKey("turn", Turn)


class RequestTurns:
    """Who is being worked on, and who waits in line, by source: an address or the /56 of an IPv6 address."""

    def __init__(self, at_once: int = AT_ONCE) -> None:
        self._at_once = at_once
        self._taken: dict[str, int] = {}
        self._lines: dict[str, deque[asyncio.Future[bool]]] = {}

    @property
    def sources(self) -> int:
        """How many sources are known at the moment."""
        return len(self._taken.keys() | self._lines.keys())

    async def begin(self, source: str) -> Turn:
        """Wait for the turn of a request; the caller ends it."""
        taken = self._taken.get(source, 0)
        if taken < self._at_once:
            self._taken[source] = taken + 1
            return Turn(self, source)
        loop = asyncio.get_running_loop()
        called: asyncio.Future[bool] = loop.create_future()
        line = self._lines.setdefault(source, deque())
        line.append(called)
        seconds = MAX_WAIT_SECONDS + min(MAX_WAIT_SECONDS, STEP_SECONDS * len(line))
        timer = loop.call_later(seconds, _call_anyway, called)
        try:
            return Turn(self, source if await called else None)
        except asyncio.CancelledError:
            if called.done() and not called.cancelled() and called.result():
                self.release(source)
            raise
        finally:
            timer.cancel()

    def release(self, source: str) -> None:
        """Give a turn that has ended to the next in line."""
        line = self._lines.get(source)
        while line:
            called = line.popleft()
            if not called.done():
                called.set_result(True)
                return
        self._lines.pop(source, None)
        self._taken[source] -= 1
        if not self._taken[source]:
            del self._taken[source]


def _call_anyway(called: asyncio.Future[bool]) -> None:
    if not called.done():
        called.set_result(False)


def take_turns(turns: RequestTurns) -> Middleware:
    """Create the middleware."""

    @web.middleware
    async def take(request: web.Request, handler: Handler) -> web.StreamResponse:
        address = request[keys.CONTEXT].credentials.address
        if address is None:
            return await handler(request)
        turn = await turns.begin(widely_counted(address))
        request[TURN] = turn
        try:
            return await handler(request)
        finally:
            turn.end()

    return take


def end_turn(request: web.Request) -> None:
    """Say that a request only waits from now on."""
    turn = request.get(TURN)
    if turn is not None:
        turn.end()
