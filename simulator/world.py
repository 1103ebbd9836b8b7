"""The state of the simulated Twitch: broadcasting channels, clips, VODs, and the switches of each."""

import dataclasses
import hashlib
from dataclasses import dataclass, field

from simulator.accounts import Accounts
from simulator.channel import Channel
from simulator.clip import Clip
from simulator.clock import SimulatedClock
from simulator.content import VideoPlan
from simulator.faults import FaultPlan
from simulator.graphql_schema import TWITCH_SCHEMA
from simulator.media import AacRing, Muxer
from simulator.video import Video


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

    _recordings: dict[str, Video] = field(default_factory=dict[str, Video], init=False, repr=False)
    """By their ids, also of broadcasts that have ended."""

    _logins: tuple[tuple[Channel | Clip | Video, str], ...] = field(init=False, repr=False)
    """Whose everything was at the start, before accounts were renamed."""

    def __post_init__(self) -> None:
        things = (*self.channels.values(), *self.clips.values(), *self.videos.values())
        self._logins = tuple((thing, thing.plan.login) for thing in things)

    def video(self, video_id: str) -> Video | None:
        """The VOD with an id, also one that is the recording of a live broadcast; None when there is none."""
        found = self.videos.get(video_id) or self._recordings.get(video_id)
        if found is not None and (found.live is None or not found.is_recording):
            return found
        channel = next((each for each in self.channels.values() if each.recording_id == video_id), None)
        return None if channel is None else self.recording(channel)

    def recording(self, channel: Channel) -> Video | None:
        """The VOD that is being made of a channel's broadcast; None when it makes none."""
        if not (channel.live and channel.switches.recorded):
            return None
        known = self._recordings.get(channel.recording_id)
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
            self._recordings[channel.recording_id] = known
        return known

    def video_at(self, root: str) -> Video | None:
        """The VOD whose files are in a folder."""
        for channel in self.channels.values():
            self.recording(channel)
        found = next(
            (each for each in (*self.videos.values(), *self._recordings.values()) if each.root == root), None
        )
        return None if found is None else self.video(found.plan.video_id)

    def restart(self, login: str) -> None:
        """End a channel's broadcast and begin another one at once. Raises KeyError."""
        self.recording(self.channels[login])
        self.channels[login].restart()

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
