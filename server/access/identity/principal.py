"""The principal: who sends a request, according to its checked credentials."""

from dataclasses import dataclass
from typing import Final

from fingerprint.setting_formats import Secret
from server.access.identity.addresses import Address, address_text
from server.access.identity.api_keys import ApiKey
from server.access.identity.twitch_user import ID_PREFIX, TwitchUser
from server.audit.entries import Who


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """The owner of an API key, a Twitch user, or neither (anonymous)."""

    key: ApiKey | None = None
    user: TwitchUser | None = None
    token: Secret | None = None
    """The user's access token, for calls to Twitch on their behalf."""
    session: str | None = None
    """The id of the website's session, if that was the credential."""

    def audit_subject(self, address: Address | None) -> Who:
        """How audit log entries name the principal for requests from `address`."""
        text = None if address is None else address_text(address)
        if self.key is not None:
            return Who(id=f"key:{self.key.id}", name=self.key.name, address=text)
        if self.user is not None:
            return Who(id=f"{ID_PREFIX}{self.user.id}", name=self.user.login, address=text)
        return Who(address=text)

    @property
    def known_by(self) -> str | None:
        """The kind of credentials that were checked: `key`, `token` or `session`; None when anonymous."""
        if self.key is not None:
            return "key"
        if self.user is None:
            return None
        return "token" if self.session is None else "session"


ANONYMOUS: Final = Principal()
