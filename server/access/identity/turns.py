"""Turns for calls on behalf of requests: few at a time for each address, so that one does not take all of them."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from fingerprint.domain.problems import UpstreamError

AT_ONCE: Final = 5
MAX_WAITING: Final = 1_000
WAIT_SECONDS: Final = 10.0


@dataclass(slots=True)
class _Line:
    turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))
    callers: int = 0


class SourceTurns:
    """At most `AT_ONCE` calls at a time for each source. Kept only while a source has callers."""

    def __init__(self, step: str, detail: str) -> None:
        self._step = step
        self._detail = detail
        self._lines: dict[str, _Line] = {}

    @asynccontextmanager
    async def turn(self, source: str | None) -> AsyncGenerator[None]:
        """A turn of a source. Raises UpstreamError with the detail when too many wait, or one waits too long."""
        line = self._lines.setdefault(source or "", _Line())
        if line.callers >= MAX_WAITING:
            raise UpstreamError(self._step, self._detail)
        line.callers += 1
        try:
            try:
                async with asyncio.timeout(WAIT_SECONDS):
                    await line.turns.acquire()
            except TimeoutError as error:
                raise UpstreamError(self._step, self._detail) from error
            try:
                yield
            finally:
                line.turns.release()
        finally:
            line.callers -= 1
            if not line.callers:
                del self._lines[source or ""]
