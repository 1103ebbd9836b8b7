"""Places fetched segments in time: their own timestamps, checked against what the playlist says. No I/O.

A playlist says when each segment begins: by PROGRAM-DATE-TIME, or by the durations of the segments before it,
which may be rounded to whole seconds (RFC 8216, 4.3.2.1). The media says it more exactly, but on a clock that
starts anywhere, wraps (MPEG-TS has 33 bits), and may jump at a discontinuity. So timestamps place the sound
within a timeline, and the playlist places the timeline.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations, pairwise
from statistics import median_high
from typing import Final

CLOCK_WRAP_SECONDS: Final = 2**33 / 90_000
"""When the clock of MPEG-TS starts again from 0: after 26.5 hours."""

_ROUNDING_SECONDS: Final = 0.5
"""How far a duration in a playlist may be from the true one."""

_SLACK_SECONDS: Final = 0.75
"""How far two neighbors may be from the playlist's distance on a timeline: rounding, and picture before sound."""


_MAX_ERROR: Final = 0.4
"""Which part of itself a duration in a playlist may be wrong by."""

_MIN_ERROR: Final = 0.02
"""An error that grows no faster is left to what is known of roundings."""

_SAME_LATENESS: Final = 0.1
"""How far apart two segments may be that are equally late: timestamps are those of whole frames."""

_MIN_AGREEING: Final = 2
"""Segments that agree with others on how late they are, of those that a ratio is found from."""

_SAME_RATIO: Final = 0.015
"""How far apart ratios may be that are one: of rounded timestamps, in segments of two seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedSegment:
    """A fetched segment: its start and duration by the playlist, and its first timestamp, if known."""

    start_seconds: float
    duration_seconds: float
    first_timestamp: float | None
    discontinuity: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """A segment further back on the same timeline, whose start is known; `count` segments lie between.

    `listed_seconds`: how long these are together, by the playlist. `ratio`: how much longer they are in truth, as
    `duration_ratio` has found it. `late_seconds`: how late the sound of other segments may be.
    """

    start_seconds: float
    first_timestamp: float
    count: int
    listed_seconds: float
    ratio: float = 1.0
    late_seconds: float = 0.0

    def is_on_the_clock_of(self, segment: TimedSegment, *, wrap: float = math.inf) -> bool:
        """Whether no jump of the clock lies between, as timestamps tell; False for the segment itself."""
        if segment.first_timestamp is None or not self.count:
            return False
        listed = self.listed_seconds + segment.start_seconds
        return not is_jump(
            clock_difference(segment.first_timestamp, self.first_timestamp, near=listed, wrap=wrap), listed
        )

    def contradicts(self, segment: TimedSegment, *, wrap: float = math.inf) -> bool:
        """Whether a segment's timestamp is further from where the playlist has it than rounding can explain."""
        if segment.first_timestamp is None:
            return False
        expected = self.listed_seconds * self.ratio + segment.start_seconds
        elapsed = clock_difference(segment.first_timestamp, self.first_timestamp, near=expected, wrap=wrap)
        slack = _ROUNDING_SECONDS * self.count + _SLACK_SECONDS
        return not -slack <= elapsed - expected <= max(slack, self.late_seconds + _SAME_LATENESS)


def clock_difference(later: float, earlier: float, *, near: float = 0.0, wrap: float = math.inf) -> float:
    """Seconds from one timestamp to another: the difference nearest to `near` on a clock that wraps."""
    difference = later - earlier
    return difference if math.isinf(wrap) else near + (difference - near + wrap / 2) % wrap - wrap / 2


def placed(
    segments: Sequence[TimedSegment], *, wrap: float = math.inf, origin: Origin | None = None
) -> list[float]:
    """Where each segment's first timestamp is, on the playlist's scale of seconds.

    `origin` gives the first timeline its place, unless the playlist contradicts by more than rounding can, and the
    following ones are off by as much. Otherwise the place is the median of what the timeline's segments say. A
    segment without timestamps is where the playlist puts it.
    """
    ratio = origin.ratio if origin is not None else duration_ratio(segments, wrap=wrap)
    if ratio != 1.0:
        segments = [
            replace(
                segment,
                start_seconds=segment.start_seconds * ratio,
                duration_seconds=segment.duration_seconds * ratio,
            )
            for segment in segments
        ]
    found = [segment.start_seconds for segment in segments]
    off = 0.0
    for number, timeline in enumerate(_timelines(segments, wrap)):
        offset = median_high(timeline.offsets)
        if number == 0 and origin is not None:
            anchor = _anchored(segments[timeline.members[0]], timeline.clocks[0], origin, wrap)
            off = 0.0 if anchor is None else anchor - offset
        for member, clock in zip(timeline.members, timeline.clocks, strict=True):
            found[member] = clock + offset + off
    return found


