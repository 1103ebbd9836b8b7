"""Notices that the process stood still for seconds, as in a virtual machine that was suspended."""

import asyncio
from types import TracebackType
from typing import Final, Self

STOOD_STILL_SECONDS: Final = 3.0
"""What the event loop does this late, it could not do: a busy machine is not that late."""

_LOOK_SECONDS: Final = 0.5


class Standstill:
    """Measures for how long the process stood still while the block runs.

    Time limits that end meanwhile are all over at once afterwards: whatever was waited for is not to blame.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._total = 0.0
        self._due = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> Self:
        self._look_again()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._total = self.seconds
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    @property
    def seconds(self) -> float:
        """The seconds so far; 0.0 unless it was `STOOD_STILL_SECONDS` or longer at a time."""
        late = 0.0 if self._timer is None else self._loop.time() - self._due
        return self._total + (late if late >= STOOD_STILL_SECONDS else 0.0)

    def _look(self) -> None:
        self._total = self.seconds
        self._look_again()

    def _look_again(self) -> None:
        self._due = self._loop.time() + _LOOK_SECONDS
        self._timer = self._loop.call_at(self._due, self._look)
