"""For how long clients are not read from who send more than they may.

They take their turns one after the other, so that all of them together cost others little, however many they are.
An answer is never kept back: it is the next thing that the client sends which has to wait.
"""

from collections.abc import Sequence
from typing import Final

from cachetools import LRUCache

FACTOR: Final = 10.0
"""How many times longer than a piece took, nothing more of any such client is read."""

MAX_PAUSE: Final = 1.0
"""The longest pause of one client, in seconds, however many others there are."""

REFUSED_SECONDS: Final = 0.0005
"""What a request costs that is refused because its address sends too many."""

SLOW_SECONDS: Final = 10.0
"""How long new connections of an address wait after one of its connections had to be ended."""

SLOW_STEP: Final = 0.02
"""How long after the one before each of these is read from."""

MAX_SOURCES: Final = 1_000


class Pauses:
    """Hands out the pauses, in seconds. `now` is monotonic."""

    def __init__(self) -> None:
        self._until = 0.0
        # Source -> (until when it is slow, when its newest connection is read from).
        self._slow: LRUCache[str, tuple[float, float]] = LRUCache(MAX_SOURCES)

    def after_piece(self, took: float, now: float) -> float:
        """The pause of a client whose last piece took so long to read."""
        until = max(now, self._until) + FACTOR * took
        self._until = min(until, now + MAX_PAUSE)
        return self._until - now

    def after_refusal(self, now: float) -> float:
        """The pause of a client whose request was refused because its address sends too many."""
        return self.after_piece(REFUSED_SECONDS, now)

    def slow_down(self, sources: Sequence[str], now: float) -> None:
        """A connection of these had to be ended: the next ones wait."""
        for source in sources:
            _, begins = self._slow.get(source, (0.0, now))
            self._slow[source] = (now + SLOW_SECONDS, begins)

    def of_new_connection(self, sources: Sequence[str], now: float) -> float:
        """How long a new connection of these is not read from; 0 for nearly all."""
        seconds = 0.0
        for source in sources:
            until, begins = self._slow.get(source, (0.0, 0.0))
            if now < until:
                begins = min(max(now, begins) + SLOW_STEP, now + MAX_PAUSE)
                self._slow[source] = (until, begins)
                seconds = max(seconds, begins - now)
        return seconds
