"""The time limit of a unit of work on the database, on a loop that has other things to do."""

import asyncio
import time
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from fingerprint import database as module
from fingerprint.database import open_database
from fingerprint.domain.problems import ProblemCode, TwitchAudioError


async def test_a_loop_that_is_busy_does_not_make_the_database_look_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_database(f"sqlite:///{tmp_path}/x.sqlite3") as database:
        await database.ping()
        monkeypatch.setattr(module, "QUERY_SECONDS", 0.5)

        async def keep_the_loop_busy() -> None:
            while True:
                until = time.perf_counter() + 0.08
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

        async def work(_connection: AsyncConnection) -> None:
            await asyncio.sleep(30)

        with pytest.raises(TwitchAudioError) as caught:
            await database.transact(work)
        assert caught.value.code is ProblemCode.BUSY
        assert time.perf_counter() - started < 10
