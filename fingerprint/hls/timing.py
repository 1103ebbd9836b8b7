"""Places fetched segments in time: their own timestamps, checked against what the playlist says. No I/O.

A playlist says when each segment begins: by PROGRAM-DATE-TIME, or by the durations of the segments before it,
which may be rounded to whole seconds (RFC 8216, 4.3.2.1). The media says it more exactly, but on a clock that
starts anywhere, wraps (MPEG-TS has 33 bits), and may jump at a discontinuity. So timestamps place the sound
within a timeline, and the playlist places the timeline.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median_high
from typing import Final

CLOCK_WRAP_SECONDS: Final = 2**33 / 90_000
"""When the clock of MPEG-TS starts again from 0: after 26.5 hours."""

_ROUNDING_SECONDS: Final = 0.5
"""How far a duration in a playlist may be from the true one."""

_SLACK_SECONDS: Final = 0.75
"""How far two neighbors may be from the playlist's distance on a timeline: rounding, and picture before sound."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedSegment:
    """A fetched segment: its start and duration by the playlist, and its first timestamp, if known."""

    start_seconds: float
    duration_seconds: float
    first_timestamp: float | None
    discontinuity: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """A segment further back on the same timeline, whose start is known exactly; `count` segments lie between."""

    start_seconds: float
    first_timestamp: float
    count: int


def clock_difference(later: float, earlier: float, *, near: float = 0.0, wrap: float = math.inf) -> float:
    """Seconds from one timestamp to another: the difference nearest to `near` on a clock that wraps."""
    difference = later - earlier
    return difference if math.isinf(wrap) else near + (difference - near + wrap / 2) % wrap - wrap / 2


def placed(
    segments: Sequence[TimedSegment], *, wrap: float = math.inf, origin: Origin | None = None
) -> list[float]:
    """Where each segment's first timestamp is, on the playlist's scale of seconds.

    `origin` gives the first timeline its place, unless the playlist contradicts by more than rounding can.
    Otherwise the place is the median of what the timeline's segments say. A segment without timestamps is where
    the playlist puts it.
    """
    found = [segment.start_seconds for segment in segments]
    for number, timeline in enumerate(_timelines(segments, wrap)):
        anchor = _anchored(segments[timeline.members[0]], timeline.clocks[0], origin, wrap) if not number else None
        offset = median_high(timeline.offsets) if anchor is None else anchor
        for member, clock in zip(timeline.members, timeline.clocks, strict=True):
            found[member] = clock + offset
    return found


def durations_are_rounded(segments: Sequence[TimedSegment], *, wrap: float = math.inf) -> bool:
    """Whether timestamps show that the playlist's durations are not exact, or are too few to show the opposite."""
    if len(segments) == 1:
        return float(segments[0].duration_seconds).is_integer()
    for earlier, later in pairwise(segments):
        if earlier.first_timestamp is None or later.first_timestamp is None or later.discontinuity:
            continue
        expected = later.start_seconds - earlier.start_seconds
        error = (
            clock_difference(later.first_timestamp, earlier.first_timestamp, near=expected, wrap=wrap) - expected
        )
        if 0.03 < abs(error) <= _ROUNDING_SECONDS + 0.1:
            return True
    return False


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
    if abs(late) > _SLACK_SECONDS:
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


def _stays(number: int, offset: float, segments: Sequence[TimedSegment], wrap: float) -> bool:
    """Whether the next segment agrees with this one's offset: the clock jumped, and no sound is missing."""
    if number + 1 >= len(segments) or (after := segments[number + 1]).first_timestamp is None:
        return False
    clock = segments[number].start_seconds - offset
    expected = after.start_seconds - segments[number].start_seconds
    difference = clock_difference(after.first_timestamp, clock, near=expected, wrap=wrap)
    return abs(difference - expected) <= _SLACK_SECONDS


def _anchored(first: TimedSegment, clock: float, origin: Origin | None, wrap: float) -> float | None:
    """The offset of the first timeline by an origin, or None when there is none or the playlist contradicts."""
    if origin is None:
        return None
    expected = first.start_seconds - origin.start_seconds
    elapsed = clock_difference(clock, origin.first_timestamp, near=expected, wrap=wrap)
    if abs(elapsed - expected) > _ROUNDING_SECONDS * origin.count + _SLACK_SECONDS:
        return None
    return origin.start_seconds + elapsed - clock
