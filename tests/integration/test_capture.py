"""The whole way from a target to sound, over real HTTP and real decoders, from the simulated Twitch."""

import dataclasses
import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import timedelta
from io import BytesIO
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.stream import VideoStream
from yarl import URL

from fingerprint.domain.audio import Pcm, Recording
from fingerprint.domain.problems import ProblemCode, TwitchAudioError, UpstreamError
from fingerprint.domain.targets import ChannelTarget, FileTarget, VideoTarget
from fingerprint.hls.moments import VideoTimeline
from fingerprint.hls.playlist import MediaPlaylist, Segment
from fingerprint.media.ahead import DecodingAhead, SoundListener
from fingerprint.media.capture import StreamCapture
from fingerprint.media.fetch import Fetched
from fingerprint.media.joined_sound import Decoder
from fingerprint.media.pcm import Decoded
from fingerprint.ports import ClipSource, LiveSource
from simulator.faults import Fault, FaultKind, Step
from tests.integration.capture_twitch import SLUG, VIDEO, Listener, first_take, heard, ladder, tone
from tests.listeners import RecordingListener
from tests.unit.twitch.scripted import ScriptedFetcher

pytestmark = pytest.mark.asyncio(loop_scope="module")


def assert_right_sound(listener: Listener, recording: Recording, seconds: float) -> None:
    """It is what the channel played at the time that the recording says."""
    assert recording.pcm.duration_seconds == pytest.approx(seconds, abs=0.1)
    assert recording.started_at is not None
    for second in (0.5, seconds / 2, seconds - 0.5):
        rung = recording.started_at + timedelta(seconds=second)
        if abs(rung.timestamp() - round(rung.timestamp())) < 0.3:
            continue  # too near to where one tone ends and the next begins
        assert heard(recording.pcm, second) == pytest.approx(listener.rung(recording.started_at, second), abs=6)


async def refusal(listener: Listener, target: str | ChannelTarget | VideoTarget | FileTarget) -> TwitchAudioError:
    with pytest.raises(TwitchAudioError) as caught:
        await listener.listen(target)
    assert caught.value.detail.endswith(".")
    assert "sig=" not in caught.value.detail
    return caught.value


# --- Live streams -------------------------------------------------------------------------------------


async def test_the_newest_six_seconds_are_taken_at_once(listener: Listener) -> None:
    recording = await listener.listen("Ladder")
    assert_right_sound(listener, recording, 6.0)
    assert recording.started_at is not None
    age = (listener.clock.now() - recording.started_at).total_seconds()
    assert 6.0 <= age < 8.1, "nothing newer was finished"
    assert listener.clock.slept == 0
    assert recording.container == "mpegts"
    assert recording.encoded is not None
    assert recording.encoded.startswith(b"\x47")
    assert recording.pcm.samples.shape[0] == 2, "stereo stays stereo"
    counts = listener.twitch.requests.counts
    assert counts == {"gql": 1, "usher": 1, "playlist": 1, "segment": 3}


@pytest.mark.parametrize(
    "switches",
    [
        {"audio": "missing"},
        {"audio": "only"},
        {"audio_with_video": True},
        {"fragmented": True},
        {"session_data": True},
        {"portrait": True},
        {"fragmented": True, "audio": "missing"},
        {"fragmented": True, "audio_with_video": True},
        {"enhanced": True, "fragmented": True, "audio": "missing", "session_data": True},
        {"hevc_alone": True, "fragmented": True, "audio": "missing"},
        {"discontinuity_every": 2},
        {"sequence_offset": 1_000_000},
    ],
    ids="-".join,
)
async def test_every_kind_of_broadcast_is_heard(listener: Listener, switches: dict[str, bool | str | int]) -> None:
    listener.twitch.configure_channel("ladder", **switches)
    recording = await listener.listen("ladder")
    assert_right_sound(listener, recording, 6.0)
    assert recording.container == ("mp4" if "fragmented" in switches else "mpegts")
    assert recording.encoded is not None
    with av.open(BytesIO(recording.encoded), format=recording.container) as file:
        assert [stream.type for stream in file.streams] == ["audio"], "no picture is kept"


