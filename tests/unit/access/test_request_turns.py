"""Turns of an address's requests, in a loop whose time passes at once."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from server.middleware.request_turns import (
    AROUND_SECONDS,
    CREDIT_SECONDS,
    HOLD_PAUSES,
    MAX_PAUSE_SECONDS,
    MAX_TURN_SECONDS,
    MAX_WAIT_SECONDS,
    OTHERS_SECONDS,
    STEP_SECONDS,
    WORK_SECONDS,
    RequestTurns,
)
from tests.virtual_time import run_virtually

ONE, OTHER = "192.0.2.7", "2001:db8::/56"


def run(story: Coroutine[Any, Any, None]) -> None:
    run_virtually(story)


def test_of_an_address_a_few_are_worked_on_in_the_order_in_which_they_came() -> None:
    async def story() -> None:
        turns, begun = RequestTurns(at_once=2), list[int]()
        at_once: list[int] = []

        async def request(number: int) -> None:
            turn = await turns.begin(ONE)
            begun.append(number)
            at_once.append(number)
            assert len(at_once) <= 2
            await asyncio.sleep(0.1)
            at_once.remove(number)
            turn.end()
            turn.end()

        flood = [asyncio.create_task(request(number)) for number in range(9)]
        await asyncio.sleep(0.01)
        assert begun == [0, 1]
        other = await turns.begin(OTHER)
        assert begun == [0, 1], "what another address asks waits for none of them"
        other.end()
        await asyncio.gather(*flood)
        assert begun == list(range(9))
        await asyncio.sleep(MAX_PAUSE_SECONDS)
        assert turns.sources == 0

    run(story())


def test_who_waits_for_something_keeps_nobody_else_waiting_for_long() -> None:
    async def story() -> None:
        loop, turns = asyncio.get_running_loop(), RequestTurns(at_once=1)
        first = await turns.begin(ONE)
        second = await turns.begin(ONE)
        assert loop.time() == pytest.approx(MAX_TURN_SECONDS)
        waiting = [asyncio.create_task(turns.begin(ONE)) for _ in range(50)]
        all_of_them = await asyncio.gather(*waiting)
        assert loop.time() == pytest.approx(MAX_TURN_SECONDS + MAX_WAIT_SECONDS + 50 * STEP_SECONDS)
        for turn in (first, second, *all_of_them):
            turn.end()
        await asyncio.sleep(MAX_TURN_SECONDS)
        assert turns.sources == 0

    run(story())


def test_those_who_came_at_once_and_waited_long_are_not_begun_at_once() -> None:
    async def story() -> None:
        loop, turns, begun = asyncio.get_running_loop(), RequestTurns(at_once=1), list[float]()

        async def request() -> None:
            turn = await turns.begin(ONE)
            begun.append(loop.time())
            await asyncio.sleep(60)
            turn.end()

        await asyncio.gather(*(request() for _ in range(300)))
        late = [seconds for seconds in begun if seconds >= MAX_WAIT_SECONDS]
        assert len(late) > 250
        assert max(late) <= 2 * MAX_WAIT_SECONDS
        for start in late:
            assert len([each for each in late if start <= each < start + 0.1]) <= 0.1 / STEP_SECONDS + 2

    run(story())


def test_what_is_answered_without_waiting_is_spread_over_runs_of_the_event_loop_while_others_ask() -> None:
    async def story() -> None:
        turns, begun = RequestTurns(at_once=2), list[int]()

        async def request(number: int) -> None:
            turn = await turns.begin(ONE)
            begun.append(number)
            turn.end()

        (await turns.begin(OTHER)).end()
        flood = [asyncio.create_task(request(number)) for number in range(20)]
        before = 0
        while before < 20:
            await asyncio.sleep(AROUND_SECONDS / 2)
            assert len(begun) - before <= 1
            before = len(begun)
        await asyncio.gather(*flood)
        await asyncio.sleep(MAX_PAUSE_SECONDS)
        assert begun == list(range(20))
        assert turns.sources == 0

    run(story())


def test_while_others_ask_one_begins_after_the_other_and_more_than_half_of_the_time_is_theirs() -> None:
    async def story() -> None:
        loop, turns, begun = asyncio.get_running_loop(), RequestTurns(at_once=8), list[float]()

        async def request() -> None:
            turn = await turns.begin(ONE)
            begun.append(loop.time())
            await asyncio.sleep(0.004)
            turn.end()

        (await turns.begin(OTHER)).end()
        await asyncio.gather(*(request() for _ in range(10)))
        assert begun == pytest.approx([(0.008 + AROUND_SECONDS) * number for number in range(10)])
        await asyncio.sleep(OTHERS_SECONDS)
        begun.clear()
        await asyncio.gather(*(request() for _ in range(10)))
        assert begun[7] - begun[0] == 0, "nobody else asks any more"
        await asyncio.sleep(MAX_PAUSE_SECONDS)
        assert turns.sources == 0

    run(story())


def test_while_others_ask_who_asks_little_hardly_waits_and_who_goes_on_gets_half_of_the_time() -> None:
    async def story() -> None:
        loop, turns, waited = asyncio.get_running_loop(), RequestTurns(at_once=8), list[float]()

        async def request() -> None:
            asked = loop.time()
            turn = await turns.begin(ONE)
            waited.append(loop.time() - asked)
            await asyncio.sleep(0.003)
            turn.end()

        for _ in range(20):
            (await turns.begin(OTHER)).end()
            for _ in range(3):
                await request()
            await asyncio.sleep(0.01)
        assert max(waited) == pytest.approx(AROUND_SECONDS)
        (await turns.begin(OTHER)).end()
        waited.clear()
        begun = loop.time()
        for _ in range(100):
            await request()
        assert loop.time() - begun >= 100 * (0.006 + AROUND_SECONDS) - CREDIT_SECONDS - MAX_PAUSE_SECONDS
        assert max(waited) <= MAX_PAUSE_SECONDS
        await asyncio.sleep(MAX_PAUSE_SECONDS)
        assert turns.sources == 0

    run(story())


@pytest.mark.parametrize("seconds", [0.007, 1.0])
def test_a_line_waits_while_somebody_is_worked_on_who_had_none_and_not_for_long(seconds: float) -> None:
    async def story() -> None:
        loop, turns, begun = asyncio.get_running_loop(), RequestTurns(at_once=8), list[float]()
        pause = 0.004 + AROUND_SECONDS

        async def request() -> None:
            turn = await turns.begin(ONE)
            begun.append(loop.time())
            await asyncio.sleep(0.004)
            turn.end()

        (await turns.begin(OTHER)).end()
        line = [asyncio.create_task(request()) for _ in range(3)]
        await asyncio.sleep(0.003)
        other = await turns.begin(OTHER)
        await asyncio.sleep(seconds)
        other.end()
        await asyncio.gather(*line)
        assert begun[1] == pytest.approx(min(0.003 + seconds, 0.004 + pause + HOLD_PAUSES * pause))
        assert begun[2] == pytest.approx(begun[1] + 0.004 + pause)
        await asyncio.sleep(MAX_PAUSE_SECONDS)
        assert turns.sources == 0

    run(story())


def test_while_others_ask_what_only_waits_does_not_keep_its_neighbors_waiting() -> None:
    async def story() -> None:
        loop, turns, begun = asyncio.get_running_loop(), RequestTurns(at_once=8), list[float]()

        async def request() -> None:
            turn = await turns.begin(ONE)
            begun.append(loop.time())
            await asyncio.sleep(0.3)
            turn.end()

        (await turns.begin(OTHER)).end()
        await asyncio.gather(*(request() for _ in range(9)))
        assert begun[:8] == pytest.approx([WORK_SECONDS * number for number in range(8)])
        assert begun[8] == pytest.approx(0.3), "no more than eight at a time"
        await asyncio.sleep(MAX_PAUSE_SECONDS)
        assert turns.sources == 0

    run(story())


@pytest.mark.parametrize("called_first", [False, True])
def test_who_leaves_the_line_or_is_called_while_leaving_takes_no_turn_along(called_first: bool) -> None:
    async def story() -> None:
        turns = RequestTurns(at_once=1)
        first = await turns.begin(ONE)
        leaving, staying = (asyncio.create_task(turns.begin(ONE)) for _ in range(2))
        await asyncio.sleep(0)
        if called_first:
            first.end()
        leaving.cancel()
        await asyncio.sleep(0)
        first.end()
        (await staying).end()
        await asyncio.gather(leaving, return_exceptions=True)
        assert asyncio.get_running_loop().time() == 0
        assert turns.sources == 0

    run(story())
