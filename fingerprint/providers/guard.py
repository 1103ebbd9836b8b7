"""Between the recognizers and the providers that cost something: rests and budgets, and how each stands."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from fingerprint.domain.budgets import Budget, Budgets, OverBudget, Spending
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.ports import Clock, Usage
from fingerprint.providers.faults import Fault, ProviderError, provider_breaker, record_fault

STANDING_SECONDS: Final = 1.5
"""How long an operator who looks waits for the count."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a provider is not asked now: a sentence, and seconds until it may be again."""

    detail: str
    seconds: float


class State(StrEnum):
    """How a provider stands."""

    READY = "ready"
    RESTING = "resting"
    OVER_BUDGET = "over-budget"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a provider stands, for the operator. `spending` is None when the count cannot be read."""

    name: str
    state: State
    detail: str | None = None
    seconds: float | None = None
    spending: Sequence[Spending] | None = ()


class Guard:
    """Rests and budgets of one provider. Rests are this process's, budgets are everybody's."""

    def __init__(self, name: str, clock: Clock, usage: Usage | None, budgets: Sequence[Budget]) -> None:
        self._name = name
        self._clock = clock
        self._usage = usage
        self._budgets = budgets
        self._breaker = provider_breaker(clock)
        self._over: OverBudget | None = None

    def refusal(self) -> Refusal | None:
        """Why it is not to be asked now, as far as is known without asking the store; else None."""
        now = self._clock.now()
        if self._budgets and self._usage is None:
            return Refusal(f"The budget of {self._name} cannot be counted without the SQL database.", 3600.0)
        if self._over is not None:
            if now < self._over.ends_at:
                return _over_budget(self._name, self._over, now)
            self._over = None
        seconds = self._breaker.open_seconds
        if seconds is None:
            return None
        return Refusal(f"{self._breaker.reason} It is asked again in {seconds:.0f} s.", seconds)

    async def spend(self) -> None:
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
                Fault.TRANSIENT,
                f"The budget of {self._name} cannot be counted at the moment.",
                retry_after_seconds=5.0,
            ) from error
        if isinstance(spent, OverBudget):
            self._over = spent
            refusal = _over_budget(self._name, spent, now)
            _log.warning("over_budget", extra={"recognizer": self._name, "budget": str(spent.budget.period)})
            raise ProviderError(self._name, Fault.QUOTA, refusal.detail, retry_after_seconds=refusal.seconds)

    def answered(self) -> None:
        """It gave an answer."""
        self._breaker.record_success()

    def failed(self, error: TwitchAudioError) -> None:
        """It gave none. That there was nothing to hear is not its fault, nor is a budget of ours."""
        if self._over is not None:
            return
        if isinstance(error, ProviderError):
            record_fault(self._breaker, error.fault, error.detail)
        elif error.code is not ProblemCode.NO_AUDIO:
            record_fault(self._breaker, Fault.TRANSIENT, error.detail)

    async def standing(self) -> Standing:
        """How it stands, with what is left of its budgets."""
        now = self._clock.now()
        spending: Sequence[Spending] | None = ()
        if self._usage is not None:
            try:
                async with asyncio.timeout(STANDING_SECONDS):
                    spending = await self._usage.spending(self._name, self._budgets, now)
            except (TwitchAudioError, TimeoutError):
                spending = None
        used_up = next((each for each in spending or () if each.left == 0), None)
        refusal = self.refusal()
        state = State.READY
        if used_up is not None or self._over is not None:
            state = State.OVER_BUDGET
            if refusal is None and used_up is not None and used_up.most is not None:
                over = OverBudget(Budget(used_up.period, used_up.most), used_up.ends_at)
                refusal = _over_budget(self._name, over, now)
        elif refusal is not None:
            state = State.RESTING
        return Standing(
            name=self._name,
            state=state,
            detail=None if refusal is None else refusal.detail,
            seconds=None if refusal is None else round(refusal.seconds, 1),
            spending=spending,
        )


def _over_budget(name: str, over: OverBudget, now: datetime) -> Refusal:
    until = over.ends_at.strftime("%Y-%m-%d %H:%M UTC")
    detail = f"The budget of {name} ({over.budget.most} a {over.budget.period}) is used up until {until}."
    return Refusal(detail, over.seconds(now))


class Guards:
    """A guard for each provider by its recognizer's name. Those that cost nothing have none."""

    def __init__(self, clock: Clock, *, usage: Usage | None = None, budgets: Budgets | None = None) -> None:
        self._clock = clock
        self._usage = usage
        self._budgets: Final = budgets or {}
        self._guards: dict[str, Guard] = {}

    def of(self, name: str) -> Guard:
        """The guard of a provider, made when it is first asked for."""
        guard = self._guards.get(name)
        if guard is None:
            guard = Guard(name, self._clock, self._usage, self._budgets.get(name, ()))
            self._guards[name] = guard
        return guard

    async def standings(self) -> Sequence[Standing]:
        """How each provider stands."""
        return await asyncio.gather(*(guard.standing() for guard in self._guards.values()))
