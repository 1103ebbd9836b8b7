"""Budgets: how many questions a provider may be asked in a day and in a month, counted for all servers together.

Days and months are UTC's. A question counts when it is about to be asked, whatever its result: providers bill
answers without a song too, and a count that is too high costs nothing.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final


class Period(StrEnum):
    """The period that a budget is for, in UTC."""

    DAY = "day"
    MONTH = "month"

    def name_of(self, now: datetime) -> str:
        """The name of the period that contains `now`: `2026-11-25` or `2026-11`."""
        return now.astimezone(UTC).strftime("%Y-%m-%d" if self is Period.DAY else "%Y-%m")

    def end_of(self, now: datetime) -> datetime:
        """When the period of a moment ends."""
        day = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        if self is Period.DAY:
            return day + timedelta(days=1)
        return (day.replace(day=1) + timedelta(days=32)).replace(day=1)


@dataclass(frozen=True, slots=True)
class Budget:
    """At most `most` questions in each period."""

    period: Period
    most: int


Budgets = Mapping[str, tuple[Budget, ...]]
"""The budgets of each recognizer, by its name."""

_BUDGET: Final = re.compile(r"([a-z]+)\s*=\s*([0-9]{1,9})\s*/\s*(day|month)")


def parse_budgets(text: str) -> Budgets:
    """Reads `acrcloud=100/day, acrcloud=3000/month, audd=10/day`. Raises ValueError for any other form."""
    found: dict[str, tuple[Budget, ...]] = {}
    for word in text.split(","):
        if not word.strip():
            continue
        form = _BUDGET.fullmatch(word.strip())
        if form is None:
            raise ValueError(word)
        name, budget = form[1], Budget(Period(form[3]), int(form[2]))
        known = found.get(name, ())
        if any(each.period is budget.period for each in known):
            raise ValueError(word)
        found[name] = (*known, budget)
    return found


def budgets_text(budgets: Budgets) -> str:
    """The budgets in the form that `parse_budgets` reads; empty without any."""
    return ", ".join(
        f"{name}={budget.most}/{budget.period}" for name, limits in budgets.items() for budget in limits
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetUsage:
    """How many questions were asked in the current period; `most` is None where there is no budget."""

    period: Period
    used: int
    most: int | None
    ends_at: datetime

    @property
    def left(self) -> int | None:
        """Questions that may still be asked; None where there is no budget."""
        return None if self.most is None else max(0, self.most - self.used)


@dataclass(frozen=True, slots=True)
class Counted:
    """The question may be asked; it is counted."""


@dataclass(frozen=True, slots=True)
class OverBudget:
    """The question may not be asked, because `budget` is used up until `ends_at`."""

    budget: Budget
    ends_at: datetime

    def seconds_until_end(self, now: datetime) -> float:
        """Whole seconds until the budget's period ends, at least one."""
        return max(1.0, math.ceil((self.ends_at - now).total_seconds()))
