"""Threads that do units of work one after the other, each from start to end, whoever still waits for it."""

import asyncio
import contextlib
import contextvars
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Any, Final, TypeVar

T = TypeVar("T")

MOST_WAITING: Final = 20_000
"""As many as may wait for answers: each may have something to look up."""


class AskerGoneError(Exception):
    """Nobody waits for the unit of work any more."""


class ThreadsClosedError(OSError):
    """A unit of work came after the end."""


class TooManyUnitsError(OSError):
    """So many units wait already that something hangs."""


class Asker:
    """Whoever waits for a unit of work, as the unit sees them from its thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._gone = False
        self._stop: Callable[[], object] | None = None

    def check(self) -> None:
        """Raise AskerGoneError when nobody waits any more."""
        if self._gone:
            raise AskerGoneError

    @contextmanager
    def stopping(self, stop: Callable[[], object]) -> Generator[None]:
        """Have `stop` called from another thread if the asker goes away during the block, and never after it."""
        with self._lock:
            self.check()
            self._stop = stop
        try:
            yield
        finally:
            with self._lock:
                self._stop = None

    def leave(self) -> None:
        """Wait for the unit no more. It may be at work for a moment yet, or never begin."""
        with self._lock:
            self._gone = True
            if self._stop is not None:
                self._stop()


class UnitThreads:
    """So many threads, started with the first units; they take what comes in its order.

    They are daemons: a disk that hangs must not keep the process from ending. No more than `most` units wait,
    those whose askers have left included.
    """

    def __init__(self, name: str, count: int, *, most: int = MOST_WAITING) -> None:
        self._name = name
        self._count = count
        self._most = most
        self._units: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._threads: list[Thread] = []
        self._closed = False

    async def run(self, work: Callable[[Asker], T]) -> T:
        """What `work` gives or raises, done by one of the threads.

        When whoever awaits this is cancelled the work is told so. Raises ThreadsClosedError,
        TooManyUnitsError.
        """
        if self._closed:
            raise ThreadsClosedError(f"{self._name} has ended")
        if self._units.qsize() >= self._most:
            raise TooManyUnitsError(f"{self._name}: {self._most} units wait")
        loop, asker = asyncio.get_running_loop(), Asker()
        future: asyncio.Future[T] = loop.create_future()
        context = contextvars.copy_context()

        def unit() -> None:
            try:
                told = partial(_succeed, future, context.run(work, asker))
            except BaseException as error:  # noqa: BLE001 - whatever it is, it is for whoever waits
                told = partial(_fail, future, error)
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(told)

        self._units.put(unit)
        if len(self._threads) < self._count:
            thread = Thread(target=_work, args=(self._units,), name=self._name, daemon=True)
            self._threads.append(thread)
            thread.start()
        try:
            return await future
        except asyncio.CancelledError:
            asker.leave()
            raise

    def close(self, seconds: float) -> None:
        """End the threads, waiting so long for what they are at."""
        self._closed = True
        for _ in self._threads:
            self._units.put(None)
        until = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))


def _work(units: "SimpleQueue[Callable[[], None] | None]") -> None:
    while (unit := units.get()) is not None:
        unit()
        # What a unit holds is not kept until the next one comes.
        del unit


def _succeed(future: "asyncio.Future[Any]", result: object) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: "asyncio.Future[Any]", error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)
