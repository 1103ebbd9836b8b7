"""Selects a live playlist's segments to listen to, and detects advertisements, without I/O.

Stitched ads are in the same playlist as the stream. They are recognized by a date range of class
`twitch-stitched-ad`, which nearly always comes and may come early, or by the segment's title, which nearly always
has the form `Amazon|<creative>` where content has `live`; either sign is enough.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from fingerprint.hls.attributes import later, seconds
from fingerprint.hls.playlist import DateRange, MediaPlaylist, Segment

_AD_KIND: Final = "twitch-stitched-ad"
_AD_ID: Final = "stitched-ad-"
_MIN_OVERLAP: Final = timedelta(seconds=0.25)
"""A segment that overlaps an ad's date range by less than this is no ad: the times are rounded."""

_MAX_POD_SECONDS: Final = 900.0


def stitched_ads(playlist: MediaPlaylist) -> tuple[DateRange, ...]:
    """The date ranges in which ads replace the stream."""
    return tuple(found for found in playlist.date_ranges if found.kind == _AD_KIND or found.id.startswith(_AD_ID))


def is_ad(segment: Segment, ads: Sequence[DateRange]) -> bool:
    """Whether a segment belongs to one of the `stitched_ads`, by its title or by its time."""
    if "|" in segment.title or "amazon" in segment.title.lower():
        return True
    if segment.started_at is None or segment.ended_at is None:
        return False
    return any(
        min(segment.ended_at, ad.ended_at) - max(segment.started_at, ad.started_at) > _MIN_OVERLAP for ad in ads
    )


def content_runs(playlist: MediaPlaylist) -> tuple[tuple[Segment, ...], ...]:
    """Runs of consecutive content segments, oldest first, split at ads, gaps and changes of the init section."""
    ads = stitched_ads(playlist)
    runs: list[list[Segment]] = []
    previous: Segment | None = None
    for segment in playlist.segments:
        if is_ad(segment, ads):
            previous = None
            continue
        if previous is not None and previous.init == segment.init:
            runs[-1].append(segment)
        else:
            runs.append([segment])
        previous = segment
    return tuple(tuple(run) for run in runs)


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


def next_content(playlist: MediaPlaylist) -> str | None:
    """The URI of the segment that is being produced, when it continues the content of the last listed segment.

    None when an ad is running, or is announced for that segment's time; its length is taken to be the last one's.
    """
    if not playlist.prefetch or not playlist.segments or playlist.ended:
        return None
    ads = stitched_ads(playlist)
    last = playlist.segments[-1]
    begins = last.ended_at
    ends = None if begins is None else later(begins, last.duration_seconds)
    if is_ad(last, ads):
        return None
    if ads and (begins is None or ends is None or any(_may_touch(ad, begins, ends) for ad in ads)):
        return None
    return playlist.prefetch[0]


def _may_touch(ad: DateRange, begins: datetime, ends: datetime) -> bool:
    return ad.started_at < ends and (ad.duration_seconds is None or ad.ended_at > begins)


def total_seconds(segments: Sequence[Segment]) -> float:
    """The sum of the segments' durations, in seconds."""
    return sum(segment.duration_seconds for segment in segments)


def ad_is_running(playlist: MediaPlaylist) -> bool:
    """Whether the newest segment is an ad."""
    return bool(playlist.segments) and is_ad(playlist.segments[-1], stitched_ads(playlist))


def ad_seconds_left(playlist: MediaPlaylist) -> float | None:
    """How long ads continue after the last listed segment, by the playlist's clock; None when unknown."""
    ads = stitched_ads(playlist)
    listed_until = playlist.segments[-1].ended_at if playlist.segments else None
    if not ads or listed_until is None:
        return None
    first = min(ads, key=lambda ad: ad.started_at)
    pod = seconds(first.attributes.get("X-TV-TWITCH-AD-POD-FILLED-DURATION", ""), most=_MAX_POD_SECONDS)
    pod_ends_at = later(first.started_at, pod or 0.0) or first.started_at
    ends_at = max(pod_ends_at, *(ad.ended_at for ad in ads))
    return max(0.0, (ends_at - listed_until).total_seconds())
