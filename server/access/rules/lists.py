"""Values and matching of the blacklist and the whitelist."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import translate
from typing import Final

from fingerprint.domain.problems import TwitchAudioError, invalid_input
from fingerprint.domain.targets import ChannelTarget, ClipTarget, TwitchTarget, channel_target, clip_target
from fingerprint.ports import Broadcaster
from server.access.identity.addresses import Address, Networks, parse_network
from server.access.identity.twitch_user import ID_PREFIX, TwitchUser

VALUE_LIMIT: Final = 150
PATTERN_LIMIT: Final = 50
_PATTERN: Final = re.compile(r"[a-z0-9_*?]+")
_USER_ID: Final = re.compile(r"id:[0-9]{1,20}")


class BlacklistKind(StrEnum):
    """What a blacklisted value refers to."""

    USER = "user"
    ADDRESS = "address"
    CHANNEL = "channel"
    CLIP = "clip"
    CLIP_BROADCASTER = "clip-broadcaster"
    CHANNEL_PATTERN = "channel-pattern"
    USER_PATTERN = "user-pattern"


TAKES: Final[Mapping[BlacklistKind, str]] = {
    BlacklistKind.USER: "a Twitch login, or id:NUMBER for the account whatever it is called",
    BlacklistKind.ADDRESS: "an IP address or a network such as 192.0.2.0/24",
    BlacklistKind.CHANNEL: "a channel's name",
    BlacklistKind.CLIP: "a clip's slug",
    BlacklistKind.CLIP_BROADCASTER: "the channel that clips are from: its name, or id:NUMBER",
    BlacklistKind.CHANNEL_PATTERN: f"a name with * and ?, at most {PATTERN_LIMIT} characters",
    BlacklistKind.USER_PATTERN: f"a login with * and ?, at most {PATTERN_LIMIT} characters",
}


def user_value(text: str) -> str:
    """Normalize a login or `id:NUMBER`. Raises TwitchAudioError `invalid-input`."""
    value = text.strip().lower()
    if value.startswith(ID_PREFIX):
        if not _USER_ID.fullmatch(value):
            raise invalid_input("A user is named by a Twitch login or by id:NUMBER.")
        return value
    return channel_target(value).login


def _pattern(text: str) -> str:
    if not _PATTERN.fullmatch(text.lower()) or len(text) > PATTERN_LIMIT:
        raise ValueError(text)
    return text.lower()


def blacklist_value(kind: BlacklistKind, text: str) -> str:
    """Normalize a value to the form that is stored and compared. Raises TwitchAudioError `invalid-input`."""
    text = text.strip()
    try:
        match kind:
            case BlacklistKind.USER | BlacklistKind.CLIP_BROADCASTER:
                value = user_value(text)
            case BlacklistKind.ADDRESS:
                value = str(parse_network(text))
            case BlacklistKind.CHANNEL:
                value = channel_target(text).login
            case BlacklistKind.CLIP:
                value = clip_target(text).slug
            case BlacklistKind.CHANNEL_PATTERN | BlacklistKind.USER_PATTERN:
                value = _pattern(text)
    except (ValueError, TwitchAudioError) as error:
        raise invalid_input(f"{kind} takes {TAKES[kind]}.") from error
    if len(value) > VALUE_LIMIT:
        raise invalid_input(f"{kind} takes at most {VALUE_LIMIT} characters.")
    return value


@dataclass(frozen=True, slots=True)
class Blacklist:
    """All blacklisted values, prepared for matching requests."""

    exact: frozenset[tuple[str, str]] = frozenset()
    networks: Networks = field(default_factory=lambda: Networks(()))
    channels: tuple[re.Pattern[str], ...] = ()
    users: tuple[re.Pattern[str], ...] = ()
    has_clip_broadcasters: bool = False
    """Whether broadcasters of clips are blacklisted, so that Twitch has to be asked for a clip's broadcaster."""

    @property
    def empty(self) -> bool:
        return not self.exact

    @classmethod
    def of(cls, entries: Iterable[tuple[str, str]]) -> "Blacklist":
        """Build from pairs of kind and value, as normalized by `blacklist_value`."""
        every = frozenset(entries)

        def patterns(kind: BlacklistKind) -> tuple[re.Pattern[str], ...]:
            return tuple(re.compile(translate(value)) for name, value in every if name == kind)

        return cls(
            exact=every,
            networks=Networks(parse_network(value) for name, value in every if name == BlacklistKind.ADDRESS),
            channels=patterns(BlacklistKind.CHANNEL_PATTERN),
            users=patterns(BlacklistKind.USER_PATTERN),
            has_clip_broadcasters=any(name == BlacklistKind.CLIP_BROADCASTER for name, _ in every),
        )

    def names(
        self,
        *,
        user: TwitchUser | None = None,
        address: Address | None = None,
        target: TwitchTarget | None = None,
        broadcaster: Broadcaster | None = None,
    ) -> bool:
        """Whether any of the arguments is blacklisted. `broadcaster` is the clip's broadcaster, if known."""
        if address is not None and self.networks.contain(address):
            return True
        if user is not None:
            named = any((BlacklistKind.USER, name) in self.exact for name in user.list_names)
            if named or any(pattern.match(user.login) for pattern in self.users):
                return True
        match target:
            case ChannelTarget(login):
                listed = (BlacklistKind.CHANNEL, login) in self.exact
                return listed or any(pattern.match(login) for pattern in self.channels)
            case ClipTarget(slug, channel):
                # The channel in the clip's URL may be forged, but a forged one can only cause a refusal.
                whose = {channel}
                if broadcaster is not None:
                    whose |= {broadcaster.login, f"{ID_PREFIX}{broadcaster.id}"}
                listed = any((BlacklistKind.CLIP_BROADCASTER, name) in self.exact for name in whose)
                return listed or (BlacklistKind.CLIP, slug) in self.exact
            case _:
                return False
