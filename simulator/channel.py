"""A broadcasting channel: its switches, time, ad breaks and viewing sessions."""

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from simulator.ad_signs import AdSigns
from simulator.channel_switches import ChannelSwitches
from simulator.clock import SimulatedClock
from simulator.content import ChannelPlan
from simulator.faults import FaultPlan
from simulator.media import TICKS
from simulator.program import NowPlaying, Program
from simulator.switches import switched
from simulator.timeline import Piece, Pod, add_pod, pieces

SEGMENT_GRACE_SECONDS: Final = 30.0
PREFETCHED_SEGMENTS: Final = 2
ORDINARY_SEGMENTS: Final = 6
"""How many segments a playlist lists at most without `fast_bread`."""


_LIVE_SINCE: Final = 9_994.338


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One viewing session, as stored in a playlist's address. `joined` is in ticks of the broadcast.

    `fast`: it was begun with `fast_bread=true`. `broadcast`: what it is a session of.
    """

    id: str
    rendition: str
    joined: int
    broadcast: int
    preroll: int = 0
    fast: bool = False


class Channel:
    """A channel and its broadcast, which began some hours before the simulator started."""

    def __init__(self, plan: ChannelPlan, program: Program, clock: SimulatedClock) -> None:
        self.plan = plan
        self.program: Final = program
        self.faults: Final = FaultPlan()
        self._clock = clock
        self._pods: tuple[Pod, ...] = ()
        self._stopped_at: int | None = None
        self._first_started_at: Final = round(clock.time() - _LIVE_SINCE - plan.user_id % 61, 3)
        self._recorded: list[int] = []
        self.switches = ChannelSwitches()
        self.reset()

    @property
    def login(self) -> str:
        """The channel's login, in lower case."""
        return self.plan.login

    @property
    def live(self) -> bool:
        """Whether usher serves its playlists."""
        return not (self.switches.offline or self.switches.missing or self.gone)

    @property
    def broadcast_id(self) -> int:
        """Twitch's number of the broadcast, which is another one after each `restart`."""
        return 40_000_000_000 + self.plan.user_id + 1_000_000_000 * len(self._recorded)

    @property
    def grid(self) -> int:
        """The length of a segment in ticks."""
        seconds = self.switches.segment_seconds
        return 25 * TICKS // 6 if seconds == 4.167 else round(seconds * TICKS)

    @property
    def recording_id(self) -> str:
        """The id of the VOD that Twitch makes of the broadcast while it is live."""
        return str(2_300_000_000 + self.plan.user_id % 100_000_000 + 100_000_000 * len(self._recorded))

    def recorded_ticks(self, recording_id: str) -> int:
        """How long a recording is of one of its broadcasts, of which the newest goes on."""
        number = (int(recording_id) - 2_300_000_000) // 100_000_000
        return self._recorded[number] if number < len(self._recorded) else self.ticks

    def restart(self) -> None:
        """End the broadcast, with its playlists, and begin another one, as when a streamer's software crashes."""
        self._recorded.append(self.ticks)
        self._pods = ()
        self._stopped_at = None
        self.started_at = round(self._clock.time(), 3)

    def reset(self) -> None:
        """Restore the switches, faults and broadcast of the start."""
        self.faults.clear()
        self._recorded = []
        self.started_at = self._first_started_at
        self._pods = ()
        self._stopped_at = None
        self.switches = ChannelSwitches(offline=not self.plan.live, audio=self.plan.audio)

    def configure(self, **changes: bool | float | str) -> None:
        """Set switches by name. Raises SwitchError and changes nothing when one is wrong."""
        changed = switched(self.switches, changes)
        stands = changed.stalled or changed.ended
        if stands and self._stopped_at is None:
            self._stopped_at = self._running_ticks()
        elif not stands:
            self._stopped_at = None
        self.switches = changed

    # --- time -----------------------------------------------------------------------------------------

    def _running_ticks(self, at: float | None = None) -> int:
        return max(0, int(((self._clock.time() if at is None else at) - self.started_at) * TICKS))

    @property
    def ticks(self) -> int:
        """The broadcast's time in ticks; it stops when the channel is stalled or has ended."""
        return self._running_ticks() if self._stopped_at is None else self._stopped_at

    @property
    def gone(self) -> bool:
        """Whether the broadcast ended so long ago that its playlists are no longer served."""
        if not self.switches.ended or self._stopped_at is None:
            return False
        return self._running_ticks() - self._stopped_at > self.switches.end_list_seconds * TICKS

    def moment(self, ticks: int) -> datetime:
        """The wall-clock time of a position in ticks."""
        return datetime.fromtimestamp(self.started_at + ticks / TICKS, UTC)

    def listed_moment(self, ticks: int) -> datetime:
        """The date that a playlist gives a position: the true one, or one that drifts within each minute."""
        drift = self.switches.date_drift * (ticks % (60 * TICKS)) // 60
        return self.moment(ticks + round(drift))

    # --- ads ------------------------------------------------------------------------------------------

    def start_ad(self, seconds: float = 30.0, *, started_ago: float = 0.0) -> Pod:
        """Start an ad break for all viewers at the next segment, or `started_ago` seconds ago."""
        if not 1 <= seconds <= 600 or not 0 <= started_ago <= 600:
            raise ValueError("an ad takes 1..600 s and began at most 600 s ago")
        at = max(0, self.ticks - round(started_ago * TICKS))
        start = at // self.grid * self.grid if started_ago else -(-at // self.grid) * self.grid
        pod = Pod(start, start + round(seconds * TICKS))
        self._pods = add_pod(self._pods, pod)
        return pod

    @property
    def pods(self) -> tuple[Pod, ...]:
        """The ad breaks that all viewers see."""
        return self._pods

    @property
    def ad_signs(self) -> AdSigns:
        """How its playlists tell ads and content apart."""
        switches = self.switches
        return AdSigns(
            shape=switches.ad_shape,
            overstated=round(switches.ad_overstated_seconds * TICKS),
            unannounced=switches.ad_unannounced,
            content_title=switches.content_title,
            date_range_class=switches.date_range_class,
        )

    def listed_date(self, piece: Piece) -> datetime:
        """The date of a segment in a playlist."""
        switches = self.switches
        jumps = switches.date_jumps_every
        ahead = switches.date_jump_seconds if jumps and piece.sequence // jumps % 2 else 0.0
        return self.listed_moment(piece.start) + timedelta(seconds=ahead)

    # --- sessions -------------------------------------------------------------------------------------

    def join(self, rendition: str, *, fast: bool = False) -> Session:
        """A new session, at the present time. With pre-rolls on, its first three segments are ads already."""
        preroll = round(self.switches.preroll_seconds * TICKS)
        return Session(
            id=secrets.token_hex(8),
            rendition=rendition,
            joined=self.ticks,
            broadcast=self.broadcast_id,
            preroll=preroll,
            fast=fast,
        )

    def session_pods(self, session: Session) -> tuple[Pod, ...]:
        """The ad breaks that a session sees."""
        if not session.preroll:
            return self._pods
        start = max(0, (session.joined // self.grid - 3) * self.grid)
        return add_pod(self._pods, Pod(start, start + session.preroll, "PREROLL"))

    def listed(self, session: Session) -> list[Piece]:
        """The finished segments in the window, oldest first."""
        pods = self.session_pods(session)
        now = self.ticks
        wanted = self.switches.window_segments
        if not session.fast:
            wanted = min(wanted, ORDINARY_SEGMENTS)
        found = pieces(now - (wanted + 2) * self.grid, now, grid=self.grid, pods=pods)
        preroll = next((pod for pod in pods if pod.roll == "PREROLL"), None)
        if preroll is not None:
            found = [piece for piece in found if piece.start >= preroll.start]
        return found[-wanted:]

    def upcoming(self, session: Session, count: int = PREFETCHED_SEGMENTS) -> list[Piece]:
        """The next `count` segments after the listed ones, which only `fast` sessions are told of."""
        if not session.fast:
            return []
        now = self.ticks
        ahead = pieces(now, now + (count + 1) * self.grid, grid=self.grid, pods=self.session_pods(session))
        return [piece for piece in ahead if piece.end > now][:count]

    def servable(self, start: int, end: int) -> bool:
        """Whether a segment is in the window, will be soon, or left it a short while ago."""
        now = self._running_ticks() if not self._stopped_at else self._stopped_at
        oldest = now - (self.switches.window_segments + 2) * self.grid - int(SEGMENT_GRACE_SECONDS * TICKS)
        return start >= oldest and end <= now + (PREFETCHED_SEGMENTS + 1) * self.grid

    def playing_at(self, at: datetime | None = None) -> NowPlaying | None:
        """The song heard in the segment that covers a time (default: now); None during an ad break."""
        ticks = self._running_ticks(None if at is None else at.timestamp())
        if any(pod.start <= ticks < pod.end for pod in self._pods):
            return None
        return self.program.at(ticks)