def durations_are_rounded(segments: Sequence[TimedSegment], *, wrap: float = math.inf) -> bool:
    """Whether timestamps show that the playlist's durations are rounded, or are too few to show the opposite."""
    if len(segments) == 1:
        return float(segments[0].duration_seconds).is_integer()
    return any(
        0.03 < abs(passed - listed) <= _ROUNDING_SECONDS + 0.1 for passed, listed in _distances(segments, wrap)
    )


def durations_may_be_wrong(segments: Sequence[TimedSegment], *, wrap: float = math.inf) -> bool:
    """Whether the playlist's durations may be wrong in one proportion, as far as timestamps tell.

    Where the clock jumps between all of them, timestamps tell nothing.
    """
    distances = _distances(segments, wrap)
    return clocks_differ(segments, wrap=wrap) or any(
        abs(passed - listed) > _MIN_ERROR * listed and abs(passed - listed) <= max(_MAX_ERROR * passed, listed)
        for passed, listed in distances
    )


def durations_fit(segments: Sequence[TimedSegment], *, wrap: float = math.inf) -> bool:
    """Whether all neighbors are as far apart by their timestamps as the playlist says."""
    return all(abs(passed - listed) <= _SAME_LATENESS for passed, listed in _distances(segments, wrap))


def duration_ratio(
    segments: Sequence[TimedSegment], *, wrap: float = math.inf, origin: Origin | None = None
) -> float:
    """How much longer segments are than the playlist says, if all timestamps agree on it; otherwise 1.

    A single pair of segments may as well differ because sound is missing, unless an `origin` confirms it.
    """
    distances = _distances(segments, wrap)
    clock = segments[0].first_timestamp if segments else None
    if origin is not None and clock is not None:
        listed = origin.listed_seconds + segments[0].start_seconds
        distances.append((clock_difference(clock, origin.first_timestamp, near=listed, wrap=wrap), listed))
    return _common_ratio(distances)


def duration_ratio_beside_jumps(segments: Sequence[TimedSegment], *, wrap: float = math.inf) -> float:
    """The same where the clock surely jumps between some of the segments, which says nothing of durations.

    Pairs that may as well differ because sound is missing leave it at 1.
    """
    distances = _distances(segments, wrap)
    return _common_ratio([each for each in distances if not is_jump(*each)])


def clocks_differ(segments: Sequence[TimedSegment], *, wrap: float = math.inf) -> bool:
    """Whether no two neighbors are surely on one clock, so that timestamps tell nothing of their durations."""
    return all(is_jump(*each) for each in _distances(segments, wrap))


def clock_jumps(segments: Sequence[TimedSegment], *, wrap: float = math.inf) -> bool:
    """Whether the clock jumps between some neighbors, by the playlist or surely by itself."""
    tagged = any(each.discontinuity for each in segments[1:])
    return tagged or any(is_jump(*each) for each in _distances(segments, wrap))


def is_jump(passed: float, listed: float) -> bool:
    """Whether the clock jumps between two segments: neither wrong durations nor missing sound explain it."""
    return not -_SAME_LATENESS <= passed <= 2 * listed / (1 - _MAX_ERROR) + _SAME_LATENESS


def _common_ratio(distances: Sequence[tuple[float, float]]) -> float:
    ratios = [passed / listed for passed, listed in distances if listed > 0]
    if len(ratios) < 2 or max(ratios) - min(ratios) > _SAME_RATIO:
        return 1.0
    ratio = sum(passed for passed, _ in distances) / sum(listed for _, listed in distances)
    return ratio if ratio > 0 and _MIN_ERROR < abs(1 - 1 / ratio) <= _MAX_ERROR else 1.0


@dataclass(frozen=True, slots=True)
class DurationFit:
    """What explains timestamps of which some are late: the durations' `ratio`, and how late the first one is."""

    ratio: float
    late_seconds: float


def fit_with_late_sound(segments: Sequence[TimedSegment], *, wrap: float = math.inf) -> DurationFit | None:
    """How much longer segments are than the playlist says when sound begins late in some of them.

    `segments` are on one clock, and some lie far from others. All have to be on time or late within themselves,
    and more of them have to agree on how late they are than by chance, and than with the durations as they are.
    Of several such ratios the one with the least late sound is taken. None where there is none.
    """
    points: list[tuple[float, float, float]] = []
    for each in segments:
        if each.first_timestamp is not None:
            listed, clock = each.start_seconds, each.first_timestamp
            near = points[-1][1] + listed - points[-1][0] if points else clock
            clock = near + clock_difference(clock, near, wrap=wrap)
            points.append((listed, clock, each.duration_seconds))
    most = max((_agreeing(_lateness(points, 1.0, each)) for each in points), default=0)
    most, best, least = max(most, _MIN_AGREEING - 1), None, math.inf
    for one, other in combinations(points, 2):
        ratio = (other[1] - one[1]) / (other[0] - one[0]) if other[0] > one[0] else 1.0
        if ratio <= 0 or not _MIN_ERROR < abs(1 - 1 / ratio) <= _MAX_ERROR:
            continue
        late = _lateness(points, ratio, one)
        if (agreeing := _agreeing(late)) > most or (best and agreeing == most and sum(late) < least):
            best, most, least = DurationFit(ratio, max(0.0, late[0])), agreeing, sum(late)
    return best


