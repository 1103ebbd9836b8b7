"""The states of one job, published to any number of listeners."""

import asyncio
import itertools
from collections.abc import AsyncGenerator
from functools import partial
from heapq import heapify, heappop, heappush
from typing import Final

from fingerprint.domain.identification import Identification, Stage
from fingerprint.domain.problems import TwitchAudioError

End = Identification | TwitchAudioError
"""How a job ended: with its answer, or with the reason why this server has none."""

_MIN_CANCELLED: Final = 100
"""Cancelled waiters stay in the heap until there are more than this many, and more than half of it."""

_LATE_SECONDS: Final = 1.0
"""A timer that is this late says that the process stood still, as in a virtual machine that was suspended."""

_MOMENT_SECONDS: Final = 1.0
"""How much longer the waiters then wait whose time ended meanwhile: the job's own time may have ended, too."""

_Waiter = tuple[float, int, "asyncio.Future[End | None]"]
"""When it times out, on the loop's clock; a number that orders equal times; and the future that it awaits."""


class JobProgress:
    """The states that one job has gone through, and its end.

    The states are a list and each listener is a position in it: no state is lost, a slow listener costs a number,
    and the list is short since stages only go forward. The futures are shared: await them under `asyncio.shield`.
    """

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.started: asyncio.Future[End] = loop.create_future()
        """Done with the first state, or with the reason why the job could not start."""
        self.ended: asyncio.Future[End] = loop.create_future()
        """Done with the finished identification, or with the reason why this server has none."""
        self._waiters: list[_Waiter] = []
        """A heap: the first to time out comes first."""
        self._timer: asyncio.TimerHandle | None = None
        self._numbers = itertools.count()
        self._cancelled = 0
        """At least as many as there are cancelled waiters in the heap."""
        self._states: list[Identification] = []
        self._changed = asyncio.Event()

    @property
    def current(self) -> Identification | None:
        """The newest state; None before the first."""
        return self._states[-1] if self._states else None

    @property
    def waiter_count(self) -> int:
        """Callers in `wait_for_end`, with cancelled ones that are not removed yet."""
        return len(self._waiters)

    def publish(self, state: Identification) -> None:
        """Give all listeners a new state; one that adds nothing, or comes after the end, is ignored."""
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
        self._wake_listeners()

    def fail(self, error: TwitchAudioError) -> None:
        """End without an answer from this server, with the error that waiting requests get."""
        if not self.started.done():
            self.started.set_result(error)
        if not self.ended.done():
            self._end(error)
        self._wake_listeners()

    def _end(self, end: End) -> None:
        self.ended.set_result(end)
        waiters, self._waiters = self._waiters, []
        if self._timer is not None:
            self._timer.cancel()
        for _, _, waiter in waiters:
            _resolve(waiter, end)

    async def wait_for_end(self, seconds: float) -> End | None:
        """The result of `ended`, or None after `seconds` without one.

        Hot path: thousands wait here at once, and share one timer. Simple form, which takes 9 µs more for each:
        `asyncio.wait_for(asyncio.shield(self.ended), seconds)`, and None on TimeoutError.
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
                self._count_cancelled()

    def _count_cancelled(self) -> None:
        """Count a cancelled waiter; remove them all from the heap once they are most of it."""
        self._cancelled += 1
        if self._cancelled > max(_MIN_CANCELLED, len(self._waiters) // 2):
            self._waiters = [waiter for waiter in self._waiters if not waiter[2].done()]
            heapify(self._waiters)
            self._cancelled = 0

    def _set_timer(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = loop.call_at(self._waiters[0][0], self._time_out, loop) if self._waiters else None

    def _time_out(self, loop: asyncio.AbstractEventLoop, *, had_a_moment: bool = False) -> None:
        """Resolve the waiters whose time is over."""
        self._timer = None
        now = loop.time()
        if self._waiters and now - self._waiters[0][0] > _LATE_SECONDS and not had_a_moment:
            self._timer = loop.call_later(_MOMENT_SECONDS, partial(self._time_out, loop, had_a_moment=True))
            return
        while self._waiters and self._waiters[0][0] <= now:
            _resolve(heappop(self._waiters)[2], None)
        self._set_timer(loop)

    def _wake_listeners(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def states_after(self, stage: Stage) -> list[Identification]:
        """The states so far of later stages than this one."""
        order = list(Stage)
        return [state for state in self._states if order.index(state.stage) > order.index(stage)]

    async def states(
        self, idle_seconds: float, *, after: Stage | None = None
    ) -> AsyncGenerator[Identification | None]:
        """The current state, then every later one; None after each `idle_seconds` without a new one.

        `after`: instead, every state of a later stage than this one. Ends after the finished state, or when this
        server has none.
        """
        position = len(self._states) - (
            min(1, len(self._states)) if after is None else len(self.states_after(after))
        )
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


def _resolve(waiter: "asyncio.Future[End | None]", end: End | None) -> None:
    if not waiter.done():
        waiter.set_result(end)
