"""What a blacklisted value takes and names."""

import pytest

from fingerprint.domain.problems import TwitchAudioError
from fingerprint.domain.targets import ChannelTarget, ClipTarget, TwitchTarget, VideoTarget
from fingerprint.ports import Broadcaster
from server.access.identity.addresses import parse_address
from server.access.identity.twitch_user import TwitchUser
from server.access.rules.blacklist_kinds import PATTERN_LIMIT, BlacklistKind
from server.access.rules.lists import OF_ACCOUNTS, Blacklist, blacklist_value, user_value

VIC = TwitchUser(id="77", login="viewer_vic", scopes=frozenset())


def blacklist(kind: BlacklistKind, text: str) -> Blacklist:
    return Blacklist.of([(str(kind), blacklist_value(kind, text))])


@pytest.mark.parametrize(
    ("kind", "text", "named"),
    [
        (BlacklistKind.USER, "Viewer_Vic", True),
        (BlacklistKind.USER, "id:77", True),
        (BlacklistKind.USER, "id:7", False),
        (BlacklistKind.USER, "viewer", False),
        (BlacklistKind.USER_PATTERN, "viewer*", True),
        (BlacklistKind.USER_PATTERN, "viewer_?ic", True),
        (BlacklistKind.USER_PATTERN, "ewer*", False),
        (BlacklistKind.CHANNEL_PATTERN, "viewer*", False),
        (BlacklistKind.CHANNEL, "viewer_vic", False),
    ],
)
def test_users(kind: BlacklistKind, text: str, named: bool) -> None:
    assert blacklist(kind, text).names(user=VIC) == named
    assert not blacklist(kind, text).names()


@pytest.mark.parametrize(
    ("kind", "text", "target", "named"),
    [
        (BlacklistKind.CHANNEL, "SomeChannel", ChannelTarget("somechannel"), True),
        (BlacklistKind.CHANNEL, "some", ChannelTarget("somechannel"), False),
        (BlacklistKind.CHANNEL, "somechannel", ClipTarget("somechannel"), False),
        (BlacklistKind.CHANNEL_PATTERN, "*channel", ChannelTarget("somechannel"), True),
        (BlacklistKind.CHANNEL_PATTERN, "*channel", VideoTarget("1234567", 0.0), False),
        (BlacklistKind.CLIP, "AwkwardSlug-x_1", ClipTarget("AwkwardSlug-x_1"), True),
        (BlacklistKind.CLIP, "AwkwardSlug-x_1", ClipTarget("awkwardslug-x_1"), False),
        (BlacklistKind.CLIP_BROADCASTER, "SomeChannel", ClipTarget("Slug", channel="somechannel"), True),
        (BlacklistKind.CLIP_BROADCASTER, "somechannel", ClipTarget("Slug", channel="other"), False),
        (BlacklistKind.CLIP_BROADCASTER, "somechannel", ClipTarget("somechannel"), False),
        (BlacklistKind.CLIP_BROADCASTER, "somechannel", ChannelTarget("somechannel"), False),
    ],
)
def test_targets(kind: BlacklistKind, text: str, target: TwitchTarget, named: bool) -> None:
    assert blacklist(kind, text).names(target=target) == named


@pytest.mark.parametrize(
    ("text", "address", "named"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("192.0.2.77/24", "192.0.2.1", True),
        ("2001:db8::/48", "2001:db8:0:5::1", True),
        ("2001:db8::/48", "2001:db8:1::1", False),
        ("192.0.2.0/24", "::ffff:192.0.2.9", True),
    ],
)
def test_addresses(text: str, address: str, named: bool) -> None:
    assert blacklist(BlacklistKind.ADDRESS, text).names(address=parse_address(address)) == named


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (BlacklistKind.USER, "id:"),
        (BlacklistKind.USER, "\u212aelvin"),
        (BlacklistKind.CHANNEL, "https://twitch.tv/\u212aelvin"),
        (BlacklistKind.USER_PATTERN, "\u212a*"),
        (BlacklistKind.USER, "no spaces"),
        (BlacklistKind.ADDRESS, "example.com"),
        (BlacklistKind.ADDRESS, "192.0.2.0/33"),
        (BlacklistKind.CHANNEL, "a b"),
        (BlacklistKind.CLIP, ""),
        (BlacklistKind.CHANNEL_PATTERN, ""),
        (BlacklistKind.CHANNEL_PATTERN, "(a+)+$"),
        (BlacklistKind.USER_PATTERN, "a" * 51),
    ],
)
def test_what_means_nothing_is_refused_with_what_would(kind: BlacklistKind, text: str) -> None:
    with pytest.raises(TwitchAudioError, match=f"{kind} takes") as caught:
        blacklist_value(kind, text)
    assert caught.value.code == "invalid-input"


def test_a_pattern_of_many_stars_is_quick() -> None:
    patterns = blacklist(BlacklistKind.CHANNEL_PATTERN, "a*" * 24)
    assert patterns.names(target=ChannelTarget("a" * 25))
    assert not patterns.names(target=ChannelTarget("b" + "a" * 24))
    assert not patterns.names(target=ChannelTarget("a" * 23))


