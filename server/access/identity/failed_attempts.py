"""Limits wrong API keys and access codes by address.

Each server counts in memory: the secrets have at least 148 bits and cannot be guessed, so this only reduces load.
"""

from typing import Final

from cachetools import TLRUCache

from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.ports import Clock
from server.access.identity.addresses import Address, counted

MAX_FAILURES: Final = 20
WINDOW_SECONDS: Final = 60.0
MAX_ADDRESSES: Final = 10_000


class FailedAttemptLimiter:
    """Counts failed attempts by address, in windows of `WINDOW_SECONDS`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        # Address -> (failures, end of the window).
        self._failures: TLRUCache[str, tuple[int, float]] = TLRUCache(
            MAX_ADDRESSES, lambda _address, failures, _now: failures[1], clock.monotonic
        )

    def check(self, address: Address | None) -> None:
        """Raise TwitchAudioError `rate-limited` if there were too many failures from this address."""
        if address is None or not self._failures:
            return
        count, until = self._failures.get(counted(address), (0, 0.0))
        if count >= MAX_FAILURES:
            left = until - self._clock.monotonic()
            detail = f"Too many wrong API keys or access codes came from here: ask again in {left:.0f} s."
            raise TwitchAudioError(ProblemCode.RATE_LIMITED, detail, retry_after_seconds=max(1.0, left))

    def record_failure(self, address: Address | None) -> None:
        """Count one failed attempt from an address."""
        if address is not None:
            place = counted(address)
            count, until = self._failures.get(place, (0, self._clock.monotonic() + WINDOW_SECONDS))
            self._failures[place] = (count + 1, until)
