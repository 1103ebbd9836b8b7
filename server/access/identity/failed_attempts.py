"""Limits how often unknown API keys, Twitch tokens and access codes are tried.

Only what is unknown is limited: a credential that is known to be valid is never refused because of its neighbors.
Each server counts in memory: the secrets have at least 148 bits and cannot be guessed, so this only reduces load.
"""

from typing import Final

from cachetools import TLRUCache

from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.ports import Clock

MAX_FAILURES: Final = 20
WINDOW_SECONDS: Final = 60.0
MAX_SOURCES: Final = 10_000


class FailedAttemptLimiter:
    """Counts failed attempts by source, in windows of `WINDOW_SECONDS`.

    A source is an address as limits count it, or a user's id; None, which is not limited, when it is not known.
    `what` names in the plural what is tried, for the refusal.
    """

    def __init__(self, clock: Clock, what: str) -> None:
        self._clock = clock
        self._what = what
        # Source -> (failures, end of the window).
        self._failures: TLRUCache[str, tuple[int, float]] = TLRUCache(
            MAX_SOURCES, lambda _source, failures, _now: failures[1], clock.monotonic
        )

    def reached(self, source: str | None) -> bool:
        """Whether unknown credentials from this source are refused for now."""
        return source is not None and self._failures.get(source, (0, 0.0))[0] >= MAX_FAILURES

    def check(self, source: str | None) -> None:
        """Raise TwitchAudioError `rate-limited` if there were too many failures from this source."""
        if source is not None and self.reached(source):
            left = max(1.0, self._failures[source][1] - self._clock.monotonic())
            detail = f"Too many wrong {self._what} came from here: try another one in {left:.0f} s."
            raise TwitchAudioError(ProblemCode.RATE_LIMITED, detail, retry_after_seconds=left)

    def record_failure(self, source: str | None) -> None:
        """Count one failed attempt from a source."""
        if source is not None:
            count, until = self._failures.get(source, (0, self._clock.monotonic() + WINDOW_SECONDS))
            self._failures[source] = (count + 1, until)