async def test_segments_of_another_length(listener: Listener) -> None:
    listener.twitch.configure_channel("ladder", segment_seconds=4.167)
    assert_right_sound(listener, await listener.listen("ladder"), 8.333)


async def test_a_broadcast_that_has_just_begun_is_waited_for(listener: Listener) -> None:
    listener.twitch.configure_channel("ladder", window_segments=1)
    assert (await refusal(listener, "ladder")).code is ProblemCode.TIMEOUT
    assert 10 < listener.clock.slept <= 15
    listener.twitch.configure_channel("ladder", window_segments=2)
    assert_right_sound(listener, await listener.listen("ladder"), 4.0)


async def test_a_short_advertisement_is_waited_for_and_never_heard(listener: Listener) -> None:
    listener.twitch.configure_channel("ladder", preroll_seconds=12.0)
    recording = await listener.listen("ladder")
    assert 3.0 <= recording.pcm.duration_seconds <= 6.1
    assert_right_sound(listener, recording, round(recording.pcm.duration_seconds, 1))
    assert 6.0 < listener.clock.slept < 15.0


async def test_a_long_advertisement_is_reported_at_once_with_its_end(listener: Listener) -> None:
    listener.twitch.configure_channel("ladder", preroll_seconds=60.0)
    error = await refusal(listener, "ladder")
    assert error.code is ProblemCode.AD_BREAK
    assert error.retry_after_seconds == pytest.approx(57, abs=3.1)
    assert listener.clock.slept == 0
    assert listener.twitch.count(Step.SEGMENT) == 0, "advertisements are not even fetched"
    # The same session goes on, so the second question meets no second pre-roll.
    await listener.clock.sleep(error.retry_after_seconds or 0)
    recording = await listener.listen("ladder")
    assert_right_sound(listener, recording, round(recording.pcm.duration_seconds, 1))
    assert listener.twitch.requests.counts["usher"] == 1


@pytest.mark.parametrize("shape", ["no-duration", "title-only", "cue"])
async def test_an_advertisement_of_which_nothing_says_how_long_it_lasts_is_waited_for_and_says_so(
    listener: Listener, shape: str
) -> None:
    listener.twitch.configure_channel("ladder", preroll_seconds=200.0, ad_shape=shape)
    error = await refusal(listener, "ladder")
    assert error.code is ProblemCode.AD_BREAK
    assert error.detail == (
        "Only advertisements are playing at the moment, and Twitch does not say for how long."
    ), error.detail
    assert 10.0 < listener.clock.slept <= 15.0
    assert error.retry_after_seconds is not None
    assert 5.0 <= error.retry_after_seconds <= 60.0
    assert listener.twitch.count(Step.SEGMENT) == 0


async def test_a_login_that_changed_hands_gives_the_sound_of_its_new_owner(listener: Listener) -> None:
    twitch = listener.twitch
    number = str(twitch.channel("ladder").plan.user_id)
    assert (await listener.listen("ladder")).channel_id == number
    twitch.world.rename("ladder", "steps")
    error = await refusal(listener, "ladder")
    assert error.code is ProblemCode.CHANNEL_NOT_FOUND
    assert "'steps'" in error.detail
    assert (await listener.listen("steps")).channel_id == number
    twitch.world.recycle("ladder", "steps")
    twitch.world.rename("steps", "stairs")
    twitch.world.rename("ladder", "steps")
    recording = await listener.listen("steps")
    assert recording.channel_id == str(twitch.channel("steps").plan.user_id) != number
    assert_right_sound(dataclasses.replace(listener, login="steps"), recording, 6.0)


@pytest.mark.parametrize("trouble", ["ended", "in an ad"])
async def test_what_becomes_of_the_old_owners_broadcast_is_not_told_of_the_new_one(
    listener: Listener, trouble: str
) -> None:
    twitch = listener.twitch
    await listener.listen("ladder")
    twitch.world.rename("ladder", "steps")
    twitch.world.recycle("ladder", "steps")
    if trouble == "ended":
        twitch.configure_channel("steps", ended=True, end_list_seconds=0.0)
    else:
        twitch.channel("steps").start_ad(90.0, started_ago=60.0)
    assert (await listener.listen("ladder")).channel_id == str(twitch.channel("ladder").plan.user_id)


