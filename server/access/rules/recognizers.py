"""What an operator chose for the recognizers: an order and budgets that hold in place of the settings'."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Final

from sqlalchemy import delete, select
from sqlalchemy.engine import Connection

from fingerprint.database import Database
from fingerprint.domain.budgets import Budgets, budgets_text, parse_budgets
from fingerprint.domain.recognizer_override import RecognizerOverride
from fingerprint.upserts import upsert
from server.access.rules_version import change_rules
from server.access.tables import recognizer_overrides as table
from server.audit.changes import ChangeLog


class Chosen(StrEnum):
    """What can be chosen in place of a setting."""

    ORDER = "order"
    BUDGETS = "budgets"


VARIABLES: Final[Mapping[Chosen, str]] = {
    Chosen.ORDER: "TWITCHAUDIO_RECOGNIZERS",
    Chosen.BUDGETS: "TWITCHAUDIO_BUDGETS",
}
"""The settings that hold where nothing is chosen."""


class RecognizerStore:
    """Changes what was chosen; `RulesStore` reads it with all other rules."""

    def __init__(self, database: Database, *, changes: ChangeLog | None = None) -> None:
        self._database = database
        self._changes = changes or ChangeLog()

    async def choose_order(self, names: Sequence[str]) -> None:
        """Ask these recognizers, in this order; the caller has checked them. Raises TwitchAudioError `busy`."""
        await self._choose(Chosen.ORDER, ", ".join(names))

    async def choose_budgets(self, budgets: Budgets) -> None:
        """Have these budgets hold; the caller has checked them. Raises TwitchAudioError `busy`."""
        await self._choose(Chosen.BUDGETS, budgets_text(budgets))

    async def reset(self, what: Chosen) -> bool:
        """Have the setting hold again; returns whether something else did. Raises TwitchAudioError `busy`."""

        def change(connection: Connection) -> bool:
            before = _rows(connection).get(what)
            if before is None:
                return False
            connection.execute(delete(table).where(table.c.name == what))
            self._changes.record(connection, "reset recognizers", what, before=before, after=None)
            return True

        return await change_rules(self._database, change)

    async def _choose(self, what: Chosen, text: str) -> None:
        def change(connection: Connection) -> None:
            before = _rows(connection).get(what)
            if before != text:
                upsert(connection, table, {"name": str(what), "value": text})
                self._changes.record(connection, "choose recognizers", what, before=before, after=text or "none")

        await change_rules(self._database, change)


def read_override(connection: Connection) -> RecognizerOverride:
    """What was chosen, in a transaction that reads the rules. A text that cannot be read counts as not there."""
    rows = _rows(connection)
    order = tuple(filter(None, (name.strip() for name in rows.get(Chosen.ORDER, "").split(","))))
    budgets = None
    if Chosen.BUDGETS in rows:
        try:
            budgets = parse_budgets(rows[Chosen.BUDGETS])
        except ValueError:
            budgets = None
    return RecognizerOverride(order=order or None, budgets=budgets)


def _rows(connection: Connection) -> Mapping[str, str]:
    return {row.name: row.value for row in connection.execute(select(table))}
