"""The credentials of a request as they were sent: an API key, a bearer token or the website's session."""

from dataclasses import dataclass, replace

from fingerprint.setting_formats import Secret
from server.access.identity.addresses import Address
from server.access.identity.api_keys import PREFIX


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestCredentials:
    """What a request sends to prove its identity, not checked yet, and the client's address."""

    key: Secret | None = None
    token: Secret | None = None
    """A Twitch access token that was sent as a bearer token."""
    session: str | None = None
    """The id of the website's session; None when a key or token was sent."""
    address: Address | None = None

    @property
    def is_anonymous(self) -> bool:
        """Whether the request has no credentials at all."""
        return self.key is None and self.token is None and self.session is None

    def with_session(self, session: str | None) -> "RequestCredentials":
        return replace(self, session=session)


def credentials_from_headers(
    authorization: str | None, api_key: str | None, address: Address | None
) -> RequestCredentials:
    """Read credentials from the headers `Authorization` (scheme Bearer only) and `X-API-Key`."""
    if api_key is not None:
        return RequestCredentials(key=Secret(api_key.strip()), address=address)
    scheme, _, text = (authorization or "").strip().partition(" ")
    if scheme.lower() != "bearer":
        return RequestCredentials(address=address)
    secret = Secret(text.strip())
    if secret.reveal().startswith(PREFIX):
        return RequestCredentials(key=secret, address=address)
    return RequestCredentials(token=secret, address=address)
