"""The one rule for work in the background: an unexpected error is logged once, and the work goes on."""

import asyncio

import pytest

from fingerprint.background import LONGEST_WAIT_SECONDS, WELL_SECONDS, Background, unhurried
from tests.fakes import FakeClock


class Work:
    """Fails as often as told, then goes on for ever."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.runs = 0

    async def __call__(self) -> None:
        self.runs += 1
        if self.runs <= self.failures:
            raise ZeroDivisionError
        await asyncio.Event().wait()


def logged(caplog: pytest.LogCaptureFixture) -> int:
    return [record.message for record in caplog.records].count("background_work_failed")


async def test_work_that_fails_is_logged_once_named_and_begun_again(caplog: pytest.LogCaptureFixture) -> None:
    clock, work = FakeClock(), Work(3)
    background = Background(clock)
    task = background.start("count sheep", work)
    await clock.advance(0)
    assert background.failing == {"count sheep": "ZeroDivisionError"}
    for seconds in (1, 2, 4):
        await clock.advance(seconds)
    assert work.runs == 4
    assert logged(caplog) == 1
    assert background.failing == {"count sheep": "ZeroDivisionError"}, "it may fail again at once"
    await clock.advance(WELL_SECONDS)
    assert background.failing == {}
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_the_wait_before_the_next_try_is_bounded_and_tries_never_end() -> None:
    clock, work = FakeClock(), Work(1_000)
    task = Background(clock).start("count sheep", work)
    for _ in range(10):
        await clock.advance(LONGEST_WAIT_SECONDS)
    before = work.runs
    for _ in range(10):
        await clock.advance(LONGEST_WAIT_SECONDS)
    assert work.runs == before + 10
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_failure_after_a_time_that_went_well_is_logged_again(caplog: pytest.LogCaptureFixture) -> None:
    clock = FakeClock()

    async def hourly() -> None:
        await clock.sleep(3_600)
        raise ZeroDivisionError

    background = Background(clock)
    task = background.start("count sheep", hourly)
    await clock.advance(0)
    for _ in range(3):
        await clock.advance(3_600)
        await clock.advance(1)
    assert logged(caplog) == 3
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_work_that_ends_or_is_cancelled_is_not_begun_again() -> None:
    async def nothing() -> None:
        pass

    background = Background(FakeClock())
    await background.start("nothing", nothing)
    task = background.start("sleep", Work(0))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert background.failing == {}


async def test_long_work_pauses_for_four_times_as_long_as_a_step_takes() -> None:
    clock, steps = FakeClock(), 0

    async def work() -> None:
        nonlocal steps
        while True:
            async with unhurried(clock):
                steps += 1
                await clock.sleep(2.0)

    task = asyncio.create_task(work())
    await clock.advance(0)
    await clock.advance(2.0)
    await clock.advance(7.9)
    assert steps == 1
    await clock.advance(0.1)
    assert steps == 2
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
