"""A whole VOD of the simulated Twitch, through the whole pipeline: its songs, their starts, and what is muted."""

import asyncio
import dataclasses
from contextlib import aclosing
from pathlib import Path

import pytest

from fingerprint.catalog.ingest import ingest
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.domain.targets import VideoTarget
from fingerprint.domain.tracklist import Tracklist
from fingerprint.pipeline_settings import PipelineSettings
from fingerprint.settings import read_settings
from fingerprint.upstream_settings import TwitchSettings
from fingerprint.whole import WholeRecordings
from fingerprint.wiring import open_clip_owners, open_pipeline
from simulator.content import ChannelPlan, Content, VideoPlan
from simulator.faults import Fault, FaultKind, Step
from simulator.library import own_songs
from simulator.media import TICKS
from simulator.program import Item, Playlist
from simulator.simulator import Simulator
from tests.integration.test_clip_songs import write_song

VIDEO = "2210987005"


async def assert_what_ends_it_is_told(whole: WholeRecordings, twitch: Simulator) -> None:
    """A VOD that is deleted, closed or too long: before it is listened to, and while it is."""
    video, target = twitch.video(VIDEO), VideoTarget(VIDEO, 0.0)
    for switch, code, said in (
        ("sound_gone", ProblemCode.VIDEO_NOT_FOUND, "its sound is gone"),
        ("missing", ProblemCode.VIDEO_NOT_FOUND, "no video 2210987005 on Twitch"),
        ("subscriber_only", ProblemCode.RESTRICTED_STREAM, "for subscribers only"),
    ):
        video.configure(recording=False, **{switch: True})
        with pytest.raises(TwitchAudioError, match=said) as caught:
            await anext(whole.listen(target))
        assert caught.value.code is code
        video.reset()
    with pytest.raises(TwitchAudioError, match=r"0:5\d long; the longest is 0:30"):
        await anext(whole.listen(target, max_seconds=30.0))
    async with aclosing(whole.listen(target)) as listening:
        await anext(listening)
        video.configure(sound_gone=True)
        with pytest.raises(TwitchAudioError, match="no longer has the sound") as caught:
            _ = [found async for found in listening]
        assert caught.value.code is ProblemCode.VIDEO_NOT_FOUND
    video.reset()
    async with aclosing(whole.listen(target)) as listening:
        await anext(listening)
        video.faults.add(Fault(step=Step.SEGMENT, kind=FaultKind.STATUS, status=403))
        with pytest.raises(TwitchAudioError, match="does not give out the sound") as caught:
            _ = [found async for found in listening]
        assert caught.value.code is ProblemCode.RESTRICTED_STREAM
    video.reset()
    async with aclosing(whole.listen(target)) as listening:
        await anext(listening)
        video.configure(muted_from=20.0, muted_seconds=10.0)
        newest = [found async for found in listening][-1]
    assert newest.muted == ((20.0, 30.0), (40.0, 50.0)), "what Twitch mutes meanwhile is muted, and not missing"
    assert newest.missing == ()
    assert newest.songs
    video.reset()
    async with aclosing(whole.listen(target)) as listening:
        await anext(listening)
        video.configure(muted_from=0.0, muted_seconds=60.0)
        newest = [found async for found in listening][-1]
    assert (newest.muted, newest.missing) == (((0.0, newest.duration),), ())
    video.reset()
    video.configure(broken="3-5")
    newest = [found async for found in whole.listen(target)][-1]
    assert newest.position == newest.duration, "a hole is passed over"
    video.reset()
    video.configure(broken="0-1")
    newest = [found async for found in whole.listen(target)][-1]
    starts = [each.start for each in newest.songs if each.song.title == "Song 2"]
    assert starts == [pytest.approx(18.0, abs=2.5)], "what comes after a hole is where it was"
    video.reset()
    twitch.video(VIDEO).configure(recording=True, recorded_seconds=25.0)


async def assert_durations_that_lie_are_seen_through(whole: WholeRecordings, twitch: Simulator) -> None:
    """Starts and the length are those of the sound, and not those that the list of segments adds up to."""
    video = twitch.video(VIDEO)
    video.configure(recording=False, durations_off=0.2, segment_seconds=4.0)
    newest = [found async for found in whole.listen(VideoTarget(VIDEO, 0.0))][-1]
    starts = [each.start for each in newest.songs if each.song.title == "Song 2"]
    assert starts == [pytest.approx(18.0, abs=2.5)]
    assert newest.duration == pytest.approx(54.0, abs=1.0)
    video.reset()


