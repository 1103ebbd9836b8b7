"""The state of the simulated Twitch: broadcasting channels, clips, VODs, and the switches of each."""

import dataclasses
import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Final, Protocol, TypeVar

from simulator.accounts import Accounts
from simulator.ad_signs import AD_SHAPES, AdSigns
from simulator.clock import SimulatedClock
from simulator.content import ChannelPlan, ClipPlan, VideoPlan
from simulator.disorder import MediaSwitches
from simulator.faults import FaultPlan
from simulator.graphql_schema import TWITCH_SCHEMA
from simulator.media import TICKS, AacRing, Muxer
from simulator.program import NowPlaying, Program
from simulator.timeline import Piece, Pod, add_pod, pieces

SEGMENT_GRACE_SECONDS: Final = 30.0
PREFETCHED_SEGMENTS: Final = 2
ORDINARY_SEGMENTS: Final = 6
"""How many segments a playlist lists at most without `fast_bread`."""

DATES: Final = ("listed", "first", "none")

_LIVE_SINCE: Final = 9_994.338


class SwitchError(ValueError):
    """A switch does not exist, or does not take a value. The text names it."""


class Switches(Protocol):
    """A frozen dataclass of plain values that can validate itself."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    def check(self) -> None:
        """Raises ValueError for values that make no sense."""
        ...


S = TypeVar("S", bound=Switches)


def switched(switches: S, changes: Mapping[str, object]) -> S:
    """The switches with some changed. Raises SwitchError that names what is unknown or of the wrong type."""
    values: dict[str, object] = {item.name: getattr(switches, item.name) for item in dataclasses.fields(switches)}
    unknown = sorted(changes.keys() - values.keys())
    if unknown:
        raise SwitchError(f"there is no switch {', '.join(unknown)}; there are {', '.join(values)}")
    for name, value in changes.items():
        wanted = type(values[name])
        fits = isinstance(value, (int, float)) if wanted is float else isinstance(value, wanted)
        if not fits or (isinstance(value, bool) and wanted is not bool):
            raise SwitchError(f"{name} takes a {wanted.__name__}, not {value!r}")
    changed = dataclasses.replace(switches, **changes)
    try:
        changed.check()
    except ValueError as error:
        raise SwitchError(str(error)) from error
    return changed


def _check_shape(audio: str, token_names: str) -> None:
    """Raises ValueError for values that the two switches do not take."""
    if audio not in ("listed", "missing", "only", "apart"):
        raise ValueError("audio must be listed, missing, only or apart")
    if token_names not in ("token", "nauth", "both"):
        raise ValueError("token_names must be token, nauth or both")


MAX_VIDEO_SECONDS: Final = 1_000_000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelSwitches(MediaSwitches):
    """The behavior of a channel; `Channel.configure` changes it at any time.

    `segment_seconds`: Twitch was observed to use 2.0 and 4.167. `date_drift`: how many seconds the dates of a
    playlist get ahead of the sound in each minute of the broadcast. `dates`: which segments have one: all
    (`listed`), the `first` of the playlist, or `none`. `date_jumps_every`: so many segments long, in turns, they
    are right and `date_jump_seconds` ahead. `recorded`: there is a VOD of the broadcast, which is
    `record_lag_seconds` behind it; `recording_muted`: without any sound.
    """

    segment_seconds: float = 2.0
    date_drift: float = 0.0
    dates: str = "listed"
    date_jumps_every: int = 0
    date_jump_seconds: float = 60.0
    recorded: bool = True
    record_lag_seconds: float = 10.0
    recording_muted: bool = False
    offline: bool = False
    missing: bool = False
    subscriber_only: bool = False
    geoblocked: bool = False
    stalled: bool = False
    ended: bool = False
    end_list_seconds: float = 30.0
    preroll_seconds: float = 0.0
    ad_shape: str = "recorded"
    ad_overstated_seconds: float = 0.0
    ad_unannounced: bool = False
    content_title: str = "live"
    date_range_class: str = ""
    window_segments: int = 15
    prefetch: bool = True
    audio: str = "listed"
    audio_with_video: bool = False
    token_names: str = "token"  # noqa: S105 - the name of a parameter
    sequence_offset: int = 0
    discontinuity_every: int = 0
    portrait: bool = False
    session_data: bool = False
    enhanced: bool = False

    def check(self) -> None:
        self.check_media()
        self._check_dates()
        if not 0 <= self.record_lag_seconds <= 600:
            raise ValueError("record_lag_seconds must be 0..600")
        if not 1 <= self.window_segments <= 60:
            raise ValueError("window_segments must be 1..60")
        _check_shape(self.audio, self.token_names)
        if self.ad_shape not in AD_SHAPES:
            raise ValueError(f"ad_shape must be one of {', '.join(AD_SHAPES)}")
        if not 0 <= self.ad_overstated_seconds <= 600:
            raise ValueError("ad_overstated_seconds must be 0..600")
        for name, text in (("content_title", self.content_title), ("date_range_class", self.date_range_class)):
            if len(text) > 200 or not text.isprintable() or '"' in text:
                raise ValueError(f"{name} takes up to 200 printable characters without quotes")
        if not 0 <= self.preroll_seconds <= 600:
            raise ValueError("preroll_seconds must be 0..600")
        if not 0 <= self.discontinuity_every <= 60:
            raise ValueError("discontinuity_every must be 0..60")
        if not 0 <= self.end_list_seconds <= 3600:
            raise ValueError("end_list_seconds must be 0..3600")

    def _check_dates(self) -> None:
        if not -1 <= self.date_drift <= 1:
            raise ValueError("date_drift must be -1..1")
        if self.dates not in DATES:
            raise ValueError(f"dates must be one of {', '.join(DATES)}")
        if not 0 <= self.date_jumps_every <= 10_000:
            raise ValueError("date_jumps_every must be 0..10000")
        if not -3600 <= self.date_jump_seconds <= 3600:
            raise ValueError("date_jump_seconds must be -3600..3600")


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One viewing session, as stored in a playlist's address. `joined` is in ticks of the broadcast.

    `fast`: it was begun with `fast_bread=true`.
    """

    id: str
    rendition: str
    joined: int
    preroll: int = 0
    fast: bool = False


