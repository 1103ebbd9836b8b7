"""Makes the n-th SQL statement fail, commits included; or a commit take effect without an answer."""

import sqlite3
from typing import Any

from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from fingerprint.database import Database


class Failing:
    """Makes the n-th statement fail, commits included. Whatever begins a transaction does not count.

    `takes_effect`: instead, the n-th commit is done, and then the connection is lost before its answer.
    """

    def __init__(self, database: Database, *, takes_effect: bool = False) -> None:
        self._left: int | None = None
        self._takes_effect = takes_effect
        if not takes_effect:
            event.listen(database.engine, "before_cursor_execute", self._statement)
        event.listen(database.engine, "commit", self._commit)

    def at(self, number: int) -> None:
        """Let the statement with this number, from now on, fail."""
        self._left = number

    def nowhere(self) -> bool:
        """Let all pass again; whether one had failed."""
        failed, self._left = self._left is not None and self._left <= 0, None
        return failed

    def _statement(self, _connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        if not statement.startswith(("PRAGMA", "BEGIN")):
            self._commit(None)

    def _commit(self, connection: Any) -> None:
        if self._left is None:
            return
        self._left -= 1
        if self._left == 0:
            if self._takes_effect:
                connection.connection.dbapi_connection.commit()
            raise OperationalError("a statement", None, sqlite3.OperationalError("disk I/O error"))
