"""What `doctor` says of real stores: clocks that agree, and a database that would lose parts of texts."""

import pytest
from sqlalchemy import text
from sqlalchemy.engine import Connection

from fingerprint.database import open_database
from fingerprint.jobs.dynamodb import client
from fingerprint.pipeline_settings import PipelineSettings
from fingerprint.step_report import Outcome
from fingerprint.upstream_settings import DynamoDbSettings
from server import redis_link
from server.settings import ServerSettings
from server.store_checks import check_clocks, lossy_texts
from tests.emulators import Emulator
from tests.mariadb import MariaDB
from tests.redis_server import RedisServer


async def test_every_store_with_a_clock_is_asked(
    mariadb: MariaDB, ministack: Emulator, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_link, "CALL_SECONDS", 60.0)
    monkeypatch.setattr(client, "TIME_SECONDS", 60.0)
    pipeline = PipelineSettings(
        database_url=mariadb.new_database(),
        jobs="dynamodb",
        dynamodb=DynamoDbSettings(endpoint=ministack.endpoint),
    )
    outcome, notes = await check_clocks(ServerSettings(pipeline=pipeline, redis_url=redis_server.url))
    assert [note.partition("from ")[2] for note in notes] == ["the database server's", "DynamoDB's", "Redis's"]
    assert outcome is Outcome.OK


async def test_a_table_that_cannot_keep_all_texts_is_named(mariadb: MariaDB) -> None:
    def work(connection: Connection) -> tuple[list[str], list[str]]:
        connection.execute(text("CREATE TABLE whole (name VARCHAR(9)) CHARACTER SET utf8mb4"))
        connection.execute(text("CREATE TABLE restored (name VARCHAR(9), number INT) CHARACTER SET latin1"))
        strict = lossy_texts(connection)
        connection.execute(text("SET SESSION sql_mode = ''"))
        return strict, lossy_texts(connection)

    async with open_database(mariadb.new_database()) as database:
        strict, lax = await database.transact(work)
    (said,) = strict
    assert said.startswith("The table restored keeps texts as latin1")
    assert "STRICT_TRANS_TABLES" in lax[1]
