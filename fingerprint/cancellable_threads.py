"""Threads for blocking work that an asyncio caller waits for; a caller that is cancelled cancels the work."""

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

MAX_WAITING: Final = 20_000
"""As many units as there may be requests waiting for answers: each may have something to look up."""


class CancelledByCallerError(Exception):
    """Raised in a worker thread when the caller that waits for the unit of work was cancelled."""


class ThreadsClosedError(OSError):
    """A unit of work was submitted after `close`."""


class TooManyUnitsError(OSError):
    """The queue of waiting units is full, which means that some unit under way hangs."""


class CancellationToken:
    """Tells a unit of work, in its thread, that its caller no longer waits for the result."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._cancelled = False
        self._stop: Callable[[], object] | None = None

    def check(self) -> None:
        """Raise CancelledByCallerError when the caller was cancelled."""
        if self._cancelled:
            raise CancelledByCallerError

    @contextmanager
    def on_cancel(self, stop: Callable[[], object]) -> Generator[None]:
        """Call `stop` in the caller's thread if the caller is cancelled during the block, not after."""
        with self._lock:
            self.check()
            self._stop = stop
        try:
            yield
        finally:
            with self._lock:
                self._stop = None

    def cancel(self) -> None:
        """Mark the unit as no longer awaited; it may run on for a moment, or never begin."""
        with self._lock:
            self._cancelled = True
            if self._stop is not None:
                self._stop()


class CancellableThreads:
    """`count` daemon threads, started with the first units, which take units in the order in which they came.

    Daemons, since a disk that hangs must not keep the process from ending. At most `max_waiting` units wait, those
    whose callers were cancelled included.
    """

    def __init__(self, name: str, count: int, *, max_waiting: int = MAX_WAITING) -> None:
        self._name = name
        self._count = count
        self._max_waiting = max_waiting
        self._units: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._threads: list[Thread] = []
        self._closed = False

    async def run(self, work: Callable[[CancellationToken], T]) -> T:
        """Run `work` in one of the threads; returns or raises what it does.

        When the caller is cancelled, so is the token that `work` gets. Raises ThreadsClosedError,
        TooManyUnitsError.
        """
        if self._closed:
            raise ThreadsClosedError(f"{self._name} has ended")
        if self._units.qsize() >= self._max_waiting:
            raise TooManyUnitsError(f"{self._name}: {self._max_waiting} units wait")
        loop, token = asyncio.get_running_loop(), CancellationToken()
        future: asyncio.Future[T] = loop.create_future()
        context = contextvars.copy_context()

        def unit() -> None:
            try:
                told = partial(_succeed, future, context.run(work, token))
            except BaseException as error:  # noqa: BLE001 - every exception goes to the caller
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
            token.cancel()
            raise

    def close(self, seconds: float) -> None:
        """End the threads, waiting at most `seconds` for the units under way."""
        self._closed = True
        for _ in self._threads:
            self._units.put(None)
        until = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))


def _work(units: "SimpleQueue[Callable[[], None] | None]") -> None:
    while (unit := units.get()) is not None:
        unit()
        # Frees what the unit holds now, not when the next one comes.
        del unit


def _succeed(future: "asyncio.Future[Any]", result: object) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: "asyncio.Future[Any]", error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)
