"""Values and matching of the blacklist and the whitelist."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import translate
from typing import Final

from fingerprint.domain.problems import TwitchAudioError, invalid_input
from fingerprint.domain.targets import (
    AskedTarget,
    ChannelTarget,
    ClipTarget,
    VideoTarget,
    channel_target,
    clip_target,
)
from fingerprint.ports import Broadcaster
from server.access.identity.addresses import Address, Networks, parse_network
from server.access.identity.twitch_user import ID_PREFIX, TwitchUser
from server.access.rules.blacklist_kinds import PATTERN_LIMIT, TAKES, BlacklistKind

VALUE_LIMIT: Final = 150
_PATTERN: Final = re.compile(r"[a-z0-9_*?]+")
_USER_ID: Final = re.compile(r"id:[0-9]{1,20}")


_CHANNELS: Final = frozenset({BlacklistKind.CHANNEL, BlacklistKind.FORGOTTEN_CHANNEL})

OF_ACCOUNTS: Final = _CHANNELS | {BlacklistKind.USER, BlacklistKind.CLIP_BROADCASTER}
"""Kinds whose values are logins or `id:NUMBER`. A login means the account that had it when it was listed."""


_OF_CHANNELS: Final = _CHANNELS | {BlacklistKind.CHANNEL_PATTERN}
_OF_CLIPS: Final = _OF_CHANNELS | {BlacklistKind.CLIP_BROADCASTER}


def user_value(text: str) -> str:
    """Normalize a login, a channel's address, or `id:NUMBER`. Raises TwitchAudioError `invalid-input`."""
    # Some signs become letters of others' names in lower case, such as the one for kelvin.
    value = text.strip().lower() if text.isascii() else text.strip()
    if value.startswith(ID_PREFIX):
        if not _USER_ID.fullmatch(value):
            raise invalid_input("A user is named by a Twitch login, the address of their channel, or id:NUMBER.")
        return value
    return channel_target(value).login


def _pattern(text: str) -> str:
    if not text.isascii() or not _PATTERN.fullmatch(text.lower()) or len(text) > PATTERN_LIMIT:
        raise ValueError(text)
    return text.lower()


def blacklist_value(kind: BlacklistKind, text: str) -> str:
    """Normalize a value to the form that is stored and compared. Raises TwitchAudioError `invalid-input`."""
    text = text.strip()
    try:
        match kind:
            case (
                BlacklistKind.USER
                | BlacklistKind.CLIP_BROADCASTER
                | BlacklistKind.CHANNEL
                | BlacklistKind.FORGOTTEN_CHANNEL
            ):
                value = user_value(text)
            case BlacklistKind.ADDRESS:
                value = str(parse_network(text))
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
    accounts: Mapping[tuple[str, str], str] = field(default_factory=dict[tuple[str, str], str])
    """The account ids of values that are logins, where they are known."""
    has_clip_broadcasters: bool = False
    """Whether clips of some channels are refused, so that Twitch has to be asked whose a clip is."""
    has_video_owners: bool = False
    """The same for videos."""
    has_channels: bool = False
    """Whether channels are blacklisted, so that a channel's id matters."""

    @property
    def empty(self) -> bool:
        return not self.exact

    @classmethod
    def of(
        cls, entries: Iterable[tuple[str, str]], accounts: Mapping[tuple[str, str], str] | None = None
    ) -> "Blacklist":
        """Build from pairs of kind and value, as normalized by `blacklist_value`, and the account ids of some."""
        accounts = accounts or {}
        # The id is a name of the same account, and the only sure one.
        every = frozenset({*entries, *((kind, f"{ID_PREFIX}{number}") for (kind, _), number in accounts.items())})

        def patterns(kind: BlacklistKind) -> tuple[re.Pattern[str], ...]:
            return tuple(re.compile(translate(value)) for name, value in every if name == kind)

        return cls(
            exact=every,
            networks=Networks(parse_network(value) for name, value in every if name == BlacklistKind.ADDRESS),
            channels=patterns(BlacklistKind.CHANNEL_PATTERN),
            users=patterns(BlacklistKind.USER_PATTERN),
            accounts=accounts,
            has_clip_broadcasters=any(name in _OF_CLIPS for name, _ in every),
            has_video_owners=any(name in _OF_CHANNELS for name, _ in every),
            has_channels=any(name in _CHANNELS for name, _ in every),
        )

    def names(
        self,
        *,
        user: TwitchUser | None = None,
        address: Address | None = None,
        target: AskedTarget | None = None,
        broadcaster: Broadcaster | None = None,
    ) -> bool:
        """Whether any of the arguments is blacklisted. `broadcaster`: whose channel, clip or video it is.

        This is everything that an entry covers. A blacklisted channel's clips and videos are as it is.
        """
        if address is not None and self.networks.contain(address):
            return True
        if user is not None and self._lists_user(user):
            return True
        match target:
            case ChannelTarget(login):
                return self._lists_channel(login, broadcaster)
            case ClipTarget():
                return self._lists_clip(target, broadcaster)
            case VideoTarget() if broadcaster is not None:
                return self._lists_channel(broadcaster.login, broadcaster)
            case _:
                return False

    def _lists_user(self, user: TwitchUser) -> bool:
        listed = self._lists(BlacklistKind.USER, user.login, user.id)
        return listed or any(pattern.match(user.login) for pattern in self.users)

    def _lists_clip(self, clip: ClipTarget, broadcaster: Broadcaster | None) -> bool:
        if (BlacklistKind.CLIP, clip.slug) in self.exact:
            return True
        # The channel in the clip's URL may be forged, but a forged one can only cause a refusal.
        number = None if broadcaster is None else broadcaster.id
        logins = (clip.channel, None if broadcaster is None else broadcaster.login)
        return any(
            self._lists(BlacklistKind.CLIP_BROADCASTER, login, number) or self._lists_channel(login, broadcaster)
            for login in logins
            if login is not None
        )

    def _lists_channel(self, login: str, broadcaster: Broadcaster | None) -> bool:
        number = None if broadcaster is None else broadcaster.id
        listed = any(self._lists(kind, login, number) for kind in _CHANNELS)
        return listed or any(pattern.match(login) for pattern in self.channels)

    def _lists(self, kind: BlacklistKind, login: str, number: str | None) -> bool:
        """Whether an account is listed. A login that is listed for another account's id does not count."""
        if number is not None and (kind, f"{ID_PREFIX}{number}") in self.exact:
            return True
        account = self.accounts.get((kind, login))
        return (kind, login) in self.exact and (account is None or number is None or account == number)
