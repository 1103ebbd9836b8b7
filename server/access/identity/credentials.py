"""The credentials of a request as they were sent: an API key, a bearer token or the website's session."""

from dataclasses import dataclass, replace

from fingerprint.settings import Secret
from server.access.identity.addresses import Address
from server.access.identity.api_keys import PREFIX


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestCredentials:
    """What a request brings to prove who sends it, not checked yet, and the address that it comes from."""

    key: Secret | None = None
    token: Secret | None = None
    """A bearer token that is no API key."""
    session: str | None = None
    """The id of the website's session; only when neither of the others was sent."""
    address: Address | None = None

    @property
    def is_anonymous(self) -> bool:
        """Whether nothing was sent that could prove who sends the request."""
        return self.key is None and self.token is None and self.session is None

    def with_session(self, session: str | None) -> "RequestCredentials":
        """The same credentials with another session."""
        return replace(self, session=session)


def credentials_from_headers(
    authorization: str | None, api_key: str | None, address: Address | None
) -> RequestCredentials:
    """The credentials in the headers `Authorization` and `X-API-Key`; of schemes, only Bearer is ours."""
    if api_key is not None:
        return RequestCredentials(key=Secret(api_key.strip()), address=address)
    scheme, _, text = (authorization or "").strip().partition(" ")
    if scheme.lower() != "bearer":
        return RequestCredentials(address=address)
    secret = Secret(text.strip())
    if secret.reveal().startswith(PREFIX):
        return RequestCredentials(key=secret, address=address)
    return RequestCredentials(token=secret, address=address)