def test_a_user_is_named_by_login_or_by_number() -> None:
    assert user_value(" Viewer_Vic ") == "viewer_vic"
    assert user_value("ID:77") == "id:77"


@pytest.mark.parametrize(
    ("text", "named"), [("SomeChannel", True), ("id:77", True), ("id:7", False), ("other", False)]
)
def test_clips_by_their_broadcaster_whatever_an_address_claims(text: str, named: bool) -> None:
    target, broadcaster = ClipTarget("Slug", channel="innocent"), Broadcaster(id="77", login="somechannel")
    listed = blacklist(BlacklistKind.CLIP_BROADCASTER, text)
    assert listed.names(target=target, broadcaster=broadcaster) == named
    assert listed.has_clip_broadcasters
    assert not listed.has_video_owners


@pytest.mark.parametrize(
    ("kind", "text", "named"),
    [
        (BlacklistKind.CHANNEL, "SomeChannel", True),
        (BlacklistKind.CHANNEL, "id:77", True),
        (BlacklistKind.CHANNEL_PATTERN, "some*", True),
        (BlacklistKind.CHANNEL, "other", False),
        (BlacklistKind.CHANNEL, "id:7", False),
        (BlacklistKind.USER, "somechannel", False),
    ],
)
def test_a_channel_is_listed_with_its_clips_and_videos(kind: BlacklistKind, text: str, named: bool) -> None:
    listed, owner = blacklist(kind, text), Broadcaster(id="77", login="somechannel")
    assert (listed.has_clip_broadcasters, listed.has_video_owners) == (kind is not BlacklistKind.USER,) * 2
    for target in (ChannelTarget("somechannel"), ClipTarget("Slug", channel="innocent"), VideoTarget("1", 0.0)):
        assert listed.names(target=target, broadcaster=owner) == named, target
    assert not listed.names(target=VideoTarget("1", 0.0))


@pytest.mark.parametrize(
    ("login", "number", "named"),
    [
        ("somechannel", "77", True),
        ("renamed", "77", True),
        ("somechannel", "88", False),
        ("somechannel", None, True),
        ("other", "88", False),
        ("other", None, False),
    ],
)
def test_a_listed_login_means_the_account_that_had_it(login: str, number: str | None, named: bool) -> None:
    entry = (str(BlacklistKind.CHANNEL), "somechannel")
    listed = Blacklist.of([entry], {entry: "77"})
    broadcaster = None if number is None else Broadcaster(id=number, login=login)
    assert listed.names(target=ChannelTarget(login), broadcaster=broadcaster) == named


def test_a_listed_login_of_no_known_account_means_all_that_have_it() -> None:
    listed = blacklist(BlacklistKind.CHANNEL, "somechannel")
    assert listed.names(target=ChannelTarget("somechannel"), broadcaster=Broadcaster(id="88", login="somechannel"))


def test_what_has_to_be_asked_of_twitch_follows_from_what_is_listed() -> None:
    def asked(kind: BlacklistKind, text: str) -> tuple[bool, bool, bool]:
        found = blacklist(kind, text)
        assert found.empty is False
        return found.has_clip_broadcasters, found.has_video_owners, found.has_channels

    assert asked(BlacklistKind.CHANNEL, "somechannel") == (True, True, True)
    assert asked(BlacklistKind.FORGOTTEN_CHANNEL, "somechannel") == (True, True, True)
    assert asked(BlacklistKind.CHANNEL_PATTERN, "some*") == (True, True, False)
    assert asked(BlacklistKind.CLIP_BROADCASTER, "somechannel") == (True, False, False)
    for kind, text in (
        (BlacklistKind.USER, "viewer_vic"),
        (BlacklistKind.USER_PATTERN, "viewer*"),
        (BlacklistKind.ADDRESS, "192.0.2.1"),
        (BlacklistKind.CLIP, "AwkwardSlug-x_1"),
    ):
        assert asked(kind, text) == (False, False, False)
    for nothing in (Blacklist(), Blacklist.of([])):
        assert nothing.empty is True
        assert not any((nothing.has_clip_broadcasters, nothing.has_video_owners, nothing.has_channels))


def test_accounts_are_what_is_listed_by_login() -> None:
    assert set(OF_ACCOUNTS) == {
        *(BlacklistKind.USER, BlacklistKind.CHANNEL),
        *(BlacklistKind.FORGOTTEN_CHANNEL, BlacklistKind.CLIP_BROADCASTER),
    }


def test_a_pattern_is_so_long_at_most() -> None:
    assert blacklist_value(BlacklistKind.CHANNEL_PATTERN, "a" * PATTERN_LIMIT) == "a" * PATTERN_LIMIT
    with pytest.raises(TwitchAudioError):
        blacklist_value(BlacklistKind.CHANNEL_PATTERN, "a" * (PATTERN_LIMIT + 1))
