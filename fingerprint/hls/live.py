"""Selects a live playlist's segments to listen to, without I/O. `hls.ads` says which segments are content."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from fingerprint.hls.ads import content_runs
from fingerprint.hls.playlist import MediaPlaylist, Segment

_SOON: Final = timedelta(seconds=15)
"""How far behind the present the newest segment of a playlist may be."""


def newest_content(
    playlist: MediaPlaylist, *, wanted_seconds: float, enough_seconds: float
) -> tuple[Segment, ...]:
    """The newest run of content cut to its last `wanted_seconds` or a little more.

    A run shorter than `enough_seconds` is passed over for an older one that is longer: the window goes back half
    a minute, and what was played just before an ad is still worth knowing. Empty when no run is long enough.
    """
    for run in reversed(content_runs(playlist)):
        tail = last_seconds(run, wanted_seconds)
        if total_seconds(tail) >= enough_seconds:
            return tail
    return ()


def content_around(
    playlist: MediaPlaylist, at: datetime, *, wanted_seconds: float, enough_seconds: float
) -> tuple[Segment, ...]:
    """The segments with about `wanted_seconds` of content around a moment; empty when the playlist lacks it.

    Of a moment after the newest segment, which is about to be listed, the newest content.
    """
    runs = content_runs(playlist)
    newest = playlist.segments[-1].ended_at if playlist.segments else None
    if newest is not None and newest <= at <= newest + _SOON:
        return newest_content(playlist, wanted_seconds=wanted_seconds, enough_seconds=enough_seconds)
    for run in runs:
        start, end = run[0].started_at, run[-1].ended_at
        if start is None or end is None or not start <= at < end:
            continue
        half = timedelta(seconds=wanted_seconds / 2)
        first = max(start, min(at - half, end - 2 * half))
        found = tuple(
            segment
            for segment in run
            if segment.started_at is not None
            and segment.ended_at is not None
            and segment.ended_at > first
            and segment.started_at < first + 2 * half
        )
        return found if total_seconds(found) >= enough_seconds else ()
    return ()


def last_seconds(run: Sequence[Segment], wanted_seconds: float) -> tuple[Segment, ...]:
    """The fewest segments from the end of a run that make up `wanted_seconds`; all of them when they do not."""
    taken: list[Segment] = []
    total = 0.0
    for segment in reversed(run):
        if total >= wanted_seconds - 0.05:  # segments of "2 s" are a few ms off
            break
        taken.append(segment)
        total += segment.duration_seconds
    return tuple(reversed(taken))


def total_seconds(segments: Sequence[Segment]) -> float:
    """The sum of the segments' durations, in seconds."""
    return sum(segment.duration_seconds for segment in segments)
