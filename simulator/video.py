"""A VOD, highlight or upload: its switches and its program."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from simulator.channel import Channel
from simulator.clock import SimulatedClock
from simulator.content import VideoPlan
from simulator.disorder import MediaSwitches
from simulator.faults import FaultPlan
from simulator.media import TICKS
from simulator.program import Program
from simulator.switches import check_shape, switched

MAX_VIDEO_SECONDS: Final = 1_000_000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoSwitches(MediaSwitches):
    """The behavior of a VOD. `recording`: it grows with the clock, from `recorded_seconds` on.

    `paused_at`, `paused_seconds`: so many seconds after its start the stream dropped for so long, which the VOD
    leaves out. `muted_from`, `muted_seconds`: this part of it is muted as well, which Twitch may do at any time.
    `byte_ranges`: its segments are ranges of one file. `sound_gone`: Twitch still lists it, but its
    playlists and segments are gone.
    """

    segment_seconds: float = 10.0
    sound_gone: bool = False
    paused_at: float = 0.0
    paused_seconds: float = 0.0
    muted_from: float = 0.0
    muted_seconds: float = 0.0
    byte_ranges: bool = False
    missing: bool = False
    subscriber_only: bool = False
    geoblocked: bool = False
    recording: bool = False
    recorded_seconds: float = 30.0
    audio: str = "listed"
    token_names: str = "both"  # noqa: S105 - likewise

    def check(self) -> None:
        self.check_media()
        check_shape(self.audio, self.token_names)
        for name in ("recorded_seconds", "paused_at", "paused_seconds", "muted_from", "muted_seconds"):
            if not 0 <= getattr(self, name) <= MAX_VIDEO_SECONDS:
                raise ValueError(f"{name} must be 0..{MAX_VIDEO_SECONDS:g}")

    def pause_before(self, seconds: float) -> float:
        """How much longer the broadcast had gone on at a second of the VOD."""
        return self.paused_seconds if self.paused_seconds and seconds >= self.paused_at else 0.0

    def discontinuity(self, number: int) -> bool:
        """Whether the playlist announces that a segment does not follow the previous one: also after the pause."""
        start = number * self.segment_seconds
        resumes = self.pause_before(start) != self.pause_before(start - self.segment_seconds)
        return number > 0 and (resumes or MediaSwitches.discontinuity(self, number))


@dataclass(slots=True)
class Video:
    """A VOD, its switches and its programme. `live`: the channel whose broadcast it is the recording of."""

    plan: VideoPlan
    program: Program
    root: str
    created_at: datetime
    clock: SimulatedClock
    recording_since: float = 0.0
    live: Channel | None = None
    switches: VideoSwitches = field(default_factory=VideoSwitches)
    faults: FaultPlan = field(default_factory=FaultPlan)

    def reset(self) -> None:
        """Restore the switches and faults of the start."""
        self.switches = VideoSwitches(recording=self.live is not None)
        self.faults.clear()

    def configure(self, **changes: bool | float | str) -> None:
        """Set switches by name. Raises SwitchError and changes nothing when one is wrong."""
        changed = switched(self.switches, changes)
        if changed.recording and not self.switches.recording:
            self.recording_since = self.clock.time()
        self.switches = changed

    @property
    def is_recording(self) -> bool:
        """Whether it may grow: a recording of a broadcast that has ended does not."""
        ended = self.live is not None and self.live.recording_id != self.plan.video_id
        return self.switches.recording and not ended

    @property
    def recorded_seconds(self) -> float:
        """How many seconds have been recorded so far."""
        if self.live is not None:
            lag = self.live.switches.record_lag_seconds if self.is_recording else 0.0
            passed = max(0.0, self.live.recorded_ticks(self.plan.video_id) / TICKS - lag)
            return passed - min(self.switches.paused_seconds, max(0.0, passed - self.switches.paused_at))
        if not self.switches.recording:
            return self.program.seconds
        grown = self.clock.time() - self.recording_since + self.switches.recorded_seconds
        return min(self.program.seconds, max(0.0, grown))

    def is_muted(self, start: float, end: float) -> bool:
        """Whether a range in seconds is muted."""
        if self.live is not None and self.live.switches.recording_muted:
            return True
        more = (self.switches.muted_from, self.switches.muted_from + self.switches.muted_seconds)
        return any(first < end and start < last for first, last in (*self.plan.muted, more))