async def test_a_cached_session_serves_although_gql_is_silent(listener: Listener) -> None:
    await listener.listen("ladder")
    listener.twitch.fail(Fault(step=Step.GQL, kind=FaultKind.STATUS, status=503))
    await listener.clock.sleep(10)
    assert_right_sound(listener, await listener.listen("ladder"), 6.0)


async def test_what_was_played_before_an_advertisement_serves_while_it_is_listed(listener: Listener) -> None:
    listener.twitch.channel("ladder").start_ad(60.0, started_ago=10.0)
    recording = await listener.listen("ladder")
    assert_right_sound(listener, recording, 6.0)
    assert recording.started_at is not None
    assert (listener.clock.now() - recording.started_at).total_seconds() > 15


async def test_a_stalled_broadcast_gives_what_it_has(listener: Listener) -> None:
    listener.twitch.configure_channel("ladder", stalled=True)
    await listener.clock.sleep(3)
    assert (await listener.listen("ladder")).pcm.duration_seconds == pytest.approx(6.0, abs=0.1)


async def test_a_broadcast_that_ends_gives_its_last_seconds_and_then_is_not_live(listener: Listener) -> None:
    await listener.listen("ladder")
    listener.twitch.configure_channel("ladder", ended=True)
    assert (await listener.listen("ladder")).pcm.duration_seconds == pytest.approx(6.0, abs=0.1)
    await listener.clock.sleep(31)
    assert (await refusal(listener, "ladder")).code is ProblemCode.NOT_LIVE


@pytest.mark.parametrize(
    ("switches", "code", "words"),
    [
        ({"offline": True}, ProblemCode.NOT_LIVE, "not live"),
        ({"missing": True}, ProblemCode.CHANNEL_NOT_FOUND, "no channel 'ladder'"),
        ({"subscriber_only": True}, ProblemCode.RESTRICTED_STREAM, "subscribers only"),
        ({"geoblocked": True}, ProblemCode.RESTRICTED_STREAM, "region"),
    ],
)
async def test_what_cannot_be_listened_to_is_said_why(
    listener: Listener, switches: dict[str, bool], code: ProblemCode, words: str
) -> None:
    listener.twitch.configure_channel("ladder", **switches)
    error = await refusal(listener, "ladder")
    assert error.code is code
    assert words in error.detail
    if code is ProblemCode.RESTRICTED_STREAM:
        assert listener.twitch.count(Step.USHER) == 0, "the token says so already"


async def test_a_channel_that_nobody_has(listener: Listener) -> None:
    assert (await refusal(listener, "nobody_at_all")).code is ProblemCode.CHANNEL_NOT_FOUND


# --- Kept sessions ------------------------------------------------------------------------------------


async def test_the_second_question_costs_one_playlist_its_segments_and_who_has_the_login(
    listener: Listener,
) -> None:
    await listener.listen("ladder")
    listener.twitch.requests.clear()
    await listener.clock.sleep(10)
    assert_right_sound(listener, await listener.listen("ladder"), 6.0)
    assert listener.twitch.requests.counts == {"gql": 1, "playlist": 1, "segment": 3}


async def test_a_kept_session_that_is_refused_is_renewed(listener: Listener) -> None:
    await listener.listen("ladder")
    listener.twitch.fail(Fault(step=Step.PLAYLIST, kind=FaultKind.STATUS, status=404, times=2))
    assert_right_sound(listener, await listener.listen("ladder"), 6.0)
    assert listener.twitch.requests.counts["usher"] == 2


async def test_a_kept_session_that_has_stalled_is_renewed(listener: Listener) -> None:
    await listener.listen("ladder")
    listener.twitch.configure_channel("ladder", stalled=True)
    await listener.clock.sleep(100)
    await listener.listen("ladder")
    assert listener.twitch.requests.counts["usher"] == 2


async def test_sessions_are_dropped_after_some_quiet_minutes(listener: Listener) -> None:
    await listener.listen("ladder")
    await listener.clock.sleep(301)
    source = await listener.sessions.resolve(ChannelTarget("ladder"))
    assert isinstance(source, LiveSource)
    assert not source.cached
    assert re.search("http|sealed", repr(source)) is None, "signed addresses stay out of logs"


