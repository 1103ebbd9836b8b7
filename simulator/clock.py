"""The simulator's clock, which follows the machine's until a test moves or stops it."""

import asyncio
import time
from datetime import UTC, datetime


class SimulatedClock:
    """A wall clock that can be moved and frozen. Implements `fingerprint.ports.Clock`.

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
        """The same time as an aware datetime in UTC."""
        return datetime.fromtimestamp(self.time(), UTC)

    def monotonic(self) -> float:
        """Seconds on the same clock; goes back only when a test sets it back."""
        return self.time()

    @property
    def frozen(self) -> bool:
        """Whether the clock is stopped."""
        return self._frozen_at is not None

    def advance(self, seconds: float) -> None:
        """Move the clock by some seconds; negative moves it back."""
        if self._frozen_at is not None:
            self._frozen_at += seconds
        else:
            self._offset += seconds
        self._wake()

    def freeze(self) -> None:
        """Stop the clock at its present time."""
        self._frozen_at = self.time()
        self._wake()

    def resume(self) -> None:
        """Let the clock run on from its present time."""
        if self._frozen_at is not None:
            self._offset = self._frozen_at - time.time()
            self._frozen_at = None
            self._wake()

    def reset(self) -> None:
        """Return to the machine's time."""
        self._offset = 0.0
        self._frozen_at = None
        self._wake()

    async def sleep(self, seconds: float) -> None:
        """Wait until this clock has moved on by some seconds; forever while it is frozen."""
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


def iso(moment: datetime) -> str:
    """A moment in playlists' notation, such as `2023-09-17T02:31:48.242Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