def _agreeing(late: Sequence[float]) -> int:
    """How many of these are as late as another one that was counted before."""
    return sum(after - before <= _SAME_LATENESS for before, after in pairwise(sorted(late)))


def _lateness(
    points: Sequence[tuple[float, float, float]], ratio: float, on_time: tuple[float, float, float]
) -> list[float]:
    """How late each of (start by the playlist, timestamp, duration) is; empty when one is early or too late."""
    found = [clock - on_time[1] - (listed - on_time[0]) * ratio for listed, clock, _ in points]
    fits = all(
        -_SAME_LATENESS <= late <= each[2] * ratio + _SAME_LATENESS
        for late, each in zip(found, points, strict=True)
    )
    return found if fits else []


def _distances(segments: Sequence[TimedSegment], wrap: float) -> list[tuple[float, float]]:
    """How far neighbors that may be on one clock are apart, by their timestamps and by the playlist."""
    found: list[tuple[float, float]] = []
    for earlier, later in pairwise(segments):
        if earlier.first_timestamp is None or later.first_timestamp is None or later.discontinuity:
            continue
        listed = later.start_seconds - earlier.start_seconds
        passed = clock_difference(later.first_timestamp, earlier.first_timestamp, near=listed, wrap=wrap)
        found.append((passed, listed))
    return found


@dataclass(slots=True)
class _Timeline:
    """Segments on one clock: their numbers, their unwrapped timestamps, and the offsets that place the clock."""

    members: list[int]
    clocks: list[float]
    offsets: list[float]


def _timelines(segments: Sequence[TimedSegment], wrap: float) -> list[_Timeline]:
    found: list[_Timeline] = []
    for number, segment in enumerate(segments):
        if segment.first_timestamp is None:
            continue
        last = found[-1] if found else None
        if last is None or not _continue(last, number, segments, wrap):
            clock = segment.first_timestamp
            found.append(_Timeline([number], [clock], [segment.start_seconds - clock]))
    return found


def _continue(timeline: _Timeline, number: int, segments: Sequence[TimedSegment], wrap: float) -> bool:
    """Add a segment to a timeline if its timestamp follows; a late one may be late because sound is missing."""
    segment, before = segments[number], segments[timeline.members[-1]]
    assert segment.first_timestamp is not None
    expected = segment.start_seconds - before.start_seconds
    clock = timeline.clocks[-1] + clock_difference(
        segment.first_timestamp, timeline.clocks[-1], near=expected, wrap=wrap
    )
    offset = segment.start_seconds - clock
    late = timeline.offsets[-1] - offset
    if abs(late) > _SLACK_SECONDS and not _follows_sound(clock - timeline.clocks[-1], before, segment):
        if segment.discontinuity:
            return False
        if 0 < late <= segment.duration_seconds and not _stays(number, offset, segments, wrap):
            timeline.members.append(number)
            timeline.clocks.append(clock)
            return True
        if not (len(timeline.members) == 1 and 0 < -late <= before.duration_seconds):
            return False
        timeline.offsets.clear()  # the first one was late itself
    timeline.members.append(number)
    timeline.clocks.append(clock)
    timeline.offsets.append(offset)
    return True


def _follows_sound(passed: float, before: TimedSegment, segment: TimedSegment) -> bool:
    """Whether a segment's sound begins where that before it has ended, and a date that says otherwise is wrong."""
    ahead = segment.start_seconds - before.start_seconds - before.duration_seconds
    return not segment.discontinuity and abs(passed - before.duration_seconds) <= _SAME_LATENESS < abs(ahead)


def _stays(number: int, offset: float, segments: Sequence[TimedSegment], wrap: float) -> bool:
    """Whether the next segment agrees with this one's offset: the clock jumped, and no sound is missing."""
    if number + 1 >= len(segments) or (after := segments[number + 1]).first_timestamp is None:
        return False
    clock = segments[number].start_seconds - offset
    expected = after.start_seconds - segments[number].start_seconds
    difference = clock_difference(after.first_timestamp, clock, near=expected, wrap=wrap)
    return abs(difference - expected) <= _SLACK_SECONDS


def _anchored(first: TimedSegment, clock: float, origin: Origin, wrap: float) -> float | None:
    """The offset of the first timeline by an origin, or None when the playlist contradicts."""
    if origin.contradicts(first, wrap=wrap):
        return None
    expected = origin.listed_seconds * origin.ratio + first.start_seconds
    elapsed = clock_difference(clock, origin.first_timestamp, near=expected, wrap=wrap)
    return origin.start_seconds + elapsed - clock
