"""A Twitch account, and the names by which the operator's lists refer to it."""

from dataclasses import dataclass
from typing import Final

ID_PREFIX: Final = "id:"
"""`id:NUMBER` names an account by its id, which stays the same when the login changes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TwitchUser:
    """The Twitch account that a token was issued to. `login` is lower case and may change; `id` never changes."""

    id: str
    login: str
    scopes: frozenset[str]

    @property
    def list_names(self) -> tuple[str, str]:
        """The names by which an operator's list may refer to this account: `id:NUMBER` and the login."""
        return f"{ID_PREFIX}{self.id}", self.login