# --- Further takes ------------------------------------------------------------------------------------


async def takes_of(listener: Listener, most: int = 10) -> list[Recording]:
    source = await listener.sessions.resolve(ChannelTarget("ladder"))
    found: list[Recording] = []
    async with aclosing(listener.capture.takes(source, 6.0)) as takes:
        async for recording in takes:
            found.append(recording)
            if len(found) == most:
                break
    return found


def ages(listener: Listener, recordings: list[Recording]) -> list[float]:
    """How long before now each began, in seconds."""
    now = listener.clock.now()
    return [(now - (recording.started_at or now)).total_seconds() for recording in recordings]


async def test_further_takes_reach_back_through_the_window_and_fetch_nothing_twice(listener: Listener) -> None:
    recordings = await takes_of(listener, most=4)
    for recording, seconds in zip(recordings, (6.0, 12.0, 12.0, 12.0), strict=True):
        assert_right_sound(listener, recording, seconds)
    newest, *further = ages(listener, recordings)
    # In whole segments.
    assert [2 * round((age - newest) / 2) for age in further] == [6, 18, 24]
    assert listener.clock.slept == 0
    assert listener.twitch.requests.counts == {"gql": 1, "usher": 1, "playlist": 1, "segment": 15}


async def test_at_last_new_sound_is_waited_for_within_a_bound(listener: Listener) -> None:
    begun = listener.clock.now()
    recordings = await takes_of(listener)
    assert len(recordings) == 5
    assert_right_sound(listener, recordings[-1], 12.0)
    assert recordings[-1].started_at is not None
    assert recordings[-1].started_at + timedelta(seconds=12) >= begun + timedelta(seconds=4), "it is new"
    assert 6.0 <= listener.clock.slept <= 10.0


async def test_a_first_take_is_listened_to_while_it_is_decoded(listener: Listener) -> None:
    source = await listener.sessions.resolve(ChannelTarget("ladder"))
    made: list[RecordingListener] = []

    def hear_ahead() -> RecordingListener:
        made.append(RecordingListener())
        return made[-1]

    capture = StreamCapture(listener.media, listener.decoder, listener.clock, hear_ahead=hear_ahead)
    async with aclosing(capture.takes(source, 6.0)) as takes:
        recording = await anext(takes)
        (first,) = made
        assert first.finished == [recording.pcm], "it may begin its work"
        assert first.fed == [] or np.array_equal(first.samples, recording.pcm.samples), "unless no worker was idle"
        assert not first.abandoned
        await anext(takes)
        assert first.abandoned
    assert len(made) == 1, "further takes are not"
    listener.twitch.fail(Fault(step=Step.SEGMENT, kind=FaultKind.STATUS, status=404))
    with pytest.raises(TwitchAudioError):
        await first_take(capture, source)
    assert all(each.abandoned or not each.fed for each in made), "nothing is left over when no sound comes"


class Muffled:
    """A decoder that hears nothing at first."""

    def __init__(self, decoder: Decoder, silent: int) -> None:
        self._decoder = decoder
        self._silent = silent

    async def decode(self, encoded: bytes, *, container: str, max_seconds: float) -> Decoded:
        decoded = await self._decoder.decode(encoded, container=container, max_seconds=max_seconds)
        self._silent -= 1
        return decoded if self._silent < 0 else Decoded(Pcm(np.zeros_like(decoded.pcm.samples)), decoded.marks)

    def begin(self, *, max_seconds: float, listener: SoundListener | None = None) -> None:
        return None

    async def begin_long(self, *, container: str, max_seconds: float) -> DecodingAhead:
        raise NotImplementedError

    async def decode_file(self, path: Path, *, max_seconds: float) -> Decoded:
        return await self._decoder.decode_file(path, max_seconds=max_seconds)

    def file_blocks(self, path: Path) -> AsyncGenerator[Pcm]:
        return self._decoder.file_blocks(path)


async def test_a_silent_moment_is_passed_over(listener: Listener) -> None:
    source = await listener.sessions.resolve(ChannelTarget("ladder"))
    capture = StreamCapture(listener.media, Muffled(listener.decoder, silent=2), listener.clock)
    recording = await first_take(capture, source)
    assert_right_sound(listener, recording, 12.0)
    assert ages(listener, [recording])[0] >= 23


