"""The states of one job, told to any number of listeners."""

import asyncio
import itertools
from collections.abc import AsyncGenerator
from heapq import heapify, heappop, heappush
from typing import Final

from fingerprint.domain.identification import Identification
from fingerprint.domain.problems import TwitchAudioError

End = Identification | TwitchAudioError
"""How a job ended: with its answer, or with the reason why this server cannot tell it."""

_LEFT: Final = 100
"""So many of those who left are kept at most before somebody looks."""

_Waiter = tuple[float, int, "asyncio.Future[End | None]"]
"""When it gives up, on the loop's clock; a number that tells two apart; and what it is told by."""


class Progress:
    """What a job has reached.

    The states are kept as a list and a listener is a position in it: nothing is lost, a slow listener costs a
    number, and the list is bounded by itself since stages only go forward. Whoever awaits a future in here
    must shield it: it is shared.
    """

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.started: asyncio.Future[End] = loop.create_future()
        """Done with the first state, or with the reason why the job could not start."""
        self.ended: asyncio.Future[End] = loop.create_future()
        """Done with the finished identification, or with the reason why this server cannot tell it."""
        self._waiters: list[_Waiter] = []
        """A heap: whoever gives up first stands first."""
        self._timer: asyncio.TimerHandle | None = None
        self._numbers = itertools.count()
        self._left = 0
        """Those in the heap who left early; not fewer."""
        self._states: list[Identification] = []
        self._changed = asyncio.Event()

    @property
    def current(self) -> Identification | None:
        """The newest state."""
        return self._states[-1] if self._states else None

    @property
    def kept_waiters(self) -> int:
        """Those who wait in `end_within`, and some who left it."""
        return len(self._waiters)

    def publish(self, state: Identification) -> None:
        """Tell everyone a new state. One that says nothing new, or comes after the end, is left out."""
        current = self.current
        if self.ended.done() or state == current:
            return
        if current is not None and current.at_stage(state.stage) is current and not state.status.finished:
            return
        self._states.append(state)
        if not self.started.done():
            self.started.set_result(state)
        if state.status.finished:
            self._end(state)
        self._wake()

    def fail(self, error: TwitchAudioError) -> None:
        """End without an answer from this server."""
        if not self.started.done():
            self.started.set_result(error)
        if not self.ended.done():
            self._end(error)
        self._wake()

    def _end(self, end: End) -> None:
        self.ended.set_result(end)
        waiters, self._waiters = self._waiters, []
        if self._timer is not None:
            self._timer.cancel()
        for _, _, waiter in waiters:
            _tell(waiter, end)

    async def end_within(self, seconds: float) -> End | None:
        """What `ended` is done with; None after `seconds` without it.

        As a shield and a time limit around `ended` would have it, for less: thousands wait here at once, and they
        have one timer.
        """
        if self.ended.done():
            return self.ended.result()
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[End | None] = loop.create_future()
        heappush(self._waiters, (loop.time() + seconds, next(self._numbers), waiter))
        if self._waiters[0][2] is waiter:
            self._set_timer(loop)
        try:
            return await waiter
        finally:
            if waiter.cancelled():
                self._note_left()

    def _note_left(self) -> None:
        """Somebody left early. Those who did are taken out of the heap once they are most of it."""
        self._left += 1
        if self._left > max(_LEFT, len(self._waiters) // 2):
            self._waiters = [waiter for waiter in self._waiters if not waiter[2].done()]
            heapify(self._waiters)
            self._left = 0

    def _set_timer(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = loop.call_at(self._waiters[0][0], self._give_up, loop) if self._waiters else None

    def _give_up(self, loop: asyncio.AbstractEventLoop) -> None:
        """Let those go whose time is over."""
        self._timer = None
        now = loop.time()
        while self._waiters and self._waiters[0][0] <= now:
            _tell(heappop(self._waiters)[2], None)
        self._set_timer(loop)

    def _wake(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def states(self, idle_seconds: float) -> AsyncGenerator[Identification | None]:
        """The current state, then every later one; None after each `idle_seconds` without news.

        Ends after the finished state, or when this server cannot tell it.
        """
        position = max(0, len(self._states) - 1)
        while True:
            while position < len(self._states):
                position += 1
                yield self._states[position - 1]
            if self.ended.done():
                return
            try:
                async with asyncio.timeout(idle_seconds):
                    await self._changed.wait()
            except TimeoutError:
                yield None


def _tell(
    waiter: "asyncio.Future[End | None]",
    end: End | None,
) -> None:
    if not waiter.done():
        waiter.set_result(end)
