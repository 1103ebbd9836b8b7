"""A circuit breaker for each host: one that keeps failing is left alone for a while, so that nobody waits for it.

After FAILURES calls in a row that failed, calls to the host are refused at once. When the pause is over one call,
the probe, is let through; if it succeeds all are, if it fails the next pause is twice as long.
"""

import random
from collections import OrderedDict
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from fingerprint.ports import Clock

FAILURES: Final = 5
FIRST_PAUSE_SECONDS: Final = 2.0
LONGEST_PAUSE_SECONDS: Final = 30.0
MOST_HOSTS: Final = 500
PROBE_SECONDS: Final = 20.0
"""A probe that says nothing for so long is forgotten, and another may begin."""


class HostFailingError(Exception):
    """The host is left alone at the moment; `seconds` says for how long."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"left alone for {seconds:.1f} s")
        self.seconds = seconds


@dataclass(slots=True)
class _Host:
    failures: int = 0
    pause_seconds: float = 0.0
    open_until: float | None = None
    probe_since: float | None = None


class Call:
    """What became of a call. Without a verdict, as when it is cancelled, it counts for nothing."""

    def __init__(self) -> None:
        self.failed: bool | None = None


class Breaker:
    """The hosts that fail at present; at most MOST_HOSTS of them, those that work are not remembered."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._hosts: OrderedDict[str, _Host] = OrderedDict()

    @contextmanager
    def call(self, host: str) -> Generator[Call]:
        """Around a call to a host; set `failed` on what it gives. Raises HostFailingError."""
        probing = self._admit(host)
        call = Call()
        try:
            yield call
        finally:
            if call.failed is None:
                if probing and host in self._hosts:
                    self._hosts[host].probe_since = None
            elif call.failed:
                self._fail(host)
            else:
                self._hosts.pop(host, None)

    def _admit(self, host: str) -> bool:
        """Whether the call is a probe."""
        state = self._hosts.get(host)
        if state is None or state.open_until is None:
            return False
        now = self._clock.monotonic()
        if now < state.open_until:
            raise HostFailingError(state.open_until - now)
        if state.probe_since is not None and now - state.probe_since < PROBE_SECONDS:
            raise HostFailingError(FIRST_PAUSE_SECONDS)
        state.probe_since = now
        return True

    def _fail(self, host: str) -> None:
        state = self._hosts.setdefault(host, _Host())
        self._hosts.move_to_end(host)
        while len(self._hosts) > MOST_HOSTS:
            self._hosts.popitem(last=False)
        state.failures += 1
        if state.failures < FAILURES:
            return
        now = self._clock.monotonic()
        if state.open_until is not None and now < state.open_until:
            return  # it was under way when the pause began
        state.pause_seconds = min(2 * state.pause_seconds or FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)
        # Not all servers shall probe together.
        state.open_until = now + state.pause_seconds * random.uniform(0.75, 1.25)  # noqa: S311 - no secret
        state.probe_since = None
