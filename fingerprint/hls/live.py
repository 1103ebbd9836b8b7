"""Selects a live playlist's segments to listen to, without I/O. `hls.ads` says which segments are content."""

from collections.abc import Sequence

from fingerprint.hls.ads import content_runs
from fingerprint.hls.playlist import MediaPlaylist, Segment


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
