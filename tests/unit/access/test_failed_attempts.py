"""After many wrong keys and codes from one address, none from there is checked for a while."""

import pytest

from fingerprint.domain.problems import TwitchAudioError
from server.access.identity.addresses import parse_address
from server.access.identity.failed_attempts import (
    MAX_ADDRESSES,
    MAX_FAILURES,
    WINDOW_SECONDS,
    FailedAttemptLimiter,
)
from tests.fakes import FakeClock

HERE, NEAR, ELSEWHERE = (parse_address(text) for text in ("2001:db8::1", "2001:db8::2", "192.0.2.7"))


async def test_after_twenty_wrong_ones_a_minute_right_ones_wait_too() -> None:
    clock = FakeClock()
    limiter = FailedAttemptLimiter(clock)
    for _ in range(MAX_FAILURES):
        limiter.check(HERE)
        limiter.record_failure(HERE)
    for address in (HERE, NEAR):
        with pytest.raises(TwitchAudioError) as caught:
            limiter.check(address)
        assert (caught.value.code, caught.value.retry_after_seconds) == ("rate-limited", WINDOW_SECONDS)
    limiter.check(ELSEWHERE)
    limiter.check(None)
    await clock.advance(WINDOW_SECONDS)
    limiter.check(HERE)
    limiter.record_failure(HERE)
    limiter.check(HERE)


def test_places_are_bounded() -> None:
    limiter = FailedAttemptLimiter(FakeClock())
    for number in range(MAX_ADDRESSES + 100):
        limiter.record_failure(parse_address(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"))
    assert len(limiter._failures) == MAX_ADDRESSES  # pyright: ignore[reportPrivateUsage] - it has no other way out
