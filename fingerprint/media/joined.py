"""Consecutive segments, joined to media that can be decoded."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from fingerprint.hls.live import total_seconds
from fingerprint.hls.playlist import Segment
from fingerprint.hls.timing import TimedSegment, clock_difference
from fingerprint.media.ahead import DecodingAhead
from fingerprint.media.containers import (
    clock_wrap,
    container_of,
    first_timestamp,
)
from fingerprint.media.fragment_filter import FragmentError, FragmentFilter, SoundTracks
from fingerprint.media.sound_filter import SoundFilter

EXTRA_SECONDS: Final = 10.0
"""More seconds than a segment that is still being produced ever contains."""
_MAX_GAP_SECONDS: Final = 1.0
"""How far the timestamps of one segment may be from the end of the one before it."""


@dataclass(frozen=True, slots=True)
class Head:
    """An init section, as it came; `tracks` if it has a picture that is left out."""

    content: bytes = field(repr=False)
    tracks: SoundTracks | None = None

    @property
    def sound(self) -> bytes:
        """What is decoded of it."""
        return self.content if self.tracks is None else self.tracks.sound_head


NO_HEAD: Final = Head(b"")


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaPart:
    """Consecutive segments with the same init section, joined to one piece of media.

    `container` is FFmpeg's name of its format. `offsets` says where each segment begins in `encoded`. `timed` has
    their times, which count from the start of the whole recording's first segment by the playlist.
    """

    timed: Sequence[TimedSegment]
    encoded: bytes = field(repr=False)
    offsets: Sequence[int]
    container: str

    @property
    def duration_seconds(self) -> float:
        """The sum of the segments' durations in the playlist."""
        return sum(segment.duration_seconds for segment in self.timed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """Consecutive segments, joined to one part, or to several where the init section changes.

    `failed` are the wanted segments that did not come, by sequence number. Up to `extra_seconds` may follow the
    last part: the beginning of a segment that is still being produced. `decoding` of the only part is under way if
    it could begin while the segments were fetched.
    """

    segments: Sequence[Segment]
    parts: Sequence[MediaPart]
    failed: frozenset[int] = frozenset()
    extra_seconds: float = 0.0
    decoding: DecodingAhead | None = field(default=None, repr=False)

    @property
    def duration_seconds(self) -> float:
        """The sum of the segments' durations in the playlist."""
        return total_seconds(self.segments)

    @property
    def timed(self) -> list[TimedSegment]:
        """The times of all segments."""
        return [segment for part in self.parts for segment in part.timed]

    @property
    def encoded(self) -> tuple[bytes, str] | tuple[None, None]:
        """The media and its container; None where it is not in one part."""
        return (self.parts[0].encoded, self.parts[0].container) if len(self.parts) == 1 else (None, None)

    def abandon(self) -> None:
        """Discard its sound, and end its decoding if that is under way."""
        if self.decoding is not None:
            self.decoding.abandon()


async def sound_of(content: bytes, tracks: SoundTracks | None) -> bytes:
    """The beginning of a segment without its picture, if that can be left out."""

    async def known() -> SoundTracks | None:
        return tracks

    sound = SoundFilter() if tracks is None else FragmentFilter(known)
    try:
        return await sound.feed(content) + sound.finish()
    except FragmentError:
        return b""


def continues(last: TimedSegment, content: bytes, container: str, head: Head) -> bool:
    """Whether what has come of a segment follows the last one: in the same container and on the same clock.

    An advertisement may be made in place of the stream before anything announces it, and has a clock of its own.
    """
    same = content.startswith(b"\x47")
    if container != "mpegts":
        same = container_of(content, has_init=container == "mp4") == container
    if not same:
        return False
    if last.first_timestamp is None:
        return True
    first = first_timestamp(content, container, head=head.content)
    if first is None:
        return False
    wrap = clock_wrap(container)
    passed = clock_difference(first, last.first_timestamp, near=last.duration_seconds, wrap=wrap)
    return abs(passed - last.duration_seconds) < _MAX_GAP_SECONDS


def stretch_of(ordered: Sequence[Segment], came: Mapping[int, bytes], holding: Segment | None) -> list[Segment]:
    """The run without a gap that contains `holding`, if it came, or else the longest one."""
    stretches: list[list[Segment]] = [[]]
    for segment in ordered:
        if segment.sequence not in came:
            continue
        last = stretches[-1][-1] if stretches[-1] else None
        if last is not None and last.sequence + 1 != segment.sequence:
            stretches.append([])
        stretches[-1].append(segment)
    return next((each for each in stretches if holding in each), max(reversed(stretches), key=total_seconds))
