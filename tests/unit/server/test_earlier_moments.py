"""How users and clients say how long ago, and which moments can be asked for."""

import math
from datetime import timedelta

import pytest

from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.domain.targets import (
    MAX_AGO_SECONDS,
    ChannelTarget,
    ClipTarget,
    ago_target,
    earlier,
    moment_target,
)
from server.api.requests import parse_question
from tests.builders import NOON


@pytest.mark.parametrize(
    ("ago", "seconds"), [("90", 90), ("1m30s", 90), ("1:30", 90), (" 5 ", 5), ("0.5", 0.5), ("2m", 120)]
)
def test_how_long_ago_is_written_in_several_ways(ago: str, seconds: float) -> None:
    assert earlier(ChannelTarget("a"), ago, NOON) == ChannelTarget("a", at=NOON - timedelta(seconds=seconds))


@pytest.mark.parametrize("ago", ["", " ", "0"])
def test_no_time_ago_is_now(ago: str) -> None:
    assert earlier(ChannelTarget("a"), ago, NOON) == ChannelTarget("a")


@pytest.mark.parametrize("ago", ["a while", "-5", "1e9", "nan", "inf", "200000", "@viewer", "1:99"])
def test_what_is_no_time_is_invalid_input(ago: str) -> None:
    with pytest.raises(TwitchAudioError) as caught:
        earlier(ChannelTarget("a"), ago, NOON)
    assert caught.value.code is ProblemCode.INVALID_INPUT


def test_only_a_channel_has_earlier_moments() -> None:
    assert earlier(ClipTarget("Slug"), "", NOON) == ClipTarget("Slug")
    with pytest.raises(TwitchAudioError, match="live channel"):
        earlier(ClipTarget("Slug"), "30", NOON)


@pytest.mark.parametrize("ago", [-0.1, MAX_AGO_SECONDS + 1, math.nan, math.inf, -math.inf])
def test_how_long_ago_has_bounds(ago: float) -> None:
    with pytest.raises(TwitchAudioError) as caught:
        ago_target("a", ago_seconds=ago, now=NOON)
    assert caught.value.code is ProblemCode.INVALID_INPUT


def test_a_moment_is_neither_to_come_nor_of_another_day() -> None:
    ahead = NOON + timedelta(seconds=20)
    assert moment_target("A", at=ahead, now=NOON) == ChannelTarget("a", at=ahead), "our own clock may be slow"
    with pytest.raises(TwitchAudioError, match="yet to come"):
        moment_target("a", at=NOON + timedelta(hours=1), now=NOON)
    with pytest.raises(TwitchAudioError) as caught:
        moment_target("a", at=NOON - timedelta(days=3), now=NOON)
    assert caught.value.code is ProblemCode.MOMENT_GONE


def test_moments_within_a_second_are_one_target() -> None:
    one, other = (ChannelTarget("a", at=NOON + timedelta(seconds=part)) for part in (0.1, 0.9))
    assert one.key == other.key != ChannelTarget("a").key


@pytest.mark.parametrize(
    "body",
    [
        {"channel": "a", "ago": -1},
        {"channel": "a", "ago": MAX_AGO_SECONDS + 1},
        {"channel": "a", "ago": "90"},
        {"channel": "a", "ago": None},
        {"channel": "a", "ago": True},
        {"channel": "a", "ago": 5, "at": "2026-03-01T12:00:00Z"},
        {"channel": "a", "at": 5},
        {"channel": "a", "at": "yesterday"},
        {"channel": "a", "at": "2026-03-01T11:59:00"},
        {"channel": "a", "at": "0001-01-01T00:00:00+23:59"},
        {"channel": "directory", "ago": 5},
        {"video": "123", "ago": 5},
        {"video": "123", "at": "2026-03-01T12:00:00Z"},
        {"clip": "Slug", "at": "2026-03-01T12:00:00Z"},
        {"url": "https://www.twitch.tv/a", "ago": 5},
    ],
)
def test_what_is_no_question_about_a_moment_is_invalid_input(body: object) -> None:
    with pytest.raises(TwitchAudioError) as caught:
        parse_question(body).target(NOON)
    assert caught.value.code is ProblemCode.INVALID_INPUT


def test_questions_about_moments() -> None:
    asked = parse_question({"channel": "A", "ago": 90}).target(NOON)
    assert asked == ChannelTarget("a", at=NOON - timedelta(seconds=90))
    asked = parse_question({"channel": "a", "at": "2026-03-01T12:59:00+01:00"}).target(NOON)
    assert asked == ChannelTarget("a", at=NOON - timedelta(seconds=60))
    assert parse_question({"channel": "a", "ago": 0}).target(NOON) == ChannelTarget("a")
