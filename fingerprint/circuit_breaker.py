"""Circuit breakers: an upstream that keeps failing is not called for a while, so no caller waits for it in vain.

Closed: calls are let through, and failures in a row are counted. Open: calls are refused at once, for a pause.
Half-open: the pause is over; a call that succeeds closes the circuit, one that fails opens it for twice as long,
up to a limit. The pattern is Nygard's (Release It!, 2007).
"""

import random
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from cachetools import LRUCache

from fingerprint.ports import Clock

MAX_HOSTS: Final = 500
PROBE_SECONDS: Final = 20.0
"""The time limit of a probe; after it, another call may be the probe."""

_JITTER: Final = 0.2


class CircuitState(StrEnum):
    """The state of a circuit: whether calls are let through."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class CircuitOpenError(Exception):
    """The call is refused because the circuit is open; `seconds` says for how long."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"the circuit is open for {seconds:.1f} s")
        self.seconds = seconds


@dataclass(frozen=True, slots=True)
class Pause:
    """How long a circuit stays open, in seconds: at first, and at most. Each is 20 % more or less, at random, so
    that not all servers come back together.
    """

    first: float
    longest: float


HOST_PAUSE: Final = Pause(2.0, 30.0)
HOST_FAILURES: Final = 5


class CircuitBreaker:
    """The circuit of one upstream, in this process. `max_failures` in a row open it, for a `pause`."""

    def __init__(self, clock: Clock, *, max_failures: int = HOST_FAILURES, pause: Pause = HOST_PAUSE) -> None:
        self._clock = clock
        self._max_failures = max_failures
        self._pause = pause
        self._failures = 0
        self._open_until: float | None = None
        self._pause_seconds = 0.0
        self._probe_since: float | None = None
        self.reason = ""
        """What the failure that opened the circuit was: a sentence."""

    @property
    def state(self) -> CircuitState:
        if self._open_until is None:
            return CircuitState.CLOSED
        return CircuitState.HALF_OPEN if self.open_seconds is None else CircuitState.OPEN

    @property
    def open_seconds(self) -> float | None:
        """Seconds until calls are let through again, or None while they are."""
        if self._open_until is None:
            return None
        left = self._open_until - self._clock.monotonic()
        return left if left > 0 else None

    @contextmanager
    def probed_call(self) -> Generator[None]:
        """Wraps a call whose outcome is recorded inside; a half-open circuit lets one at a time through.

        A call without an outcome, such as one that is cancelled, counts for nothing. Raises CircuitOpenError.
        """
        now, seconds = self._clock.monotonic(), self.open_seconds
        probing = self._open_until is not None
        if seconds is not None:
            raise CircuitOpenError(seconds)
        if probing:
            if self._probe_since is not None and now - self._probe_since < PROBE_SECONDS:
                raise CircuitOpenError(self._pause.first)
            self._probe_since = now
        try:
            yield
        finally:
            if probing and self._probe_since == now:
                self._probe_since = None

    def record_success(self) -> None:
        """Record that a call succeeded, which closes the circuit."""
        self._failures = 0
        self._open_until = None
        self._pause_seconds = 0.0
        self._probe_since = None

    def record_failure(self, reason: str = "", *, pause: Pause | None = None, open_now: bool = False) -> None:
        """Record a failed call. `open_now`: the failure will not pass by itself, so one opens the circuit;
        `pause`: how long it then stays open.
        """
        self._failures += 1
        half_open = self.state is CircuitState.HALF_OPEN
        if self.state is CircuitState.OPEN:
            return  # the call was under way when the circuit opened
        if not open_now and not half_open and self._failures < self._max_failures:
            return
        pause = pause or self._pause
        self._pause_seconds = max(2 * self._pause_seconds, pause.first) if half_open else pause.first
        self._pause_seconds = min(self._pause_seconds, pause.longest)
        jitter = random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311 - spreads load, no secret
        self._open_until = self._clock.monotonic() + self._pause_seconds * jitter
        self._probe_since = None
        self.reason = reason


class HostCircuitBreakers:
    """One circuit breaker for each host that was called lately, at most MAX_HOSTS of them."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._breakers: LRUCache[str, CircuitBreaker] = LRUCache(MAX_HOSTS)

    def of_host(self, host: str) -> CircuitBreaker:
        """The host's breaker, created on first use."""
        breaker = self._breakers.get(host)
        if breaker is None:
            breaker = self._breakers[host] = CircuitBreaker(self._clock)
        return breaker
