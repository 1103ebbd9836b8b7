"""Corrects dates of segments that cannot be true beside those of the others. Without I/O."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median
from typing import Final

from fingerprint.hls.playlist import DateRange, MediaPlaylist, Segment

_JUMP: Final = timedelta(seconds=0.75)
"""Dates that are further from where the segments before them have ended jump; what is less may be rounding."""

_JUMP_OF_DURATION: Final = 0.45
"""The same, as a part of the segment: durations that are wrong make dates jump a little at each of them."""

_AHEAD: Final = timedelta(seconds=5)
"""How far a finished segment's end may be ahead of the server's own clock."""

_AHEAD_AMONG_JUMPS: Final = timedelta(seconds=0.1)
"""The same where dates jump to and fro, so that some of them are wrong for certain."""

_LENGTHS: Final = (0.6, 1.67)
"""How long segments may be by their dates, as parts of durations that are wrong: what is beyond is a jump."""

_COMPARED: Final = 120
_NEAR: Final = 8
_LEAST_PAIRS: Final = 3
"""How many of the newest segments are compared, each with how many after it, and how many such pairs it takes."""

_MAX_SECONDS: Final = 1e11
_SERVER_CLOCKS: Final = ("timestamp", "twitch-timestamp")


@dataclass(slots=True)
class _Group:
    """Segments whose dates follow one another. `ahead`: by how much they jumped, with all jumps before."""

    segments: list[Segment]
    ahead: timedelta
    discontinuity: bool


def with_true_dates(playlist: MediaPlaylist, *, began: datetime | None = None) -> MediaPlaylist:
    """The live playlist, with dates in place of those that cannot be true where a part of them jumps.

    A jump forward is a pause of the broadcast, unless it leads to a time that the server's clock has not reached.
    A jump back, but for one at a discontinuity, is taken back. Of dates that jump to and fro, those count that fit
    how long the broadcast has run since it `began`, or else the latest.
    """
    ratio = _true_length(playlist.segments)
    groups = _groups(playlist.segments, ratio)
    if len(groups) < 2:
        return playlist
    possible = _possible(groups, _server_time(playlist.date_ranges), ratio)
    if not possible:
        return playlist
    if began is not None and playlist.elapsed_seconds is not None and _jump_to_and_fro(groups):
        possible = _fitting(groups, possible, _later(began, timedelta(seconds=playlist.elapsed_seconds)))
    found: list[Segment] = []
    ahead = possible[0].ahead
    true = {id(group) for group in possible}
    for group in groups:
        if id(group) in true:
            ahead = group.ahead if group.discontinuity else max(ahead, group.ahead)
        found += _moved(group, ahead - group.ahead)
    return replace(playlist, segments=tuple(found))


def _true_length(segments: Sequence[Segment]) -> float:
    """How long segments are by their dates, as a part of their durations, which may all be wrong by as much.

    The median over pairs of segments that are near each other, without those between which dates jump far.
    """
    dated = [(segment.started_at, segment.duration_seconds) for segment in segments[-_COMPARED:]]
    found: list[float] = []
    for place, (first, _) in enumerate(dated):
        listed = 0.0
        for (_, duration), (date, _) in pairwise(dated[place : place + _NEAR + 1]):
            listed += duration
            if first is not None and date is not None and listed > 0:
                part = (date - first).total_seconds() / listed
                found += [part] if _LENGTHS[0] <= part <= _LENGTHS[1] else []
    return median(found) if len(found) >= _LEAST_PAIRS else 1.0


def _end(segment: Segment, ratio: float) -> datetime | None:
    """When a segment ends by its date."""
    date = segment.started_at
    return None if date is None else _later(date, timedelta(seconds=segment.duration_seconds * ratio))


def _groups(segments: Sequence[Segment], ratio: float) -> list[_Group]:
    groups: list[_Group] = []
    before: Segment | None = None
    for segment in segments:
        jumped = timedelta()
        ended = None if before is None else _end(before, ratio)
        if segment.started_at is not None and ended is not None:
            jumped = segment.started_at - ended
        far = abs(jumped) > max(_JUMP, timedelta(seconds=segment.duration_seconds * ratio * _JUMP_OF_DURATION))
        if not groups or far:
            ahead = groups[-1].ahead + jumped if groups else timedelta()
            groups.append(_Group([segment], ahead, segment.discontinuity))
        else:
            groups[-1].segments.append(segment)
        before = segment
    return groups


def _possible(groups: Sequence[_Group], now: datetime | None, ratio: float) -> list[_Group]:
    """The groups whose dates may be true by the server's clock."""
    if now is None:
        return list(groups)
    if _jump_to_and_fro(groups) and (found := _not_ahead(groups, now + _AHEAD_AMONG_JUMPS, ratio)):
        return found
    return _not_ahead(groups, now + _AHEAD, ratio)


def _jump_to_and_fro(groups: Sequence[_Group]) -> bool:
    return any(after.ahead < before.ahead and not after.discontinuity for before, after in pairwise(groups))


def _fitting(groups: Sequence[_Group], possible: list[_Group], first: datetime | None) -> list[_Group]:
    """The possible groups by whose dates the first segment began at `first`; all if that tells none apart."""
    listed = groups[0].segments[0].started_at
    if first is None or listed is None or any(group.discontinuity for group in groups[1:]):
        return possible
    shifted = ((_later(listed, group.ahead), group) for group in possible)
    off = [(abs(date - first), group) for date, group in shifted if date is not None]
    if not off:
        return possible
    nearest = min(distance for distance, _ in off)
    others = [distance for distance, _ in off if distance - nearest > _JUMP / 2]
    if not others or nearest > min(others) / 4:
        return possible
    return [group for distance, group in off if distance - nearest <= _JUMP / 2]


def _not_ahead(groups: Sequence[_Group], until: datetime, ratio: float) -> list[_Group]:
    """The groups whose dates, continued up to the newest segment on their clock, end by `until`."""
    found: list[_Group] = []
    newest: _Group | None = None
    for group in reversed(groups):
        newest = newest or group
        end = _end(newest.segments[-1], ratio)
        end = None if end is None else _later(end, group.ahead - newest.ahead)
        if end is None or end <= until:
            found.append(group)
        if group.discontinuity:
            newest = None
    return found[::-1]


def _moved(group: _Group, by: timedelta) -> list[Segment]:
    if not by:
        return group.segments
    return [
        each
        if each.started_at is None
        else replace(each, started_at=_later(each.started_at, by), date_given=False)
        for each in group.segments
    ]


def _later(date: datetime, by: timedelta) -> datetime | None:
    try:
        return date + by
    except OverflowError:
        return None


def _server_time(date_ranges: Sequence[DateRange]) -> datetime | None:
    """The server's clock when it wrote the playlist, if it says so."""
    for each in date_ranges:
        if each.kind in _SERVER_CLOCKS:
            try:
                seconds = float(each.attributes.get("X-SERVER-TIME", ""))
                return datetime.fromtimestamp(seconds, each.started_at.tzinfo) if seconds < _MAX_SECONDS else None
            except (ValueError, OverflowError, OSError):
                continue
    return None
