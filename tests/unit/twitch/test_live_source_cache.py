"""Kept sessions: found once, given again, bounded, and dropped when nobody asks any more."""

import pytest
from yarl import URL

from fingerprint.domain.problems import ProblemCode, TwitchAudioError, UpstreamError
from fingerprint.domain.targets import ChannelTarget, ClipTarget, Target
from fingerprint.ports import ClipSource, LiveSource, MediaSource, VideoSource
from fingerprint.twitch.live_source_cache import (
    IDLE_SECONDS,
    MAX_AGE_SECONDS,
    MAX_CACHED,
    UNCONFIRMED_SECONDS,
    LiveSourceCache,
)
from tests.fakes import FakeClock


class Counted:
    """A resolver that begins a new session each time."""

    def __init__(self) -> None:
        self.begun: list[Target] = []
        self.problem: TwitchAudioError | None = None
        self.ids = {"one": "42"}
        self.silent = False

    async def resolve(self, target: Target) -> MediaSource:
        self.begun.append(target)
        if self.problem is not None:
            raise self.problem
        address = URL(f"https://x.ttvnw.net/{len(self.begun)}")
        if isinstance(target, ChannelTarget):
            return LiveSource(channel=target.login, playlist=address, channel_id=self.ids.get(target.login))
        return ClipSource(url=address)

    async def recording(self, source: LiveSource) -> VideoSource | None:
        return None

    async def renew(self, source: LiveSource) -> LiveSource:
        renewed = await self.resolve(ChannelTarget(source.channel))
        assert isinstance(renewed, LiveSource)
        return renewed

    async def renew_video(self, source: VideoSource) -> VideoSource:
        raise NotImplementedError

    async def is_current(self, source: LiveSource) -> bool:
        if self.silent:
            raise UpstreamError("gql", "Twitch does not answer.")
        return self.ids.get(source.channel) == source.channel_id


class Kept:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.resolver = Counted()
        self.sessions = LiveSourceCache(self.resolver, self.clock)

    async def source(self, login: str = "one") -> LiveSource:
        source = await self.sessions.resolve(ChannelTarget(login))
        assert isinstance(source, LiveSource)
        return source

    @property
    def begun(self) -> int:
        return len(self.resolver.begun)


async def test_a_session_is_begun_once_and_then_kept() -> None:
    kept = Kept()
    first, second = await kept.source(), await kept.source()
    assert (first.cached, second.cached) == (False, True)
    assert first.playlist == second.playlist
    assert kept.begun == 1


async def test_each_use_keeps_it_for_some_minutes_more() -> None:
    kept = Kept()
    for _ in range(4):
        assert await kept.sessions.is_current(await kept.source())
        await kept.clock.advance(IDLE_SECONDS - 1)
    assert kept.begun == 1
    await kept.clock.advance(2)
    assert not (await kept.source()).cached


async def test_quiet_ones_are_dropped_though_nobody_asks_about_them() -> None:
    kept = Kept()
    for number in range(10):
        await kept.source(f"quiet{number}")
    await kept.clock.advance(IDLE_SECONDS + 1)
    await kept.source("other")
    assert len(kept.sessions) == 1


async def test_beyond_the_bound_the_one_that_was_longest_not_asked_about_gives_way() -> None:
    kept = Kept()
    for number in range(MAX_CACHED):
        await kept.source(f"channel{number}")
    await kept.source("channel0")
    await kept.source("one_more")
    assert len(kept.sessions) == MAX_CACHED
    assert (await kept.source("channel0")).cached
    assert not (await kept.source("channel1")).cached


async def test_a_renewed_session_takes_the_place_of_the_one_that_ended() -> None:
    kept = Kept()
    first = await kept.source()
    renewed = await kept.sessions.renew(first)
    assert renewed.playlist != first.playlist
    assert (await kept.source()).playlist == renewed.playlist
    assert kept.begun == 2


async def test_one_that_cannot_be_renewed_is_forgotten() -> None:
    kept = Kept()
    source = await kept.source()
    kept.resolver.problem = TwitchAudioError(ProblemCode.NOT_LIVE, "This channel is not live.")
    with pytest.raises(TwitchAudioError):
        await kept.sessions.renew(source)
    assert len(kept.sessions) == 0


async def test_clips_have_no_session() -> None:
    kept = Kept()
    for _ in range(2):
        await kept.sessions.resolve(ClipTarget("ElegantSlug-x"))
    assert kept.begun == 2
    assert len(kept.sessions) == 0


async def test_a_login_that_has_become_another_channels_is_noticed() -> None:
    kept = Kept()
    source = await kept.source()
    assert await kept.sessions.is_current(source)
    kept.resolver.ids["one"] = "77"
    assert not await kept.sessions.is_current(source)
    assert (await kept.sessions.renew(source)).channel_id == "77"
    assert await kept.sessions.is_current(await kept.source())
    del kept.resolver.ids["one"]
    assert not await kept.sessions.is_current(await kept.source())


async def test_one_that_twitch_does_not_confirm_is_used_for_some_minutes() -> None:
    kept = Kept()
    kept.resolver.silent = True
    for _ in range(4):
        source = await kept.source()
        assert await kept.sessions.is_current(source)
        await kept.clock.advance(UNCONFIRMED_SECONDS / 4)
    assert kept.begun == 1
    assert not (await kept.source()).cached
    unnamed = await kept.source("unnamed")
    kept.resolver.silent = False
    for _ in range(4):
        assert await kept.sessions.is_current(unnamed), "a token without an id says nothing about the channel"
        await kept.clock.advance(UNCONFIRMED_SECONDS / 4)
        assert await kept.source("unnamed")
    assert kept.begun == 4


async def test_none_is_used_for_ever() -> None:
    kept = Kept()
    for _ in range(round(MAX_AGE_SECONDS / 200)):
        assert await kept.sessions.is_current(await kept.source())
        await kept.clock.advance(200)
    assert kept.begun == 1
    assert not (await kept.source()).cached
