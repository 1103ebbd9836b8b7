"""Of one address, a few requests are worked on at the same time; further ones wait a moment for their turn.

So what a client asks is not behind all requests of another one that sends many at once. A thousand viewers behind
one address have the same processor time as before: nothing is refused, and what waits is not counted, such as for
an answer (long polls, live events), for a service elsewhere, or for the rest of a body.

While others ask, too, an address has one turn at a time, and gives it on after as long as it took, and a little
longer, for what a request costs before and after its turn. Most requests are answered without waiting for
anything: otherwise all that came together would be worked on in one run of the event loop, and all others would
wait for its end.

If no request is in line, the pauses are short until what is put off adds up to `CREDIT_SECONDS`, so a client that
asks little hardly waits. And while a request is worked on that did not have to wait, the next one in a line waits
for that, too, at most for another pause.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from cachetools import LRUCache

from server import keys
from server.access.identity.addresses import widely_counted

AT_ONCE: Final = 8
"""How many requests of an address, or of an IPv6 address's /56, are worked on at the same time."""

WORKED_ON_BESIDE_OTHERS: Final = 1
"""While others ask, too: how many of these may have begun within `WORK_SECONDS`."""

WORK_SECONDS: Final = 0.02
"""While others ask, what takes longer than this only waits, such as for the database, and the next one begins."""

AROUND_SECONDS: Final = 0.001
"""What a request costs outside of its turn, twice: it is read, recorded and written."""

MAX_PAUSE_SECONDS: Final = 0.01
"""While others ask, the next one begins after a pause as long as what has ended took, at most this long."""

CREDIT_SECONDS: Final = 0.02
"""While others ask, so much of an address's pauses is put off until a moment without requests from it."""

HOLD_PAUSES: Final = 1.0
"""How long a line waits for others who are worked on, at most, in pauses of its own."""

MAX_SOURCES: Final = 10_000
"""For how many addresses the pauses that are put off are known; the others start without any."""

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

    __slots__ = ("_at_once", "_begun", "_source", "_timer", "_turns", "_work")

    def __init__(
        self,
        turns: "RequestTurns",
        source: str | None,
        *,
        beside_others: bool = False,
        at_once: bool = False,
    ) -> None:
        loop = asyncio.get_running_loop()
        self._turns = turns
        self._source = source
        self._at_once = at_once
        self._begun = loop.time()
        self._timer = None if source is None else loop.call_later(MAX_TURN_SECONDS, self.end)
        self._work = loop.call_later(WORK_SECONDS, self._end_work) if beside_others else None

    def end(self) -> None:
        """Let the next request have its turn. May be called again."""
        source, self._source = self._source, None
        if source is None:
            return
        assert self._timer is not None
        self._timer.cancel()
        if self._work is None:
            self._turns.release(source)
            return
        self._work.cancel()
        took = asyncio.get_running_loop().time() - self._begun
        self._turns.rest(source, took)
        if self._at_once:
            self._turns.at_once_ended()

    def _end_work(self) -> None:
        assert self._source is not None
        self._work = None
        self._turns.release_work(self._source)
        if self._at_once:
            self._turns.at_once_ended()


TURN: Final = web.RequestKey("turn", Turn)


