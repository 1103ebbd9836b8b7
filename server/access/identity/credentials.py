"""What a request shows of who sends it: kept beside it, so that pages and API are under the same rules."""

from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from fingerprint.settings import Secret
from server.access.identity.addresses import KEPT, Address, address_text
from server.access.identity.api_keys import PREFIX
from server.access.limit_status import LimitStatus
from server.audit.entries import Who


@dataclass(slots=True, kw_only=True)
class Caller:
    """Credentials as they were sent, not checked yet; and what the request used of a rate limit."""

    key: Secret | None = None
    address: Address | None = None
    token: Secret | None = None
    """A bearer token that is no API key."""
    session: str | None = None
    """The id of the website's session; only when neither of the others was sent."""
    spent: LimitStatus | None = field(default=None, init=False)
    known_as: Who | None = field(default=None, init=False)
    """Who it is, once that was checked."""
    refused: str | None = field(default=None, init=False)
    """The problem code that the request is answered with."""

    @property
    def unknown(self) -> bool:
        """Whether nothing was sent to be known by."""
        return self.key is None and self.token is None and self.session is None

    @property
    def who(self) -> Who:
        """Whom log entries about this request name."""
        return _at(self.address) if self.known_as is None else self.known_as


@lru_cache(maxsize=KEPT)
def _at(address: Address | None) -> Who:
    """Somebody of whom only the address is known."""
    return Who(address=None if address is None else address_text(address))


current_caller: Final[ContextVar[Caller]] = ContextVar("current_caller")


def caller_from(authorization: str | None, api_key: str | None, address: Address | None) -> Caller:
    """The caller out of the headers `Authorization` and `X-API-Key`; other schemes than Bearer are not for us."""
    if api_key is not None:
        return Caller(address=address, key=Secret(api_key.strip()))
    if authorization is None:
        return Caller(address=address)
    scheme, _, credentials = authorization.strip().partition(" ")
    if scheme.lower() != "bearer":
        return Caller(address=address)
    secret = Secret(credentials.strip())
    if secret.reveal().startswith(PREFIX):
        return Caller(address=address, key=secret)
    return Caller(address=address, token=secret)