async def test_a_silent_broadcast_has_no_audio_and_is_not_waited_for(listener: Listener) -> None:
    source = await listener.sessions.resolve(ChannelTarget("ladder"))
    capture = StreamCapture(listener.media, Muffled(listener.decoder, silent=99), listener.clock)
    with pytest.raises(TwitchAudioError, match="silent") as caught:
        await first_take(capture, source)
    assert caught.value.code is ProblemCode.NO_AUDIO
    assert listener.clock.slept == 0


async def test_a_broadcast_that_fails_later_gives_fewer_takes(listener: Listener) -> None:
    source = await listener.sessions.resolve(ChannelTarget("ladder"))
    async with aclosing(listener.capture.takes(source, 6.0)) as takes:
        assert_right_sound(listener, await anext(takes), 6.0)
        listener.twitch.fail(Fault(step=Step.SEGMENT, kind=FaultKind.STATUS, status=404))
        listener.twitch.fail(Fault(step=Step.PLAYLIST, kind=FaultKind.STATUS, status=404))
        # Of the second take only what was asked about already would be left; of the others nothing.
        assert [take async for take in takes] == []


# --- Segments that fail -------------------------------------------------------------------------------


async def test_a_segment_that_fails_is_replaced_by_an_older_one(listener: Listener) -> None:
    listener.twitch.fail(Fault(step=Step.SEGMENT, kind=FaultKind.STATUS, status=404, times=1))
    recording = await listener.listen("ladder")
    assert_right_sound(listener, recording, round(recording.pcm.duration_seconds, 1))
    assert recording.pcm.duration_seconds >= 3.9
    assert listener.twitch.count(Step.SEGMENT) == 4


async def test_segments_that_all_fail_are_an_upstream_fault(listener: Listener) -> None:
    listener.twitch.fail(Fault(step=Step.SEGMENT, kind=FaultKind.STATUS, status=403))
    error = await refusal(listener, "ladder")
    assert isinstance(error, UpstreamError)
    assert error.step == "segment"
    assert error.code is ProblemCode.UPSTREAM_UNAVAILABLE
    assert "403" in error.detail
    assert listener.twitch.count(Step.SEGMENT) < 30


# --- Clips --------------------------------------------------------------------------------------------


async def test_a_clip_is_heard_from_start_to_end(listener: Listener) -> None:
    recording = await listener.listen(f"https://clips.twitch.tv/{SLUG}")
    assert recording.pcm.duration_seconds == pytest.approx(20.0, abs=0.1)
    assert [heard(recording.pcm, second + 0.5) for second in (0, 10, 19)] == pytest.approx(
        [tone(5), tone(15), tone(24)], abs=6
    )
    assert recording.container == "mp4"
    assert listener.twitch.requests.counts == {"gql": 1, "clip": 1}


@pytest.mark.parametrize("sound_from", [14.0, 18.0, 19.5])
async def test_a_clip_with_less_sound_than_a_take_is_heard_as_far_as_it_goes(
    listener: Listener, sound_from: float
) -> None:
    listener.twitch.clip(SLUG).configure(sound_from=sound_from)
    recording = await listener.listen(f"https://clips.twitch.tv/{SLUG}")
    assert recording.from_seconds == pytest.approx(sound_from, abs=0.03)
    assert recording.pcm.duration_seconds == pytest.approx(20.0 - sound_from, abs=0.05)


async def test_a_clip_without_a_portrait_cut(listener: Listener) -> None:
    listener.twitch.clip(SLUG).configure(no_portrait=True)
    assert (await listener.listen(f"twitch.tv/x/clip/{SLUG}")).pcm.duration_seconds == pytest.approx(20, abs=0.1)