class Channel:
    """A channel and its broadcast, which began some hours before the simulator started."""

    def __init__(self, plan: ChannelPlan, program: Program, clock: SimulatedClock) -> None:
        self.plan = plan
        self.program: Final = program
        self.faults: Final = FaultPlan()
        self.broadcast_id: Final = 40_000_000_000 + plan.user_id
        self._clock = clock
        self._pods: tuple[Pod, ...] = ()
        self._stopped_at: int | None = None
        self.started_at = round(clock.time() - _LIVE_SINCE - plan.user_id % 61, 3)
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
    def grid(self) -> int:
        """The length of a segment in ticks."""
        seconds = self.switches.segment_seconds
        return 25 * TICKS // 6 if seconds == 4.167 else round(seconds * TICKS)

    @property
    def recording_id(self) -> str:
        """The id of the VOD that Twitch makes of the broadcast while it is live."""
        return str(2_300_000_000 + self.plan.user_id % 100_000_000)

    def reset(self) -> None:
        """Restore the switches, faults and broadcast of the start."""
        self.faults.clear()
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
        return Session(id=secrets.token_hex(8), rendition=rendition, joined=self.ticks, preroll=preroll, fast=fast)

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


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoSwitches(MediaSwitches):
    """The behavior of a VOD. `recording`: it grows with the clock, from `recorded_seconds` on.

    `paused_at`, `paused_seconds`: so many seconds after its start the stream dropped for so long, which the VOD
    leaves out. `byte_ranges`: its segments are ranges of one file. `sound_gone`: Twitch still lists it, but its
    playlists and segments are gone.
    """

    segment_seconds: float = 10.0
    sound_gone: bool = False
    paused_at: float = 0.0
    paused_seconds: float = 0.0
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
        _check_shape(self.audio, self.token_names)
        for name in ("recorded_seconds", "paused_at", "paused_seconds"):
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
    def recorded_seconds(self) -> float:
        """How many seconds have been recorded so far."""
        if self.live is not None:
            passed = max(0.0, self.live.ticks / TICKS - self.live.switches.record_lag_seconds)
            return passed - min(self.switches.paused_seconds, max(0.0, passed - self.switches.paused_at))
        if not self.switches.recording:
            return self.program.seconds
        grown = self.clock.time() - self.recording_since + self.switches.recorded_seconds
        return min(self.program.seconds, max(0.0, grown))

    def is_muted(self, start: float, end: float) -> bool:
        """Whether a range in seconds is muted."""
        if self.live is not None and self.live.switches.recording_muted:
            return True
        return any(first < end and start < last for first, last in self.plan.muted)


