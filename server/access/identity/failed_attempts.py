"""Wrong API keys and access codes from one place: after so many a minute nothing from there is looked at.

Kept in memory, by each server for itself: secrets have 148 bits and more, so this only has to stop the noise.
"""

from typing import Final

from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.ports import Clock
from server.access.identity.addresses import Address, counted

MOST: Final = 20
SECONDS: Final = 60.0
KEPT: Final = 10_000


class Guesses:
    """Counts what was wrong, by address."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        # How many since when, the oldest first.
        self._wrong: dict[str, tuple[int, float]] = {}

    def check(self, address: Address | None) -> None:
        """Raise TwitchAudioError `rate-limited` when there were too many from there."""
        if address is None or not self._wrong:
            return
        count, since = self._wrong.get(counted(address), (0, 0.0))
        left = since + SECONDS - self._clock.monotonic()
        if count >= MOST and left > 0:
            detail = f"Too many wrong API keys or access codes came from here: ask again in {left:.0f} s."
            raise TwitchAudioError(ProblemCode.RATE_LIMITED, detail, retry_after_seconds=max(1.0, left))

    def wrong(self, address: Address | None) -> None:
        """Note a wrong one."""
        if address is None:
            return
        place, now = counted(address), self._clock.monotonic()
        count, since = self._wrong.pop(place, (0, now))
        if now - since >= SECONDS:
            count, since = 0, now
        while len(self._wrong) >= KEPT:
            del self._wrong[next(iter(self._wrong))]
        self._wrong[place] = (count + 1, since)
