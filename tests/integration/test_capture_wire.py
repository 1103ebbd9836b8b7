"""What a standard allows on the wire, and what breaks it: the sound is right, or a problem says why not."""

import pytest

from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.domain.targets import VideoTarget
from simulator.faults import Fault, FaultKind, Step
from tests.integration.capture_twitch import SLUG, VIDEO, Listener
from tests.integration.test_capture_places import assert_in_place

pytestmark = pytest.mark.asyncio(loop_scope="module")

GQL, USHER, PLAYLIST, SEGMENT = Step.GQL, Step.USHER, Step.PLAYLIST, Step.SEGMENT
HEARD = [
    (USHER, FaultKind.REDIRECT),
    (PLAYLIST, FaultKind.REDIRECT),
    (SEGMENT, FaultKind.REDIRECT),
    (GQL, FaultKind.GZIP),
    (PLAYLIST, FaultKind.GZIP),
    (SEGMENT, FaultKind.GZIP),
    (USHER, FaultKind.CRLF),
    (PLAYLIST, FaultKind.CRLF),
    (USHER, FaultKind.LONE_CR),
    (PLAYLIST, FaultKind.LONE_CR),
    (PLAYLIST, FaultKind.BOM),
    (USHER, FaultKind.ODD_ADDRESSES),
    (PLAYLIST, FaultKind.ODD_ADDRESSES),
    (PLAYLIST, FaultKind.NUMBERED_AGAIN),
    (PLAYLIST, FaultKind.DISCONTINUITIES),
]
REFUSED = [
    (GQL, FaultKind.REDIRECT_AWAY, "302"),
    (GQL, FaultKind.ENDLESS, "longer than"),
    (GQL, FaultKind.BROTLI, "cannot be read"),
    (USHER, FaultKind.REDIRECT_AWAY, "not on the list of hosts"),
    (USHER, FaultKind.CHUNKED_CUT, "broke off"),
    (USHER, FaultKind.UTF16, "not in UTF-8"),
    (PLAYLIST, FaultKind.CHUNKED_CUT, "broke off"),
    (SEGMENT, FaultKind.CHUNKED_CUT, "broke off"),
    (PLAYLIST, FaultKind.REDIRECT_AWAY, "not on the list of hosts"),
    (PLAYLIST, FaultKind.REDIRECT_LOOP, "chain of redirects"),
    (PLAYLIST, FaultKind.ENDLESS, "longer than"),
    (PLAYLIST, FaultKind.UTF16, "not in UTF-8"),
    (PLAYLIST, FaultKind.BROTLI, "cannot be read"),
    (PLAYLIST, FaultKind.NEGATIVE_DURATIONS, "absurd"),
    (PLAYLIST, FaultKind.NAN_DURATIONS, "absurd"),
    (PLAYLIST, FaultKind.HUGE_DURATIONS, "absurd"),
    (PLAYLIST, FaultKind.ZERO_DURATIONS, "last 0 s"),
    (PLAYLIST, FaultKind.NO_DURATIONS, "neither a tag nor a segment"),
    (SEGMENT, FaultKind.REDIRECT_AWAY, "not on the list of hosts"),
    (SEGMENT, FaultKind.LONGER_LENGTH, "broke off"),
    (SEGMENT, FaultKind.BROTLI, "cannot be read"),
]


@pytest.mark.parametrize(("step", "kind"), HEARD, ids=str)
async def test_what_a_standard_allows_is_heard(listener: Listener, step: Step, kind: FaultKind) -> None:
    listener.twitch.fail(Fault(step=step, kind=kind))
    assert_in_place(listener, await listener.listen("ladder"))
    if kind in (FaultKind.ODD_ADDRESSES, FaultKind.DISCONTINUITIES):
        assert_in_place(listener, await listener.listen(VideoTarget(VIDEO, 50.0)))


@pytest.mark.parametrize(("step", "kind", "words"), REFUSED, ids=str)
async def test_what_no_standard_allows_is_named(
    listener: Listener, step: Step, kind: FaultKind, words: str
) -> None:
    listener.twitch.fail(Fault(step=step, kind=kind))
    with pytest.raises(TwitchAudioError, match=words) as caught:
        await listener.listen("ladder")
    assert caught.value.code is ProblemCode.UPSTREAM_UNAVAILABLE