class RequestTurns:
    """Who is being worked on, and who waits in line, by source: an address or the /56 of an IPv6 address."""

    def __init__(self, at_once: int = AT_ONCE) -> None:
        self._at_once = at_once
        self._last = ""
        self._alone_from = 0.0
        self._taken: dict[str, int] = {}
        self._worked_on: dict[str, int] = {}
        self._lines: dict[str, deque[asyncio.Future[bool | None]]] = {}
        # By when the pauses of an address are over, those that are put off too.
        self._owed: LRUCache[str, float] = LRUCache(MAX_SOURCES)
        # How many requests are worked on, beside others, that did not have to wait; the lines that wait for that.
        self._begun_at_once = 0
        self._held: dict[str, asyncio.TimerHandle] = {}

    @property
    def sources(self) -> int:
        """How many sources are known at the moment."""
        return len(self._taken.keys() | self._worked_on.keys() | self._lines.keys())

    async def begin(self, source: str) -> Turn:
        """Wait for the turn of a request; the caller ends it."""
        loop = asyncio.get_running_loop()
        if source != self._last:
            # Whoever asked before is another one: for a while nobody is alone.
            self._alone_from = loop.time() + OTHERS_SECONDS if self._last else 0.0
            self._last = source
        line = self._lines.get(source)
        if not line and self._is_free(source):
            beside = self._take(source)
            self._begun_at_once += beside
            return Turn(self, source, beside_others=beside, at_once=beside)
        called: asyncio.Future[bool | None] = loop.create_future()
        line = self._lines.setdefault(source, deque())
        line.append(called)
        self._call(source)  # others may have left since
        seconds = MAX_WAIT_SECONDS + min(MAX_WAIT_SECONDS, STEP_SECONDS * len(line))
        timer = loop.call_later(seconds, _call_anyway, called)
        try:
            beside_others = await called
        except asyncio.CancelledError:
            if called.done() and not called.cancelled() and (worked_on := called.result()) is not None:
                self.release(source, worked_on=worked_on)
            raise
        finally:
            timer.cancel()
        return Turn(self, None) if beside_others is None else Turn(self, source, beside_others=beside_others)

    def rest(self, source: str, took: float) -> None:
        """Give a turn that took so many seconds to the next in line, after the pauses that are due."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        pause = min(MAX_PAUSE_SECONDS, took + AROUND_SECONDS)
        # What was owed before has become less while it was worked on.
        owed = min(max(now, self._owed.get(source, 0.0) + took) + pause, now + CREDIT_SECONDS + MAX_PAUSE_SECONDS)
        self._owed[source] = owed
        due = pause if source in self._lines else max(AROUND_SECONDS, owed - now - CREDIT_SECONDS)
        loop.call_later(due, self._rested, source, HOLD_PAUSES * pause)

    def _rested(self, source: str, hold: float) -> None:
        if self._begun_at_once and source in self._lines:
            self._held[source] = asyncio.get_running_loop().call_later(hold, self._let_go, source)
        else:
            self.release(source, worked_on=True)

    def _let_go(self, source: str) -> None:
        self._held.pop(source).cancel()
        self.release(source, worked_on=True)

    def at_once_ended(self) -> None:
        """One request less is worked on that did not have to wait."""
        self._begun_at_once -= 1
        if not self._begun_at_once:
            for source in tuple(self._held):
                self._let_go(source)

    def release(self, source: str, *, worked_on: bool = False) -> None:
        """Give a turn that has ended to the next in line. `worked_on`: it counted as that until now."""
        _count_down(self._taken, source)
        if worked_on:
            _count_down(self._worked_on, source)
        self._call(source)

    def release_work(self, source: str) -> None:
        """A turn goes on, but waits: the next in line may begin."""
        _count_down(self._worked_on, source)
        self._call(source)

    def _others_ask(self) -> bool:
        return asyncio.get_running_loop().time() < self._alone_from

    def _is_free(self, source: str) -> bool:
        return self._taken.get(source, 0) < self._at_once and (
            self._worked_on.get(source, 0) < WORKED_ON_BESIDE_OTHERS or not self._others_ask()
        )

    def _take(self, source: str) -> bool:
        """Count a turn, and whether it is beside others."""
        self._taken[source] = self._taken.get(source, 0) + 1
        beside_others = self._others_ask()
        if beside_others:
            self._worked_on[source] = self._worked_on.get(source, 0) + 1
        return beside_others

    def _call(self, source: str) -> None:
        line = self._lines.get(source)
        if line is None:
            return
        while line and (line[0].done() or self._is_free(source)):
            called = line.popleft()
            if not called.done():
                called.set_result(self._take(source))
        if not line:
            del self._lines[source]


def _count_down(counts: dict[str, int], source: str) -> None:
    counts[source] -= 1
    if not counts[source]:
        del counts[source]


def _call_anyway(called: asyncio.Future[bool | None]) -> None:
    if not called.done():
        called.set_result(None)


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
