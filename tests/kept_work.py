"""Done once in a process, and not for each of a thousand servers: the schema's migrations, packing files, the
words of problems for scripts, and the simulator's pictures.

tests/integration/test_migrations.py runs the migrations themselves.
"""

import functools
from collections.abc import Callable, Generator, Hashable
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from sqlalchemy import inspect
from sqlalchemy.engine import Connection

import server.web
from server import migrations
from server.web import pages
from server.web.assets import load_assets, website_files
from simulator import media

SIMULATED: Final = Path(__file__).parents[1] / ".cache" / "simulated-twitch"
"""Where the simulator keeps composed songs and encoded media, which are the same in every run."""

RunAlembic = Callable[[Connection, str], None]

run_alembic: RunAlembic = migrations._run_alembic  # pyright: ignore[reportPrivateUsage]
"""The product's own."""


class SchemaCopies:
    """Gives an empty database the tables that the migrations have made in another one of its kind."""

    def __init__(self) -> None:
        self._made: dict[str, list[str]] = {}

    def run(self, connection: Connection, to: str) -> None:
        """In place of Alembic, for an empty database and the newest schema; all else is Alembic's."""
        if to != migrations.revisions()[-1] or inspect(connection).get_table_names():
            run_alembic(connection, to)
            return
        made = self._made.get(connection.dialect.name)
        if made is None:
            run_alembic(connection, to)
            if made := _statements(connection):
                self._made[connection.dialect.name] = made
            return
        for statement in made:
            connection.exec_driver_sql(statement)


def _statements(connection: Connection) -> list[str]:
    """What makes the same schema; nothing where there are rows besides, such as of a server that waited for it."""
    names = inspect(connection).get_table_names()
    filled = [name for name in names if connection.exec_driver_sql(f"SELECT 1 FROM {name} LIMIT 1").first()]
    if filled != ["alembic_version"]:
        return []
    revision = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one()
    if connection.dialect.name == "sqlite":
        rows = connection.exec_driver_sql("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY rowid")
        made = [str(row[0]) for row in rows]
    else:
        tables = [connection.exec_driver_sql(f"SHOW CREATE TABLE {name}").one()[1] for name in names]
        made = ["SET foreign_key_checks = 0", *map(str, tables), "SET foreign_key_checks = 1"]
    return [*made, f"INSERT INTO alembic_version VALUES ('{revision}')"]


class Once:
    """Calls a function once for each key that its argument has."""

    def __init__(self, make: Callable[[Any], Any], key: Callable[[Any], Hashable]) -> None:
        self._make = make
        self._key = key
        self._made: dict[Hashable, Any] = {}

    def __call__(self, of: Any) -> Any:
        key = self._key(of)
        if key not in self._made:
            self._made[key] = self._make(of)
        return self._made[key]


@contextmanager
def kept_work() -> Generator[None]:
    """Do it once while the block runs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(migrations, "_run_alembic", SchemaCopies().run)
        patch.setattr(server.web, "load_assets", Once(load_assets, lambda paths: tuple(sorted(paths.items()))))
        patch.setattr(server.web, "website_files", functools.cache(website_files))
        patch.setattr(pages, "words_json", Once(pages.words_json, lambda language: language.code))
        patch.setattr(media, "template_file", functools.cache(media.template_file))
        yield
