"""Which segments of a VOD are listened to for a moment."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fingerprint.hls.moments import MAX_TAKE_SEGMENTS, VideoTimeline
from fingerprint.hls.playlist import InitSection, MediaPlaylist, Segment


def timeline(
    seconds: list[float], *, muted: frozenset[int] = frozenset(), inits: tuple[int, ...] = ()
) -> VideoTimeline:
    """A VOD of segments with these durations; a new init section begins at each of `inits`."""
    found = [
        Segment(
            uri=f"{number}{'-muted' if number in muted else ''}.ts",
            sequence=number,
            duration_seconds=length,
            init=InitSection(uri=f"init-{sum(each <= number for each in inits)}.mp4") if inits else None,
        )
        for number, length in enumerate(seconds)
    ]
    return VideoTimeline(MediaPlaylist(segments=tuple(found), target_seconds=10.0))


def chosen(video: VideoTimeline, at: float, unusable: frozenset[int] = frozenset()) -> list[int]:
    stretch = video.around(at, 12.0, unusable)
    return [] if stretch is None else [segment.sequence for segment in stretch.segments]


@pytest.mark.parametrize(
    ("at", "expected"),
    [(0.0, [0, 1]), (13.0, [0, 1, 2]), (15.0, [1, 2]), (55.0, [4, 5]), (59.9, [4, 5]), (99.0, [4, 5])],
)
def test_twelve_seconds_a_third_of_them_before_the_moment(at: float, expected: list[int]) -> None:
    assert chosen(timeline([10.0] * 6), at) == expected


@pytest.mark.parametrize(("at", "expected"), [(21.0, [0, 1]), (30.0, [0, 1]), (30.1, [4, 5]), (39.0, [4, 5])])
def test_in_a_muted_part_the_nearest_sound(at: float, expected: list[int]) -> None:
    assert chosen(timeline([10.0] * 6, muted=frozenset({2, 3})), at) == expected


def test_what_failed_is_left_out_and_never_reached_over() -> None:
    assert chosen(timeline([2.0] * 30), 30.0, frozenset({14})) == [15, 16, 17, 18, 19, 20]
    assert chosen(timeline([2.0] * 30), 28.5, frozenset({14})) == [8, 9, 10, 11, 12, 13]
    assert chosen(timeline([10.0] * 3), 5.0, frozenset({0, 1, 2})) == []


def test_a_new_init_section_changes_nothing() -> None:
    for at in (29.0, 31.0):
        assert chosen(timeline([10.0] * 6, inits=(3,)), at) == chosen(timeline([10.0] * 6), at)


def test_what_was_learned_about_the_durations_moves_the_choice() -> None:
    video = timeline([4.0] * 30)  # in truth 4.5 s each
    assert chosen(video, 90.0) == [21, 22, 23, 24]
    assert video.learn(21, 94.5) == pytest.approx(10.5)
    assert chosen(video, 90.0) == [19, 20, 21]
    assert video.learn(19, 85.5) == pytest.approx(0.0)


def test_a_gap_that_is_listed_has_no_sound() -> None:
    gap = [Segment(uri=f"{n}.ts", sequence=n, duration_seconds=10.0, gap=n == 1) for n in range(3)]
    assert chosen(VideoTimeline(MediaPlaylist(segments=tuple(gap), target_seconds=10.0)), 14.0) == [0]


def test_the_origin_of_a_clock_is_the_last_discontinuity() -> None:
    video = timeline([2.0] * 5)
    assert video.origin_of(4) == 0


@given(
    st.lists(st.floats(min_value=0.0, max_value=12.0), min_size=1, max_size=60),
    st.floats(min_value=0.0, max_value=800.0),
    st.frozensets(st.integers(min_value=0, max_value=60)),
)
def test_the_choice_is_one_run_that_holds_the_nearest_sound(
    seconds: list[float], at: float, unusable: frozenset[int]
) -> None:
    video = timeline(seconds)
    stretch = video.around(at, 12.0, unusable)
    usable = [number for number in range(len(seconds)) if number not in unusable]
    assert (stretch is None) == (not usable)
    if stretch is None:
        return
    numbers = [segment.sequence for segment in stretch.segments]
    assert numbers == list(range(stretch.first, stretch.first + len(numbers)))
    assert len(numbers) <= MAX_TAKE_SEGMENTS
    assert stretch.holding in stretch.segments
    assert not unusable & set(numbers)

    def distance(number: int) -> float:
        start = video.listed_start(number)
        return max(start - at, at - (start + seconds[number]), 0.0)

    assert distance(stretch.holding.sequence) == pytest.approx(min(map(distance, usable)), abs=1e-6)


def test_two_days_cost_little() -> None:
    video = timeline([2.0] * 86_400)
    began = time.process_time()
    assert chosen(video, 100_000.0) == [49_998, 49_999, 50_000, 50_001, 50_002, 50_003]
    assert time.process_time() - began < 0.1
