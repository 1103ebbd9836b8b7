"""A circuit opens after failures in a row, and one probe or the next success closes it again."""

import asyncio

import pytest

from fingerprint.circuit_breaker import (
    HOST_FAILURES,
    HOST_PAUSE,
    MAX_HOSTS,
    PROBE_SECONDS,
    CircuitBreaker,
    CircuitOpenError,
    CircuitState,
    HostCircuitBreakers,
    Pause,
)
from tests.fakes import FakeClock

pytestmark = pytest.mark.unit

MAX_JITTER = 1.2


def is_refused(breaker: CircuitBreaker) -> bool:
    try:
        with breaker.probed_call():
            return False
    except CircuitOpenError as error:
        return error.seconds > 0


def opened(clock: FakeClock) -> CircuitBreaker:
    breaker = CircuitBreaker(clock)
    for _ in range(HOST_FAILURES):
        breaker.record_failure()
    return breaker


def test_failures_in_a_row_open_the_circuit() -> None:
    breaker = CircuitBreaker(FakeClock())
    for _ in range(HOST_FAILURES - 1):
        breaker.record_failure()
        assert (breaker.state, is_refused(breaker)) == (CircuitState.CLOSED, False)
    breaker.record_failure("It is away.")
    assert (breaker.state, is_refused(breaker)) == (CircuitState.OPEN, True)
    assert breaker.open_seconds == pytest.approx(HOST_PAUSE.first, rel=0.2)
    assert breaker.reason == "It is away."


def test_a_success_in_between_starts_the_count_again() -> None:
    breaker = CircuitBreaker(FakeClock())
    for _ in range(3 * HOST_FAILURES):
        breaker.record_failure()
        breaker.record_success()
    assert breaker.state is CircuitState.CLOSED


def test_calls_without_an_outcome_count_for_nothing() -> None:
    breaker = CircuitBreaker(FakeClock())
    for _ in range(3 * HOST_FAILURES):
        assert not is_refused(breaker)
    assert breaker.state is CircuitState.CLOSED


async def test_after_the_pause_one_probe_decides_for_all() -> None:
    clock = FakeClock()
    breaker = opened(clock)
    await clock.advance(MAX_JITTER * HOST_PAUSE.first)
    assert breaker.state is CircuitState.HALF_OPEN
    with breaker.probed_call():
        assert is_refused(breaker), "the others wait for what the probe says"
        breaker.record_success()
    breaker.record_failure()
    assert breaker.state is CircuitState.CLOSED, "it is as good as any other again"


async def test_pauses_grow_while_probes_fail_up_to_a_limit() -> None:
    clock = FakeClock()
    breaker = opened(clock)
    pauses: list[float] = []
    for _ in range(8):
        assert breaker.open_seconds is not None
        pauses.append(breaker.open_seconds)
        await clock.advance(breaker.open_seconds)
        with breaker.probed_call():
            breaker.record_failure()
    for pause, seconds in zip(pauses, [2, 4, 8, 16, 30, 30, 30, 30], strict=True):
        assert pause == pytest.approx(seconds, rel=0.2)


async def test_a_probe_that_is_cancelled_leaves_room_for_the_next() -> None:
    clock = FakeClock()
    breaker = opened(clock)
    await clock.advance(MAX_JITTER * HOST_PAUSE.first)
    with pytest.raises(asyncio.CancelledError), breaker.probed_call():
        raise asyncio.CancelledError
    assert not is_refused(breaker)


async def test_a_probe_that_never_ends_is_given_up() -> None:
    clock = FakeClock()
    breaker = opened(clock)
    await clock.advance(MAX_JITTER * HOST_PAUSE.first)
    with breaker.probed_call():
        await clock.advance(PROBE_SECONDS)
        second = breaker.probed_call()
        second.__enter__()
    assert is_refused(breaker), "the end of the first is not that of the second"
    second.__exit__(None, None, None)
    assert not is_refused(breaker)


async def test_a_success_that_was_under_way_closes_an_open_circuit() -> None:
    clock = FakeClock()
    breaker = CircuitBreaker(clock)
    with breaker.probed_call():
        for _ in range(HOST_FAILURES):
            breaker.record_failure()
        assert breaker.state is CircuitState.OPEN
        breaker.record_success()
    assert not is_refused(breaker)


def test_failures_that_were_under_way_do_not_prolong_a_pause() -> None:
    breaker = opened(FakeClock())
    before = breaker.open_seconds
    for _ in range(5):
        breaker.record_failure()
    assert breaker.open_seconds == before


def test_a_failure_may_open_the_circuit_at_once_and_for_a_time_of_its_own() -> None:
    breaker = CircuitBreaker(FakeClock(), max_failures=3, pause=Pause(5.0, 60.0))
    breaker.record_failure("No.", pause=Pause(900.0, 3600.0), open_now=True)
    assert breaker.open_seconds == pytest.approx(900.0, rel=0.2)


async def test_the_next_pause_is_at_least_what_its_failure_asks_for() -> None:
    clock = FakeClock()
    breaker = opened(clock)
    await clock.advance(MAX_JITTER * HOST_PAUSE.first)
    breaker.record_failure("Used up.", pause=Pause(900.0, 3600.0), open_now=True)
    assert breaker.open_seconds == pytest.approx(900.0, rel=0.2)


def test_each_host_has_its_own_and_only_so_many_are_remembered() -> None:
    breakers = HostCircuitBreakers(FakeClock())
    for number in range(MAX_HOSTS + 1):
        for _ in range(HOST_FAILURES):
            breakers.of_host(f"edge-{number}:443").record_failure()
    assert is_refused(breakers.of_host(f"edge-{MAX_HOSTS}:443"))
    assert not is_refused(breakers.of_host("edge-0:443"))
    assert not is_refused(breakers.of_host("usher.example:443")), "others are not to blame"
