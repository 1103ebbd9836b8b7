"""Whose job is next: so many at once, a short queue in rotation of the callers, and no more."""

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

from fingerprint.domain.problems import ProblemCode, TwitchAudioError


@dataclass(slots=True, eq=False)
class Place:
    """A job's right to be worked on, or to wait for it. `caller` is None for a job that is taken over."""

    caller: str | None
    turn: asyncio.Future[None]
    """Done when it is the job's turn."""
    working: bool = False


class Turns:
    """Places for `at_once` jobs at work and `queue` that wait.

    Those that wait get their turns in rotation of their callers, so that one who asks for much delays nobody who
    asks for little. Nor can one fill the queue: a caller may wait for as many jobs as there are places left, which
    is half of the queue when nobody else is there (the dynamic thresholds of Choudhury and Hahne, 1998, which
    keep some room for whoever comes next). Jobs that are taken over have callers who wait since long: only the
    bound of all holds for them, and they go first.
    """

    def __init__(self, *, at_once: int, queue: int) -> None:
        self._at_once = at_once
        self._places = at_once + queue
        self._taken = 0
        self._working = 0
        self._waiting: Counter[str | None] = Counter()
        self._lines: OrderedDict[str | None, deque[Place]] = OrderedDict()

    @property
    def running(self) -> int:
        """Jobs that have their turn."""
        return self._working

    @property
    def queued(self) -> int:
        """Jobs that wait for theirs."""
        return sum(map(len, self._lines.values()))

    @contextmanager
    def place(self, caller: str | None) -> Generator[Place]:
        """A place. Raises TwitchAudioError `busy` when there is none for the caller."""
        left = self._places - self._taken
        share = caller is None or self._taken < self._at_once or self._waiting[caller] < left
        if left <= 0 or not share:
            detail = "Too many identifications are waiting for their turn. Try again in a few seconds."
            raise TwitchAudioError(ProblemCode.BUSY, detail, retry_after_seconds=5.0)
        place = Place(caller, asyncio.get_running_loop().create_future())
        self._taken += 1
        self._waits(place, 1)
        try:
            yield place
        finally:
            self._taken -= 1
            self._waits(place, -1)

    @contextmanager
    def turn(self, place: Place) -> Generator[asyncio.Future[None]]:
        """A future that is done when it is the place's turn; the turn ends with the block."""
        self._lines.setdefault(place.caller, deque()).append(place)
        if place.caller is None:
            self._lines.move_to_end(None, last=False)
        self._grant()
        try:
            yield place.turn
        finally:
            if place.working:
                self._works(place, working=False)
                self._grant()
            else:
                self._leave(place)

    def _works(self, place: Place, *, working: bool) -> None:
        place.working = working
        change = 1 if working else -1
        self._working += change
        self._waits(place, -change)

    def _waits(self, place: Place, change: int) -> None:
        self._waiting[place.caller] += change
        if not self._waiting[place.caller]:
            del self._waiting[place.caller]

    def _leave(self, place: Place) -> None:
        self._lines[place.caller].remove(place)
        if not self._lines[place.caller]:
            del self._lines[place.caller]

    def _grant(self) -> None:
        while self._working < self._at_once and self._lines:
            caller, line = next(iter(self._lines.items()))
            place = line.popleft()
            if not line:
                del self._lines[caller]
            elif caller is not None:
                self._lines.move_to_end(caller)
            self._works(place, working=True)
            place.turn.set_result(None)
