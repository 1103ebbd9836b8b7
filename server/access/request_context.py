"""The request context: credentials, principal and limit status of one request, passed on as a parameter."""

from dataclasses import dataclass, field

from server.access.identity.credentials import RequestCredentials
from server.access.identity.principal import ANONYMOUS, Principal
from server.access.limit_status import LimitStatus
from server.audit.entries import Who


@dataclass(slots=True, kw_only=True, eq=False)
class RequestContext:
    """Everything that access control knows about one request, until its audit log entry is written.

    The request hooks create it, and the session middleware adds the website's session to the credentials. Only
    `Access` sets the principal and the rate limit; the problem middleware sets the problem code.
    """

    credentials: RequestCredentials = field(default_factory=RequestCredentials)
    request_id: str | None = None
    authenticated: Principal | None = None
    """The principal, set by `Access.authenticate`; None before that."""
    known_subject: Who | None = None
    """Who sends the request, for audit log entries; None while only the address is known."""
    rate_limit: LimitStatus | None = None
    """Status of the most restrictive rate limit that the request was counted against."""
    problem_code: str | None = None
    """The problem code of the response, if the request failed."""

    over_budget: bool = False
    """Whether it was refused because its address sends too many: it gets no audit log entry of its own."""

    @property
    def principal(self) -> Principal:
        """Who sends the request; available once `Access.authenticate` has succeeded."""
        assert self.authenticated is not None, "the request was not authenticated"
        return self.authenticated

    @property
    def audit_subject(self) -> Who:
        """Who sends the request, for audit log entries; only the address until the principal is known."""
        return self.known_subject or ANONYMOUS.audit_subject(self.credentials.address)
