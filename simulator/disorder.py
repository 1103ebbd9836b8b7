"""Switches of channels and VODs for segments and playlists that do not agree, or cannot be had. No I/O."""

import re
from dataclasses import dataclass
from typing import Final

from simulator.media import FPS, TICKS

_NUMBERS: Final = re.compile(r"every [1-9][0-9]{0,3}|[0-9]{1,9}(-[0-9]{1,9})?(,[0-9]{1,9}(-[0-9]{1,9})?)*")
_JUMP_SECONDS: Final = 7_919
_JUMPS_WITHIN_SECONDS: Final = 90_000
_KEY: Final = '#EXT-X-KEY:METHOD=SAMPLE-AES,URI="skd://sim",KEYFORMAT="com.apple.streamingkeydelivery"'
BROKEN: Final = ("missing", "empty", "html")
MIN_SEGMENT_SECONDS: Final = 1.0
MAX_SEGMENT_SECONDS: Final = 12.0
MAX_PICTURE_MBIT: Final = 50.0


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaSwitches:
    """The switches of segments and media playlists that channels and VODs have in common.

    Segments are counted from 0 at the start of the broadcast or VOD. `broken` says which ones are not served:
    numbers such as `3,5-7`, or `every 4`; `encrypted` and `gaps` likewise, which the playlist tells.
    `durations_off`: by which part of itself each duration in the playlist is wrong.
    """

    segment_seconds: float
    fragmented: bool = False
    picture_mbit: float = 0.0
    rounded_durations: bool = False
    durations_off: float = 0.0
    broken: str = ""
    broken_as: str = "missing"
    encrypted: str = ""
    gaps: str = ""
    late_every: int = 0
    late_seconds: float = 1.0
    first_timestamp: float = 10.0
    clock_jumps_every: int = 0
    clock_jumps_tagged: bool = True
    inits_every: int = 0
    inits_tagged: bool = False

    def check_media(self) -> None:
        """Raise ValueError for values that make no sense."""
        if not MIN_SEGMENT_SECONDS <= self.segment_seconds <= MAX_SEGMENT_SECONDS:
            raise ValueError(f"segment_seconds must be {MIN_SEGMENT_SECONDS:g}..{MAX_SEGMENT_SECONDS:g}")
        if not -0.5 <= self.durations_off <= 0.5:
            raise ValueError("durations_off must be -0.5..0.5")
        if not 0 <= self.picture_mbit <= MAX_PICTURE_MBIT:
            raise ValueError(f"picture_mbit must be 0..{MAX_PICTURE_MBIT:g}")
        for name in ("broken", "encrypted", "gaps"):
            if getattr(self, name) and not _NUMBERS.fullmatch(getattr(self, name)):
                raise ValueError(f"{name} takes numbers of segments, such as 3,5-7, or every N")
        if self.broken_as not in BROKEN:
            raise ValueError(f"broken_as must be one of {', '.join(BROKEN)}")
        for name in ("late_every", "clock_jumps_every", "inits_every"):
            if not 0 <= getattr(self, name) <= 10_000:
                raise ValueError(f"{name} must be 0..10000")
        if not 0 <= self.late_seconds <= MAX_SEGMENT_SECONDS:
            raise ValueError(f"late_seconds must be 0..{MAX_SEGMENT_SECONDS:g}")
        if not 0 <= self.first_timestamp <= _JUMPS_WITHIN_SECONDS + 10_000:
            raise ValueError("first_timestamp must be 0..100000")

    def is_broken(self, number: int) -> bool:
        """Whether a segment cannot be had."""
        return _holds(self.broken, number) or _holds(self.gaps, number)

    def is_encrypted(self, number: int) -> bool:
        """Whether a segment is protected against copying."""
        return _holds(self.encrypted, number)

    def tags(self, number: int, before: int | None) -> list[str]:
        """The tags of a segment about encryption and gaps; `before`: the number of the one listed before it."""
        encrypted = self.is_encrypted(number)
        lines: list[str] = []
        if encrypted != (before is not None and self.is_encrypted(before)):
            lines.append(_KEY if encrypted else "#EXT-X-KEY:METHOD=NONE")
        if _holds(self.gaps, number):
            lines.append("#EXT-X-GAP")
        return lines

    @property
    def picture_bytes(self) -> int:
        """How many bytes are added to each picture."""
        return round(self.picture_mbit * 1e6 / 8 / FPS)

    def late_ticks(self, number: int) -> int:
        """How long a segment's picture has no sound at first."""
        late = self.late_every and number % self.late_every == 0
        return round(self.late_seconds * TICKS) if late else 0

    def clock(self, number: int) -> int:
        """The timestamp, in ticks, that the start of the broadcast has on the clock of a segment."""
        jumps = number // self.clock_jumps_every if self.clock_jumps_every else 0
        jumped = jumps * _JUMP_SECONDS % _JUMPS_WITHIN_SECONDS
        # fMP4 from Twitch counts from the start of the broadcast.
        return round(((0.0 if self.fragmented else self.first_timestamp) + jumped) * TICKS)

    def init_number(self, number: int) -> int:
        """Which init section a segment needs."""
        return number // self.inits_every if self.inits_every else 0

    def discontinuity(self, number: int) -> bool:
        """Whether the playlist announces that a segment does not follow the previous one."""
        jumps = self.clock_jumps_tagged and self.clock_jumps_every and number % self.clock_jumps_every == 0
        new = self.inits_tagged and self.inits_every and number % self.inits_every == 0
        return number > 0 and bool(jumps or new)

    def duration_text(self, ticks: int) -> str:
        """A segment's duration as the playlist has it."""
        seconds = ticks / TICKS * (1 + self.durations_off)
        return f"{int(seconds + 0.5)}" if self.rounded_durations else f"{seconds:.3f}"


def _holds(numbers: str, number: int) -> bool:
    """Whether a number is among `numbers`, such as `3,5-7` or `every 4`."""
    if not numbers:
        return False
    if numbers.startswith("every "):
        return number % int(numbers[6:]) == 0
    spans = (part.partition("-") for part in numbers.split(","))
    return any(int(first) <= number <= int(last or first) for first, _, last in spans)
