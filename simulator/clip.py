"""A clip: its switches and its file."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from simulator.content import ClipPlan
from simulator.faults import FaultPlan
from simulator.program import NowPlaying
from simulator.switches import switched


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipSwitches:
    """The behavior of a clip. `expired_status`: the file server's status for an expired token.

    `sound_from`: its first so many seconds are a picture without sound. `offset`: where it begins in the recording
    of its channel's broadcast, in seconds; -1 when Twitch does not tell. `picture_mib`: how much is added to its
    picture. `description_last`: what describes its file (`moov`) is at the end.
    """

    missing: bool = False
    not_ready: bool = False
    subscriber_only: bool = False
    empty_source_urls: bool = False
    no_portrait: bool = False
    hevc_top: bool = True
    unsigned_status: int = 404
    expired_status: int = 403
    sound_from: float = 0.0
    offset: float = -1.0
    picture_mib: int = 0
    description_last: bool = False

    @property
    def remuxing(self) -> dict[str, Any]:
        """What is to be done to its file: arguments of `remuxed`; empty when it is as usual."""
        changes = {name: getattr(self, name) for name in ("sound_from", "picture_mib", "description_last")}
        return changes if any(changes.values()) else {}

    def check(self) -> None:
        if not 0 <= self.picture_mib <= 300:
            raise ValueError("picture_mib must be 0..300")
        if not (self.offset == -1 or 0 <= self.offset <= 200_000):
            raise ValueError("offset must be 0..200000, or -1")
        if not 0 <= self.sound_from <= 60:
            raise ValueError("sound_from must be 0..60")
        if self.unsigned_status not in (403, 404) or self.expired_status not in (403, 404):
            raise ValueError("unsigned_status and expired_status must be 403 or 404")


@dataclass(slots=True)
class Clip:
    """A clip, its switches and its file."""

    plan: ClipPlan
    content: bytes = field(repr=False)
    seconds: float
    created_at: datetime
    switches: ClipSwitches = field(default_factory=ClipSwitches)
    faults: FaultPlan = field(default_factory=FaultPlan)

    def reset(self) -> None:
        """Restore the switches and faults of the start."""
        self.switches = ClipSwitches()
        self.faults.clear()

    def configure(self, **changes: bool | float | str) -> None:
        """Set switches by name. Raises SwitchError and changes nothing when one is wrong."""
        self.switches = switched(self.switches, changes)

    def playing_at(self, seconds: float) -> NowPlaying:
        """The song heard at a moment of the clip."""
        left = seconds
        for item in self.plan.playlist.items:
            length = item.length / 48_000
            if left < length:
                return NowPlaying(song=item.song, offset_seconds=item.start_seconds + left)
            left -= length
        raise ValueError(f"the clip is {self.seconds} s long")
