"""What captures prove together: see `fingerprint.catalog.learning`."""

from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fingerprint.catalog.learning import NOTHING_LEARNED, CaptureOrigin, LearnedSong, SongCapture, learn
from fingerprint.catalog.query_print import peaks_of, query_print
from fingerprint.domain.audio import Pcm
from tests.unit.catalog.music import mixed, tune

SONG, OTHER_SONG = 71, 72


@cache
def heard(song: int, start: float, *, under: int | None = None, seconds: float = 6.0) -> bytes:
    """The fingerprint of some seconds of a song, perhaps under other sound."""
    sound = tune(song, 25.0, channels=2).cut(start, seconds)
    if under is not None:
        sound = mixed(sound, tune(under, 12.0, channels=2).cut(under % 7, seconds), 0.8)
    return query_print(sound)


def capture(
    start: float,
    channel: str,
    *,
    song: int = SONG,
    under: int | None = None,
    told: float | None = None,
    began: float | None = None,
) -> SongCapture:
    return SongCapture(
        fingerprint=heard(song, start, under=under),
        offset_seconds=start if told is None else told,
        origin=CaptureOrigin(channel=channel, song_began=began),
    )


def frames_of(learned: LearnedSong) -> set[tuple[int, int]]:
    fingerprint = learned.fingerprint
    assert fingerprint is not None
    return set(zip(fingerprint.peak_frames.tolist(), fingerprint.peak_bins.tolist(), strict=True))


def test_two_channels_prove_what_they_share() -> None:
    learned = learn([capture(10.0, "a", under=80), capture(12.0, "b", under=81)])
    ((first, last),) = learned.stretches
    assert (first, last) == pytest.approx((12.0, 16.0), abs=0.2)
    peaks = frames_of(learned)
    assert all(12.0 - 0.2 <= frame * 0.032 <= 16.0 + 0.2 for frame, _ in peaks)
    # What is trusted is the music's, whose own peaks are known here, and not what lay over it.
    _, (middle, *_) = peaks_of(heard(SONG, 12.0))
    music = {
        (round((step * 0.008 + 12.0) / 0.032) + later, round(pitch) + higher)
        for step, pitch in zip(middle.steps.tolist(), middle.bins.tolist(), strict=True)
        for later in (-1, 0, 1)
        for higher in (-1, 0, 1)
    }
    assert len(peaks & music) > 0.85 * len(peaks) > 40


@pytest.mark.parametrize(
    "captures",
    [
        [],
        [capture(10.0, "a")],
        [capture(10.0, "a"), capture(10.0, "a"), capture(11.0, "a")],
        [capture(10.0, "a"), capture(11.0, "b", song=OTHER_SONG)],
        [capture(10.0, "a"), capture(10.0, "b", told=20.0)],
        [capture(10.0, "a"), capture(15.0, "b")],
        [capture(10.0, "a", began=1_000.0), capture(11.0, "b", began=1_030.0)],
    ],
    ids=[
        "nothing",
        "one",
        "one channel",
        "another song",
        "another place",
        "hardly any in common",
        "one broadcast",
    ],
)
def test_what_proves_nothing(captures: list[SongCapture]) -> None:
    assert learn(captures) is NOTHING_LEARNED


def test_a_loop_that_plays_under_the_song_on_both_channels_is_not_the_song() -> None:
    # A sound of 1.3 s, over and over, much louder than the music: it fits at several places.
    once = tune(90, 12.0, channels=2).cut(2.0, 1.3).samples
    loop = np.ascontiguousarray(np.tile(once, 8))

    def under_loop(start: float, first: float) -> bytes:
        music = tune(SONG, 25.0, channels=2).cut(start, 6.0)
        return query_print(mixed(music, Pcm(loop).cut(first, 6.0), 8.0))

    captures = [
        SongCapture(
            fingerprint=under_loop(start, first), offset_seconds=start, origin=CaptureOrigin(channel=channel)
        )
        for start, first, channel in ((10.1, 0.2, "a"), (11.2, 0.9, "b"))
    ]
    assert learn(captures) is NOTHING_LEARNED


