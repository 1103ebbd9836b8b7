"""Where captured sound was: timestamps against the playlist, on a Twitch that does what the real one may.

A tone tells which second of the program a sound is from, so each recording says itself whether its time is right.
"""

from datetime import timedelta

import numpy as np
import pytest

from fingerprint.domain.audio import Recording
from fingerprint.domain.problems import ProblemCode, TwitchAudioError, UpstreamError
from fingerprint.domain.targets import VideoTarget
from simulator.faults import Fault, FaultKind, Step
from simulator.media import TICKS
from tests.integration.capture_twitch import SLUG, VIDEO, Listener, heard, tone

pytestmark = pytest.mark.asyncio(loop_scope="module")

WRAP_SECONDS = 2**33 / 90_000
BROKEN = ("missing", "empty", "html")


def is_gap(recording: Recording, second: float) -> bool:
    """Whether there is silence around a second of a recording."""
    return float(np.abs(recording.pcm.cut(second - 0.2, 0.4).samples).max()) < 1e-3


def touches_gap(recording: Recording, second: float) -> bool:
    """Whether a part of the half second around a second of a recording is silent: too little of a tone is left."""
    pieces = (recording.pcm.cut(second + shift, 0.1) for shift in (-0.25, -0.15, -0.05, 0.05, 0.15))
    return any(float(np.abs(piece.samples).max()) < 1e-3 for piece in pieces)


def assert_in_place(listener: Listener, recording: Recording) -> None:
    """Every sound is what was played when the recording says; gaps are silent."""
    checked = 0
    for second in np.arange(0.3, recording.pcm.duration_seconds - 0.3, 0.35):
        if touches_gap(recording, second):
            continue
        if recording.started_at is not None:
            playing = listener.twitch.now_playing("ladder", recording.started_at + timedelta(seconds=second))
            at = -1.0 if playing is None else playing.offset_seconds
        else:
            at = (recording.from_seconds or 0.0) + second
        if abs(at - round(at)) > 0.3:
            assert heard(recording.pcm, second) == pytest.approx(tone(at), abs=8), f"at {second} it should be {at}"
            checked += 1
    assert checked >= min(3, recording.pcm.duration_seconds - 0.5)


# --- VODs ---------------------------------------------------------------------------------------------


async def of_video(listener: Listener, at: float) -> Recording:
    recording = await listener.listen(VideoTarget(VIDEO, at))
    assert recording.from_seconds is not None
    assert recording.started_at is None
    return recording


def holds(recording: Recording, at: float) -> bool:
    assert recording.from_seconds is not None
    return recording.from_seconds - 0.1 <= at <= recording.from_seconds + recording.pcm.duration_seconds + 0.1


@pytest.mark.parametrize(
    ("broken", "at", "first"),
    [
        ("4", 52.0, 50.0),  # the segment before the one with the moment
        ("5", 45.0, 40.0),
        ("0", 12.0, 10.0),
        ("4", 45.0, 50.0),  # the moment itself: the nearest sound; 20 to 40 s are muted
        ("4-5", 55.0, 0.0),
        ("0,4-5", 3.0, 10.0),
    ],
)
@pytest.mark.parametrize("broken_as", BROKEN)
async def test_holes_are_never_closed(
    listener: Listener, broken: str, broken_as: str, at: float, first: float
) -> None:
    listener.twitch.video(VIDEO).configure(broken=broken, broken_as=broken_as, fragmented=broken_as == "html")
    recording = await of_video(listener, at)
    assert recording.from_seconds == pytest.approx(first, abs=0.1)
    assert_in_place(listener, recording)


async def test_where_every_stretch_is_short_the_moment_is_heard_all_the_same(listener: Listener) -> None:
    listener.twitch.video(VIDEO).configure(segment_seconds=2.0, broken="every 2")
    recording = await of_video(listener, 47.0)
    assert recording.from_seconds == pytest.approx(46.0, abs=0.1)
    assert recording.pcm.duration_seconds == pytest.approx(2.0, abs=0.1)
    assert_in_place(listener, recording)


