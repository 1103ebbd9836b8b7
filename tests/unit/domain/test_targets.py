import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.domain.targets import (
    ChannelTarget,
    ClipTarget,
    TwitchTarget,
    VideoTarget,
    channel_target,
    clip_target,
    name_from,
    parse_target,
    url_target,
    video_target,
)

NEW_SLUG = "SleepyGiftedPeppermintNerfRedBlaster-KbkBXYt3lOk3jy8-"
OLD_SLUG = "AbrasivePlayfulMangoMau5"

CASES = json.loads((Path(__file__).parents[1] / "targets.json").read_text(encoding="utf-8"))
"""Of the parser in JavaScript, too: a text with the question that it stands for, or with a part of the error."""


def _question(target: TwitchTarget) -> dict[str, Any]:
    match target:
        case ChannelTarget(login):
            return {"channel": login}
        case ClipTarget(slug):
            return {"clip": slug}
        case VideoTarget(video_id, at_seconds):
            return {"video": video_id, "at": at_seconds}


def test_text_is_parsed_or_refused_with_a_sentence() -> None:
    assert len(CASES) >= 700
    assert [case for case in CASES if not _is_as_told(case)] == []


def _is_as_told(case: dict[str, Any]) -> bool:
    try:
        question = _question(parse_target(case["text"]))
    except TwitchAudioError as error:
        said = error.detail
        known = error.code is ProblemCode.INVALID_INPUT and len(said) < 300 and said.isprintable()
        return "question" not in case and known and case["error"] in said
    return question == case.get("question")


@pytest.mark.parametrize(
    "text",
    [
        "https://www.twitch.tv/SomeChannel",
        "twitch.tv/somechannel",
        "m.twitch.tv/somechannel/videos",
        "https://player.twitch.tv/?channel=somechannel&parent=x",
        "https://dashboard.twitch.tv/u/somechannel/stream-manager",
        "<https://www.twitch.tv/somechannel>",
        " https://www.twitch.tv/somechannel?tt_content=x ",
        "@SomeChannel",
    ],
)
def test_a_channel_is_named_by_its_login_or_any_of_its_addresses(text: str) -> None:
    assert channel_target(text) == ChannelTarget("somechannel")
    assert name_from(text) == (text if text.startswith(("@", "<")) else "somechannel")


def test_clips_and_videos_are_named_by_their_addresses_too() -> None:
    assert clip_target(f"https://www.twitch.tv/X/clip/{NEW_SLUG}?filter=clips") == ClipTarget(NEW_SLUG, "x")
    assert clip_target(f"clips.twitch.tv/{OLD_SLUG}") == ClipTarget(OLD_SLUG)
    assert video_target("https://www.twitch.tv/videos/123?t=1h2m3s") == VideoTarget("123", 3723)
    assert video_target("https://www.twitch.tv/videos/123?t=1h2m3s", 5) == VideoTarget("123", 5)


def test_forms_of_the_api_take_only_their_own_kind() -> None:
    assert channel_target("A-B".replace("-", "_")) == ChannelTarget("a_b")
    assert clip_target(OLD_SLUG) == ClipTarget(OLD_SLUG)
    assert video_target("v123", 1.5) == VideoTarget("123", 1.5)
    for ask in (
        lambda: channel_target(f"clips.twitch.tv/{OLD_SLUG}"),
        lambda: channel_target("https://www.twitch.tv/videos/1"),
        lambda: clip_target("https://www.twitch.tv/x"),
        lambda: video_target("https://www.twitch.tv/x"),
    ):
        with pytest.raises(TwitchAudioError, match=r"is the address of a \w+, not of a \w+\."):
            ask()
    for other in ("https://example.com/x", "some.channel", "twitch.tv/https%3A%2F%2Ftwitch.tv%2Fx"):
        with pytest.raises(TwitchAudioError, match=r"not a Twitch address|is not a channel name"):
            channel_target(other)
    with pytest.raises(TwitchAudioError, match="not a Twitch address"):
        url_target("somechannel")


@pytest.mark.parametrize("moment", [-1.0, float("nan"), float("inf"), 1e300])
def test_moments_that_no_video_has_are_refused(moment: float) -> None:
    with pytest.raises(TwitchAudioError, match="in seconds from 0"):
        video_target("1234567", moment)


@pytest.mark.parametrize(
    "hostile",
    [
        "1" * 2000,
        "A" * 2000,
        "Aa" * 1000,
        "a-" * 1000,
        "www.twitch.tv/" + "/" * 1900,
        "twitch.tv/videos/1?t=" + "1h" * 900,
    ],
)
def test_hostile_text_costs_no_time(hostile: str) -> None:
    before = time.process_time()
    for _ in range(10):
        with pytest.raises(TwitchAudioError):
            parse_target(hostile)
    assert time.process_time() - before < 1.0, "a pattern backtracks"


@given(st.text() | st.from_regex(r"(https?://)?((www|clips|player)\.)?twitch\.tv/[ -~]{0,60}", fullmatch=True))
def test_any_text_is_a_target_or_invalid_input(text: str) -> None:
    try:
        target = parse_target(text)
    except TwitchAudioError as error:
        assert error.code is ProblemCode.INVALID_INPUT  # noqa: PT017 - either outcome is right
        return
    assert target.name.isascii()
    assert target.name == target.name.strip()
    again = {ChannelTarget: channel_target, ClipTarget: clip_target, VideoTarget: video_target}[type(target)]
    assert again(target.name).name == target.name


@pytest.mark.parametrize(
    ("address", "channel"),
    [
        (f"https://www.twitch.tv/SomeChannel/clip/{NEW_SLUG}", "somechannel"),
        (f"https://clips.twitch.tv/SomeChannel/{NEW_SLUG}", "somechannel"),
        (f"https://www.twitch.tv/clip/{NEW_SLUG}", None),
        (f"https://clips.twitch.tv/{NEW_SLUG}", None),
        (f"https://www.twitch.tv/no-channel/clip/{NEW_SLUG}", None),
        (NEW_SLUG, None),
    ],
)
def test_a_clips_address_may_claim_whose_it_is(address: str, channel: str | None) -> None:
    target = parse_target(address)
    assert isinstance(target, ClipTarget)
    assert target.channel == channel
    assert target == ClipTarget(NEW_SLUG)
    assert target.key == ClipTarget(NEW_SLUG).key
