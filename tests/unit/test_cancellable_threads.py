"""Threads that do units of work one after the other."""

import asyncio
import threading
from contextvars import ContextVar

import pytest

from fingerprint.cancellable_threads import (
    CancellableThreads,
    CancellationToken,
    CancelledByCallerError,
    ThreadsClosedError,
    TooManyUnitsError,
)
from tests.waiting import settled

named: ContextVar[str] = ContextVar("named", default="")


async def test_a_unit_gives_its_result_or_raises_its_error_to_whoever_waits() -> None:
    threads = CancellableThreads("of a test", 2)
    named.set("a request")

    def fail(token: CancellationToken) -> None:
        raise KeyError("why")

    assert await threads.run(lambda token: (named.get(), threading.current_thread().name)) == (
        "a request",
        "of a test",
    )
    with pytest.raises(KeyError, match="why"):
        await threads.run(fail)
    await asyncio.to_thread(threads.close, 60.0)


async def test_one_thread_does_units_in_the_order_they_came() -> None:
    threads, done = CancellableThreads("of a test", 1), list[int]()
    await asyncio.gather(*(threads.run(lambda token, number=number: done.append(number)) for number in range(50)))
    assert done == list(range(50))
    await asyncio.to_thread(threads.close, 60.0)


async def test_whoever_goes_away_stops_what_they_waited_for_and_their_turn_is_passed_over() -> None:
    threads, begun, stopped = CancellableThreads("of a test", 1), threading.Event(), threading.Event()
    raised: list[type[BaseException]] = []

    def at_work(token: CancellationToken) -> None:
        with token.on_cancel(stopped.set):
            begun.set()
            assert stopped.wait(60)
        try:
            token.check()
        except CancelledByCallerError as error:
            raised.append(type(error))
            raise

    def in_turn(token: CancellationToken) -> None:
        with token.on_cancel(lambda: None):
            raised.append(AssertionError)

    asking = [asyncio.create_task(threads.run(unit)) for unit in (at_work, in_turn)]
    await asyncio.to_thread(begun.wait, 60)
    for task in reversed(asking):
        task.cancel()
    assert [type(end) for end in await asyncio.gather(*asking, return_exceptions=True)] == [
        asyncio.CancelledError
    ] * 2
    assert await threads.run(lambda token: "the next") == "the next"
    assert raised == [CancelledByCallerError]
    await asyncio.to_thread(threads.close, 60.0)


async def test_after_the_end_nothing_is_begun() -> None:
    threads = CancellableThreads("of a test", 1)
    assert await threads.run(lambda token: 1) == 1
    await asyncio.to_thread(threads.close, 60.0)
    assert "of a test" not in {thread.name for thread in threading.enumerate()}
    with pytest.raises(ThreadsClosedError):
        await threads.run(lambda token: 1)


async def test_what_hangs_lets_no_more_than_so_many_pile_up_although_their_callers_leave() -> None:
    threads, goes_on = CancellableThreads("of a test", 1, max_waiting=10), threading.Event()
    for _ in range(11):
        asking = asyncio.create_task(threads.run(lambda token: goes_on.wait(30)))
        await settled()
        asking.cancel()
    with pytest.raises(TooManyUnitsError):
        await threads.run(lambda token: None)
    goes_on.set()
    async with asyncio.timeout(30):
        while True:
            try:
                assert await threads.run(lambda token: "done") == "done"
                break
            except TooManyUnitsError:
                await asyncio.sleep(0)
    await asyncio.to_thread(threads.close, 60.0)
