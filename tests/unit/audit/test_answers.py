"""Outcomes of jobs in the audit log."""

from collections import Counter
from typing import cast

from fingerprint.domain.problems import Problem, ProblemCode
from fingerprint.job_ports import JobOutcome
from server.audit import figures
from server.audit.answers import FAILURES, WINDOW_SECONDS, AnswerRecords
from server.audit.entries import AuditEntry
from server.audit.store import new_row
from server.audit.writer import AuditWriter
from tests.builders import NOON, identification
from tests.fakes import FakeClock


class Written:
    """Keeps the entries that are added."""

    def __init__(self) -> None:
        self.entries: list[AuditEntry] = []

    def add(self, entry: AuditEntry) -> None:
        self.entries.append(entry)


def failed(number: int) -> JobOutcome:
    new = identification(target=f"made_up_{number}")
    problem = Problem(code=ProblemCode.CHANNEL_NOT_FOUND, detail="There is no such channel.")
    return JobOutcome(new.failed(problem, NOON), stored=True)


async def test_of_many_made_up_targets_few_are_recorded_and_all_are_counted() -> None:
    clock, written = FakeClock(), Written()
    record = AnswerRecords(cast("AuditWriter", written), clock)
    for number in range(5_000):
        record(failed(number))
    assert len(written.entries) == FAILURES
    await clock.advance(WINDOW_SECONDS)
    record(failed(5_000))
    record.close()
    assert len(written.entries) == FAILURES + 2
    more = written.entries[FAILURES]
    assert (more.what, more.code) == (f"{5_000 - FAILURES} more stream failed", "channel-not-found")
    amounts: Counter[str] = Counter()
    for row in map(new_row, written.entries):
        for name in figures.figure_names(row):
            amounts[name] += figures.figure_amount(row)
    assert amounts["answer failed"] == 5_001
