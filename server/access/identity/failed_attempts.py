"""Limits wrong API keys and access codes by address.

Each server counts in memory: the secrets have at least 148 bits and cannot be guessed, so this only reduces load.
"""

from typing import Final

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
        # Address -> (failures, start of the window); the oldest window first.
        self._failures: dict[str, tuple[int, float]] = {}

    def check(self, address: Address | None) -> None:
        """Raise TwitchAudioError `rate-limited` if there were too many failures from this address."""
        if address is None or not self._failures:
            return
        count, since = self._failures.get(counted(address), (0, 0.0))
        left = since + WINDOW_SECONDS - self._clock.monotonic()
        if count >= MAX_FAILURES and left > 0:
            detail = f"Too many wrong API keys or access codes came from here: ask again in {left:.0f} s."
            raise TwitchAudioError(ProblemCode.RATE_LIMITED, detail, retry_after_seconds=max(1.0, left))

    def record_failure(self, address: Address | None) -> None:
        """Count one failed attempt from an address."""
        if address is None:
            return
        place, now = counted(address), self._clock.monotonic()
        count, since = self._failures.pop(place, (0, now))
        if now - since >= WINDOW_SECONDS:
            count, since = 0, now
        while len(self._failures) >= MAX_ADDRESSES:
            del self._failures[next(iter(self._failures))]
        self._failures[place] = (count + 1, since)
