import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from fingerprint.domain.budgets import Budget, BudgetUsage, Counted, OverBudget, Period, parse_budgets
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.media.pcm import no_audio
from fingerprint.providers.errors import (
    MAX_FAILURES,
    FailureKind,
    ProviderError,
    provider_breaker,
    record_provider_failure,
    transient,
)
from fingerprint.providers.guard import ProviderGuard, ProviderGuards, ProviderState
from tests.fakes import FakeClock

DAY = Budget(Period.DAY, 2)
MONTH = Budget(Period.MONTH, 3)


class Counts:
    """A `Usage` in memory."""

    def __init__(self) -> None:
        self.used = 0
        self.broken = False

    async def spend(self, provider: str, budgets: Sequence[Budget], now: datetime) -> Counted | OverBudget:
        if self.broken:
            raise TwitchAudioError(ProblemCode.BUSY, "The database is away.")
        for budget in budgets:
            if self.used >= budget.most:
                return OverBudget(budget, budget.period.end_of(now))
        self.used += 1
        return Counted()

    async def spending(self, provider: str, budgets: Sequence[Budget], now: datetime) -> Sequence[BudgetUsage]:
        if self.broken:
            raise TwitchAudioError(ProblemCode.BUSY, "The database is away.")
        return [
            BudgetUsage(period=budget.period, used=self.used, most=budget.most, ends_at=budget.period.end_of(now))
            for budget in budgets
        ]


def test_one_failure_of_the_network_does_not_open_the_circuit() -> None:
    breaker = provider_breaker(FakeClock())
    for _ in range(MAX_FAILURES - 1):
        record_provider_failure(breaker, FailureKind.TRANSIENT, "It is away.")
        assert breaker.open_seconds is None
    record_provider_failure(breaker, FailureKind.TRANSIENT, "It is away.")
    assert breaker.open_seconds == pytest.approx(5.0, rel=0.2)
    assert breaker.reason == "It is away."


async def test_each_pause_in_a_row_is_twice_as_long_up_to_a_limit() -> None:
    clock = FakeClock()
    breaker = provider_breaker(clock)
    pauses: list[float] = []
    for _ in range(MAX_FAILURES - 1):
        record_provider_failure(breaker, FailureKind.TRANSIENT, "It is away.")
    for _ in range(8):
        record_provider_failure(breaker, FailureKind.TRANSIENT, "It is away.")
        assert breaker.open_seconds is not None
        pauses.append(breaker.open_seconds)
        await clock.advance(breaker.open_seconds + 0.1)
    for pause, seconds in zip(pauses, [5, 10, 20, 40, 80, 120, 120, 120], strict=True):
        assert pause == pytest.approx(seconds, rel=0.2)


@pytest.mark.parametrize(
    ("kind", "seconds"),
    [(FailureKind.QUOTA, 900), (FailureKind.CONFIGURATION, 60), (FailureKind.RATE, 5), (FailureKind.REQUEST, 5)],
)
def test_what_will_not_pass_by_itself_opens_the_circuit_at_once(kind: FailureKind, seconds: float) -> None:
    breaker = provider_breaker(FakeClock())
    record_provider_failure(breaker, kind, "No.")
    assert breaker.open_seconds == pytest.approx(seconds, rel=0.2)


async def test_a_budget_that_is_used_up_keeps_the_provider_from_being_asked_until_it_begins_anew() -> None:
    clock, counts = FakeClock(), Counts()
    guard = ProviderGuard("acrcloud", clock, counts, (DAY,))
    for _ in range(2):
        assert guard.suspension() is None
        await guard.count_question()
    with pytest.raises(ProviderError) as raised:
        await guard.count_question()
    assert raised.value.kind is FailureKind.QUOTA
    guard.record_failure(raised.value)
    suspension = guard.suspension()
    assert suspension is not None
    assert "The budget of acrcloud (2 a day) is used up until" in suspension.detail
    assert suspension.seconds == pytest.approx(
        (Period.DAY.end_of(clock.now()) - clock.now()).total_seconds(), abs=1
    )
    assert counts.used == 2
    counts.used = 0
    await clock.advance(suspension.seconds + 1)
    assert guard.suspension() is None
    await guard.count_question()


async def test_without_a_store_a_budget_keeps_the_provider_from_being_asked() -> None:
    suspension = ProviderGuard("acrcloud", FakeClock(), None, (DAY,)).suspension()
    assert suspension is not None
    assert "cannot be counted" in suspension.detail
    assert ProviderGuard("acrcloud", FakeClock(), None, ()).suspension() is None


async def test_a_store_that_is_away_stops_only_providers_with_a_budget() -> None:
    counts = Counts()
    counts.broken = True
    await ProviderGuard("acrcloud", FakeClock(), counts, ()).count_question()
    with pytest.raises(ProviderError) as raised:
        await ProviderGuard("acrcloud", FakeClock(), counts, (DAY,)).count_question()
    assert raised.value.retry_after_seconds == 5.0


