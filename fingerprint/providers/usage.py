"""The count of questions in SQL, one row for each provider and period, shared by all servers: a `Usage`."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Column, Integer, String, Table, delete, insert, select, update
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from fingerprint.database import MYSQL_TABLE, Database, exact_text, metadata
from fingerprint.domain.budgets import Budget, OverBudget, Period, Spending, Spent
from fingerprint.ports import Usage

KEPT: Final = timedelta(days=400)
"""How long counts are kept, so that an operator can look back."""

table: Final = Table(
    "provider_usage",
    metadata,
    Column("provider", exact_text(32), primary_key=True),
    # `2026-11-25` or `2026-11`, in UTC.
    Column("period", String(10), primary_key=True),
    Column("used", Integer, nullable=False),
    **MYSQL_TABLE,
)


class _OverBudgetError(Exception):
    """Undoes what the transaction has counted."""

    def __init__(self, budget: Budget) -> None:
        super().__init__(budget.period)
        self.budget = budget


class SqlUsage(Usage):
    """Counts in the shared database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def spend(self, provider: str, budgets: Sequence[Budget], now: datetime) -> Spent | OverBudget:
        """See the port."""

        def work(connection: Connection) -> None:
            # Always the day first, so that two never wait for each other.
            for period in Period:
                most = next((budget.most for budget in budgets if budget.period is period), None)
                _count(connection, provider, period, most, now)

        try:
            await self._database.transact(work)
        except _OverBudgetError as over:
            return OverBudget(over.budget, over.budget.period.end_of(now))
        return Spent()

    async def spending(self, provider: str, budgets: Sequence[Budget], now: datetime) -> Sequence[Spending]:
        """See the port."""
        names = {period.name_of(now): period for period in Period}
        query = select(table.c.period, table.c.used).where(table.c.provider == provider, table.c.period.in_(names))
        used = {names[row.period]: int(row.used) for row in await self._database.rows(query)}
        most = {budget.period: budget.most for budget in budgets}
        return [
            Spending(period=period, used=used.get(period, 0), most=most.get(period), ends_at=period.end_of(now))
            for period in Period
        ]


def _count(connection: Connection, provider: str, period: Period, most: int | None, now: datetime) -> None:
    """Add one. Raises _OverBudgetError when the budget is used up."""
    row = (table.c.provider == provider, table.c.period == period.name_of(now))
    take = update(table).where(*row).values(used=table.c.used + 1)
    if most is not None:
        take = take.where(table.c.used < most)
    if connection.execute(take).rowcount:
        return
    known = connection.execute(select(table.c.used).where(*row)).scalar()
    if known is None and (most is None or most > 0):
        try:
            with connection.begin_nested():
                first = insert(table).values(provider=provider, period=period.name_of(now), used=1)
                connection.execute(first)
                if period is Period.DAY:
                    # The first question of a day: time to delete what nobody looks at any more.
                    old = Period.DAY.name_of(now - KEPT)
                    connection.execute(delete(table).where(table.c.provider == provider, table.c.period < old))
        except IntegrityError:
            # Another server was faster.
            if connection.execute(take).rowcount:
                return
        else:
            return
    assert most is not None, "without a budget there is always one more"
    raise _OverBudgetError(Budget(period, most))
