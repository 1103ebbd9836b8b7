"""What is deleted gives its space back to the disk, and an older file does once it was vacuumed."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.engine import Connection

from fingerprint.background import MIN_PAUSE_SECONDS, Background
from fingerprint.database import open_database
from fingerprint.domain.problems import TwitchAudioError
from server.sqlite_space import KEPT_PAGES, space_given_back, vacuum
from tests.fakes import FakeClock

ROWS = 3_000


def fill_and_empty(connection: Connection) -> None:
    connection.execute(text("CREATE TABLE heap (content TEXT)"))
    connection.execute(text("INSERT INTO heap VALUES (:content)"), [{"content": "x" * 4_000}] * ROWS)
    connection.execute(text("DELETE FROM heap"))


def pages(file: Path, name: str = "page_count") -> int:
    with closing(sqlite3.connect(file)) as connection:
        return int(connection.execute(f"PRAGMA {name}").fetchone()[0])


async def test_a_new_file_shrinks_in_steps_after_rows_were_deleted(tmp_path: Path) -> None:
    file, clock = tmp_path / "new.sqlite3", FakeClock()
    async with open_database(f"sqlite:///{file}") as database:
        await database.transact(fill_and_empty)
        assert pages(file) > ROWS
        async with space_given_back(database, clock, Background(clock)):

            async def is_small() -> bool:
                await clock.advance(MIN_PAUSE_SECONDS)
                return await asyncio.to_thread(pages, file) <= KEPT_PAGES + 100

            while not await is_small():
                pass
    assert pages(file, "freelist_count") > 0, "some free pages stay for new rows"
    assert file.stat().st_size < 4_500 * KEPT_PAGES


async def test_an_older_file_is_left_as_it_is_until_it_was_vacuumed(tmp_path: Path) -> None:
    file = tmp_path / "old.sqlite3"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE before (content TEXT)")
        connection.execute("INSERT INTO before VALUES ('kept')")
        connection.commit()
    async with open_database(f"sqlite:///{file}") as database:
        await database.transact(fill_and_empty)
    done = vacuum(file)
    assert done.after < done.before / 10
    assert pages(file, "auto_vacuum") == 2
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("SELECT content FROM before").fetchall() == [("kept",)]


def test_a_file_in_use_or_damaged_is_not_vacuumed(tmp_path: Path) -> None:
    file = tmp_path / "text.sqlite3"
    file.write_text("nothing of a database" * 100)
    with pytest.raises(TwitchAudioError, match="was not changed: file is not a database"):
        vacuum(file)
    with pytest.raises(TwitchAudioError, match="There is no database"):
        vacuum(tmp_path / "none.sqlite3")
