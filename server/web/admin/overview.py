"""The operator's first page: what runs now, and charts of the last days."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from server.audit.figures import ANSWER, LATENCY, REFUSAL, median_ms
from server.web.admin.charts import Chart, days_until, stacked

Figures = Mapping[tuple[date, str], int]
"""How often something happened, by day and name (`server.audit.figures`)."""

DAYS: Final = 30
OUTCOMES: Final = {"successful": "named", "no_match": "no match", "failed": "failed"}
REFUSALS_SHOWN: Final = 2
"""The most frequent codes have a color of their own; the others share one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningJob:
    """A job that this server works on or follows."""

    kind: str
    target: str
    stage: str
    since: datetime


def charts(figures: Figures, today: date) -> list[Chart]:
    """Identifications, refusals and answer times of the last days."""
    days = days_until(today, DAYS)
    return [_outcomes(figures, days), _refusals(figures, days), _latency(figures, days)]


def _outcomes(figures: Figures, days: Sequence[date]) -> Chart:
    found = {
        (day, OUTCOMES[name.removeprefix(ANSWER)]): float(amount)
        for (day, name), amount in figures.items()
        if name.startswith(ANSWER) and name.removeprefix(ANSWER) in OUTCOMES
    }
    return stacked("Identifications", "", tuple(OUTCOMES.values()), days, found)


def _refusals(figures: Figures, days: Sequence[date]) -> Chart:
    by_code: dict[str, int] = defaultdict(int)
    shown = set(days)
    for (day, name), amount in figures.items():
        if name.startswith(REFUSAL) and day in shown:
            by_code[name.removeprefix(REFUSAL)] += amount
    ranked = sorted(by_code, key=lambda code: (-by_code[code], code))
    names = ranked[:REFUSALS_SHOWN] + (["other"] if len(ranked) > REFUSALS_SHOWN else [])
    found: dict[tuple[date, str], float] = defaultdict(float)
    for (day, name), amount in figures.items():
        if name.startswith(REFUSAL):
            code = name.removeprefix(REFUSAL)
            found[day, code if code in ranked[:REFUSALS_SHOWN] else "other"] += amount
    return stacked("Refusals", "", names, days, found)


def _latency(figures: Figures, days: Sequence[date]) -> Chart:
    by_day: dict[date, dict[int, int]] = defaultdict(dict)
    for (day, name), amount in figures.items():
        if name.startswith(LATENCY):
            by_day[day][int(name.removeprefix(LATENCY))] = amount
    found = {(day, "median"): round(median_ms(counts)) for day, counts in by_day.items()}
    return stacked("Answer time", " ms", ("median",), days, found)
