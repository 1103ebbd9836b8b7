"""A host that keeps failing is left alone, and found again."""

import asyncio

import pytest

from fingerprint.media.breaker import (
    FAILURES,
    FIRST_PAUSE_SECONDS,
    LONGEST_PAUSE_SECONDS,
    MOST_HOSTS,
    PROBE_SECONDS,
    Breaker,
    HostFailingError,
)
from tests.fakes import FakeClock

HOST = "gql.example:443"
MOST_JITTER = 1.25


def call(breaker: Breaker, *, failed: bool | None, host: str = HOST) -> None:
    with breaker.call(host) as verdict:
        verdict.failed = failed


def is_left_alone(breaker: Breaker, host: str = HOST) -> bool:
    try:
        call(breaker, failed=None, host=host)
    except HostFailingError as error:
        return error.seconds > 0
    return False


def failing(clock: FakeClock) -> Breaker:
    breaker = Breaker(clock)
    for _ in range(FAILURES):
        call(breaker, failed=True)
    return breaker


def test_a_host_is_left_alone_after_failures_in_a_row() -> None:
    breaker = Breaker(FakeClock())
    for _ in range(FAILURES - 1):
        call(breaker, failed=True)
        assert not is_left_alone(breaker)
    call(breaker, failed=True)
    assert is_left_alone(breaker)
    assert not is_left_alone(breaker, "usher.example:443"), "others are not to blame"


def test_a_success_in_between_starts_the_count_anew() -> None:
    breaker = Breaker(FakeClock())
    for _ in range(3 * FAILURES):
        call(breaker, failed=True)
        call(breaker, failed=False)
    assert not is_left_alone(breaker)


def test_calls_without_a_verdict_count_for_nothing() -> None:
    breaker = Breaker(FakeClock())
    for _ in range(3 * FAILURES):
        call(breaker, failed=None)
    assert not is_left_alone(breaker)


async def test_after_the_pause_one_probe_decides_for_all() -> None:
    clock = FakeClock()
    breaker = failing(clock)
    await clock.advance(MOST_JITTER * FIRST_PAUSE_SECONDS)
    with breaker.call(HOST) as probe:
        assert is_left_alone(breaker), "the others wait for what the probe says"
        probe.failed = False
    call(breaker, failed=True)
    assert not is_left_alone(breaker), "it is as good as any other host again"


async def test_pauses_grow_while_probes_fail_up_to_a_limit() -> None:
    clock = FakeClock()
    breaker = failing(clock)
    for _ in range(10):
        await clock.advance(MOST_JITTER * LONGEST_PAUSE_SECONDS)
        call(breaker, failed=True)
        assert is_left_alone(breaker)
    await clock.advance(0.74 * LONGEST_PAUSE_SECONDS)
    assert is_left_alone(breaker)
    await clock.advance(0.52 * LONGEST_PAUSE_SECONDS)
    assert not is_left_alone(breaker)


async def test_a_probe_that_is_cancelled_leaves_room_for_the_next() -> None:
    clock = FakeClock()
    breaker = failing(clock)
    await clock.advance(MOST_JITTER * FIRST_PAUSE_SECONDS)
    with pytest.raises(asyncio.CancelledError), breaker.call(HOST):
        raise asyncio.CancelledError
    call(breaker, failed=False)
    assert not is_left_alone(breaker)


async def test_a_probe_that_never_ends_is_forgotten() -> None:
    clock = FakeClock()
    breaker = failing(clock)
    await clock.advance(MOST_JITTER * FIRST_PAUSE_SECONDS)
    with breaker.call(HOST):
        await clock.advance(PROBE_SECONDS)
        assert not is_left_alone(breaker)


def test_only_so_many_failing_hosts_are_remembered() -> None:
    breaker = Breaker(FakeClock())
    for number in range(MOST_HOSTS + 1):
        for _ in range(FAILURES):
            call(breaker, failed=True, host=f"edge-{number}:443")
    assert not is_left_alone(breaker, "edge-0:443")
    assert is_left_alone(breaker, f"edge-{MOST_HOSTS}:443")