@pytest.mark.parametrize("step", [GQL, USHER, PLAYLIST, SEGMENT])
async def test_what_goes_on_behind_its_length_is_named_or_is_no_sound_of_another_moment(
    listener: Listener, step: Step
) -> None:
    """Whether a client sees that more comes depends on how the bytes are cut on the way."""
    listener.twitch.fail(Fault(step=step, kind=FaultKind.SHORTER_LENGTH))
    for target in ("ladder", VideoTarget(VIDEO, 50.0)):
        codes = [ProblemCode.UPSTREAM_UNAVAILABLE]
        try:
            assert_in_place(listener, await listener.listen(target))
        except TwitchAudioError as error:
            codes = [error.code]
        assert set(codes) <= {ProblemCode.UPSTREAM_UNAVAILABLE, ProblemCode.NO_AUDIO}


@pytest.mark.parametrize("kind", [FaultKind.CHUNKED_CUT, FaultKind.LONGER_LENGTH])
async def test_a_clip_that_breaks_off_once_is_asked_for_again(listener: Listener, kind: FaultKind) -> None:
    listener.twitch.fail(Fault(step=Step.CLIP, kind=kind, times=1))
    recording = await listener.listen(f"https://clips.twitch.tv/{SLUG}")
    assert recording.from_seconds == 0.0
    assert recording.pcm.duration_seconds == pytest.approx(20.0, abs=0.1)


async def test_durations_of_nothing_are_no_fault_of_the_moment_asked_for(listener: Listener) -> None:
    listener.twitch.fail(Fault(step=PLAYLIST, kind=FaultKind.ZERO_DURATIONS))
    with pytest.raises(TwitchAudioError, match="last 0 s") as caught:
        await listener.listen(VideoTarget(VIDEO, 50.0))
    assert caught.value.code is ProblemCode.UPSTREAM_UNAVAILABLE


async def test_a_playlist_that_goes_back_is_heard_where_it_is(listener: Listener) -> None:
    for fault in (None, None, Fault(step=PLAYLIST, kind=FaultKind.BACKWARDS)):
        if fault is not None:
            listener.twitch.fail(fault)
        assert_in_place(listener, await listener.listen("ladder"))
        listener.twitch.clock.advance(5)


@pytest.mark.parametrize("fragmented", [False, True], ids=["mpegts", "fragmented"])
@pytest.mark.parametrize("audio", ["listed", "missing"])
async def test_segments_that_are_ranges_of_one_file(listener: Listener, fragmented: bool, audio: str) -> None:
    video = listener.twitch.video(VIDEO)
    video.configure(byte_ranges=True, fragmented=fragmented, audio=audio)
    assert_in_place(listener, await listener.listen(VideoTarget(VIDEO, 50.0)))
    video.faults.set(Fault(step=SEGMENT, kind=FaultKind.RANGE_IGNORED))
    assert_in_place(listener, await listener.listen(VideoTarget(VIDEO, 50.0)))
    video.faults.set(Fault(step=SEGMENT, kind=FaultKind.OTHER_RANGE))
    with pytest.raises(TwitchAudioError, match="no sound"):
        await listener.listen(VideoTarget(VIDEO, 50.0))


async def test_an_endless_segment_ends_it(listener: Listener) -> None:
    listener.twitch.fail(Fault(step=SEGMENT, kind=FaultKind.ENDLESS))
    with pytest.raises(TwitchAudioError, match="longer than"):
        await listener.listen(VideoTarget(VIDEO, 50.0))


async def test_a_picture_of_20_mbit_is_not_kept(listener: Listener) -> None:
    listener.twitch.video(VIDEO).configure(picture_mbit=20.0, audio="missing", fragmented=True)
    recording = await listener.listen(VideoTarget(VIDEO, 55.0))
    assert_in_place(listener, recording)
    assert recording.encoded is not None
    assert len(recording.encoded) < 1 << 20
