"""Selects the segments of a VOD to listen to for a moment: the nearest that have sound, without I/O."""

from bisect import bisect_right
from collections.abc import Container, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from fingerprint.hls.playlist import MediaPlaylist, Segment

MAX_TAKE_SEGMENTS: Final = 16
"""The most segments in one recording."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Consecutive segments, of which `holding` is the nearest to the moment. `first` is the first one's number."""

    first: int
    segments: Sequence[Segment]
    holding: Segment


class VideoTimeline:
    """The segments of a VOD, and where each begins: by its durations, and by what was learned from timestamps."""

    def __init__(self, playlist: MediaPlaylist) -> None:
        self.segments = playlist.segments
        self._starts = list(accumulate((each.duration_seconds for each in playlist.segments), initial=0.0))
        self._known = (0.0, 0.0)
        self._ratio = 1.0

    @property
    def length_seconds(self) -> float:
        """The sum of all durations."""
        return self._starts[-1]

    def listed_start(self, number: int) -> float:
        """Where a segment begins by the durations before it."""
        return self._starts[number]

    def has_break(self, before_seconds: float) -> bool:
        """Whether a discontinuity comes before a moment: where a stream dropped, its VOD leaves the pause out."""
        return any(
            segment.discontinuity and self._start(number) <= before_seconds
            for number, segment in enumerate(self.segments)
            if number
        )

    def learn(self, number: int, seconds: float) -> float:
        """Note that a segment begins at `seconds`; returns how far that is from where it was expected.

        Durations that are rounded are assumed to be wrong in the same proportion elsewhere.
        """
        listed, error = self._starts[number], seconds - self._start(number)
        if listed > 0 and seconds > 0:
            self._known, self._ratio = (listed, seconds), seconds / listed
        return error

    def origin_of(self, number: int) -> int:
        """The first segment on the clock of another one that is not muted, after the last discontinuity if any."""
        found = number
        while number > 0 and not self.segments[number].discontinuity:
            number -= 1
            found = found if is_muted(self.segments[number]) else number
        return found

    def is_muted_at(self, at_seconds: float) -> bool:
        """Whether Twitch muted the moment, or the end if it lies beyond that."""
        number = max(0, bisect_right(self._starts, at_seconds) - 1)
        return is_muted(self.segments[min(number, len(self.segments) - 1)])

    def around(self, at_seconds: float, wanted_seconds: float, unusable: Container[int]) -> Stretch | None:
        """Segments that make up `wanted_seconds`, a third of them before the moment, or all that there are.

        Muted and `unusable` segments (by media sequence number) are left out, and so is what lies beyond them.
        When the moment itself has no sound the stretch is the nearest one that has; None when none has.
        """
        holding = self._nearest(at_seconds, unusable)
        if holding is None:
            return None
        moment = min(max(at_seconds, self._start(holding)), self._start(holding + 1))
        first, last = holding, holding
        while first > 0 and self._start(first) > moment - wanted_seconds and self._usable(first - 1, unusable):
            first -= 1
        while (
            last + 1 < len(self.segments)
            and self._start(last + 1) < moment + wanted_seconds
            and self._usable(last + 1, unusable)
        ):
            last += 1
        start = max(self._start(first), min(moment - wanted_seconds / 3, self._start(last + 1) - wanted_seconds))
        while first < holding and self._start(first + 1) <= start:
            first += 1
        while last > holding and self._start(last) >= start + wanted_seconds:
            last -= 1
        last = min(last, max(holding, first + MAX_TAKE_SEGMENTS - 1))
        first = max(first, last - MAX_TAKE_SEGMENTS + 1)
        return Stretch(first, self.segments[first : last + 1], self.segments[holding])

    def _start(self, number: int) -> float:
        listed, seconds = self._known
        return seconds + (self._starts[number] - listed) * self._ratio

    def _usable(self, number: int, unusable: Container[int]) -> bool:
        segment = self.segments[number]
        return segment.sequence not in unusable and not segment.gap and not is_muted(segment)

    def _nearest(self, at_seconds: float, unusable: Container[int]) -> int | None:
        """The number of the usable segment at the moment, or nearest to it, the earlier of equally near ones."""
        count = len(self.segments)
        listed, seconds = self._known
        at = min(max(0, bisect_right(self._starts, listed + (at_seconds - seconds) / self._ratio) - 1), count - 1)
        before = next((each for each in range(at, -1, -1) if self._usable(each, unusable)), None)
        after = next((each for each in range(at + 1, count) if self._usable(each, unusable)), None)
        if before is None or before == at or after is None:
            return after if before is None else before
        return before if at_seconds - self._start(before + 1) <= self._start(after) - at_seconds else after


def is_muted(segment: Segment) -> bool:
    """Whether Twitch muted a segment's music: `12-muted.ts` is silent, and `12-unmuted.ts` is not served."""
    path = segment.uri.partition("?")[0]
    return "-muted." in path or "-unmuted." in path
