"""The kinds of blacklisted values."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

PATTERN_LIMIT: Final = 50


class BlacklistKind(StrEnum):
    """What a blacklisted value refers to."""

    USER = "user"
    ADDRESS = "address"
    CHANNEL = "channel"
    CLIP = "clip"
    CLIP_BROADCASTER = "clip-broadcaster"
    FORGOTTEN_CHANNEL = "forgotten-channel"
    CHANNEL_PATTERN = "channel-pattern"
    USER_PATTERN = "user-pattern"


TAKES: Final[Mapping[BlacklistKind, str]] = {
    BlacklistKind.USER: "a Twitch login or the channel's address; id:NUMBER is the account whatever it is called",
    BlacklistKind.ADDRESS: "an IP address or a network such as 192.0.2.0/24",
    BlacklistKind.CHANNEL: "a channel's name or address, or id:NUMBER",
    BlacklistKind.CLIP: "a clip's slug or address",
    BlacklistKind.CLIP_BROADCASTER: "the channel that clips are from: its name or address, or id:NUMBER",
    BlacklistKind.FORGOTTEN_CHANNEL: "a channel whose stored answers are deleted as well: its name or address, or "
    "id:NUMBER",
    BlacklistKind.CHANNEL_PATTERN: f"a name with * and ?, at most {PATTERN_LIMIT} characters",
    BlacklistKind.USER_PATTERN: f"a login with * and ?, at most {PATTERN_LIMIT} characters",
}
