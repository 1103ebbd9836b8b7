"""Whose job is next: bounded, and fair between callers."""

import asyncio
from contextlib import ExitStack

import pytest

from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from server.identifications.runners.fair_queue import FairQueue, Reservation


class Line:
    """Jobs that note when their turn came and end when told."""

    def __init__(self, queue: FairQueue) -> None:
        self._queue = queue
        self._gates: dict[str, asyncio.Event] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self.order: list[str] = []

    async def queue(self, caller: str | None, name: str) -> None:
        stack = ExitStack()
        reservation = stack.enter_context(self._queue.reserve(caller))  # refused at once, or not at all
        self._gates[name] = asyncio.Event()
        self._tasks.append(asyncio.create_task(self._work(stack, reservation, name)))
        await asyncio.sleep(0)

    async def _work(self, stack: ExitStack, reservation: Reservation, name: str) -> None:
        with stack, self._queue.turn(reservation) as turn:
            await turn
            self.order.append(name)
            await self._gates[name].wait()

    async def end(self, name: str) -> None:
        self._gates[name].set()
        for _ in range(3):
            await asyncio.sleep(0)

    async def drop(self, number: int) -> None:
        self._tasks[number].cancel()
        for _ in range(3):
            await asyncio.sleep(0)

    async def end_all(self) -> None:
        for gate in self._gates.values():
            gate.set()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def test_callers_get_their_turns_in_rotation_not_in_order_of_arrival() -> None:
    queue = FairQueue(max_running=1, max_queued=20)
    line = Line(queue)
    for number in range(6):
        await line.queue("noisy", f"noisy-{number}")
    await line.queue("calm", "calm")
    await line.queue("quiet", "quiet")
    assert (queue.running, queue.queued) == (1, 7)
    while len(line.order) < 8:
        await line.end(line.order[-1])
    assert line.order[:5] == ["noisy-0", "noisy-1", "calm", "quiet", "noisy-2"]
    await line.end_all()
    assert (queue.running, queue.queued) == (0, 0)


async def test_one_caller_leaves_room_for_others_and_the_queue_has_an_end() -> None:
    queue = FairQueue(max_running=2, max_queued=8)
    line = Line(queue)
    for number in range(2 + 4):
        await line.queue("noisy", f"noisy-{number}")
    with pytest.raises(TwitchAudioError) as caught:
        await line.queue("noisy", "noisy-6")
    assert caught.value.code is ProblemCode.BUSY
    assert caught.value.retry_after_seconds
    await line.queue("calm", "calm")
    await line.queue("quiet", "quiet")
    # A job that is taken over takes what is left, and then nobody gets in.
    await line.queue(None, "taken over")
    await line.queue(None, "taken over too")
    for caller in (None, "another"):
        with pytest.raises(TwitchAudioError):
            await line.queue(caller, "too many")
    await line.end("noisy-0")
    assert line.order[-1] == "taken over"
    await line.end_all()
    await line.queue("another", "room again")
    await line.end_all()


async def test_a_job_that_is_dropped_gives_its_place_and_its_turn_back() -> None:
    queue = FairQueue(max_running=1, max_queued=2)
    line = Line(queue)
    await line.queue("a", "first")
    await line.queue("b", "second")
    await line.queue("c", "third")
    await line.drop(1)
    await line.drop(0)
    assert line.order == ["first", "third"]
    assert (queue.running, queue.queued) == (1, 0)
    await line.end_all()
    assert (queue.running, queue.queued) == (0, 0)


async def test_a_job_that_only_stores_takes_nobodys_turn_and_no_callers_room() -> None:
    queue = FairQueue(max_running=1, max_queued=1)
    with ExitStack() as storing, ExitStack() as later:
        for _ in range(2):
            reservation = storing.enter_context(queue.reserve("a"))
            turn = storing.enter_context(queue.turn(reservation))
            assert turn.done()
            queue.only_stores(reservation)
        assert (queue.running, queue.queued) == (0, 0)
        # As many as there is room for may store; the next one keeps its turn.
        third = later.enter_context(queue.reserve("a"))
        later.enter_context(queue.turn(third))
        queue.only_stores(third)
        assert queue.running == 1
    assert (queue.running, queue.queued) == (0, 0)
    with queue.reserve("b") as reservation, queue.turn(reservation) as turn:
        assert turn.done()