@pytest.mark.parametrize(
    ("switches", "code"),
    [
        ({"missing": True}, ProblemCode.CLIP_NOT_FOUND),
        ({"not_ready": True}, ProblemCode.CLIP_NOT_FOUND),
        ({"empty_source_urls": True}, ProblemCode.CLIP_NOT_FOUND),
        ({"subscriber_only": True}, ProblemCode.RESTRICTED_STREAM),
    ],
)
async def test_clips_that_cannot_be_heard(
    listener: Listener, switches: dict[str, bool], code: ProblemCode
) -> None:
    listener.twitch.clip(SLUG).configure(**switches)
    error = await refusal(listener, f"clips.twitch.tv/{SLUG}")
    assert error.code is code
    assert (error.retry_after_seconds is not None) == (
        "missing" not in switches and code is ProblemCode.CLIP_NOT_FOUND
    )


async def test_a_clip_whose_file_is_gone(listener: Listener) -> None:
    listener.twitch.fail(Fault(step=Step.CLIP, kind=FaultKind.STATUS, status=404))
    assert (await refusal(listener, f"clips.twitch.tv/{SLUG}")).code is ProblemCode.CLIP_NOT_FOUND


async def test_a_clip_without_sound_says_so(listener: Listener) -> None:
    fetcher = ScriptedFetcher(lambda _sent: Fetched(200, picture(), "video/mp4"))
    capture = StreamCapture(fetcher, listener.decoder, listener.clock)
    with pytest.raises(TwitchAudioError, match="no audio track") as caught:
        await first_take(capture, ClipSource(url=URL("https://example.twitchcdn.net/x.mp4")))
    assert caught.value.code is ProblemCode.NO_AUDIO


def picture() -> bytes:
    """An MP4 with a picture alone."""
    file = BytesIO()
    with av.open(file, "w", format="mp4") as out:
        stream = out.add_stream("libx264", rate=10)  # pyright: ignore[reportUnknownMemberType] - PyAV leaves its options open
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = 64, 36, "yuv420p"
        for _ in range(20):
            frame = av.VideoFrame.from_ndarray(np.zeros((36, 64, 3), dtype=np.uint8), format="rgb24")
            out.mux(stream.encode(frame))  # pyright: ignore[reportUnknownMemberType] - a packet's stream is left open
        out.mux(stream.encode(None))  # pyright: ignore[reportUnknownMemberType] - likewise
    return file.getvalue()


# --- Videos -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("at", "first"), [(0.0, 0.0), (13.0, 0.0), (55.0, 40.0)])
@pytest.mark.parametrize("fragmented", [False, True])
async def test_only_the_segments_around_a_moment_are_fetched(
    listener: Listener, at: float, first: float, fragmented: bool
) -> None:
    listener.twitch.video(VIDEO).configure(fragmented=fragmented)
    recording = await listener.listen(VideoTarget(VIDEO, at))
    assert recording.pcm.duration_seconds == pytest.approx(20.0, abs=0.1)
    assert recording.from_seconds == pytest.approx(first)
    assert recording.started_at is None
    assert heard(recording.pcm, 0.5) == pytest.approx(tone(first), abs=6)
    assert listener.twitch.count(Step.SEGMENT) == (3 if fragmented else 2)


@pytest.mark.parametrize(
    ("at", "first", "last"),
    [(19.0, 0.0, 20.0), (21.0, 0.0, 20.0), (29.0, 0.0, 20.0), (31.0, 40.0, 60.0), (41.0, 40.0, 60.0)],
)
async def test_in_a_muted_part_the_nearest_sound_is_heard(
    listener: Listener, at: float, first: float, last: float
) -> None:
    recording = await listener.listen(VideoTarget(VIDEO, at))
    assert recording.from_seconds == pytest.approx(first)
    assert first + recording.pcm.duration_seconds == pytest.approx(last, abs=0.1)
    assert heard(recording.pcm, 0.5) == pytest.approx(tone(first), abs=6)


