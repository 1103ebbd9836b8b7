"""Of one address, a few requests are worked on at the same time; further ones wait a moment for their turn.

So what a client asks is not behind all requests of another one that sends many at once. A thousand viewers behind
one address have the same processor time as before: nothing is refused, and what waits is not counted, such as for
an answer (long polls, live events), for a service elsewhere, or for the rest of a body.

While others ask, too, an address has one turn at a time, and gives it on after as long as it took. Most requests
are answered without waiting for anything: otherwise all that came together would be worked on in one run of the
event loop, and all others would wait for its end.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from server import keys
from server.access.identity.addresses import widely_counted

AT_ONCE: Final = 8
"""How many requests of an address, or of an IPv6 address's /56, are worked on at the same time."""

AT_ONCE_BESIDE_OTHERS: Final = 1
"""The same while others ask, too."""

MAX_PAUSE_SECONDS: Final = 0.01
"""While others ask, a turn is given on after as long as it took, at most after this."""

OTHERS_SECONDS: Final = 1.0
"""Others ask when the last request of another address came at most so long ago."""

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

    __slots__ = ("_begun", "_source", "_timer", "_turns")

    def __init__(self, turns: "RequestTurns", source: str | None) -> None:
        self._turns = turns
        self._source = source
        self._begun = asyncio.get_running_loop().time()
        self._timer = None if source is None else asyncio.get_running_loop().call_later(MAX_TURN_SECONDS, self.end)

    def end(self) -> None:
        """Let the next request have its turn. May be called again."""
        source, self._source = self._source, None
        if source is not None:
            assert self._timer is not None
            self._timer.cancel()
            if self._turns.others_ask:
                loop = asyncio.get_running_loop()
                pause = min(MAX_PAUSE_SECONDS, loop.time() - self._begun)
                loop.call_later(pause, self._turns.release, source)
            else:
                self._turns.release(source)


TURN: Final = web.RequestKey("turn", Turn)


class RequestTurns:
    """Who is being worked on, and who waits in line, by source: an address or the /56 of an IPv6 address."""

    def __init__(self, at_once: int = AT_ONCE, beside_others: int = AT_ONCE_BESIDE_OTHERS) -> None:
        self._at_once = at_once
        self._beside_others = min(at_once, beside_others)
        self._last = ""
        self._alone_from = 0.0
        self._taken: dict[str, int] = {}
        self._lines: dict[str, deque[asyncio.Future[bool]]] = {}

    @property
    def sources(self) -> int:
        """How many sources are known at the moment."""
        return len(self._taken.keys() | self._lines.keys())

    async def begin(self, source: str) -> Turn:
        """Wait for the turn of a request; the caller ends it."""
        loop = asyncio.get_running_loop()
        if source != self._last:
            # Whoever asked before is another one: for a while nobody is alone.
            self._alone_from = loop.time() + OTHERS_SECONDS if self._last else 0.0
            self._last = source
        line = self._lines.get(source)
        if not line and self._taken.get(source, 0) < self._limit():
            self._take(source)
            return Turn(self, source)
        called: asyncio.Future[bool] = loop.create_future()
        line = self._lines.setdefault(source, deque())
        line.append(called)
        self._call(source)  # others may have left since
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
        self._taken[source] -= 1
        self._call(source)
        if not self._taken[source]:
            del self._taken[source]

    @property
    def others_ask(self) -> bool:
        """Whether more than one source has asked lately."""
        return asyncio.get_running_loop().time() < self._alone_from

    def _limit(self) -> int:
        return self._beside_others if self.others_ask else self._at_once

    def _take(self, source: str) -> None:
        self._taken[source] = self._taken.get(source, 0) + 1

    def _call(self, source: str) -> None:
        line = self._lines.get(source)
        if line is None:
            return
        while line and (line[0].done() or self._taken[source] < self._limit()):
            called = line.popleft()
            if not called.done():
                self._take(source)
                called.set_result(True)
        if not line:
            del self._lines[source]


def _call_anyway(called: asyncio.Future[bool]) -> None:
    if not called.done():
        called.set_result(False)


TURNS: Final = web.AppKey("turns", RequestTurns)


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


@asynccontextmanager
async def another_turn(request: web.Request) -> AsyncGenerator[None]:
    """For work on a request whose turn has ended: the block runs when it has another one."""
    turns, context = request.app.get(TURNS), request.get(keys.CONTEXT)
    address = None if context is None else context.credentials.address
    if turns is None or address is None:
        yield
        return
    turn = await turns.begin(widely_counted(address))
    try:
        yield
    finally:
        turn.end()


def end_turn(request: web.Request) -> None:
    """Say that a request only waits from now on."""
    turn = request.get(TURN)
    if turn is not None:
        turn.end()
