"""What came of each fault: `--fault-table`, a pytest plugin that tests/conftest.py registers.

It runs the tests of all faults, and prints a line for each. tests/faults/table.csv has the faults. The tests of
one are those with its id in their names (`test_d1_...`), and those that the table names besides: by file, or by
file and the beginning of the name. The table says too what of a fault is not injected, and why.
"""

import csv
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

TABLE: Final = Path(__file__).parent / "faults" / "table.csv"


@dataclass(frozen=True, slots=True)
class Fault:
    """A row: what goes wrong, the tests that it names besides, and what of it is not injected, and why."""

    text: str
    tests: Sequence[str]
    left_out: str


def read_table() -> Mapping[str, Fault]:
    """All faults by their ids."""
    with TABLE.open(encoding="utf-8", newline="") as opened:
        rows = list(csv.DictReader(opened))
    return {row["id"]: Fault(row["fault"], row["tests"].split(), row["left_out"]) for row in rows}


def faults_of(nodeid: str, table: Mapping[str, Fault]) -> set[str]:
    """The ids of the faults that a test is of."""
    name = nodeid.rpartition("::")[2].partition("[")[0]
    # Ids come first in a name: test_t1_t2_...
    ids = re.match(r"test((?:_[a-z]\d+)*)_", name)
    found: set[str] = set() if ids is None else {word.upper() for word in str(ids[1]).split("_") if word}
    named = {fault for fault, row in table.items() if any(nodeid.startswith(test) for test in row.tests)}
    return (found & set(table)) | named


class FaultTable:
    """Collects the results of tests by fault."""

    def __init__(self) -> None:
        self.table = read_table()
        self.results: dict[str, set[str]] = defaultdict(set)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Keep the tests of faults, and all in their folder."""
        chosen = [
            item
            for item in items
            if item.get_closest_marker("faults") is not None or faults_of(item.nodeid, self.table)
        ]
        left_out = [item for item in items if item not in set(chosen)]
        if left_out:
            config.hook.pytest_deselected(items=left_out)
        items[:] = chosen

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or report.outcome != "passed":
            for fault in faults_of(report.nodeid, self.table):
                self.results[fault].add(report.outcome)

    def result(self, fault: str) -> str:
        """What came of a fault's tests."""
        results = self.results[fault]
        return next((each for each in ("failed", "passed", "skipped") if each in results), "not run")

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        terminalreporter.section("faults")
        for fault, row in self.table.items():
            left_out = f" (not injected: {row.left_out})" if row.left_out else ""
            terminalreporter.write_line(f"{fault:4} {self.result(fault):8} {row.text}{left_out}")
        passed = sum(self.result(fault) == "passed" for fault in self.table)
        terminalreporter.write_line(f"{passed} of {len(self.table)} passed")