async def test_a_video_of_which_nothing_comes_is_an_upstream_fault(listener: Listener) -> None:
    listener.twitch.video(VIDEO).configure(broken="0-9", broken_as="html")
    with pytest.raises(TwitchAudioError) as caught:
        await of_video(listener, 5.0)
    assert caught.value.code is ProblemCode.UPSTREAM_UNAVAILABLE
    assert "no sound for a segment" in caught.value.detail


@pytest.mark.parametrize(
    ("at", "switches"),
    [
        (49.0, {"segment_seconds": 2.0, "inits_every": 1}),
        (50.5, {"inits_every": 1, "inits_tagged": True}),
        (9.9, {"inits_every": 1, "audio": "missing"}),
        (47.0, {"segment_seconds": 2.0, "inits_every": 2, "inits_tagged": True, "clock_jumps_every": 3}),
        (49.0, {"segment_seconds": 2.0, "inits_every": 1, "late_every": 2, "late_seconds": 0.8}),
    ],
    ids=str,
)
async def test_near_a_new_init_section_the_moment_asked_for_is_heard(
    listener: Listener, at: float, switches: dict[str, bool | str | float]
) -> None:
    listener.twitch.video(VIDEO).configure(fragmented=True, **switches)
    recording = await of_video(listener, at)
    assert holds(recording, at)
    assert recording.pcm.duration_seconds > 11.5
    assert recording.encoded is None, "no file holds it all"
    assert_in_place(listener, recording)


@pytest.mark.parametrize("segment_seconds", [2.0, 4.167, 12.0])
@pytest.mark.parametrize("rounded", [False, True], ids=["exact", "rounded"])
@pytest.mark.parametrize("at", [49.5, 57.0])
async def test_segments_of_any_length_are_in_their_place(
    listener: Listener, segment_seconds: float, rounded: bool, at: float
) -> None:
    listener.twitch.video(VIDEO).configure(segment_seconds=segment_seconds, rounded_durations=rounded)
    recording = await of_video(listener, at)
    assert holds(recording, at)
    assert_in_place(listener, recording)


@pytest.mark.parametrize("fragmented", [False, True], ids=["mpegts", "fragmented"])
@pytest.mark.parametrize("tagged", [False, True])
@pytest.mark.parametrize("every", [1, 2])
async def test_timestamps_that_jump_leave_the_sound_in_its_place(
    listener: Listener, fragmented: bool, tagged: bool, every: int
) -> None:
    listener.twitch.video(VIDEO).configure(
        segment_seconds=4.0, clock_jumps_every=every, clock_jumps_tagged=tagged, fragmented=fragmented
    )
    recording = await of_video(listener, 49.0)
    assert holds(recording, 49.0)
    assert recording.pcm.duration_seconds == pytest.approx(16.0, abs=0.1)
    assert_in_place(listener, recording)


@pytest.mark.parametrize(("before", "rounded"), [(0.0, True), (47.0, False), (47.0, True), (52.0, False)])
async def test_a_clock_that_wraps_leaves_the_sound_in_its_place(
    listener: Listener, before: float, rounded: bool
) -> None:
    listener.twitch.video(VIDEO).configure(
        segment_seconds=4.167, first_timestamp=WRAP_SECONDS - before, rounded_durations=rounded
    )
    recording = await of_video(listener, 49.0)
    assert holds(recording, 49.0)
    assert_in_place(listener, recording)


@pytest.mark.parametrize("audio", ["listed", "missing"])
@pytest.mark.parametrize("fragmented", [False, True], ids=["mpegts", "fragmented"])
async def test_sound_that_begins_late_in_a_segment_leaves_a_gap(
    listener: Listener, audio: str, fragmented: bool
) -> None:
    listener.twitch.video(VIDEO).configure(
        segment_seconds=4.0, late_every=2, late_seconds=1.5, audio=audio, fragmented=fragmented
    )
    recording = await of_video(listener, 49.0)
    assert_in_place(listener, recording)
    assert recording.from_seconds is not None
    gap = 48.7 - recording.from_seconds  # segment 12 begins at 48 s
    assert is_gap(recording, gap)
    assert not is_gap(recording, gap + 1.5)