@dataclass(slots=True)
class World:
    """Everything that exists on the simulated Twitch."""

    clock: SimulatedClock
    accounts: Accounts
    muxer: Muxer
    ad_ring: AacRing
    silence_ring: AacRing
    channels: dict[str, Channel]
    clips: dict[str, Clip]
    videos: dict[str, Video]
    faults: FaultPlan = field(default_factory=FaultPlan)
    removed_fields: frozenset[str] = frozenset()
    """The fields that Twitch has taken out of its GraphQL schema, such as `Clip.assets`."""

    _recordings: dict[int, Video] = field(default_factory=dict[int, Video], init=False, repr=False)
    """By their channel's number."""

    _logins: tuple[tuple[Channel | Clip | Video, str], ...] = field(init=False, repr=False)
    """Whose everything was at the start, before accounts were renamed."""

    def __post_init__(self) -> None:
        things = (*self.channels.values(), *self.clips.values(), *self.videos.values())
        self._logins = tuple((thing, thing.plan.login) for thing in things)

    def video(self, video_id: str) -> Video | None:
        """The VOD with an id, also one that is the recording of a live broadcast; None when there is none."""
        found = self.videos.get(video_id)
        if found is not None:
            return found
        channel = next((each for each in self.channels.values() if each.recording_id == video_id), None)
        return None if channel is None else self.recording(channel)

    def recording(self, channel: Channel) -> Video | None:
        """The VOD that is being made of a channel's broadcast; None when it makes none."""
        if not (channel.live and channel.switches.recorded):
            return None
        known = self._recordings.get(channel.plan.user_id)
        if known is None:
            plan = VideoPlan(
                video_id=channel.recording_id,
                login=channel.login,
                title=channel.plan.title,
                playlist=channel.plan.playlist,
            )
            digits = hashlib.sha256(plan.video_id.encode()).hexdigest()[:20]
            known = Video(
                plan=plan,
                program=channel.program,
                # Twitch writes the start in whole seconds.
                root=f"{digits}_{channel.login}_{channel.broadcast_id}_{int(channel.started_at)}",
                created_at=channel.moment(0),
                clock=self.clock,
                live=channel,
            )
            known.reset()
            self._recordings[channel.plan.user_id] = known
        return known

    def video_at(self, root: str) -> Video | None:
        """The VOD whose files are in a folder."""
        recordings = filter(None, map(self.recording, self.channels.values()))
        return next((video for video in (*self.videos.values(), *recordings) if video.root == root), None)

    def remove_fields(self, *names: str) -> None:
        """Take these fields, and no others, out of the GraphQL schema. Raises ValueError for unknown ones."""
        removed = frozenset(names)
        TWITCH_SCHEMA.without(removed)
        self.removed_fields = removed

    def reset(self) -> None:
        """Turn every switch and fault off, give all accounts their first logins, and set the clock."""
        self.removed_fields = frozenset()
        self.clock.reset()
        self.faults.clear()
        self.accounts.reset()
        self.channels.clear()
        self._recordings.clear()
        for thing, login in self._logins:
            _give(thing, login)
            if isinstance(thing, Channel):
                self.channels[login] = thing
            thing.reset()

    def rename(self, login: str, to: str) -> None:
        """Give an account another login, with its channel, clips and videos.

        Raises KeyError for an unknown login, ValueError for one that is taken or that no account can have.
        """
        self.accounts.rename(login, to)
        channel = self.channels.pop(login, None)
        if channel is not None:
            self.channels[to] = channel
        for thing in (channel, *self.clips.values(), *self.videos.values()):
            if thing is not None and thing.plan.login == login:
                _give(thing, to)

    def recycle(self, login: str, like: str) -> None:
        """Let a new person have a free login. Their channel broadcasts what the channel `like` does.

        Raises KeyError for an unknown channel, ValueError for a login that is taken or that no account can have.
        """
        model = self.channels[like]
        person = self.accounts.register(login)
        plan = dataclasses.replace(
            model.plan, login=login, display_name=person.display_name, user_id=int(person.user_id), live=True
        )
        self.channels[login] = Channel(plan, model.program, self.clock)

    def channel_by_id(self, user_id: str) -> Channel | None:
        """The channel with a numeric id, or None."""
        return next((channel for channel in self.channels.values() if str(channel.plan.user_id) == user_id), None)


def _give(thing: Channel | Clip | Video, login: str) -> None:
    """Let a channel, clip or video be of the account with a login."""
    if isinstance(thing, Channel):
        if thing.plan.login != login:
            thing.plan = dataclasses.replace(thing.plan, login=login)
    elif isinstance(thing, Clip):
        thing.plan = dataclasses.replace(thing.plan, login=login)
    else:
        thing.plan = dataclasses.replace(thing.plan, login=login)
