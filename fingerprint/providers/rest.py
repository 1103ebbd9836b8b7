"""Leaving a provider alone for a while: a circuit breaker that knows why a provider failed.

Three failures in a row of a transient kind, or one of another kind, begin a rest. When it is over, questions are
let through again; the first success ends the matter, the next failure begins a rest twice as long, up to a limit.
"""

import random
from dataclasses import dataclass
from typing import Final

from fingerprint.ports import Clock
from fingerprint.providers.faults import Fault

FAILURES: Final = 3
"""Transient failures in a row before a rest."""


@dataclass(frozen=True, slots=True)
class Pause:
    """How long a rest is, in seconds: the first one, and the longest."""

    first: float
    longest: float


PAUSES: Final = {
    Fault.TRANSIENT: Pause(5.0, 120.0),
    Fault.RATE: Pause(5.0, 60.0),
    Fault.QUOTA: Pause(900.0, 3600.0),
    # So that the log says it once a minute.
    Fault.CONFIGURATION: Pause(60.0, 60.0),
    Fault.REQUEST: Pause(5.0, 60.0),
}


class Rest:
    """Whether one provider is resting, in this process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failures = 0
        self._until: float | None = None
        self._pause = 0.0
        self._reason = ""

    @property
    def seconds(self) -> float | None:
        """Seconds until it may be asked again; None when it may be asked now."""
        if self._until is None:
            return None
        left = self._until - self._clock.monotonic()
        return left if left > 0 else None

    @property
    def reason(self) -> str:
        """What it rests for: a sentence."""
        return self._reason

    def answered(self) -> None:
        """It works."""
        self._failures = 0
        self._until = None
        self._pause = 0.0

    def failed(self, fault: Fault, reason: str) -> None:
        """It did not answer."""
        self._failures += 1
        if self.seconds is not None:
            return  # the question was under way when the rest began
        again = self._until is not None
        if fault is Fault.TRANSIENT and self._failures < FAILURES and not again:
            return
        pause = PAUSES[fault]
        self._pause = min(max(2 * self._pause, pause.first) if again else pause.first, pause.longest)
        # Not all servers shall come back together.
        self._until = self._clock.monotonic() + self._pause * random.uniform(0.8, 1.2)  # noqa: S311 - no secret
        self._reason = reason