async def test_nothing_to_hear_is_not_the_providers_fault() -> None:
    guard = ProviderGuard("acrcloud", FakeClock(), None, ())
    for _ in range(10):
        guard.record_failure(no_audio("it is silent"))
    assert guard.suspension() is None
    for _ in range(MAX_FAILURES):
        guard.record_failure(transient("acrcloud", "It is away."))
    suspension = guard.suspension()
    assert suspension is not None
    assert suspension.detail.startswith("It is away. It is asked again in")


async def test_the_operator_sees_how_each_provider_stands() -> None:
    clock, counts = FakeClock(), Counts()
    guards = ProviderGuards(clock, usage=counts, budgets={"acrcloud": (DAY, MONTH)})
    for name in ("acrcloud", "audd"):
        guards.of(name)
    await guards.of("acrcloud").count_question()
    guards.of("audd").record_failure(
        ProviderError("AudD", FailureKind.CONFIGURATION, "AudD does not take our token.")
    )
    acrcloud, audd = await guards.statuses()
    assert (acrcloud.name, acrcloud.state, acrcloud.detail) == ("acrcloud", ProviderState.READY, None)
    assert [(each.period, each.used, each.most, each.left) for each in acrcloud.spending or ()] == [
        (Period.DAY, 1, 2, 1),
        (Period.MONTH, 1, 3, 2),
    ]
    assert (audd.name, audd.state) == ("audd", ProviderState.RESTING)
    assert (audd.detail or "").startswith("AudD does not take our token.")
    assert audd.seconds is not None


async def test_a_budget_that_others_used_up_is_seen_too() -> None:
    counts = Counts()
    counts.used = 2
    status = await ProviderGuard("acrcloud", FakeClock(), counts, (DAY,)).status()
    assert status.state is ProviderState.OVER_BUDGET
    assert "used up until" in (status.detail or "")


async def test_a_count_that_cannot_be_read_is_said_to_be_unknown() -> None:
    counts = Counts()
    counts.broken = True
    status = await ProviderGuard("acrcloud", FakeClock(), counts, (DAY,)).status()
    assert status.spending is None


async def test_an_operator_who_looks_does_not_wait_for_a_store_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fingerprint.providers.guard.STATUS_SECONDS", 0.05)

    class Hanging(Counts):
        async def spending(self, provider: str, budgets: Sequence[Budget], now: datetime) -> Sequence[BudgetUsage]:
            await asyncio.Event().wait()
            return []

    guards = ProviderGuards(FakeClock(), usage=Hanging(), budgets={"acrcloud": (DAY,)})
    for name in ("acrcloud", "audd"):
        guards.of(name)
    assert [status.spending for status in await guards.statuses()] == [None, None]


@pytest.mark.parametrize(
    ("moment", "day", "month"),
    [
        ("2026-12-31T23:59:00Z", "2027-01-01", "2027-01-01"),
        ("2028-02-29T00:00:00Z", "2028-03-01", "2028-03-01"),
        ("2026-01-30T12:00:00Z", "2026-01-31", "2026-02-01"),
        ("2026-01-30T23:30:00-02:00", "2026-02-01", "2026-02-01"),
    ],
)
def test_days_and_months_end_in_utc(moment: str, day: str, month: str) -> None:
    now = datetime.fromisoformat(moment)
    assert Period.DAY.end_of(now) == datetime.fromisoformat(day).replace(tzinfo=UTC)
    assert Period.MONTH.end_of(now) == datetime.fromisoformat(month).replace(tzinfo=UTC)


def test_budgets_are_read() -> None:
    assert parse_budgets("acrcloud=100/day, acrcloud = 2000/month,audd=0/day,") == {
        "acrcloud": (Budget(Period.DAY, 100), Budget(Period.MONTH, 2000)),
        "audd": (Budget(Period.DAY, 0),),
    }


@pytest.mark.parametrize(
    "text", ["acrcloud", "acrcloud=x/day", "acrcloud=1/week", "acrcloud=-1/day", "a=1/day,a=2/day", "=1/day"]
)
def test_other_texts_are_no_budgets(text: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        parse_budgets(text)


async def test_another_budget_holds_at_once_and_what_was_asked_counts_in_it() -> None:
    counts = Counts()
    guards = ProviderGuards(FakeClock(), usage=counts, budgets={"audd": (DAY,)})
    guard = guards.of("audd")
    for _ in range(DAY.most):
        await guard.count_question()
    with pytest.raises(ProviderError):
        await guard.count_question()
    assert guard.suspension() is not None
    guards.set_budgets({"audd": (MONTH,)})
    assert guard.suspension() is None
    await guard.count_question()
    with pytest.raises(ProviderError):
        await guard.count_question()
    guards.set_budgets({})
    await guard.count_question()
    assert guards.of("acrcloud").suspension() is None
