"""A Twitch account as access control knows it, and how the operator's lists name one."""

from dataclasses import dataclass
from typing import Final

ID_PREFIX: Final = "id:"
"""`id:NUMBER` names an account by its number, which stays when the login changes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TwitchUser:
    """The account that a token was issued to. `login` is lower case and may change; `id` stays."""

    id: str
    login: str
    scopes: frozenset[str]

    @property
    def list_names(self) -> tuple[str, str]:
        """The names by which an operator's list may mean this account: `id:NUMBER` and the login."""
        return f"{ID_PREFIX}{self.id}", self.login
