"""What came of jobs, as log entries."""

from collections.abc import Callable

from fingerprint.domain.identification import Identification
from fingerprint.ports import Clock
from server.audit.entries import LogEntry, LogKind
from server.audit.writer import LogWriter


def noting_answers(logs: LogWriter, clock: Clock) -> Callable[[Identification], None]:
    """Adds an entry for each finished identification that it is told of."""

    def note(finished: Identification) -> None:
        problem = finished.problem
        entry = LogEntry(
            moment=clock.now(),
            kind=LogKind.ANSWER,
            what=f"{finished.kind} {finished.status}",
            subject=finished.target,
            code=None if problem is None else problem.code,
            ms=finished.timings.total_ms,
        )
        logs.add(entry)

    return note
