"""Budgets of what requests cost, for each address: a token bucket that fills steadily, kept in memory.

What is counted is the cost, not the heads: a thousand viewers behind one address who join one job, or read what is
cached, spend next to nothing. An IPv6 address spends from the budget of its /64, and of its /56, which is larger,
since one customer often has 256 networks.
"""

import math
from dataclasses import dataclass
from typing import Final

from cachetools import LRUCache

from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.ports import Clock
from server.access.identity.addresses import Address, sources_of

MAX_SOURCES: Final = 20_000
WIDER: Final = 4
"""How much more a /56 may spend than one of its /64."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """What one address may spend: `burst` at once, then `per_second`."""

    burst: float
    per_second: float


class CostBudget:
    """What is left of an allowance, by address. Requests without an address (a Unix socket) spend nothing."""

    def __init__(self, clock: Clock, allowance: Allowance, *, max_sources: int = MAX_SOURCES) -> None:
        self._clock = clock
        self._allowance = allowance
        # Source -> (what is left, and when that was so); the least recently used are forgotten.
        self._left: LRUCache[str, tuple[float, float]] = LRUCache(max_sources)

    def wait_seconds(self, address: Address | None) -> float:
        """0 when something is left; otherwise how long it takes until something is."""
        if address is None:
            return 0.0
        return max(self._wait(source, number) for number, source in enumerate(sources_of(address)))

    def spend(self, address: Address | None, cost: float = 1.0) -> None:
        """Take a cost, also when less is left: then it takes so much longer until something is."""
        if address is None:
            return
        for number, source in enumerate(sources_of(address)):
            self._left[source] = (self._now_left(source, number) - cost, self._clock.monotonic())

    def take(self, address: Address | None, cost: float = 1.0) -> bool:
        """Spend a cost, if something is left; returns whether it is."""
        if self.wait_seconds(address) > 0.0:
            return False
        self.spend(address, cost)
        return True

    def check(self, address: Address | None, detail: str) -> None:
        """Raise TwitchAudioError `rate-limited` with `detail` when nothing is left."""
        seconds = self.wait_seconds(address)
        if seconds > 0.0:
            raise TwitchAudioError(ProblemCode.RATE_LIMITED, detail, retry_after_seconds=max(1.0, seconds))

    def _wait(self, source: str, number: int) -> float:
        left = self._now_left(source, number)
        # A whole unit has to be there, so that a refused client does not come back for each fraction.
        return 0.0 if left >= 1.0 else (1.0 - left) / (self._allowance.per_second * WIDER**number)

    def _now_left(self, source: str, number: int) -> float:
        burst = self._allowance.burst * WIDER**number
        left, at = self._left.get(source, (burst, -math.inf))
        if left >= burst:
            return burst
        seconds = self._clock.monotonic() - at
        return min(burst, left + seconds * self._allowance.per_second * WIDER**number)
