"""Positions from segments and their timestamps: whatever clock they count on, and however they are listed."""

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fingerprint.hls.timing import (
    CLOCK_WRAP_SECONDS,
    Origin,
    TimedSegment,
    clock_difference,
    duration_ratio,
    duration_ratio_beside_jumps,
    durations_are_rounded,
    durations_fit,
    fit_with_late_sound,
    placed,
)

durations = st.lists(st.floats(min_value=1.6, max_value=12.0), min_size=1, max_size=16)
clocks = st.floats(min_value=0.0, max_value=CLOCK_WRAP_SECONDS)


def segments(seconds: list[float], clock: float, *, wrap: float = math.inf) -> list[TimedSegment]:
    """Segments of these durations, the first of which has the timestamp `clock`."""
    starts = [sum(seconds[:number]) for number in range(len(seconds))]
    stamps = [clock + start if math.isinf(wrap) else (clock + start) % wrap for start in starts]
    return [
        TimedSegment(start_seconds=start, duration_seconds=length, first_timestamp=stamp)
        for start, length, stamp in zip(starts, seconds, stamps, strict=True)
    ]


def rounded(listed: list[TimedSegment]) -> list[TimedSegment]:
    """The same with durations in whole seconds, as playlists of version 2 have them."""
    lengths = [float(math.floor(segment.duration_seconds + 0.5)) for segment in listed]
    return [
        replace(segment, duration_seconds=length, start_seconds=sum(lengths[:number]))
        for number, (segment, length) in enumerate(zip(listed, lengths, strict=True))
    ]


@given(durations, clocks)
def test_any_clock_gives_the_same_places(seconds: list[float], clock: float) -> None:
    listed = segments(seconds, clock, wrap=CLOCK_WRAP_SECONDS)
    expected = [segment.start_seconds for segment in listed]
    assert placed(listed, wrap=CLOCK_WRAP_SECONDS) == pytest.approx(expected, abs=1e-3)


@given(durations, clocks)
def test_rounded_durations_are_corrected_from_an_origin(seconds: list[float], clock: float) -> None:
    true = segments(seconds, clock, wrap=CLOCK_WRAP_SECONDS)
    origin = Origin(start_seconds=0.0, first_timestamp=clock, count=0, listed_seconds=0.0)
    found = placed(rounded(true), wrap=CLOCK_WRAP_SECONDS, origin=origin)
    assert found == pytest.approx([segment.start_seconds for segment in true], abs=1e-3)


@given(durations, st.integers(min_value=1, max_value=9_000), st.floats(min_value=-0.4, max_value=0.4), clocks)
def test_an_origin_far_away_counts_as_far_as_rounding_can_explain(
    seconds: list[float], count: int, drift: float, clock: float
) -> None:
    before = count * 4.0
    listed = segments(seconds, (clock + before + drift * count) % CLOCK_WRAP_SECONDS, wrap=CLOCK_WRAP_SECONDS)
    origin = Origin(start_seconds=-before, first_timestamp=clock, count=count, listed_seconds=before)
    found = placed(listed, wrap=CLOCK_WRAP_SECONDS, origin=origin)
    assert found[0] == pytest.approx(drift * count, abs=1e-3)
    far = replace(origin, first_timestamp=(clock + count + 100) % CLOCK_WRAP_SECONDS)
    assert placed(listed, wrap=CLOCK_WRAP_SECONDS, origin=far)[0] == pytest.approx(0.0, abs=1e-3)


@given(durations, clocks, st.data())
def test_a_clock_that_jumps_at_a_discontinuity_is_placed_by_the_playlist(
    seconds: list[float], clock: float, data: st.DataObject
) -> None:
    listed = segments(seconds, clock)
    expected = [segment.start_seconds for segment in listed]
    at = data.draw(st.integers(min_value=0, max_value=len(listed) - 1))
    jump = data.draw(st.floats(min_value=-50_000, max_value=50_000))
    jumped = [
        segment
        if number < at or segment.first_timestamp is None
        else replace(segment, first_timestamp=segment.first_timestamp + jump, discontinuity=number == at)
        for number, segment in enumerate(listed)
    ]
    assert placed(jumped) == pytest.approx(expected, abs=0.76)


