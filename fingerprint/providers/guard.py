"""Guards between the recognizers and the paid providers: circuit breakers, budgets, and their status."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from fingerprint.domain.budgets import Budget, Budgets, BudgetUsage, OverBudget
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.ports import Clock, Usage
from fingerprint.providers.errors import FailureKind, ProviderError, provider_breaker, record_provider_failure

STATUS_SECONDS: Final = 1.5
"""How long an operator's status page waits for the count of questions."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Suspension:
    """The reason why a provider is not asked now, a sentence, and the seconds until it may be asked again."""

    detail: str
    seconds: float


class ProviderState(StrEnum):
    """Whether a provider can be asked, and if not, why."""

    READY = "ready"
    RESTING = "resting"
    OVER_BUDGET = "over-budget"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderStatus:
    """A provider's state, as shown to the operator. `spending` is None when the count cannot be read."""

    name: str
    state: ProviderState
    detail: str | None = None
    seconds: float | None = None
    spending: Sequence[BudgetUsage] | None = ()


class ProviderGuard:
    """One provider's circuit breaker, which is this process's own, and its budgets, which are shared."""

    def __init__(self, name: str, clock: Clock, usage: Usage | None, budgets: Sequence[Budget]) -> None:
        self._name = name
        self._clock = clock
        self._usage = usage
        self._budgets = budgets
        self._breaker = provider_breaker(clock)
        self._over: OverBudget | None = None

    def suspension(self) -> Suspension | None:
        """Why the provider must not be asked now, as far as is known without asking the store; otherwise None."""
        now = self._clock.now()
        if self._budgets and self._usage is None:
            return Suspension(f"The budget of {self._name} cannot be counted without the SQL database.", 3600.0)
        if self._over is not None:
            if now < self._over.ends_at:
                return _over_budget(self._name, self._over, now)
            self._over = None
        seconds = self._breaker.open_seconds
        if seconds is None:
            return None
        return Suspension(f"{self._breaker.reason} It is asked again in {seconds:.0f} s.", seconds)

    def set_budgets(self, budgets: Sequence[Budget]) -> None:
        """Take other budgets from now on; questions that were asked before count in them."""
        if tuple(budgets) != tuple(self._budgets):
            self._budgets = budgets
            self._over = None

    async def count_question(self) -> None:
        """Count one question. Raises ProviderError when the budget is used up or, with one, cannot be counted."""
        if self._usage is None:
            return
        now = self._clock.now()
        try:
            spent = await self._usage.spend(self._name, self._budgets, now)
        except TwitchAudioError as error:
            if not self._budgets:
                _log.warning("question_not_counted", extra={"recognizer": self._name, "detail": error.detail})
                return
            raise ProviderError(
                self._name,
                FailureKind.TRANSIENT,
                f"The budget of {self._name} cannot be counted at the moment.",
                retry_after_seconds=5.0,
            ) from error
        if isinstance(spent, OverBudget):
            self._over = spent
            suspension = _over_budget(self._name, spent, now)
            _log.warning("over_budget", extra={"recognizer": self._name, "budget": str(spent.budget.period)})
            raise ProviderError(
                self._name, FailureKind.QUOTA, suspension.detail, retry_after_seconds=suspension.seconds
            )

    def record_success(self) -> None:
        """Record that the provider answered."""
        self._breaker.record_success()

    def record_failure(self, error: TwitchAudioError) -> None:
        """Record a failure. Silent sound and an exhausted budget of ours are not the provider's failures."""
        if self._over is not None:
            return
        if isinstance(error, ProviderError):
            record_provider_failure(self._breaker, error.kind, error.detail)
        elif error.code is not ProblemCode.NO_AUDIO:
            record_provider_failure(self._breaker, FailureKind.TRANSIENT, error.detail)

    async def status(self) -> ProviderStatus:
        """The provider's state, with what is left of its budgets."""
        now = self._clock.now()
        spending: Sequence[BudgetUsage] | None = ()
        if self._usage is not None:
            try:
                async with asyncio.timeout(STATUS_SECONDS):
                    spending = await self._usage.spending(self._name, self._budgets, now)
            except (TwitchAudioError, TimeoutError):
                spending = None
        used_up = next((each for each in spending or () if each.left == 0), None)
        suspension = self.suspension()
        state = ProviderState.READY
        if used_up is not None or self._over is not None:
            state = ProviderState.OVER_BUDGET
            if suspension is None and used_up is not None and used_up.most is not None:
                over = OverBudget(Budget(used_up.period, used_up.most), used_up.ends_at)
                suspension = _over_budget(self._name, over, now)
        elif suspension is not None:
            state = ProviderState.RESTING
        return ProviderStatus(
            name=self._name,
            state=state,
            detail=None if suspension is None else suspension.detail,
            seconds=None if suspension is None else round(suspension.seconds, 1),
            spending=spending,
        )


def _over_budget(name: str, over: OverBudget, now: datetime) -> Suspension:
    until = over.ends_at.strftime("%Y-%m-%d %H:%M UTC")
    detail = f"The budget of {name} ({over.budget.most} a {over.budget.period}) is used up until {until}."
    return Suspension(detail, over.seconds_until_end(now))


class ProviderGuards:
    """The guards of the paid providers, by their recognizers' names."""

    def __init__(self, clock: Clock, *, usage: Usage | None = None, budgets: Budgets | None = None) -> None:
        self._clock = clock
        self._usage = usage
        self._budgets = budgets or {}
        self._guards: dict[str, ProviderGuard] = {}

    def of(self, name: str) -> ProviderGuard:
        """The guard of a provider, created on first use."""
        guard = self._guards.get(name)
        if guard is None:
            guard = ProviderGuard(name, self._clock, self._usage, self._budgets.get(name, ()))
            self._guards[name] = guard
        return guard

    def set_budgets(self, budgets: Budgets) -> None:
        """Take other budgets for all providers from now on."""
        self._budgets = budgets
        for name, guard in self._guards.items():
            guard.set_budgets(budgets.get(name, ()))

    async def statuses(self) -> Sequence[ProviderStatus]:
        """The status of each provider, read at the same time."""
        return await asyncio.gather(*(guard.status() for guard in self._guards.values()))
