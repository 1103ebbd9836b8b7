"""The time limit of a unit of work on the database, on a loop that has other things to do."""

import asyncio
import threading
import time
from pathlib import Path

import pytest
from sqlalchemy.engine import Connection

from fingerprint import database as module
from fingerprint.database import leases, open_database
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from tests.databases import migrated_database


async def test_a_loop_that_is_busy_does_not_make_the_database_look_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_database(f"sqlite:///{tmp_path}/x.sqlite3") as database:
        await database.ping()
        monkeypatch.setattr(module, "QUERY_SECONDS", 0.5)

        async def keep_the_loop_busy() -> None:
            while True:
                until = time.perf_counter() + 0.3
                while time.perf_counter() < until:
                    pass
                await asyncio.sleep(0)

        busy = asyncio.create_task(keep_the_loop_busy())
        started = time.perf_counter()
        await database.ping()
        assert time.perf_counter() - started > 0.5, "the loop was not busy enough to prove anything"
        busy.cancel()


async def test_a_database_that_does_not_answer_is_given_up_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_database(f"sqlite:///{tmp_path}/x.sqlite3") as database:
        await database.ping()
        monkeypatch.setattr(module, "QUERY_SECONDS", 0.3)
        started = time.perf_counter()

        answers = threading.Event()

        with pytest.raises(TwitchAudioError) as caught:
            await database.transact(lambda _connection: answers.wait(300))
        answers.set()
        assert caught.value.code is ProblemCode.BUSY
        assert time.perf_counter() - started < 120


async def test_a_transaction_whose_asker_goes_away_changes_nothing_and_holds_nobody_up(tmp_path: Path) -> None:
    row = {"target_key": "k", "identification_id": "i", "owner": "o", "fence": 1, "expires_us": 0}
    async with migrated_database(f"sqlite:///{tmp_path}/x.sqlite3") as database:
        written, goes_on = threading.Event(), threading.Event()

        def work(connection: Connection) -> None:
            connection.execute(leases.insert(), row)
            written.set()
            goes_on.wait(30)

        asking = asyncio.create_task(database.transact(work))
        waiting = asyncio.create_task(database.change(leases.insert(), row))
        await asyncio.to_thread(written.wait, 30)
        for task in (asking, waiting):
            task.cancel()
        await asyncio.wait({asking, waiting})
        assert await database.rows(leases.select()) == []
        goes_on.set()
        assert await database.change(leases.insert(), row | {"target_key": "other"}) == 1
        assert [each.target_key for each in await database.rows(leases.select())] == ["other"]
