"""The simulator's clock: runs with the machine's, until a test moves or stops it."""

import asyncio
import time
from datetime import UTC, datetime


class SimulatedClock:
    """Wall-clock time that can be moved and frozen. Satisfies `fingerprint.ports.Clock`.

    Create it anywhere, but use `sleep` in one event loop.
    """

    def __init__(self) -> None:
        self._offset = 0.0
        self._frozen_at: float | None = None
        self._sleepers: set[asyncio.Event] = set()

    def time(self) -> float:
        """Seconds since 1970 by this clock."""
        return self._frozen_at if self._frozen_at is not None else time.time() + self._offset

    def now(self) -> datetime:
        """The same as an aware UTC time."""
        return datetime.fromtimestamp(self.time(), UTC)

    def monotonic(self) -> float:
        """Seconds; moves with `time`, which goes back only when it is set back."""
        return self.time()

    @property
    def frozen(self) -> bool:
        """Whether time stands still."""
        return self._frozen_at is not None

    def advance(self, seconds: float) -> None:
        """Move the clock; negative goes back."""
        if self._frozen_at is not None:
            self._frozen_at += seconds
        else:
            self._offset += seconds
        self._wake()

    def freeze(self) -> None:
        """Stop the clock where it is."""
        self._frozen_at = self.time()
        self._wake()

    def resume(self) -> None:
        """Let the clock run on from where it is."""
        if self._frozen_at is not None:
            self._offset = self._frozen_at - time.time()
            self._frozen_at = None
            self._wake()

    def reset(self) -> None:
        """Back to the machine's time."""
        self._offset = 0.0
        self._frozen_at = None
        self._wake()

    async def sleep(self, seconds: float) -> None:
        """Wait until this clock has moved on by so much; forever while it is frozen."""
        end = self.time() + seconds
        moved = asyncio.Event()
        self._sleepers.add(moved)
        try:
            while (left := end - self.time()) > 0:
                moved.clear()
                try:
                    async with asyncio.timeout(None if self.frozen else left):
                        await moved.wait()
                except TimeoutError:
                    continue
        finally:
            self._sleepers.discard(moved)

    def _wake(self) -> None:
        for sleeper in self._sleepers:
            sleeper.set()
