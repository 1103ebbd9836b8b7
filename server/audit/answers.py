"""Writes the outcome of each job to the audit log; when many fail at once, most of them by their number."""

from collections import Counter
from typing import Final

from fingerprint.domain.identification import Status
from fingerprint.job_ports import JobOutcome
from fingerprint.ports import Clock
from server.audit.entries import AuditEntry, AuditKind
from server.audit.writer import AuditWriter

FAILURES: Final = 300
"""How many failures are recorded one by one in `WINDOW_SECONDS`: anyone can ask for made-up channels and clips."""

WINDOW_SECONDS: Final = 60.0


class AnswerRecords:
    """A listener for job outcomes that adds an audit log entry for each."""

    def __init__(self, audit: AuditWriter, clock: Clock) -> None:
        self._audit = audit
        self._clock = clock
        self._failures = 0
        self._window_ends = 0.0
        # What happened and its problem code -> how often.
        self._more: Counter[tuple[str, str | None]] = Counter()

    def __call__(self, outcome: JobOutcome) -> None:
        finished = outcome.identification
        code = None if finished.problem is None else finished.problem.code
        what = f"{finished.kind} {finished.status}{'' if outcome.stored else ' not-stored'}"
        if self._clock.monotonic() >= self._window_ends:
            self.close()
            self._failures, self._window_ends = 0, self._clock.monotonic() + WINDOW_SECONDS
        if finished.status is Status.FAILED:
            self._failures += 1
            if self._failures > FAILURES:
                self._more[what, code] += 1
                return
        self._audit.add(
            AuditEntry(
                moment=self._clock.now(),
                kind=AuditKind.ANSWER,
                what=what,
                subject=finished.target,
                code=code,
                ms=finished.timings.total_ms,
            )
        )

    def close(self) -> None:
        """Add the numbers of what was not added."""
        more, self._more = self._more, Counter()
        for (what, code), number in more.items():
            entry = AuditEntry(
                moment=self._clock.now(), kind=AuditKind.ANSWER, what=f"{number} more {what}", code=code
            )
            self._audit.add(entry)