@pytest.mark.parametrize("fragmented", [False, True], ids=["mpegts", "fragmented"])
async def test_a_segment_that_is_cut_short_leaves_a_gap(listener: Listener, fragmented: bool) -> None:
    video = listener.twitch.video(VIDEO)
    video.configure(segment_seconds=4.0, fragmented=fragmented)
    video.faults.set(Fault(step=Step.SEGMENT, kind=FaultKind.TRUNCATED, times=2))  # of fMP4 the header, too
    recording = await of_video(listener, 50.0)
    assert recording.from_seconds == pytest.approx(44.0, abs=0.1)
    assert recording.pcm.duration_seconds == pytest.approx(16.0, abs=0.1)
    assert is_gap(recording, 2.5)
    assert_in_place(listener, recording)


@pytest.mark.parametrize("switches", [{"encrypted": "4"}, {"gaps": "4"}], ids=str)
async def test_segments_that_are_encrypted_or_were_never_made_are_passed_over(
    listener: Listener, switches: dict[str, str]
) -> None:
    listener.twitch.video(VIDEO).configure(**switches)
    recording = await of_video(listener, 47.0)
    assert recording.from_seconds == pytest.approx(50.0, abs=0.1)
    assert_in_place(listener, recording)
    listener.twitch.configure_channel("ladder", **dict.fromkeys(switches, "every 5"))
    for _ in range(3):
        assert_in_place(listener, await listener.anew().listen("ladder"))
        await listener.clock.sleep(2.0)


async def test_a_video_of_which_nothing_was_made_is_not_said_to_be_muted(listener: Listener) -> None:
    listener.twitch.video(VIDEO).configure(gaps="every 1")
    for at, words in ((5.0, "was never made"), (25.0, "has muted this part")):
        with pytest.raises(TwitchAudioError, match=words) as caught:
            await of_video(listener, at)
        assert caught.value.code is ProblemCode.NO_AUDIO


@pytest.mark.parametrize("kind", [FaultKind.EMPTY, FaultKind.HTML])
async def test_a_clip_that_is_no_media_this_time_may_be_asked_for_again(
    listener: Listener, kind: FaultKind
) -> None:
    listener.twitch.fail(Fault(step=Step.CLIP, kind=kind))
    with pytest.raises(UpstreamError, match="no sound for this clip") as caught:
        await listener.listen(f"https://clips.twitch.tv/{SLUG}")
    assert caught.value.retry_after_seconds is not None


async def test_where_all_segments_are_encrypted_nothing_is_asked_for_again(listener: Listener) -> None:
    listener.twitch.configure_channel("ladder", encrypted="every 1")
    listener.twitch.video(VIDEO).configure(encrypted="every 1")
    for target in ("ladder", VideoTarget(VIDEO, 5.0)):
        with pytest.raises(TwitchAudioError) as caught:
            await listener.listen(target)
        assert caught.value.code is ProblemCode.RESTRICTED_STREAM
        assert caught.value.retry_after_seconds is None
    assert listener.twitch.requests.counts["usher"] == 2


