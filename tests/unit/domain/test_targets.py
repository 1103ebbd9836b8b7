import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.domain.targets import (
    ChannelTarget,
    ClipTarget,
    TwitchTarget,
    VideoTarget,
    channel_target,
    clip_target,
    parse_target,
    url_target,
    video_target,
)

NEW_SLUG = "SleepyGiftedPeppermintNerfRedBlaster-KbkBXYt3lOk3jy8-"
OLD_SLUG = "AbrasivePlayfulMangoMau5"

MEANT = {
    # names
    "somechannel": ChannelTarget("somechannel"),
    "SomeChannel": ChannelTarget("somechannel"),
    "  SomeChannel \n": ChannelTarget("somechannel"),
    "@SomeChannel": ChannelTarget("somechannel"),
    "_x": ChannelTarget("_x"),
    "x": ChannelTarget("x"),
    "123456": ChannelTarget("123456"),
    "v1234567890": ChannelTarget("v1234567890"),
    "A_Very_Long_Channel_Name_": ChannelTarget("a_very_long_channel_name_"),
    "TwoWordsOrThree": ChannelTarget("twowordsorthree"),
    # slugs
    NEW_SLUG: ClipTarget(NEW_SLUG),
    OLD_SLUG: ClipTarget(OLD_SLUG),
    OLD_SLUG.lower(): ChannelTarget(OLD_SLUG.lower()),
    "AVeryLongSlugOfTheOldKindKappa": ClipTarget("AVeryLongSlugOfTheOldKindKappa"),
    # videos
    "1234567": VideoTarget("1234567", 0),
    "2345678901": VideoTarget("2345678901", 0),
    # channels' addresses
    "https://www.twitch.tv/SomeChannel": ChannelTarget("somechannel"),
    "http://twitch.tv/somechannel/": ChannelTarget("somechannel"),
    "HTTPS://WWW.TWITCH.TV/somechannel": ChannelTarget("somechannel"),
    "https://www.twitch.tv:443/somechannel": ChannelTarget("somechannel"),
    "twitch.tv/somechannel": ChannelTarget("somechannel"),
    "//www.twitch.tv/somechannel": ChannelTarget("somechannel"),
    "m.twitch.tv/somechannel?desktop-redirect=true": ChannelTarget("somechannel"),
    "go.twitch.tv/somechannel#chat": ChannelTarget("somechannel"),
    "https://www.twitch.tv/somechannel/videos?filter=archives": ChannelTarget("somechannel"),
    "https://www.twitch.tv/somechannel/clips": ChannelTarget("somechannel"),
    "https://www.twitch.tv/somechannel/about": ChannelTarget("somechannel"),
    "https://www.twitch.tv/somechannel/schedule": ChannelTarget("somechannel"),
    "https://www.twitch.tv/popout/SomeChannel/chat?popout=": ChannelTarget("somechannel"),
    "https://www.twitch.tv/popout/moderator/somechannel/chat": ChannelTarget("somechannel"),
    "https://www.twitch.tv/moderator/somechannel": ChannelTarget("somechannel"),
    "https://www.twitch.tv/embed/somechannel/chat?parent=example.com": ChannelTarget("somechannel"),
    "https://player.twitch.tv/?channel=SomeChannel&parent=x": ChannelTarget("somechannel"),
    "https://player.twitch.tv/?video=v1234567&channel=somechannel": ChannelTarget("somechannel"),
    "https://embed.twitch.tv?channel=somechannel": ChannelTarget("somechannel"),
    # clips' addresses
    f"https://clips.twitch.tv/{NEW_SLUG}": ClipTarget(NEW_SLUG),
    f"clips.twitch.tv/{OLD_SLUG}/?tt_medium=x": ClipTarget(OLD_SLUG),
    f"https://clips.twitch.tv/somechannel/{OLD_SLUG}": ClipTarget(OLD_SLUG),
    f"https://clips.twitch.tv/embed?parent=a.example&clip={NEW_SLUG}&autoplay=false": ClipTarget(NEW_SLUG),
    f"https://www.twitch.tv/somechannel/clip/{NEW_SLUG}?filter=clips&range=7d": ClipTarget(NEW_SLUG),
    f"https://www.twitch.tv/clip/{NEW_SLUG}": ClipTarget(NEW_SLUG),
    f"https://m.twitch.tv/clip/{NEW_SLUG}/": ClipTarget(NEW_SLUG),
    f"go.twitch.tv/x/CLIP/{OLD_SLUG}": ClipTarget(OLD_SLUG),
    # videos' addresses
    "https://www.twitch.tv/videos/1234567890": VideoTarget("1234567890", 0),
    "https://www.twitch.tv/videos/1234567890?t=1h2m3s": VideoTarget("1234567890", 3723),
    "https://www.twitch.tv/videos/v1234567?t=0h0m20s": VideoTarget("1234567", 20),
    "https://m.twitch.tv/videos/1234567?t=83m&t=1s": VideoTarget("1234567", 4980),
    "https://www.twitch.tv/videos/1234567?t=45s": VideoTarget("1234567", 45),
    "https://www.twitch.tv/videos/1234567?t=2h": VideoTarget("1234567", 7200),
    "https://www.twitch.tv/videos/1234567/?t=5025": VideoTarget("1234567", 5025),
    "https://www.twitch.tv/somechannel/v/1234567": VideoTarget("1234567", 0),
    "https://www.twitch.tv/somechannel/video/1234567?t=1m": VideoTarget("1234567", 60),
    "https://www.twitch.tv/v/1234567": VideoTarget("1234567", 0),
    "https://www.twitch.tv/somechannel/schedule?vodID=1234567": VideoTarget("1234567", 0),
    "https://player.twitch.tv/?video=v1234567&time=1m5s": VideoTarget("1234567", 65),
    "https://player.twitch.tv/?video=1234567&t=90": VideoTarget("1234567", 90),
}