async def assert_two_days_are_bounded(whole: WholeRecordings, twitch: Simulator) -> None:
    """The longest broadcast that Twitch has: refused where it is too long, and else gone on with near its end."""
    channel = twitch.channel("somechannel")
    twitch.clock.advance(48 * 3600 - channel.ticks / TICKS)
    target = VideoTarget(channel.recording_id, 0.0)
    segments = twitch.count(Step.SEGMENT)
    with pytest.raises(TwitchAudioError, match=r"47:59:\d\d long; the longest is 24:00:00"):
        await anext(whole.listen(target, max_seconds=24 * 3600.0))
    assert twitch.count(Step.SEGMENT) <= segments + 3, "the beginnings of three tell how long it is"
    segments = twitch.count(Step.SEGMENT)
    reached = 48 * 3600.0 - 60.0
    found = [each async for each in whole.listen(target, Tracklist(position=reached), max_seconds=48 * 3600.0)]
    assert [each.position for each in found] == sorted(each.position for each in found)
    assert found[-1].growing
    assert found[-1].position == found[-1].duration
    assert {each.song.title for each in found[-1].songs} <= {"Song 1", "Song 2"}
    assert 0 < twitch.count(Step.SEGMENT) - segments < 12, "what comes before is not fetched again"
    twitch.clock.reset()


async def test_a_vod_is_listened_to_from_its_start_to_its_end(tmp_path: Path) -> None:
    music = tmp_path / "music"
    music.mkdir()
    for number in (1, 2):
        write_song(music, number)
    await asyncio.to_thread(ingest, tmp_path / "data" / "catalog", [music], workers=1)
    songs = own_songs(music)
    played = Playlist(
        items=tuple(Item(song=song, start_seconds=0.0, seconds=18.0) for song in (songs[0], songs[1], songs[0]))
    )
    video = VideoPlan(video_id=VIDEO, login="somechannel", title="a set", playlist=played, muted=((40.0, 50.0),))
    channel = ChannelPlan(
        login="somechannel", display_name="SomeChannel", user_id=4242, title="live", game="Music", playlist=played
    )
    content = Content(channels=(channel,), videos=(video,), songs=songs)
    async with Simulator(cache=tmp_path / "media", content=content) as twitch:
        environment = {**twitch.environment(), "TWITCHAUDIO_DATA_DIR": str(tmp_path / "data")}
        settings = dataclasses.replace(
            read_settings(PipelineSettings, environment), twitch=read_settings(TwitchSettings, environment)
        )
        async with open_clip_owners(settings) as owners:
            owner = await owners.video_owner(VIDEO)
            assert owner is not None
            assert (owner.id, owner.login) == ("4242", "somechannel")
            assert await owners.video_owner("2210987999") is None
        found = Tracklist()
        async with open_pipeline(settings) as pipeline:
            assert pipeline.whole is not None
            # While it is recorded: as far as it goes, and later the rest.
            twitch.clock.freeze()
            twitch.video(VIDEO).configure(recording=True, recorded_seconds=25.0)
            async for newest in pipeline.whole.listen(VideoTarget(VIDEO, 0.0)):
                found = newest
            assert found.growing
            await assert_what_ends_it_is_told(pipeline.whole, twitch)
            await assert_durations_that_lie_are_seen_through(pipeline.whole, twitch)
            twitch.video(VIDEO).configure(recording=True, recorded_seconds=25.0)
            reached = found.position
            assert 18.0 < reached < 54.0
            twitch.video(VIDEO).configure(recording=False)
            twitch.clock.resume()
            async for newest in pipeline.whole.listen(VideoTarget(VIDEO, 0.0), found):
                assert newest.position >= reached
                found = newest
            await assert_two_days_are_bounded(pipeline.whole, twitch)
    assert not found.growing
    assert found.duration is not None
    assert abs(found.duration - 54.0) < 1.0
    assert found.position == found.duration
    assert [(each.song.title, round(each.start)) for each in found.songs][:2] == [("Song 1", 0), ("Song 2", 18)]
    assert [(round(start), round(end)) for start, end in found.muted] == [(40, 50)]