@pytest.mark.parametrize(
    ("at", "switches"),
    [
        (47.0, {"durations_off": 0.2}),
        (47.0, {"durations_off": -0.2, "fragmented": True}),
        (57.0, {"durations_off": -0.2}),  # after the end, if the playlist were right
        (3.0, {"durations_off": 0.2, "segment_seconds": 4.0}),
        (57.0, {"durations_off": 0.2, "segment_seconds": 4.0, "clock_jumps_every": 3}),
        (
            57.0,
            {"durations_off": -0.2, "segment_seconds": 2.0, "clock_jumps_every": 3, "clock_jumps_tagged": False},
        ),
        (
            57.0,
            {"durations_off": -0.2, "segment_seconds": 4.0, "clock_jumps_every": 2, "clock_jumps_tagged": False},
        ),
        (
            44.0,
            {"durations_off": 0.2, "segment_seconds": 10.0, "clock_jumps_every": 3, "clock_jumps_tagged": False},
        ),
        (57.0, {"durations_off": 0.2, "segment_seconds": 10.0, "clock_jumps_every": 5}),
        (47.0, {"durations_off": 0.2, "segment_seconds": 10.0, "clock_jumps_every": 2}),
        (47.0, {"segment_seconds": 10.0, "clock_jumps_every": 1, "clock_jumps_tagged": False}),
        (47.0, {"durations_off": -0.2, "segment_seconds": 4.0, "first_timestamp": WRAP_SECONDS - 46.0}),
        (47.0, {"durations_off": 0.3, "segment_seconds": 2.0, "inits_every": 1, "fragmented": True}),
        (47.0, {"durations_off": 0.2, "late_every": 2, "late_seconds": 3.0}),
        (55.0, {"durations_off": -0.2, "segment_seconds": 4.0, "late_every": 2, "late_seconds": 1.5}),
        (47.0, {"rounded_durations": True, "segment_seconds": 4.167, "late_every": 2, "late_seconds": 1.5}),
        (55.0, {"rounded_durations": True, "segment_seconds": 4.167, "clock_jumps_every": 3}),
    ],
    ids=str,
)
async def test_durations_that_lie_are_seen_through(
    listener: Listener, at: float, switches: dict[str, bool | float]
) -> None:
    listener.twitch.video(VIDEO).configure(**switches)
    recording = await of_video(listener, at)
    assert holds(recording, at)
    assert_in_place(listener, recording)


def is_in_place(recording: Recording, at: float) -> bool:
    """Whether the moment is heard, and each sound is what was played when the recording says."""
    for second in np.arange(0.5, recording.pcm.duration_seconds - 0.4, 0.25):
        where = (recording.from_seconds or 0.0) + second
        clear = abs(where % 1 - 0.5) < 0.2 and not touches_gap(recording, second)
        if clear and heard(recording.pcm, second) != pytest.approx(tone(where), abs=8):
            return False
    return holds(recording, at)


LIES = [
    {
        "durations_off": off,
        "clock_jumps_every": every,
        "clock_jumps_tagged": tagged,
        "segment_seconds": seconds,
        "late_every": late,
        "late_seconds": 0.8 if late else 0.0,
    }
    for off in (0.0, 0.2, -0.2)
    for every in (0, 1, 2, 3, 5)
    for tagged in (False, True)
    for seconds in (2.0, 4.0, 10.0)
    for late in (0, 1, 2)
    if (off or late) and not (late and every)  # three lies at once may look like the truth
]


@pytest.mark.parametrize(
    "switches",
    [
        *(pytest.param(each, marks=pytest.mark.nightly) for each in LIES),
        {"durations_off": 0.2, "clock_jumps_every": 1, "segment_seconds": 4.0},
        {"durations_off": -0.2, "clock_jumps_every": 1, "clock_jumps_tagged": False, "segment_seconds": 10.0},
        {"durations_off": 0.2, "late_every": 2, "late_seconds": 0.8, "segment_seconds": 10.0},
        {"durations_off": 0.2, "late_every": 2, "late_seconds": 1.5, "fragmented": True, "segment_seconds": 4.0},
        {"late_every": 1, "late_seconds": 0.8, "segment_seconds": 4.0},
        {"late_every": 2, "late_seconds": 0.8, "clock_jumps_every": 3, "fragmented": True},
        {"late_every": 2, "late_seconds": 0.8, "clock_jumps_every": 1},
    ],
    ids=str,
)
async def test_a_place_is_right_or_said_to_be_uncertain(
    listener: Listener, switches: dict[str, bool | float]
) -> None:
    listener.twitch.video(VIDEO).configure(**switches)
    for at in (3.0, 44.0, 57.0):
        recording = await of_video(listener, at)
        assert recording.place_uncertain or is_in_place(recording, at)


