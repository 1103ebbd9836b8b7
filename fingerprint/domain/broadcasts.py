"""Broadcasts, and the places in them that answers are about."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

LIVE_EXACT_SECONDS: Final = 0.5
"""How exactly the dates of a live playlist tell the second of the broadcast, at most this far off."""

VIDEO_EXACT_SECONDS: Final = 1.5
"""Likewise of a VOD: its address names its start in whole seconds."""

CLIP_EXACT_SECONDS: Final = 2.5
"""Likewise of a clip: its offset in the VOD is in whole seconds, too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Broadcast:
    """A broadcast of a channel: Twitch's number for it, and when it began."""

    id: str
    started_at: datetime

    def seconds_at(self, moment: datetime) -> float:
        """How many seconds after the start a moment is; negative before it."""
        return (moment - self.started_at).total_seconds()

    def moment_at(self, seconds: float) -> datetime:
        """The inverse of `seconds_at`."""
        return self.started_at + timedelta(seconds=seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class BroadcastPlace:
    """A piece of sound in a broadcast, in seconds since its start. Both ends are at most `exact` seconds off.

    `began`: the start that the seconds were counted from, where it is known.
    """

    broadcast: str
    start: float
    end: float
    exact: float
    began: datetime | None = None

    def __post_init__(self) -> None:
        if not (self.start <= self.end and self.exact >= 0):
            raise ValueError(f"no piece of a broadcast: {self.start}..{self.end}, exact to {self.exact}")

    def counts_as(self, other: "BroadcastPlace") -> bool:
        """Whether both are counted from the same start, as far as it is known.

        After a stream dropped, Twitch may tell another start for the same broadcast, by as much as the pause.
        """
        if self.began is None or other.began is None:
            return True
        return abs((self.began - other.began).total_seconds()) <= self.exact + other.exact


MAX_WAITED_SECONDS: Final = 60.0
"""A question that seems to have waited longer was asked by another clock: jobs do not wait so long."""


def before_edge(edge: datetime, ago_seconds: float, *, waited_seconds: float) -> datetime:
    """The date of the sound that was `ago_seconds` before the live edge when a question was asked.

    `edge`: the end of the newest sound that is listed now, by the playlist's dates. `waited_seconds`: how long ago
    the question was asked; the edge moves on meanwhile.
    """
    waited = waited_seconds if 0 <= waited_seconds <= MAX_WAITED_SECONDS else 0.0
    return edge - timedelta(seconds=ago_seconds + waited)


CLIENT_AHEAD_SECONDS: Final = 60.0
"""How far ahead the clock of a client may be: a moment that is so little later than the live edge means that."""


def at_edge(edge: datetime | None, at: datetime, *, now: datetime) -> datetime | None:
    """The date of the sound that is meant by a moment: at most the live edge; None for a moment yet to come.

    `edge`: as for `before_edge`; None where it is unknown. `now`: by our own clock, which counts only where there
    is no edge, and for who asks about "now" on a channel that is broadcast with a delay.
    """
    newest = now if edge is None else max(edge, now)
    if at > newest + timedelta(seconds=CLIENT_AHEAD_SECONDS):
        return None
    return min(at, now if edge is None else edge)


def live_place(broadcast: Broadcast, at: datetime, seconds: float = 0.0) -> BroadcastPlace:
    """The place of `seconds` of a live stream from a moment on, by the dates of its playlist."""
    return _place(broadcast, broadcast.seconds_at(at), seconds, LIVE_EXACT_SECONDS)


def video_place(recording: Broadcast, from_seconds: float, seconds: float = 0.0) -> BroadcastPlace:
    """The place of `seconds` of a VOD from `from_seconds` on. `recording`: the broadcast in its address."""
    return _place(recording, from_seconds, seconds, VIDEO_EXACT_SECONDS)


def clip_place(recording: Broadcast, offset_seconds: float, from_seconds: float, seconds: float) -> BroadcastPlace:
    """The place of `seconds` of a clip from `from_seconds` on. `offset_seconds`: where it begins in the VOD."""
    return _place(recording, offset_seconds + from_seconds, seconds, CLIP_EXACT_SECONDS)


def _place(broadcast: Broadcast, start: float, seconds: float, exact: float) -> BroadcastPlace:
    end, began = start + seconds, broadcast.started_at
    return BroadcastPlace(broadcast=broadcast.id, start=start, end=end, exact=exact, began=began)
