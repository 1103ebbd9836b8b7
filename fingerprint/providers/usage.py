"""Counts questions in SQL, one row for each provider and period, shared by all servers: a `Usage`."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Column, Integer, Select, String, delete, select
from sqlalchemy.engine import Connection

from fingerprint.database import Database, exact_text, sql_table
from fingerprint.domain.budgets import Budget, BudgetUsage, Counted, OverBudget, Period
from fingerprint.ports import Usage
from fingerprint.upserts import count_up

RETENTION: Final = timedelta(days=400)
"""How long counts are kept for the operator."""

table: Final = sql_table(
    "provider_usage",
    Column("provider", exact_text(32), primary_key=True),
    # `2026-11-25` or `2026-11`, in UTC.
    Column("period", String(10), primary_key=True),
    Column("used", Integer, nullable=False),
)


class _OverBudgetError(Exception):
    """Raised inside the transaction to roll back the count."""

    def __init__(self, budget: Budget) -> None:
        super().__init__(budget.period)
        self.budget = budget


class SqlUsage(Usage):
    """The `Usage` port on the shared SQL database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def spend(self, provider: str, budgets: Sequence[Budget], now: datetime) -> Counted | OverBudget:

        def work(connection: Connection) -> None:
            count_up(connection, table, rows, "used")
            used = {row.period: row.used for row in connection.execute(counts)}
            for budget in sorted(budgets, key=lambda each: each.period.end_of(now)):
                if used[budget.period.name_of(now)] > budget.most:
                    raise _OverBudgetError(budget)
            if used[Period.DAY.name_of(now)] == 1:
                # On a day's first question, counts that are older than RETENTION are deleted.
                connection.execute(delete(table).where(table.c.provider == provider, table.c.period < oldest))

        names, oldest = [period.name_of(now) for period in Period], Period.DAY.name_of(now - RETENTION)
        rows, counts = (
            [{"provider": provider, "period": name, "used": 1} for name in names],
            _counts(provider, names),
        )
        try:
            await self._database.transact(work)
        except _OverBudgetError as over:
            return OverBudget(over.budget, over.budget.period.end_of(now))
        return Counted()

    async def spending(self, provider: str, budgets: Sequence[Budget], now: datetime) -> Sequence[BudgetUsage]:
        names = {period.name_of(now): period for period in Period}
        rows = await self._database.rows(_counts(provider, list(names)))
        used = {names[row.period]: int(row.used) for row in rows}
        most = {budget.period: budget.most for budget in budgets}
        return [
            BudgetUsage(period=period, used=used.get(period, 0), most=most.get(period), ends_at=period.end_of(now))
            for period in Period
        ]


def _counts(provider: str, periods: Sequence[str]) -> Select[str, int]:
    return select(table.c.period, table.c.used).where(table.c.provider == provider, table.c.period.in_(periods))