REFUSED = {
    "": "Nothing was given",
    " \t\n": "Nothing was given",
    "x" * 2001: "too long",
    "two words": "no channel's name",
    "ünïcode": "no channel's name",
    "日本語": "no channel's name",
    "some\x00channel": "no channel's name",
    ";id": "no channel's name",
    "-i": None,
    "directory": "a page of Twitch",
    "Videos": "a page of Twitch",
    "a-b!": "no clip's slug",
    "a" * 129: "too long for a clip's slug",
    "0000000": "no video's number",
    "1" * 16: "no video's number",
    "https://www.youtube.com/watch?v=abc": "not an address of Twitch",
    "https://twitch.tv.evil.example/somechannel": "not an address of Twitch",
    "https://eviltwitch.tv/somechannel": "not an address of Twitch",
    "https://www.twitch.tv./somechannel": "not an address of Twitch",
    "https://127.0.0.1/somechannel": "not an address of Twitch",
    "https://[::1]/somechannel": "cannot be read",
    "https://[/somechannel": "cannot be read",
    "https://www.twitch.tv@evil.example/x": "cannot be read",
    "https://evil.example\\@www.twitch.tv/x": "cannot be read",
    "https://www.twitch.tv:8080/x": "cannot be read",
    "https://www.twitch.tv/some\tchannel": "cannot be read",
    "ftp://www.twitch.tv/somechannel": "cannot be read",
    "javascript://www.twitch.tv/somechannel": "cannot be read",
    "file:///etc/passwd": "cannot be read",
    "https://www.twitch.tv": "front page",
    "https://www.twitch.tv//": "front page",
    "https://www.twitch.tv/directory/category/music": "a page of Twitch",
    "https://www.twitch.tv/settings/profile": "a page of Twitch",
    "https://www.twitch.tv/some%63hannel": "no channel's name",
    "https://www.twitch.tv/somechannel/clip": "ends where",
    "https://www.twitch.tv/somechannel/clip/": "ends where",
    "https://www.twitch.tv/somechannel/clip/a%7Cb": "no clip's slug",
    "https://www.twitch.tv/somechannel/b/12345678": "old archive",
    "https://www.twitch.tv/videos/abc": "no video's number",
    "https://www.twitch.tv/videos/1234567?t=soon": "no moment",
    "https://www.twitch.tv/videos/1234567?t=-5": "no moment",
    "https://www.twitch.tv/videos/1234567?t=1e9": "no moment",
    "https://www.twitch.tv/videos/1234567?t=9999h": "in seconds from 0",
    "https://clips.twitch.tv": "names no clip",
    "https://clips.twitch.tv/embed?parent=x": "names no clip",
    "https://clips.twitch.tv/create": "names no clip",
    "https://clips.twitch.tv/clips/404": "names no clip",
    "https://clips.twitch.tv/a/b/c": "names no clip",
    "https://clips.twitch.tv/123456789": "a video's number",
    "https://player.twitch.tv/?collection=abc": "neither a channel nor a video",
    "https://www.twitch.tv/?" + "&".join(f"a{i}=1" for i in range(200)): "more parameters",
}


@pytest.mark.parametrize(("text", "meant"), MEANT.items())
def test_text_is_understood(text: str, meant: TwitchTarget) -> None:
    assert parse_target(text) == meant


@pytest.mark.parametrize(("text", "said"), REFUSED.items())
def test_text_is_refused_with_a_sentence(text: str, said: str | None) -> None:
    if said is None:
        assert parse_target(text) == ClipTarget(text)
        return
    with pytest.raises(TwitchAudioError) as caught:
        parse_target(text)
    assert caught.value.code is ProblemCode.INVALID_INPUT
    assert said in caught.value.detail
    assert len(caught.value.detail) < 300
    assert caught.value.detail.isprintable()


def test_forms_of_the_api_take_only_their_own_kind() -> None:
    assert channel_target("A-B".replace("-", "_")) == ChannelTarget("a_b")
    assert clip_target(OLD_SLUG) == ClipTarget(OLD_SLUG)
    assert video_target("v123", 1.5) == VideoTarget("123", 1.5)
    for ask in (
        lambda: channel_target("https://www.twitch.tv/x"),
        lambda: clip_target("clips.twitch.tv/x"),
        lambda: video_target("https://www.twitch.tv/videos/1"),
    ):
        with pytest.raises(TwitchAudioError, match="give it as a URL"):
            ask()
    with pytest.raises(TwitchAudioError, match="not an address of Twitch"):
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


@settings(deadline=None)  # a busy machine is no failure
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
