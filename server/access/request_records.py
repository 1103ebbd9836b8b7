"""Records of requests in the audit log: one by one while the address's budget lasts, then by their number."""

from typing import Final

from fingerprint.ports import Clock
from server.access.identity.addresses import Address
from server.access.quotas.budgets import Allowance
from server.access.quotas.samples import RequestSampler, SampleLimits, Skipped
from server.audit.entries import AuditEntry, AuditKind, Who
from server.audit.writer import AuditWriter

RECORDS: Final = SampleLimits(
    served=Allowance(burst=2_000, per_second=1.0), refused=Allowance(burst=100, per_second=0.2)
)
"""Rows of one address: requests that were served, and those that were refused or found nothing."""


_APART: Final = frozenset({AuditKind.LAUNCH, AuditKind.LOGIN})
"""Kinds with a budget apart, so that they are recorded although an address has sent many requests."""


class RequestRecords:
    """Adds entries that clients cause to the audit log. Neither waits nor fails."""

    def __init__(self, audit: AuditWriter, *, clock: Clock, limits: SampleLimits = RECORDS) -> None:
        self._audit = audit
        self._clock = clock
        self._sampler = RequestSampler(clock, limits, self._add_count)
        self._apart = RequestSampler(clock, limits, self._add_count)

    def add(self, entry: AuditEntry, address: Address | None, *, refused: bool) -> None:
        """Add an entry, or count it when its address has used up its budget."""
        sampler = self._apart if entry.kind in _APART else self._sampler
        if sampler.chosen(address, entry.kind, entry.code, refused=refused):
            self._audit.add(entry)

    def count(self, kind: AuditKind, address: Address | None, code: str | None) -> None:
        """Count what is not worth an entry of its own."""
        self._sampler.skip(address, kind, code)

    def close(self) -> None:
        """Add the numbers of what was not added."""
        self._sampler.report()
        self._apart.report()

    def _add_count(self, skipped: Skipped) -> None:
        self._audit.add(
            AuditEntry(
                moment=self._clock.now(),
                kind=AuditKind(skipped.kind),
                what=f"{skipped.number} more",
                who=Who(address=skipped.source or None),
                code=skipped.code,
            )
        )
