"""Writes the outcome of each job to the audit log."""

from collections.abc import Callable

from fingerprint.ports import Clock, JobOutcome
from server.audit.entries import AuditEntry, AuditKind
from server.audit.writer import AuditWriter


def audit_answers(audit: AuditWriter, clock: Clock) -> Callable[[JobOutcome], None]:
    """A listener for job outcomes that adds an audit log entry for each."""

    def note(outcome: JobOutcome) -> None:
        finished = outcome.identification
        problem = finished.problem
        entry = AuditEntry(
            moment=clock.now(),
            kind=AuditKind.ANSWER,
            what=f"{finished.kind} {finished.status}{'' if outcome.stored else ' not-stored'}",
            subject=finished.target,
            code=None if problem is None else problem.code,
            ms=finished.timings.total_ms,
        )
        audit.add(entry)

    return note