@pytest.mark.parametrize(
    "switches",
    [
        {},
        {"segment_seconds": 4.0, "clock_jumps_every": 1},
        {"segment_seconds": 4.167, "rounded_durations": True, "fragmented": True},
        {"segment_seconds": 2.0, "durations_off": 0.2},
        {"segment_seconds": 4.0, "inits_every": 1, "fragmented": True},
        {"segment_seconds": 12.0, "audio": "missing"},
    ],
    ids=str,
)
async def test_a_place_that_is_known_is_not_said_to_be_uncertain(
    listener: Listener, switches: dict[str, bool | float | str]
) -> None:
    listener.twitch.video(VIDEO).configure(**switches)
    for at in (0.0, 30.0, 50.0, 60.0):
        recording = await of_video(listener, at)
        assert not recording.place_uncertain
        assert is_in_place(recording, at) or at == 30.0, "20 to 40 s are muted"


async def test_after_the_end_of_a_video_whose_clock_jumps_everywhere(listener: Listener) -> None:
    video = listener.twitch.video(VIDEO)
    video.configure(segment_seconds=4.0, clock_jumps_every=1, durations_off=-0.2)
    assert (await of_video(listener, 57.0)).place_uncertain
    video.configure(durations_off=0.0)
    with pytest.raises(TwitchAudioError, match="is 60 s long") as caught:
        await of_video(listener, 70.0)
    assert caught.value.code is ProblemCode.INVALID_INPUT


@pytest.mark.parametrize("fragmented", [False, True], ids=["mpegts", "fragmented"])
async def test_segments_without_sound_are_gaps(listener: Listener, fragmented: bool) -> None:
    switches = {"late_every": 3, "late_seconds": 12.0, "audio": "missing", "fragmented": fragmented}
    listener.twitch.video(VIDEO).configure(segment_seconds=4.0, **switches)
    recording = await of_video(listener, 47.0)
    assert holds(recording, 47.0)
    assert_in_place(listener, recording)
    listener.twitch.configure_channel("ladder", **switches)
    for _ in range(3):  # the silent one is the first, the second and the third of the take
        assert_in_place(listener, await listener.anew().listen("ladder"))
        await listener.clock.sleep(2.0)


# --- Live streams -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("broken_as", "switches"), [("missing", {"audio": "missing"}), ("empty", {}), ("html", {"fragmented": True})]
)
async def test_a_live_hole_ends_the_take(
    listener: Listener, broken_as: str, switches: dict[str, bool | str]
) -> None:
    listener.twitch.configure_channel("ladder", broken="every 4", broken_as=broken_as, **switches)
    for _ in range(3):
        recording = await listener.anew().listen("ladder")
        assert 3.9 <= recording.pcm.duration_seconds <= 6.1
        assert_in_place(listener, recording)
        await listener.clock.sleep(2.0)


@pytest.mark.parametrize(
    "switches",
    [
        {"segment_seconds": 6.0},
        {"segment_seconds": 12.0},
        {"segment_seconds": 4.167, "rounded_durations": True},
        {"first_timestamp": 95_000.0},
        {"durations_off": 0.2},
        {"durations_off": -0.2, "fragmented": True},
        {"durations_off": -0.2, "segment_seconds": 12.0},
        {"dates": "first"},
        {"date_jumps_every": 2, "date_jump_seconds": 47.0},
        {"date_jumps_every": 2, "date_jump_seconds": 2.0, "fragmented": True},
        {"durations_off": 0.2, "late_every": 2, "late_seconds": 0.8},
        {"date_jumps_every": 5, "date_jump_seconds": 3_007.0},
        {"date_jumps_every": 2, "date_jump_seconds": 1.0},
        {"date_jumps_every": 1, "date_jump_seconds": 1.9, "fragmented": True},
        {"date_jumps_every": 3, "date_jump_seconds": -2.0},
        {"durations_off": -0.2, "date_jumps_every": 5, "late_every": 2, "late_seconds": 0.8},
        {
            "durations_off": 0.2,
            "date_jumps_every": 1,
            "date_jump_seconds": 47.0,
            "late_every": 2,
            "late_seconds": 0.8,
        },
        {
            "durations_off": 0.2,
            "date_jumps_every": 3,
            "date_jump_seconds": 1.0,
            "late_every": 2,
            "late_seconds": 0.8,
        },
        {"clock_jumps_every": 2},
        {"clock_jumps_every": 1, "clock_jumps_tagged": False},
        {"clock_jumps_every": 2, "fragmented": True},
        {"inits_every": 1, "fragmented": True},
        {"inits_every": 1, "inits_tagged": True, "fragmented": True, "audio": "missing"},
        {"inits_every": 2, "clock_jumps_every": 1, "clock_jumps_tagged": False, "fragmented": True},
        {"inits_every": 1, "late_every": 2, "late_seconds": 0.8, "fragmented": True},
        {"inits_every": 4, "inits_tagged": True, "fragmented": True, "audio": "missing"},
        {"late_every": 2, "late_seconds": 1.2},
        {"late_every": 2, "late_seconds": 1.2, "fragmented": True},
        {"late_every": 3, "late_seconds": 1.2, "audio": "missing"},
        {"late_every": 1, "late_seconds": 0.7, "audio": "missing"},
    ],
    ids=str,
)
async def test_live_sound_is_in_its_place(listener: Listener, switches: dict[str, bool | str | int]) -> None:
    listener.twitch.configure_channel("ladder", **switches)
    for _ in range(2):
        assert_in_place(listener, await listener.anew().listen("ladder"))
        await listener.clock.sleep(2.0)


