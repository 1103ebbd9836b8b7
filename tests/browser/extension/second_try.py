"""One more try for a test of the extension that failed: browsers under a driver stumble about once in fifty tests.

A test that passes at the second try is named in the summary, so that what stumbles often is seen.
"""

from typing import Any, Final, cast

import pytest
from _pytest.runner import runtestprotocol

STUMBLED: Final = pytest.StashKey[list[str]]()


def run(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Run a test, and once more if it failed; the last run is what counts."""
    reports = runtestprotocol(item, log=False, nextitem=nextitem)
    failed = [report for report in reports if report.failed]
    if failed:
        why = failed[0].longreprtext.strip().rpartition("\n")[2]
        item.config.stash.setdefault(STUMBLED, []).append(f"{item.nodeid}: {why[:300]}")
        cast("Any", item)._initrequest()  # its fixtures are gone, and are made anew
        reports = runtestprotocol(item, log=False, nextitem=nextitem)
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
