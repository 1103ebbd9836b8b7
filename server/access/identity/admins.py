"""Admins: the Twitch accounts in `TWITCHAUDIO_ADMINS`, who may use the admin pages."""

from collections.abc import Iterable

from server.access.identity.twitch_user import TwitchUser


class Admins:
    """The configured admins, named by `id:NUMBER` or by login in lower case."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = frozenset(names)

    @property
    def none(self) -> bool:
        """Whether no admin is configured."""
        return not self._names

    def contain(self, user: TwitchUser) -> bool:
        """Whether the user is an admin."""
        return any(name in self._names for name in user.list_names)
