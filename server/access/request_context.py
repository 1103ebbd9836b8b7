"""The one value that says whom a request is from; handlers pass it on to access control."""

from dataclasses import dataclass, field

from server.access.identity.credentials import RequestCredentials
from server.access.identity.principal import ANONYMOUS, Principal
from server.access.limit_status import LimitStatus
from server.audit.entries import Who


@dataclass(slots=True, kw_only=True, eq=False)
class RequestContext:
    """One request, from its head to its audit log entry.

    A middleware makes it, once for each request, and the session's middleware completes the credentials. `Access`
    alone writes who it is and what is left of a rate limit, the problem middleware the code of a refusal.
    """

    credentials: RequestCredentials = field(default_factory=RequestCredentials)
    request_id: str | None = None
    authenticated: Principal | None = None
    """Who sends it, once `Access.authenticate` has checked the credentials."""
    known_subject: Who | None = None
    """The name for audit log entries, once it is more than an address."""
    rate_limit: LimitStatus | None = None
    """What is left of the rate limit that the request counted against."""
    problem_code: str | None = None
    """The problem code that the request is answered with."""

    @property
    def principal(self) -> Principal:
        """Who sends the request. To be called after `Access.authenticate`."""
        assert self.authenticated is not None, "the request was not authenticated"
        return self.authenticated

    @property
    def audit_subject(self) -> Who:
        """The name of the sender in audit log entries: only the address while nothing more is known."""
        return self.known_subject or ANONYMOUS.audit_subject(self.credentials.address)
