"""After many wrong credentials from one source, unknown ones from there are not checked for a while."""

import pytest

from fingerprint.domain.problems import TwitchAudioError
from server.access.identity.failed_attempts import (
    MAX_SOURCES,
    WINDOW_SECONDS,
    FailedAttemptLimiter,
)
from tests.fakes import FakeClock

HERE, ELSEWHERE = "2001:db8::/64", "192.0.2.7"


async def test_after_twenty_wrong_ones_a_minute_unknown_ones_wait() -> None:
    clock = FakeClock()
    limiter = FailedAttemptLimiter(clock, "API keys")
    for _ in range(20):
        limiter.check(HERE)
        limiter.record_failure(HERE)
    assert limiter.reached(HERE)
    with pytest.raises(TwitchAudioError) as caught:
        limiter.check(HERE)
    assert (caught.value.code, caught.value.retry_after_seconds) == ("rate-limited", WINDOW_SECONDS)
    limiter.check(ELSEWHERE)
    limiter.check(None)
    await clock.advance(WINDOW_SECONDS)
    assert not limiter.reached(HERE)
    limiter.check(HERE)
    limiter.record_failure(HERE)
    limiter.check(HERE)


def test_sources_are_bounded() -> None:
    limiter = FailedAttemptLimiter(FakeClock(), "API keys")
    for number in range(MAX_SOURCES + 100):
        limiter.record_failure(str(number))
    assert len(limiter._failures) == MAX_SOURCES  # pyright: ignore[reportPrivateUsage] - it has no other way out


async def test_the_wait_is_what_is_left_of_the_minute_of_the_first_and_a_second_at_least() -> None:
    clock = FakeClock()
    limiter = FailedAttemptLimiter(clock, "API keys")
    assert WINDOW_SECONDS == 60.0

    def wait() -> float | None:
        with pytest.raises(TwitchAudioError) as caught:
            limiter.check(HERE)
        return caught.value.retry_after_seconds

    for number in range(20):
        assert not limiter.reached(HERE), number
        limiter.record_failure(HERE)
        await clock.advance(1.0)
    assert wait() == 40.0
    limiter.record_failure(HERE)
    await clock.advance(38.5)
    assert wait() == 1.5
    await clock.advance(1.0)
    assert wait() == 1.0
    await clock.advance(0.5)
    assert not limiter.reached(HERE)
    assert not limiter.reached(None)