def test_a_wrong_answer_of_the_provider_changes_nothing() -> None:
    right = [capture(10.0, "a"), capture(11.0, "b")]
    wrong = capture(11.5, "c", song=OTHER_SONG)
    assert frames_of(learn([*right, wrong])) == frames_of(learn(right))
    assert frames_of(learn([wrong, *right])) == frames_of(learn(right))


def test_offsets_to_the_second_are_put_right() -> None:
    learned = learn([capture(10.0, "a"), capture(11.4, "b", told=11.0), capture(13.7, "c", told=13.0)])
    ((first, last),) = learned.stretches
    assert (first, last) == pytest.approx((11.4, 17.4), abs=0.2)


def test_pieces_that_meet_grow_together() -> None:
    starts = [0.0, 3.0, 6.0, 9.0, 12.0, 15.0]
    learned = learn([capture(start, "ab"[number % 2]) for number, start in enumerate(starts)])
    ((first, last),) = learned.stretches
    assert (first, last) == pytest.approx((3.0, 18.0), abs=0.2)
    assert learned.fingerprint is not None
    assert learned.fingerprint.duration_seconds == pytest.approx(18.0, abs=0.2)


def test_a_song_of_a_mono_and_a_stereo_channel() -> None:
    mono = SongCapture(
        fingerprint=query_print(Pcm(tune(SONG, 25.0, channels=2).cut(10.0, 6.0).mono[np.newaxis].copy())),
        offset_seconds=10.0,
        origin=CaptureOrigin(channel="a"),
    )
    learned = learn([mono, capture(11.0, "b")])
    assert learned.fingerprint is not None
    assert not len(learned.fingerprint.side_frames)


def test_no_more_peaks_than_a_catalog_keeps() -> None:
    learned = learn([capture(10.0 + number / 4, f"c{number}") for number in range(8)])
    fingerprint = learned.fingerprint
    assert fingerprint is not None
    blocks = np.unique(fingerprint.peak_frames // 16)
    assert len(fingerprint.peak_frames) <= 8 * 3 * len(blocks)


logins = st.sampled_from([None, "a", "b"])
numbers = st.sampled_from([None, "1", "2"])
origins = st.builds(
    CaptureOrigin, channel=logins, channel_id=numbers, song_began=st.sampled_from([None, 0.0, 60.0, 1_000.0])
)


@given(origins, origins)
def test_independence_works_both_ways_and_never_without_two_channels(
    one: CaptureOrigin, other: CaptureOrigin
) -> None:
    assert one.is_independent_of(other) == other.is_independent_of(one)
    assert not one.is_independent_of(one)
    if one.is_independent_of(other):
        assert one.channel != other.channel or one.channel is None
        assert one.channel_id != other.channel_id or one.channel_id is None


@pytest.mark.parametrize(
    ("one", "other", "independent"),
    [
        (CaptureOrigin(channel="a"), CaptureOrigin(channel="b"), True),
        (CaptureOrigin(channel="a", channel_id="1"), CaptureOrigin(channel="b", channel_id="2"), True),
        (CaptureOrigin(channel="old", channel_id="1"), CaptureOrigin(channel="new", channel_id="1"), False),
        (CaptureOrigin(channel="a", channel_id="1"), CaptureOrigin(channel="a"), False),
        (CaptureOrigin(channel=None, channel_id="1"), CaptureOrigin(channel="a"), False),
        (CaptureOrigin(channel=None), CaptureOrigin(channel=None), False),
        (CaptureOrigin(channel="a", song_began=100.0), CaptureOrigin(channel="b", song_began=130.0), False),
        (CaptureOrigin(channel="a", song_began=100.0), CaptureOrigin(channel="b", song_began=400.0), True),
    ],
)
def test_which_captures_are_independent(one: CaptureOrigin, other: CaptureOrigin, independent: bool) -> None:
    assert one.is_independent_of(other) is independent
