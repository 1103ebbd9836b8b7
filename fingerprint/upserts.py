"""Rows that are written whether or not one with their key is there, and many at once: one statement each."""

import sqlite3
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import chain
from operator import itemgetter
from typing import Any, Final

from sqlalchemy import Insert, Table, insert
from sqlalchemy.dialects import mysql, sqlite
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError
from sqlalchemy.sql.base import ReadOnlyColumnCollection

from fingerprint.database import Values, named_locks

_MYSQL_DUPLICATE: Final = 1062
_ROWS_PER_STATEMENT: Final = 500

# An UPDATE and, where that finds nothing, an INSERT is never right: on MySQL each statement sees what others have
# committed, so another server may insert the row in between. Each of these is one statement.


def insert_new(connection: Connection, table: Table, row: Values) -> bool:
    """Insert a row; False when there is one with its key already, which is left as it is.

    A row that is there is locked until the transaction ends, so what it holds may be relied on.
    """
    try:
        # Both databases undo this statement alone when it fails.
        connection.execute(insert(table), row)
    except IntegrityError as error:
        if not _is_duplicate(error):
            raise
        return False
    return True


def upsert(connection: Connection, table: Table, row: Values) -> None:
    """Insert a row, or give the one with its primary key these values. It is locked until the transaction ends."""
    connection.execute(_upsert(connection.dialect.name, table, tuple(row)), row)


def count_up(connection: Connection, table: Table, rows: Sequence[Values], counter: str) -> None:
    """Insert rows, or add what each has in the column `counter` to the row with its primary key.

    They are locked until the transaction ends, always in the order of their keys, so that two transactions that
    count the same ones never wait for each other. Counting always succeeds: read the counters afterwards, and
    raise to undo it where there are too many.
    """
    if not rows:
        return
    key = itemgetter(*table.primary_key.columns.keys())
    statement = _upsert(connection.dialect.name, table, tuple(rows[0]), counter)
    connection.execute(statement, sorted(rows, key=key))


def lock(connection: Connection, name: str) -> None:
    """Hold the lock `name` from here to the end of the transaction; waits while another transaction holds it.

    A transaction that counts rows and then adds one takes a lock first. Otherwise, on MySQL, another server may
    add one in between, and a bound is exceeded. Names are constants, so that the table stays small.
    """
    count_up(connection, named_locks, [{"name": name, "taken": 1}], "taken")


@lru_cache(maxsize=64)
def _upsert(dialect: str, table: Table, columns: tuple[str, ...], counter: str | None = None) -> Insert:
    """The statement of `upsert` or `count_up`, cached: building it takes longer than SQLite takes to run it."""
    keys = table.primary_key.columns.keys()

    def changes(new: ReadOnlyColumnCollection[str, Any]) -> dict[str, Any]:
        if counter is not None:
            return {counter: table.c[counter] + new[counter]}
        return {name: new[name] for name in columns if name not in keys}

    if dialect == "sqlite":
        statement = sqlite.insert(table)
        return statement.on_conflict_do_update(keys, set_=changes(statement.excluded))
    statement = mysql.insert(table)
    return statement.on_duplicate_key_update(changes(statement.inserted))


def _is_duplicate(error: IntegrityError) -> bool:
    """Whether a row with the same key is there, and not another rule of the table is broken."""
    if isinstance(error.orig, sqlite3.Error):
        return error.orig.sqlite_errorname in ("SQLITE_CONSTRAINT_PRIMARYKEY", "SQLITE_CONSTRAINT_UNIQUE")
    return error.orig is not None and error.orig.args[:1] == (_MYSQL_DUPLICATE,)


def insert_all(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows that all have the same columns, several hundred with each statement.

    Hot path; simple form: `connection.execute(insert(table), rows)`. That is the driver's own way, a statement for
    each row: on SQLite its thread and ours then pass the interpreter to each other for every row, which takes
    longer than the work where requests keep ours busy.
    """
    for start in range(0, len(rows), _ROWS_PER_STATEMENT):
        _insert_in_one_statement(connection, table, rows[start : start + _ROWS_PER_STATEMENT])


def _insert_in_one_statement(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """`INSERT ... VALUES (...), (...), ...`: SQLAlchemy's for one row, with its placeholders once for each."""
    compiled = insert(table).compile(dialect=connection.dialect, column_keys=list(rows[0]))
    head, _, placeholders = str(compiled).rpartition(" VALUES ")
    values_of = itemgetter(*(compiled.positiontup or ()))
    values = tuple(chain.from_iterable(map(values_of, rows)))
    connection.exec_driver_sql(f"{head} VALUES {', '.join([placeholders] * len(rows))}", values)
