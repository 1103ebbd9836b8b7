"""Who may use the admin pages: named by the operator in `TWITCHAUDIO_ADMINS`."""

from collections.abc import Iterable

from server.access.identity.twitch_user import TwitchUser


class Admins:
    """Logins in lower case, and `id:NUMBER`."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = frozenset(names)

    def contain(self, user: TwitchUser) -> bool:
        """Whether a user is one of them."""
        return any(name in self._names for name in user.list_names)
