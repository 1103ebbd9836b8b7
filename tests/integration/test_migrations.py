"""The schema: made from nothing, brought up to date, equal to the tables in code, and safe from older versions."""

import asyncio
import os
import sqlite3
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Column, Float, Integer, MetaData, String, Table, insert, inspect, select
from sqlalchemy.engine import Connection, RowMapping

from fingerprint.configured_database import database_url, open_configured_database
from fingerprint.database import Database, metadata, open_database
from fingerprint.domain.problems import TwitchAudioError
from fingerprint.pipeline_settings import PipelineSettings
from fingerprint.settings import SettingsError
from server import migrations
from server.cli import main
from tests.kept_work import run_alembic
from tests.mariadb import MariaDB

NOBODY = 65_534


@pytest.fixture(autouse=True)
def _migrations_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not the copies that other tests get."""
    monkeypatch.setattr(migrations, "_run_alembic", run_alembic)


def address(folder: Path) -> str:
    return database_url(PipelineSettings(data_dir=folder))


def tables(folder: Path) -> set[str]:
    connection = sqlite3.connect(folder / "twitchaudio.sqlite3")
    names = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    connection.close()
    return names


async def test_an_empty_database_gets_the_schema_and_a_second_time_nothing(sql_address: str) -> None:
    async with open_database(sql_address) as database:
        assert (await migrations.upgrade(database)).before is None
        schema = await migrations.upgrade(database)
        assert schema.before == schema.after
        await migrations.check(database)
        names = await database.read(lambda connection: inspect(connection).get_table_names())
    assert set(names) == {*metadata.tables, "alembic_version"}


async def _take_back_to(database: Database, revision: str) -> None:
    """What a server leaves that is killed before it has written the new revision down; MySQL keeps the rest."""
    version = Table("alembic_version", MetaData(), Column("version_num", String(32)))
    await database.transact(lambda connection: connection.execute(version.update().values(version_num=revision)))


async def test_s9_migrations_that_were_interrupted_are_done_again(mariadb: MariaDB) -> None:
    async with open_database(mariadb.new_database()) as database:
        await migrations.upgrade(database)
        await _take_back_to(database, "0016")
        assert (await migrations.upgrade(database)).before == "0016"
        await migrations.check(database)


@pytest.mark.nightly
async def test_s9_each_migration_that_was_interrupted_is_done_again(mariadb: MariaDB) -> None:
    async with open_database(mariadb.new_database()) as database:
        before = ""
        for revision in migrations.revisions():
            await migrations.upgrade(database, to=revision)
            if before:
                await _take_back_to(database, before)
                await migrations.upgrade(database, to=revision)
            before = revision
        await migrations.check(database)


async def test_migrations_make_exactly_the_tables_in_code(tmp_path: Path) -> None:
    def differences(connection: Connection) -> list[object]:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return compare_metadata(context, metadata)

    async with open_database(address(tmp_path)) as database:
        await migrations.upgrade(database)
        assert await database.read(differences) == []


async def test_migrations_make_exactly_the_tables_in_code_on_mysql_too(mariadb: MariaDB) -> None:
    # Alembic's comparison takes MySQL's DOUBLE and MEDIUMTEXT for differences; the server's own words are exact.
    async with open_database(mariadb.new_database()) as database, open_database(mariadb.new_database()) as other:
        await migrations.upgrade(database)
        await other.transact(metadata.create_all)

        def shown(connection: Connection) -> list[list[str]]:
            made: list[list[str]] = []
            for table in metadata.tables:
                row = connection.exec_driver_sql(f"SHOW CREATE TABLE {table}").mappings().one()
                # Keys stand in the order of their making, which nothing depends on.
                made.append(sorted(line.rstrip(",") for line in str(row["Create Table"]).splitlines()))
            return made

        assert await database.read(shown) == await other.read(shown)


async def test_tables_on_mysql_take_any_character_whatever_the_servers_default(mariadb: MariaDB) -> None:
    address = mariadb.new_database()
    name = address.rpartition("/")[2]
    async with open_database(address) as database:
        await migrations.upgrade(database)
    where = f"WHERE table_schema = '{name}' AND table_name != 'alembic_version'"
    sets = mariadb.sql(f"SELECT DISTINCT character_set_name FROM information_schema.columns {where}").split()
    assert set(sets) == {"character_set_name", "NULL", "utf8mb4"}
    assert "latin1" in mariadb.sql(f"SHOW CREATE DATABASE {name}")


async def test_several_processes_may_upgrade_at_once(sql_address: str) -> None:
    async with open_database(sql_address) as one, open_database(sql_address) as other:
        schemas = await asyncio.gather(*(migrations.upgrade(database) for database in (one, other) * 3))
    assert [schema.before for schema in schemas].count(None) == 1


async def test_an_upgrade_waits_for_a_process_that_holds_the_files_lock(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    other = sqlite3.connect(tmp_path / "twitchaudio.sqlite3", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    async with open_database(address(tmp_path)) as database, asyncio.TaskGroup() as group:
        upgraded = group.create_task(migrations.upgrade(database))
        while "database_locked_by_another_process" not in caplog.text:  # noqa: ASYNC110 - another thread says it
            await asyncio.sleep(0.05)
        assert not upgraded.done()
        other.execute("COMMIT")
    assert upgraded.result().before is None
    other.close()


async def make_newer(folder: Path) -> None:
    async with open_database(address(folder)) as database:
        await migrations.upgrade(database)
    connection = sqlite3.connect(folder / "twitchaudio.sqlite3")
    connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.execute("CREATE TABLE from_the_future (id INTEGER)")
    connection.commit()
    connection.close()


async def test_s9_a_newer_schema_is_refused_and_left_alone(tmp_path: Path) -> None:
    await make_newer(tmp_path)
    before = tables(tmp_path)
    async with open_database(address(tmp_path)) as database:
        with pytest.raises(migrations.NewerSchemaError, match="9999"):
            await migrations.upgrade(database)
        with pytest.raises(migrations.NewerSchemaError):
            await migrations.check(database)
    assert tables(tmp_path) == before


async def test_s9_an_older_schema_names_the_command_that_helps(tmp_path: Path) -> None:
    async with open_database(address(tmp_path)) as database:
        with pytest.raises(TwitchAudioError, match="twitchaudio db upgrade"):
            await migrations.check(database)


async def test_a_file_that_is_no_database_is_an_error_of_ours_not_a_crash(tmp_path: Path) -> None:
    (tmp_path / "twitchaudio.sqlite3").write_bytes(b"not a database, but a letter to my aunt" * 100)
    async with open_database(address(tmp_path)) as database:
        with pytest.raises(TwitchAudioError):
            await migrations.upgrade(database)
    assert (tmp_path / "twitchaudio.sqlite3").read_bytes().startswith(b"not a database")


async def value_of(database: Database, statement: str) -> object:
    return await database.read(lambda connection: connection.exec_driver_sql(statement).scalar())


async def test_a_write_ahead_log_is_used(tmp_path: Path) -> None:
    async with open_database(address(tmp_path)) as database:
        await database.ping()
        for pragma, value in (("journal_mode", "wal"), ("foreign_keys", 1)):
            assert await value_of(database, f"PRAGMA {pragma}") == value


async def test_a_transaction_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    def write_and_fail(connection: Connection) -> None:
        connection.exec_driver_sql("INSERT INTO leases VALUES ('k', 'i', 'o', 1, 0)")
        raise RuntimeError

    async with open_database(address(tmp_path)) as database:
        await migrations.upgrade(database)
        with pytest.raises(RuntimeError):
            await database.transact(write_and_fail)
        assert await value_of(database, "SELECT count(*) FROM leases") == 0


@pytest.mark.parametrize(
    "wrong",
    [
        "postgresql://user:hunter2@db/name",
        "mysql://user:hunter2@db",
        "mysql://user:hunter2@db/name?x=1",
        "mysql:///n",
        "sqlite://",
        "sqlite:///:memory:",
        "nonsense",
        "",
    ],
)
async def test_an_address_that_cannot_be_used_is_said_in_one_line_without_its_password(wrong: str) -> None:
    with pytest.raises(SettingsError) as caught:
        async with open_database(wrong):
            pass
    assert "TWITCHAUDIO_DATABASE_URL" in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_db_upgrade_says_what_it_did(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TWITCHAUDIO_DATA_DIR", str(tmp_path / "new" / "folder"))
    assert main(["db", "upgrade"]) == 0
    assert f"from nothing to {migrations.revisions()[-1]}" in capsys.readouterr().out
    assert main(["db", "upgrade"]) == 0
    assert "up to date" in capsys.readouterr().out


def test_db_upgrade_refuses_a_newer_schema_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asyncio.run(make_newer(tmp_path))
    monkeypatch.setenv("TWITCHAUDIO_DATA_DIR", str(tmp_path))
    assert main(["db", "upgrade"]) == 1
    said = capsys.readouterr().err.strip()
    assert said.startswith("twitchaudio: The database has schema 9999")
    assert "\n" not in said


def made_up(column: Column[Any], number: int) -> object:
    """A value that fits a column; each number makes another."""
    if isinstance(column.type, (Integer, Float)):
        return number
    text = f"row {number} 🎺"
    return text[: column.type.length] if isinstance(column.type, String) and column.type.length else text


async def add_a_row_everywhere(database: Database, number: int) -> dict[str, dict[str, object]]:
    """One row in every table that there is; gives them by table."""

    def reflect(connection: Connection) -> MetaData:
        found = MetaData()
        found.reflect(connection)
        return found

    added: dict[str, dict[str, object]] = {}
    for table in (await database.read(reflect)).sorted_tables:
        if table.name != "alembic_version":
            added[table.name] = {column.name: made_up(column, number) for column in table.columns}
            await database.change(insert(table).values(added[table.name]))
    return added


def all_rows(table: Table, connection: Connection) -> Sequence[RowMapping]:
    return connection.execute(select(table)).mappings().all()


async def test_every_earlier_version_is_brought_up_to_date_with_its_data(sql_address: str) -> None:
    revisions = migrations.revisions()
    added: list[dict[str, dict[str, object]]] = []
    for number, earlier in enumerate(revisions[:-1]):
        async with open_database(sql_address) as database:
            await migrations.upgrade(database, to=earlier)
            added.append(await add_a_row_everywhere(database, number + 1))
    async with open_database(sql_address) as database:
        assert (await migrations.upgrade(database)).after == revisions[-1]
        assert {table for tables in added for table in tables} >= {
            "identifications",
            "web_sessions",
            "log_entries",
        }
        for number, tables in enumerate(added):
            for name, row in tables.items():
                table = metadata.tables[name]
                rows = await database.read(partial(all_rows, table))
                same = [kept for kept in rows if all(kept[column] == value for column, value in row.items())]
                assert len(same) == 1, (revisions[number], name, row)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
async def test_a_data_folder_of_another_user_is_named() -> None:
    """Such as a bind mount of a container."""
    # The folders that pytest makes are closed to other users.
    with tempfile.TemporaryDirectory() as outer:
        folder = Path(outer) / "data"
        folder.mkdir()
        for each in (folder, folder.parent):
            each.chmod(0o755)
        os.seteuid(NOBODY)
        try:
            with pytest.raises(SettingsError) as refused:
                async with open_configured_database(PipelineSettings(data_dir=folder)):
                    pass
        finally:
            os.seteuid(0)
    assert f"TWITCHAUDIO_DATA_DIR={str(folder)!r}" in str(refused.value)
    assert f"it runs as user {NOBODY}, and {folder} belongs to user 0" in str(refused.value)
