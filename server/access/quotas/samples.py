"""Which requests are recorded one by one: as many of each address as its budget allows. The others are counted.

Otherwise one client could fill the disk: each record is a row of SQL and a line of the log, for nothing too.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

from fingerprint.ports import Clock
from server.access.identity.addresses import Address, sources_of
from server.access.quotas.budgets import Allowance, CostBudget

REPORT_SECONDS: Final = 60.0
MAX_COUNTS: Final = 1_000
"""How many different things are counted until the next report; further ones are counted together."""


class Skipped(NamedTuple):
    """Requests of one source that were not recorded one by one; `source` is empty for those of many others."""

    source: str
    kind: str
    code: str | None
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleLimits:
    """How many requests of one address are recorded: of those that were served, and of those that were refused."""

    served: Allowance
    refused: Allowance


class RequestSampler:
    """Chooses what is recorded, and reports once a minute how much was not. Does no I/O itself."""

    def __init__(self, clock: Clock, limits: SampleLimits, report: Callable[[Skipped], None]) -> None:
        self._clock = clock
        self._served = CostBudget(clock, limits.served)
        self._refused = CostBudget(clock, limits.refused)
        self._report = report
        self._counts: dict[tuple[str, str, str | None], int] = {}
        self._report_at = 0.0

    def chosen(self, address: Address | None, kind: str, code: str | None, *, refused: bool) -> bool:
        """Whether a request from an address is recorded; `kind` and `code` name it in the report otherwise."""
        if self._counts and self._clock.monotonic() >= self._report_at:
            self.report()
        if (self._refused if refused else self._served).take(address):
            return True
        self.skip(address, kind, code)
        return False

    def skip(self, address: Address | None, kind: str, code: str | None) -> None:
        """Count a request that is not recorded, for the report."""
        key = ("" if address is None else sources_of(address)[-1], kind, code)
        if key not in self._counts and len(self._counts) >= MAX_COUNTS:
            key = ("", kind, None)
        if not self._counts:
            self._report_at = self._clock.monotonic() + REPORT_SECONDS
        self._counts[key] = self._counts.get(key, 0) + 1

    def report(self) -> None:
        """Report what was not recorded since the last report."""
        counts, self._counts = self._counts, {}
        for key, number in counts.items():
            self._report(Skipped(*key, number))
