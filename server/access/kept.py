"""A value that is read again after a while, by one reader for all who ask at the same time."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from fingerprint.domain.problems import TwitchAudioError
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
        self._until = 0.0

    async def get(self) -> T:
        """The value. Raises TwitchAudioError as `load` does."""
        task = self._task
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
        started = self._clock.monotonic()
        try:
            return await self._load()
        finally:
            self._until = started + self._seconds

    async def close(self) -> None:
        """End a reading that is under way."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError, TwitchAudioError):
                await self._task
