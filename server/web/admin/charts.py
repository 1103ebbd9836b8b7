"""Figures by day as bars: the geometry of a small SVG. Pure: numbers in, numbers out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

WIDTH: Final = 600.0
HEIGHT: Final = 120.0
GAP: Final = 0.25
"""The share of a day's width that is left empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartBar:
    """One rectangle; `series` counts from 0 in the order of the chart's names."""

    x: float
    y: float
    width: float
    height: float
    series: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """A day's figures, for the table that is the chart's alternative."""

    day: date
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A chart of stacked bars, one stack a day, oldest first."""

    title: str
    unit: str
    names: tuple[str, ...]
    days: Sequence[Day]
    bars: Sequence[ChartBar]
    highest: float

    @property
    def empty(self) -> bool:
        """Whether the chart has no bars."""
        return not self.bars


def days_until(today: date, count: int) -> list[date]:
    """The last `count` days, oldest first, `today` the last."""
    return [today - timedelta(days=count - 1 - index) for index in range(count)]


def stacked(
    title: str, unit: str, names: Sequence[str], days: Sequence[date], figures: Mapping[tuple[date, str], float]
) -> Chart:
    """Bars of `figures` by day and name, scaled so that the highest stack fills the height."""
    rows = [Day(day=day, values=tuple(figures.get((day, name), 0.0) for name in names)) for day in days]
    highest = max((sum(row.values) for row in rows), default=0.0)
    bars: list[ChartBar] = []
    room = WIDTH / max(len(rows), 1)
    for index, row in enumerate(rows):
        top = HEIGHT
        for series, value in enumerate(row.values):
            if value <= 0:
                continue
            height = HEIGHT * value / highest
            top -= height
            bars.append(
                ChartBar(
                    x=round(room * (index + GAP / 2), 2),
                    y=round(top, 2),
                    width=round(room * (1 - GAP), 2),
                    height=round(height, 2),
                    series=series,
                )
            )
    return Chart(title=title, unit=unit, names=tuple(names), days=rows, bars=bars, highest=highest)