@pytest.mark.parametrize("switches", [{"dates": "none"}, {"dates": "first", "durations_off": 0.2}], ids=str)
async def test_a_moment_that_nothing_tells_is_not_told(
    listener: Listener, switches: dict[str, str | float]
) -> None:
    listener.twitch.configure_channel("ladder", **switches)
    recording = await listener.listen("ladder")
    assert recording.started_at is None
    assert recording.pcm.duration_seconds > 5.9


async def test_a_clock_that_wraps_in_a_live_take(listener: Listener) -> None:
    listener.twitch.configure_channel("ladder", prefetch=True)
    passed = listener.twitch.channel("ladder").ticks / TICKS
    listener.twitch.configure_channel("ladder", first_timestamp=WRAP_SECONDS - passed + 3.0)
    assert_in_place(listener, await listener.listen("ladder"))


@pytest.mark.parametrize("drift", [-0.3, 0.3])
async def test_dates_that_drift_leave_no_gaps(listener: Listener, drift: float) -> None:
    listener.twitch.configure_channel("ladder", date_drift=drift)
    recording = await listener.listen("ladder")
    assert recording.pcm.duration_seconds == pytest.approx(6.0, abs=0.1)
    assert not any(is_gap(recording, second) for second in np.arange(0.5, 5.5, 0.2))


# --- Clips --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("late", [0.0, 3.0, 8.0])
async def test_a_clip_whose_sound_begins_late_says_when(listener: Listener, late: float) -> None:
    listener.twitch.clip(SLUG).configure(sound_from=late)
    recording = await listener.listen(f"https://clips.twitch.tv/{SLUG}")
    assert recording.from_seconds == pytest.approx(late, abs=0.1)
    assert recording.pcm.duration_seconds == pytest.approx(20.0 - late, abs=0.1)
    assert heard(recording.pcm, 0.5) == pytest.approx(tone(5 + late), abs=8)


async def test_a_long_clip_whose_description_comes_last(listener: Listener) -> None:
    twitch, clip = listener.twitch, listener.twitch.clip(SLUG)
    clip.configure(picture_mib=66, description_last=True, sound_from=3.0)
    recording = await listener.listen(f"https://clips.twitch.tv/{SLUG}")
    assert recording.from_seconds == pytest.approx(3.0, abs=0.1)
    assert recording.pcm.duration_seconds == pytest.approx(17.0, abs=0.1)
    assert heard(recording.pcm, 0.5) == pytest.approx(tone(8), abs=8)
    assert [record.status for record in twitch.requests.records if record.step == "clip"] == [200, 206, 206]
    clip.faults.set(Fault(step=Step.CLIP, kind=FaultKind.RANGE_IGNORED))
    with pytest.raises(UpstreamError, match="too long") as caught:
        await listener.listen(f"https://clips.twitch.tv/{SLUG}")
    assert caught.value.retry_after_seconds is None