@pytest.mark.parametrize("late", [0, 1, 2])
@pytest.mark.parametrize("seconds", [0.9, 1.5])
def test_sound_that_begins_late_is_late(late: int, seconds: float) -> None:
    listed = segments([2.0, 2.0, 2.0], 100.0)
    one = listed[late]
    listed[late] = replace(one, first_timestamp=(one.first_timestamp or 0.0) + seconds)
    expected = [0.0, 2.0, 4.0]
    expected[late] += seconds
    assert placed(listed) == pytest.approx(expected)


def test_a_clock_that_jumps_without_a_word_is_placed_by_the_playlist() -> None:
    listed = segments([2.0] * 4, 100.0)
    jumped = [
        *listed[:2],
        *(replace(each, first_timestamp=(each.first_timestamp or 0) + 1.5) for each in listed[2:]),
    ]
    assert placed(jumped) == pytest.approx([0.0, 2.0, 4.0, 6.0])


def test_a_gap_that_the_dates_confirm_is_a_gap() -> None:
    listed = segments([2.0, 2.0], 100.0)
    later = replace(listed[1], start_seconds=9.0, first_timestamp=109.0)
    assert placed([listed[0], later]) == pytest.approx([0.0, 9.0])


def test_segments_without_timestamps_are_where_the_playlist_has_them() -> None:
    listed = [replace(segment, first_timestamp=None) for segment in segments([2.0, 3.0, 4.0], 0.0)]
    assert placed(listed) == [0.0, 2.0, 5.0]
    assert placed([]) == []


def test_rounding_is_noticed() -> None:
    assert not durations_are_rounded(segments([4.167, 4.167], 10.0))
    assert durations_are_rounded(rounded(segments([4.167, 4.167], 10.0)))
    assert durations_are_rounded(segments([10.0], 10.0)), "one segment alone shows nothing"
    assert not durations_are_rounded(segments([9.96], 10.0))
    jumped = segments([4.0, 4.0], 10.0)
    assert not durations_are_rounded([jumped[0], replace(jumped[1], first_timestamp=9_000.0)])


def lying(listed: list[TimedSegment], off: float) -> list[TimedSegment]:
    """The same in a playlist whose durations are wrong by this part of themselves."""
    return [
        replace(
            each, start_seconds=each.start_seconds * (1 + off), duration_seconds=each.duration_seconds * (1 + off)
        )
        for each in listed
    ]


@given(st.lists(st.floats(1.6, 12.0), min_size=3, max_size=16), clocks, st.floats(-0.27, 0.37))
def test_durations_that_are_wrong_in_one_proportion_are_seen_through(
    seconds: list[float], clock: float, off: float
) -> None:
    true = segments(seconds, clock, wrap=CLOCK_WRAP_SECONDS)
    found = placed(lying(true, off), wrap=CLOCK_WRAP_SECONDS)
    # What is wrong by less than 2 % counts as rounding.
    slack = 0.01 if abs(off) > 0.03 else 0.03 * sum(seconds) + 0.01
    assert found == pytest.approx([segment.start_seconds for segment in true], abs=slack)


def test_one_pair_of_segments_is_no_proportion_unless_an_origin_confirms_it() -> None:
    """It may as well be that sound is missing."""
    pair = lying(segments([10.0, 10.0], 50.0), 0.2)
    assert duration_ratio(pair) == 1.0
    origin = Origin(start_seconds=-48.0, first_timestamp=10.0, count=4, listed_seconds=48.0)
    assert duration_ratio(pair, origin=origin) == pytest.approx(1 / 1.2)
    assert duration_ratio(pair, origin=replace(origin, first_timestamp=2.0)) == 1.0
    late = [replace(pair[0], first_timestamp=51.5), pair[1]]
    assert duration_ratio(late, origin=origin) == 1.0


def late(listed: list[TimedSegment], every: int, seconds: float) -> list[TimedSegment]:
    """The same with sound that begins late in one segment of so many."""
    return [
        replace(each, first_timestamp=(each.first_timestamp or 0.0) + (0.0 if number % every else seconds))
        for number, each in enumerate(listed)
    ]


