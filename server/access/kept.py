"""A value that is read again after a while, by one reader for all who ask at the same time."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.ports import Clock

T = TypeVar("T")


class Kept(Generic[T]):
    """Gives what `load` gave, for `seconds`; then loads anew. A failure is given again for as long.

    A value that is too old is never given: who cannot learn the rules must not pass.
    """

    def __init__(self, load: Callable[[], Awaitable[T]], *, clock: Clock, seconds: float) -> None:
        self._load = load
        self._clock = clock
        self._seconds = seconds
        self._task: asyncio.Task[T] | None = None
        self._value: T | None = None
        self._until = 0.0

    @property
    def current(self) -> T | None:
        """The value while there is nothing to wait for, which is what nearly every request finds."""
        return self._value if self._clock.monotonic() < self._until else None

    async def get(self) -> T:
        """The value. Raises TwitchAudioError as `load` does."""
        value, task = self.current, self._task
        if value is not None:
            return value
        if task is None or (task.done() and self._clock.monotonic() >= self._until):
            task = self._task = asyncio.create_task(self._loaded(), name="read access rules")
        try:
            return await asyncio.shield(task)
        except TwitchAudioError as error:
            # A fresh one for each: one shared by thousands would collect all their tracebacks.
            raise TwitchAudioError(
                error.code, error.detail, retry_after_seconds=error.retry_after_seconds
            ) from error

    async def _loaded(self) -> T:
        # The age counts from the start: what is read is at least as new as that.
        started, self._value = self._clock.monotonic(), None
        try:
            self._value = await self._load()
            return self._value
        finally:
            self._until = started + self._seconds

    async def close(self) -> None:
        """End a reading that is under way."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError, TwitchAudioError):
                await self._task


class KeptByKey(Generic[T]):
    """The same for many keys, at most `most` of them; a value is forgotten when something says that it changed."""

    def __init__(self, *, clock: Clock, seconds: float, most: int = 10_000) -> None:
        self._clock = clock
        self._seconds = seconds
        self._most = most
        # The oldest first.
        self._entries: dict[str, tuple[asyncio.Task[T], float]] = {}
        # Forgotten while they were read: they are finished for those who wait, and kept for nobody else.
        self._orphans: set[asyncio.Task[T]] = set()

    async def get(self, key: str, load: Callable[[], Awaitable[T]]) -> T:
        """The value, from `load` when there is none or it is too old. Raises TwitchAudioError as `load` does."""
        entry = self._entries.get(key)
        if entry is None or (entry[0].done() and self._clock.monotonic() >= entry[1]):
            entry = self._read(key, load)
        try:
            return await asyncio.shield(entry[0])
        except TwitchAudioError as error:
            raise TwitchAudioError(
                error.code, error.detail, retry_after_seconds=error.retry_after_seconds
            ) from error

    def last(self, key: str) -> T | None:
        """What was read last, however old it is; None for nothing, and for a failure. Waits for nothing."""
        entry = self._entries.get(key)
        if entry is None or not entry[0].done() or entry[0].cancelled() or entry[0].exception() is not None:
            return None
        return entry[0].result()

    def forget(self, key: str) -> None:
        """Read anew the next time."""
        entry = self._entries.pop(key, None)
        if entry is not None and not entry[0].done():
            self._orphans.add(entry[0])
            entry[0].add_done_callback(self._orphans.discard)

    def _read(self, key: str, load: Callable[[], Awaitable[T]]) -> tuple[asyncio.Task[T], float]:
        self._entries.pop(key, None)
        while len(self._entries) >= self._most:
            oldest = next(iter(self._entries))
            if not self._entries[oldest][0].done():
                detail = "Too many ask at once. Try again in a moment."
                raise TwitchAudioError(ProblemCode.BUSY, detail, retry_after_seconds=5.0)
            del self._entries[oldest]

        async def loaded() -> T:
            return await load()

        task = asyncio.create_task(loaded(), name="read what is kept")
        # Whoever asked may be gone: nobody needs to be told then.
        task.add_done_callback(lambda done: None if done.cancelled() else done.exception())
        entry = self._entries[key] = (task, self._clock.monotonic() + self._seconds)
        return entry

    async def close(self) -> None:
        """End what is under way."""
        tasks = [task for task, _ in self._entries.values()] + list(self._orphans)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
