"""Whoever sends wrong keys and codes, one after the other, is not listened to for a while."""

import pytest

from fingerprint.domain.problems import TwitchAudioError
from server.access.identity.addresses import parse_address
from server.access.identity.failed_attempts import KEPT, MOST, SECONDS, Guesses
from tests.fakes import FakeClock

HERE, NEAR, ELSEWHERE = (parse_address(text) for text in ("2001:db8::1", "2001:db8::2", "192.0.2.7"))


async def test_after_twenty_wrong_ones_a_minute_right_ones_wait_too() -> None:
    clock = FakeClock()
    guesses = Guesses(clock)
    for _ in range(MOST):
        guesses.check(HERE)
        guesses.wrong(HERE)
    for address in (HERE, NEAR):
        with pytest.raises(TwitchAudioError) as caught:
            guesses.check(address)
        assert (caught.value.code, caught.value.retry_after_seconds) == ("rate-limited", SECONDS)
    guesses.check(ELSEWHERE)
    guesses.check(None)
    await clock.advance(SECONDS)
    guesses.check(HERE)
    guesses.wrong(HERE)
    guesses.check(HERE)


def test_places_are_bounded() -> None:
    guesses = Guesses(FakeClock())
    for number in range(KEPT + 100):
        guesses.wrong(parse_address(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"))
    assert len(guesses._wrong) == KEPT  # pyright: ignore[reportPrivateUsage] - it has no other way out
