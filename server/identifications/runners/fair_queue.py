"""A bounded queue that is fair between callers, by round robin of their jobs."""

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

from fingerprint.domain.problems import ProblemCode, TwitchAudioError


@dataclass(slots=True, eq=False)
class Reservation:
    """A job's right to be worked on, or to wait for it. `caller` is None for a job that is taken over."""

    caller: str | None
    turn: asyncio.Future[None]
    """Done when it is the job's turn."""
    working: bool = False
    storing: bool = False


class FairQueue:
    """Room for `max_running` jobs at work and `max_queued` that wait.

    Waiting jobs get their turns by round robin of their callers, so that a caller with many jobs does not delay a
    caller with one. A caller may have as many jobs waiting as there is room left, which is half of the queue when
    it is alone (the dynamic thresholds of Choudhury and Hahne, 1998, which keep some room for the next caller).
    Jobs that only store their answer take no room from others; as many more as there is room for may do so at a
    time.
    Jobs that are taken over have been waited for already: only the total bound holds for them, and they go first.
    """

    def __init__(self, *, max_running: int, max_queued: int) -> None:
        self._max_running = max_running
        self._capacity = max_running + max_queued
        self._reserved = 0
        self._running = 0
        self._storing = 0
        self._idle_by_caller: Counter[str | None] = Counter()
        """Reservations that do not have their turn yet."""
        self._queues: OrderedDict[str | None, deque[Reservation]] = OrderedDict()

    @property
    def running(self) -> int:
        """Jobs that have their turn."""
        return self._running

    @property
    def queued(self) -> int:
        """Jobs that wait for their turn."""
        return sum(map(len, self._queues.values()))

    @property
    def has_turn(self) -> bool:
        """Whether the next job would have its turn at once."""
        return self._running < self._max_running and not self.queued

    @contextmanager
    def reserve(self, caller: str | None) -> Generator[Reservation]:
        """Room for one job while the block runs. Raises TwitchAudioError `busy` when the caller gets none."""
        left = self._capacity - self._reserved
        fair = caller is None or self._reserved < self._max_running or self._idle_by_caller[caller] < left
        if left <= 0 or not fair:
            detail = "Too many identifications are waiting for their turn. Try again in a few seconds."
            raise TwitchAudioError(ProblemCode.BUSY, detail, retry_after_seconds=5.0)
        reservation = Reservation(caller, asyncio.get_running_loop().create_future())
        self._reserved += 1
        self._count_idle(reservation, 1)
        try:
            yield reservation
        finally:
            if reservation.storing:
                self._storing -= 1
            else:
                self._leave(reservation)

    @contextmanager
    def turn(self, reservation: Reservation) -> Generator[asyncio.Future[None]]:
        """A future that is done when it is the reservation's turn, which ends with the block at the latest."""
        self._queues.setdefault(reservation.caller, deque()).append(reservation)
        if reservation.caller is None:
            self._queues.move_to_end(None, last=False)
        self._start_next()
        try:
            yield reservation.turn
        finally:
            if reservation.working:
                self._set_working(reservation, working=False)
                self._start_next()
            elif not reservation.storing:
                self._remove(reservation)

    def only_stores(self, reservation: Reservation) -> None:
        """Give a working reservation's turn and room to other jobs, unless too many only store already."""
        if not reservation.working or self._storing >= self._capacity:
            return
        self._set_working(reservation, working=False)
        self._leave(reservation)
        reservation.storing = True
        self._storing += 1
        self._start_next()

    def _leave(self, reservation: Reservation) -> None:
        self._reserved -= 1
        self._count_idle(reservation, -1)

    def _set_working(self, reservation: Reservation, *, working: bool) -> None:
        reservation.working = working
        change = 1 if working else -1
        self._running += change
        self._count_idle(reservation, -change)

    def _count_idle(self, reservation: Reservation, change: int) -> None:
        self._idle_by_caller[reservation.caller] += change
        if not self._idle_by_caller[reservation.caller]:
            del self._idle_by_caller[reservation.caller]

    def _remove(self, reservation: Reservation) -> None:
        self._queues[reservation.caller].remove(reservation)
        if not self._queues[reservation.caller]:
            del self._queues[reservation.caller]

    def _start_next(self) -> None:
        while self._running < self._max_running and self._queues:
            caller, queue = next(iter(self._queues.items()))
            reservation = queue.popleft()
            if not queue:
                del self._queues[caller]
            elif caller is not None:
                self._queues.move_to_end(caller)
            self._set_working(reservation, working=True)
            reservation.turn.set_result(None)
