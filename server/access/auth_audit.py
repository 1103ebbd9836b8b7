"""Writes access-control events to the audit log: sign-ins, refusals and started jobs."""

from typing import Final

from cachetools import TTLCache

from fingerprint.domain.problems import ProblemCode
from fingerprint.domain.targets import AskedTarget
from fingerprint.ports import Clock
from server.access.request_context import RequestContext
from server.access.request_records import RequestRecords
from server.audit.entries import AuditEntry, AuditKind, Who

LOGIN_SECONDS: Final = 3_600.0
"""Seconds between audit log entries for one user and address: clients send their token with each request."""

MAX_TOKENS: Final = 10_000
"""How many pairs of user and address are remembered, to limit their entries."""


class AuthAudit:
    """Adds access-control entries to the audit log. Its methods do no I/O and do not raise."""

    def __init__(self, records: RequestRecords, *, clock: Clock) -> None:
        self._records = records
        self._clock = clock
        # By user id and address.
        self._logged_uses: TTLCache[tuple[str | None, str | None], None] = TTLCache(
            MAX_TOKENS, LOGIN_SECONDS, clock.monotonic
        )

    def signed_in(self, context: RequestContext, how: str) -> None:
        """Log that the sender of a request signed in; `how` is `website` or `access code`."""
        self._add(context, AuditKind.LOGIN, how)

    def sign_in_failed(self, context: RequestContext, how: str, code: ProblemCode) -> None:
        """Log that the credentials of a request are not valid."""
        self._add(context, AuditKind.LOGIN_FAILED, how, code=code)

    def token_used(self, context: RequestContext) -> None:
        """Log the use of a valid bearer token, at most once every `LOGIN_SECONDS` for each user and address."""
        use = (context.audit_subject.id, context.audit_subject.address)
        if use not in self._logged_uses:
            self._logged_uses[use] = None
            self._add(context, AuditKind.LOGIN, "token")

    def refused(
        self, context: RequestContext, what: str, code: ProblemCode, target: AskedTarget | None = None
    ) -> None:
        """Log that a request was refused; `what` is the kind of target or of action."""
        self._add(context, AuditKind.REFUSAL, what, subject=None if target is None else target.name, code=code)

    def job_started(self, context: RequestContext, target: AskedTarget) -> None:
        """Log that a request started a job."""
        who = context.principal.audit_subject(context.credentials.address)
        self._add(context, AuditKind.LAUNCH, target.kind, subject=target.name, who=who)

    def _add(
        self,
        context: RequestContext,
        kind: AuditKind,
        what: str,
        *,
        subject: str | None = None,
        code: ProblemCode | None = None,
        who: Who | None = None,
    ) -> None:
        entry = AuditEntry(
            moment=self._clock.now(),
            kind=kind,
            who=who or context.audit_subject,
            what=what,
            subject=subject,
            code=code,
            request_id=context.request_id,
        )
        refused = kind in (AuditKind.REFUSAL, AuditKind.LOGIN_FAILED)
        self._records.add(entry, context.credentials.address, refused=refused)
