"""What the shared count of questions promises, on each database."""

import asyncio
from datetime import timedelta

import pytest

from fingerprint.database import Database, open_database
from fingerprint.domain.budgets import Budget, Counted, OverBudget, Period
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.providers.usage import SqlUsage
from tests.builders import NOON

DAY = Budget(Period.DAY, 3)
MONTH = Budget(Period.MONTH, 5)


async def used(usage: SqlUsage, provider: str = "acrcloud", days: int = 0) -> dict[Period, int]:
    now = NOON + timedelta(days=days)
    return {each.period: each.used for each in await usage.spending(provider, (DAY, MONTH), now)}


async def test_questions_are_counted_in_the_day_and_in_the_month_for_each_provider(database: Database) -> None:
    usage = SqlUsage(database)
    assert await used(usage) == {Period.DAY: 0, Period.MONTH: 0}
    assert await usage.spend("acrcloud", (), NOON) == Counted()
    assert await usage.spend("acrcloud", (DAY, MONTH), NOON) == Counted()
    assert await usage.spend("acrcloud", (), NOON + timedelta(days=1)) == Counted()
    assert await usage.spend("audd", (), NOON) == Counted()
    assert await used(usage) == {Period.DAY: 2, Period.MONTH: 3}
    assert await used(usage, days=1) == {Period.DAY: 1, Period.MONTH: 3}
    assert await used(usage, "audd") == {Period.DAY: 1, Period.MONTH: 1}
    (day, month) = await usage.spending("acrcloud", (DAY,), NOON)
    assert (day.most, day.left, month.most, month.left) == (3, 1, None, None)


async def test_a_budget_that_is_used_up_refuses_and_counts_nothing(database: Database) -> None:
    usage = SqlUsage(database)
    for _ in range(3):
        assert await usage.spend("acrcloud", (DAY, MONTH), NOON) == Counted()
    assert await usage.spend("acrcloud", (DAY, MONTH), NOON) == OverBudget(DAY, Period.DAY.end_of(NOON))
    tomorrow = NOON + timedelta(days=1)
    for _ in range(2):
        assert await usage.spend("acrcloud", (DAY, MONTH), tomorrow) == Counted()
    # The day would allow one more: what was counted in it is undone.
    assert await usage.spend("acrcloud", (DAY, MONTH), tomorrow) == OverBudget(MONTH, Period.MONTH.end_of(NOON))
    assert await used(usage, days=1) == {Period.DAY: 2, Period.MONTH: 5}


async def test_a_budget_of_nothing_allows_nothing(database: Database) -> None:
    none = Budget(Period.DAY, 0)
    assert await SqlUsage(database).spend("acrcloud", (none,), NOON) == OverBudget(none, Period.DAY.end_of(NOON))


async def test_servers_that_ask_at_the_same_moment_never_overrun_a_budget(
    database: Database, sql_address: str
) -> None:
    budget = Budget(Period.DAY, 20)
    async with open_database(sql_address) as other:
        usages = [SqlUsage(database), SqlUsage(other)]

        async def spend(number: int) -> Counted | OverBudget | str:
            try:
                return await usages[number % 2].spend("acrcloud", (budget, MONTH_OF_PLENTY), NOON)
            except TwitchAudioError as error:
                return str(error.code)

        spent = await asyncio.gather(*(spend(number) for number in range(50)))
    over = OverBudget(budget, Period.DAY.end_of(NOON))
    # One that has to wait too long for its turn is refused, which is safe.
    assert [each for each in spent if each not in (Counted(), over, "busy")] == []
    granted = spent.count(Counted())
    counted = await used(usages[0])
    assert counted == {Period.DAY: granted, Period.MONTH: granted}
    assert granted == 20


MONTH_OF_PLENTY = Budget(Period.MONTH, 1000)


async def test_old_counts_are_forgotten(database: Database) -> None:
    usage = SqlUsage(database)
    await usage.spend("acrcloud", (), NOON - timedelta(days=500))
    await usage.spend("acrcloud", (), NOON)
    assert await used(usage, days=-500) == {Period.DAY: 0, Period.MONTH: 0}
    assert await used(usage) == {Period.DAY: 1, Period.MONTH: 1}


async def test_a_database_that_is_away_is_busy() -> None:
    async with open_database("mysql://nobody:x@127.0.0.1:1/none") as database:
        with pytest.raises(TwitchAudioError) as raised:
            await SqlUsage(database).spend("acrcloud", (), NOON)
    assert raised.value.code is ProblemCode.BUSY