@pytest.mark.parametrize("off", [-0.25, 0.2, 0.3])
@pytest.mark.parametrize(
    ("seconds", "every", "chosen"),
    [
        (10.0, 2, [0, 1, 4, 5]),
        (4.0, 2, [0, 1, 10, 11, 12, 13]),
        (4.0, 3, [0, 1, 9, 10, 11]),
        (2.0, 2, [0, 1, 7, 8, 9]),
    ],
)
def test_durations_that_lie_are_told_from_sound_that_is_late(
    off: float, seconds: float, every: int, chosen: list[int]
) -> None:
    true = late(segments([seconds] * 14, CLOCK_WRAP_SECONDS - 9.0), every, 1.2)
    listed = [lying(true, off)[number] for number in chosen]
    fit = fit_with_late_sound(listed, wrap=CLOCK_WRAP_SECONDS)
    assert fit is not None
    assert fit.ratio == pytest.approx(1 / (1 + off), abs=1e-3)
    assert fit.late_seconds == pytest.approx(1.2, abs=1e-3)
    right = [true[number] for number in chosen]
    assert not durations_fit(right)
    assert fit_with_late_sound(right, wrap=CLOCK_WRAP_SECONDS) is None


def test_late_sound_and_a_clock_that_jumps_are_no_proportion() -> None:
    listed = segments([4.0] * 12, 100.0)
    for jump in (-1.5, 1.5, -30.0):
        jumped = [replace(each, first_timestamp=(each.first_timestamp or 0.0) + jump) for each in listed[9:]]
        assert fit_with_late_sound([*listed[:2], listed[8], *jumped]) is None
    assert fit_with_late_sound([]) is None


def test_a_date_ahead_of_sound_that_goes_on_leaves_no_gap() -> None:
    for ahead in (1.0, 1.9):
        listed = [
            replace(each, start_seconds=each.start_seconds + (ahead if number > 1 else 0.0))
            for number, each in enumerate(segments([2.0] * 5, 100.0))
        ]
        assert [later - earlier for earlier, later in pairwise(placed(listed))] == pytest.approx([2.0] * 4)


def test_what_follows_a_jump_of_the_clock_is_off_by_as_much_as_what_comes_before() -> None:
    true = segments([4.167] * 4, 50.0)
    listed = rounded(true)
    jumped = [
        *listed[:2],
        *(replace(each, first_timestamp=(each.first_timestamp or 0) + 900) for each in listed[2:]),
    ]
    origin = Origin(start_seconds=-40.0, first_timestamp=50.0 - 41.67, count=10, listed_seconds=40.0)
    assert placed(jumped, origin=origin) == pytest.approx([1.67, 5.837, 9.67, 13.837], abs=0.2)


@given(clocks, st.floats(min_value=-100.0, max_value=100.0))
def test_the_difference_on_a_clock_that_wraps(clock: float, difference: float) -> None:
    later = (clock + difference) % CLOCK_WRAP_SECONDS
    assert clock_difference(later, clock, wrap=CLOCK_WRAP_SECONDS) == pytest.approx(difference, abs=1e-6)


@pytest.mark.parametrize(
    ("clocks", "ratio"),
    [
        ((0.0, 10.0, 5_000.0, 5_010.0), 1.25),
        ((0.0, 10.0, 20.0, 9_000.0), 1.25),
        ((0.0, 10.0, 5_000.0, 5_008.0), 1.0),  # they do not agree
        ((0.0, 10.0, 5_000.0, 9_000.0), 1.0),  # one pair may as well be late sound
        ((0.0, 8.0, 5_000.0, 5_008.0), 1.0),
        ((0.0, 10.0, 9.0, 19.0), 1.25),  # it goes back
        ((0.0, 10.0, 22.5, 32.5), 1.0),  # no jump: sound may be missing
    ],
)
def test_durations_that_lie_are_seen_through_beside_jumps_of_the_clock(
    clocks: Sequence[float], ratio: float
) -> None:
    timed = [
        TimedSegment(start_seconds=8.0 * number, duration_seconds=8.0, first_timestamp=clock)
        for number, clock in enumerate(clocks)
    ]
    assert duration_ratio_beside_jumps(timed) == pytest.approx(ratio)
