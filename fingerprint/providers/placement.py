"""Where a song is heard, as providers tell it: checked, and in the one form that answers have."""

import re
from typing import Final, TypedDict

from fingerprint.providers.reading import number
from fingerprint.providers.samples import SAMPLE_SECONDS

SLACK_SECONDS: Final = 1.0
"""How far a moment may lie behind an end: services round, and one release may be longer than another."""

_CLOCK: Final = re.compile(r"(?:(\d{1,3}):(?=\d{2}:))?(\d{1,3}):(\d{2}(?:\.\d{1,6})?)", re.ASCII)


class Place(TypedDict):
    """The fields of a `Song` that say where it is heard."""

    duration_seconds: float | None
    offset_seconds: float | None
    position_seconds: float


def place(offset: float | None, *, duration: float | None, start: float) -> Place:
    """The place of a song whose sample begins `start` seconds into the recording, `offset` seconds into the song.

    A negative offset means that the song begins within the sample: it is heard from there on, from its start. An
    offset behind the song's end, or of a song that begins after the sample, is none; one a moment behind the end
    is the end.
    """
    duration = None if duration is None or duration <= 0 else round(duration, 3)
    position = start
    if offset is not None and offset < 0:
        offset, position = (0.0, start - offset) if offset >= -SAMPLE_SECONDS - SLACK_SECONDS else (None, start)
    if offset is not None and duration is not None and offset > duration:
        offset = duration if offset <= duration + SLACK_SECONDS else None
    return Place(
        duration_seconds=duration,
        offset_seconds=None if offset is None else round(offset, 3),
        position_seconds=round(position, 3),
    )


def aligned_offset(
    song: float | None, sample: float | None, *, duration: float | None, sample_seconds: float
) -> float | None:
    """How far into the song the sample begins, when the moment `song` in it is at `sample`; all in seconds.

    Negative when the song begins within the sample; None when a value is missing or cannot be.
    """
    if song is None or sample is None or song < 0 or not 0 <= sample <= sample_seconds + SLACK_SECONDS:
        return None
    if duration is not None and 0 < duration < song - SLACK_SECONDS:
        return None
    return song - sample


def clock_seconds(value: object) -> float | None:
    """The seconds in `mm:ss` or `h:mm:ss`, or a number of seconds; None for anything else."""
    found = _CLOCK.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        seconds = number(value)
        return None if seconds is None or seconds < 0 else seconds
    hours, minutes, second = int(found[1] or 0), int(found[2]), float(found[3])
    if second >= 60 or (found[1] and minutes >= 60):
        return None
    return 3600.0 * hours + 60.0 * minutes + second
