"""Corrects dates of segments that cannot be true beside those of the others. Without I/O."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from fingerprint.hls.playlist import DateRange, MediaPlaylist, Segment

_JUMP: Final = timedelta(seconds=2)
"""Dates that are further from where the segments before them have ended jump; what is less may be rounding."""

_AHEAD: Final = timedelta(seconds=5)
"""How far a finished segment's end may be ahead of the server's own clock."""

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
    now = _server_time(playlist.date_ranges)
    possible = [group for group in groups if now is None or not _is_ahead(group, now)]
    if not possible:
        return playlist
    found: list[Segment] = []
    ahead = possible[0].ahead
    for group in groups:
        if any(group is each for each in possible):
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
        # Durations that are wrong make dates jump a little at each segment.
        far = abs(jumped) > max(_JUMP, timedelta(seconds=segment.duration_seconds / 2))
        if not groups or far:
            ahead = groups[-1].ahead + jumped if groups else timedelta()
            groups.append(_Group([segment], ahead, segment.discontinuity))
        else:
            groups[-1].segments.append(segment)
        before = segment
    return groups


def _is_ahead(group: _Group, now: datetime) -> bool:
    end = group.segments[-1].ended_at
    return end is not None and end - now > _AHEAD


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
