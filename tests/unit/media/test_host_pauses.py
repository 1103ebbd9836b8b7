"""A host that asks for a pause gets it: from every call, for as long as it asks, and then one request first."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from fingerprint.media.host_pauses import MAX_PAUSE_SECONDS, HostPausedError, HostPauses
from fingerprint.retry import retry_budget, seconds_left, time_limit
from tests.fakes import FakeClock

pytestmark = pytest.mark.unit

HOST = "media:443"


async def called(pauses: HostPauses, *, answers: bool = True, waits: bool = True) -> str:
    try:
        async with pauses.turn(HOST, waits=waits):
            if answers:
                pauses.record_answer(HOST)
            else:
                pauses.record_refusal(HOST, sent_at=pauses.clock.monotonic(), retry_after=0.0)
    except HostPausedError:
        return "paused"
    return "answered" if answers else "refused"


async def test_a_host_that_never_refused_is_called_at_once() -> None:
    assert await called(HostPauses(FakeClock())) == "answered"


async def test_calls_wait_for_the_pause_that_the_host_asked_for_and_then_go_one_first() -> None:
    clock = FakeClock()
    pauses = HostPauses(clock)
    pauses.record_refusal(HOST, sent_at=0.0, retry_after=7.0)
    with time_limit(30):
        calls = [asyncio.create_task(called(pauses)) for _ in range(3)]
    await clock.advance(6.9)
    await asyncio.sleep(0)
    assert not any(call.done() for call in calls)
    await clock.advance(0.2)
    assert await asyncio.gather(*calls) == ["answered"] * 3


async def test_when_the_first_is_refused_again_the_others_are_not_sent() -> None:
    clock = FakeClock()
    pauses = HostPauses(clock)
    pauses.record_refusal(HOST, sent_at=0.0, retry_after=1.0)
    with time_limit(30), retry_budget(9):
        calls = [asyncio.create_task(called(pauses, answers=False)) for _ in range(3)]
        await asyncio.sleep(0)
        await clock.advance(1.1)
        assert sorted(await asyncio.gather(*calls)) == ["paused", "paused", "refused"]
        assert pauses.paused_seconds(HOST) == pytest.approx(2.0), "twice as long as the first"
        assert await called(pauses) == "paused", "a job waits once for a host"
    with time_limit(30), retry_budget(9):
        other = asyncio.create_task(called(pauses))
        await asyncio.sleep(0)
        await clock.advance(2.1)
        assert await other == "answered"
        assert await called(pauses) == "answered"


async def test_a_pause_beyond_the_jobs_time_fails_at_once_and_says_how_long() -> None:
    pauses = HostPauses(FakeClock())
    pauses.record_refusal(HOST, sent_at=0.0, retry_after=60.0)
    with time_limit(30), pytest.raises(HostPausedError) as caught:
        async with pauses.turn(HOST):
            pass
    assert caught.value.seconds == pytest.approx(60.0)
    assert not pauses.may_wait(HOST), "outside of a job nobody waits long either"


async def test_what_is_optional_waits_for_nothing() -> None:
    clock = FakeClock()
    pauses = HostPauses(clock)
    pauses.record_refusal(HOST, sent_at=0.0, retry_after=1.0)
    with time_limit(30):
        assert await called(pauses, waits=False) == "paused"
    await clock.advance(1.1)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(pauses.turn(HOST))
        assert await called(pauses, waits=False) == "paused", "another one is trying"
    assert await called(pauses, waits=False) == "answered"


async def test_a_caller_who_leaves_lets_another_try() -> None:
    clock = FakeClock()
    pauses = HostPauses(clock)
    pauses.record_refusal(HOST, sent_at=0.0, retry_after=1.0)
    await clock.advance(1.1)
    entered = asyncio.Event()

    async def slow() -> None:
        async with pauses.turn(HOST):
            entered.set()
            await asyncio.Event().wait()

    first = asyncio.create_task(slow())
    await entered.wait()
    second = asyncio.create_task(called(pauses))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == "answered"
    await asyncio.gather(first, return_exceptions=True)


def test_refusals_of_requests_under_way_count_once_and_the_longest_pause_counts() -> None:
    clock = FakeClock()
    pauses = HostPauses(clock)
    for retry_after in (0.0, 4.0, 2.0, 0.0):
        pauses.record_refusal(HOST, sent_at=0.0, retry_after=retry_after)
    assert pauses.paused_seconds(HOST) == pytest.approx(4.0)
    pauses.record_refusal(HOST, sent_at=0.0, retry_after=1e9)
    assert pauses.paused_seconds(HOST) == MAX_PAUSE_SECONDS


async def test_the_earlier_of_two_time_limits_counts() -> None:
    assert seconds_left() is None
    with time_limit(10):
        with time_limit(100):
            assert 9 < (seconds_left() or 0) <= 10
        with time_limit(2):
            assert 1 < (seconds_left() or 0) <= 2
        assert 9 < (seconds_left() or 0) <= 10
