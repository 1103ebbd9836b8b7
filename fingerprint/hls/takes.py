"""Selects the pieces of a live playlist to recognize when the newest seconds gave no match, without I/O."""

from collections.abc import Sequence
from typing import Final

from fingerprint.hls.ads import content_runs
from fingerprint.hls.live import total_seconds
from fingerprint.hls.playlist import MediaPlaylist, Segment

MAX_EARLIER_TAKES: Final = 3
"""Pieces of 12 s that cover Twitch's window of 30 s."""


def earlier_takes(
    playlist: MediaPlaylist, taken: Sequence[Segment], *, take_seconds: float, enough_seconds: float
) -> list[tuple[Segment, ...]]:
    """Pieces of content of up to `take_seconds` (or one segment that is longer), newest first, three at most.

    The first one ends with what was `taken` already and reaches further back: a song that is not recognized
    from six seconds may be from twelve. The others lie before it and do not overlap, but for the oldest of a run,
    which is extended with what comes after it. Pieces shorter than `enough_seconds` are left out.
    """
    runs = content_runs(playlist)
    current = next((index for index, run in enumerate(runs) if taken[-1] in run), None)
    if current is None:
        return []
    found: list[tuple[Segment, ...]] = []
    for index in range(current, -1, -1):
        run = runs[index]
        left = run[: run.index(taken[-1]) + 1] if index == current else run
        while total_seconds(left) >= enough_seconds:
            piece = _last_within(left, take_seconds)
            left = left[: len(left) - len(piece)]
            if not left:
                piece = _first_within(run, take_seconds)
            if piece not in found and not set(piece) <= set(taken):
                found.append(piece)
    return found[:MAX_EARLIER_TAKES]


def later_take(
    playlist: MediaPlaylist, heard_until: Segment, *, new_seconds: float, take_seconds: float
) -> tuple[Segment, ...]:
    """The newest content, if at least `new_seconds` of its last run were not heard yet; otherwise empty."""
    runs = content_runs(playlist)
    if not runs:
        return ()
    new = [segment for segment in runs[-1] if _is_later(segment, heard_until)]
    return _last_within(runs[-1], take_seconds) if total_seconds(new) >= new_seconds - 0.05 else ()


def _is_later(segment: Segment, other: Segment) -> bool:
    """Compares dates where both segments have them: sequence numbers start over with a new session."""
    if segment.started_at is not None and other.started_at is not None:
        return segment.started_at > other.started_at
    return segment.sequence > other.sequence


def _last_within(run: Sequence[Segment], most_seconds: float) -> tuple[Segment, ...]:
    """The last segments that together last at most `most_seconds`; at least one."""
    return tuple(reversed(_first_within(tuple(reversed(run)), most_seconds)))


def _first_within(run: Sequence[Segment], most_seconds: float) -> tuple[Segment, ...]:
    """The first segments that together last at most `most_seconds`; at least one."""
    taken: list[Segment] = []
    total = 0.0
    for segment in run:
        total += segment.duration_seconds
        if taken and total > most_seconds + 0.05:  # segments of "2 s" are a few ms off
            break
        taken.append(segment)
    return tuple(taken)