@pytest.mark.parametrize("audio", ["listed", "only"])
@pytest.mark.parametrize(
    ("muted", "at", "nearest"),
    [
        ((0.0, 30.0), 0.0, (40.0, 60.0)),
        ((0.0, 10.0), 5.0, (10.0, 20.0)),
        ((50.0, 60.0), 59.9, (40.0, 50.0)),
        ((30.0, 60.0), 59.9, (0.0, 20.0)),
        ((12.0, 14.0), 15.0, (0.0, 10.0)),
    ],
    ids=["start", "first seconds", "end", "second half", "inside a take"],
)
async def test_what_is_muted_at_the_start_or_the_end_leads_to_the_nearest_sound(
    listener: Listener, muted: tuple[float, float], at: float, nearest: tuple[float, float], audio: str
) -> None:
    (start, end), (first, last) = muted, nearest
    listener.twitch.video(VIDEO).configure(muted_from=start, muted_seconds=end - start, audio=audio)
    recording = await listener.listen(VideoTarget(VIDEO, at))
    assert recording.from_seconds == pytest.approx(first)
    assert first + recording.pcm.duration_seconds == pytest.approx(last, abs=0.1)
    assert heard(recording.pcm, 0.5) == pytest.approx(tone(first), abs=6)


async def test_a_video_that_is_all_muted_says_so(listener: Listener) -> None:
    listener.twitch.video(VIDEO).configure(segment_seconds=12.0, recording=True, recorded_seconds=12.0, broken="0")
    with pytest.raises(UpstreamError):
        await listener.listen(VideoTarget(VIDEO, 3.0))
    muted = MediaPlaylist(
        segments=(Segment(uri="0-muted.ts", sequence=0, duration_seconds=10.0),), target_seconds=10.0
    )
    assert VideoTimeline(muted).around(3.0, 12.0, ()) is None


async def test_a_moment_after_the_end_is_invalid_input(listener: Listener) -> None:
    error = await refusal(listener, VideoTarget(VIDEO, 61.5))
    assert error.code is ProblemCode.INVALID_INPUT
    assert "60 s" in error.detail


@pytest.mark.parametrize(("at", "first"), [(59.5, 40.0), (60.2, 40.0)])
async def test_the_very_end_is_the_last_sound(listener: Listener, at: float, first: float) -> None:
    recording = await listener.listen(VideoTarget(VIDEO, at))
    assert recording.from_seconds == pytest.approx(first)


async def test_the_end_of_a_video_that_grows_is_its_last_sound(listener: Listener) -> None:
    video = listener.twitch.video(VIDEO)
    video.configure(recording=True, recorded_seconds=15.0)
    for at in (10.0, 14.0, 40.0):
        recording = await listener.listen(VideoTarget(VIDEO, at))
        assert recording.from_seconds == pytest.approx(0.0)
        assert recording.pcm.duration_seconds == pytest.approx(10.0, abs=0.1)
    error = await refusal(listener, VideoTarget(VIDEO, 200.0))
    assert error.code is ProblemCode.INVALID_INPUT
    assert "being recorded" in error.detail
    video.configure(recorded_seconds=0.0)
    assert (await refusal(listener, VideoTarget(VIDEO, 5.0))).code is ProblemCode.NO_AUDIO


@pytest.mark.parametrize(
    ("switches", "code"),
    [
        ({"missing": True}, ProblemCode.VIDEO_NOT_FOUND),
        ({"subscriber_only": True}, ProblemCode.RESTRICTED_STREAM),
        ({"geoblocked": True}, ProblemCode.RESTRICTED_STREAM),
    ],
)
async def test_videos_that_cannot_be_heard(
    listener: Listener, switches: dict[str, bool], code: ProblemCode
) -> None:
    listener.twitch.video(VIDEO).configure(**switches)
    assert (await refusal(listener, VideoTarget(VIDEO, 0.0))).code is code


# --- Files --------------------------------------------------------------------------------------------


async def test_a_file_is_heard(listener: Listener, tmp_path: Path) -> None:
    ladder(tmp_path / "sound.wav")
    recording = await listener.listen(FileTarget(tmp_path / "sound.wav"))
    assert recording.pcm.duration_seconds == pytest.approx(60.0, abs=0.1)
    assert heard(recording.pcm, 30.5) == pytest.approx(tone(30), abs=6)


async def test_files_that_are_none(listener: Listener, tmp_path: Path) -> None:
    assert (await refusal(listener, FileTarget(tmp_path / "missing.mp3"))).code is ProblemCode.NOT_FOUND
    (tmp_path / "text.mp3").write_text("la la la")
    assert (await refusal(listener, FileTarget(tmp_path / "text.mp3"))).code is ProblemCode.NO_AUDIO
