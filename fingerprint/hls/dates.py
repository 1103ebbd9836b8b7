"""Corrects dates of segments that cannot be true beside those of the others. Without I/O."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
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

_MAX_SECONDS: Final = 1e11
_SERVER_CLOCKS: Final = ("timestamp", "twitch-timestamp")


@dataclass(slots=True)
class _Group:
    """Segments whose dates follow one another. `ahead`: by how much they jumped, with all jumps before."""

    segments: list[Segment]
    ahead: timedelta
    discontinuity: bool


def with_true_dates(playlist: MediaPlaylist) -> MediaPlaylist:
    """The live playlist, with dates in place of those that cannot be true where a part of them jumps.

    A jump forward is a pause of the broadcast, unless it leads to a time that the server's clock has not reached.
    A jump back, but for one at a discontinuity, is taken back.
    """
    groups = _groups(playlist.segments)
    if len(groups) < 2:
        return playlist
    possible = _possible(groups, _server_time(playlist.date_ranges))
    if not possible:
        return playlist
    found: list[Segment] = []
    ahead = possible[0].ahead
    true = {id(group) for group in possible}
    for group in groups:
        if id(group) in true:
            ahead = group.ahead if group.discontinuity else max(ahead, group.ahead)
        found += _moved(group, ahead - group.ahead)
    return replace(playlist, segments=tuple(found))


def _groups(segments: Sequence[Segment]) -> list[_Group]:
    groups: list[_Group] = []
    before: Segment | None = None
    for segment in segments:
        jumped = timedelta()
        if segment.started_at is not None and before is not None and before.ended_at is not None:
            jumped = segment.started_at - before.ended_at
        far = abs(jumped) > max(_JUMP, timedelta(seconds=segment.duration_seconds * _JUMP_OF_DURATION))
        if not groups or far:
            ahead = groups[-1].ahead + jumped if groups else timedelta()
            groups.append(_Group([segment], ahead, segment.discontinuity))
        else:
            groups[-1].segments.append(segment)
        before = segment
    return groups


def _possible(groups: Sequence[_Group], now: datetime | None) -> list[_Group]:
    """The groups whose dates may be true by the server's clock."""
    if now is None:
        return list(groups)
    returns = any(after.ahead < before.ahead and not after.discontinuity for before, after in pairwise(groups))
    if returns and (found := _not_ahead(groups, now + _AHEAD_AMONG_JUMPS)):
        return found
    return _not_ahead(groups, now + _AHEAD)


def _not_ahead(groups: Sequence[_Group], until: datetime) -> list[_Group]:
    """The groups whose dates, continued up to the newest segment on their clock, end by `until`."""
    found: list[_Group] = []
    newest: _Group | None = None
    for group in reversed(groups):
        newest = newest or group
        end = newest.segments[-1].ended_at
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
