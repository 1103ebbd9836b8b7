"""What people see while a MariaDB is away, hangs or comes back (S1 to S4 of the reliability table)."""

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncGenerator, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pymysql
import pytest
from aiohttp import ClientSession
from sqlalchemy.engine import Connection
from sqlalchemy.util import await_only

from fingerprint.clock import SystemClock
from fingerprint.database import QUERY_SECONDS, Database, leases
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from tests.api_client import CLIP, ask, assert_problem, open_api, until
from tests.databases import migrated_database
from tests.fakes import FakePipeline
from tests.mariadb import PASSWORD, MariaDB

STORED = "/api/v1/clips/AwkwardSlug-x_1"
TOO_MANY_CONNECTIONS: Final = 1040
PATIENCE = QUERY_SECONDS + 30.0
"""The limit of a unit of work, a connection that is dropped, and a slow machine."""


@pytest.fixture
def server(mariadb: MariaDB, caplog: pytest.LogCaptureFixture) -> Iterator[MariaDB]:
    """The MariaDB, in order again afterwards. Its password is in no log."""
    yield mariadb
    assert PASSWORD not in caplog.text


@pytest.fixture
async def api(server: MariaDB, tmp_path: Path) -> AsyncGenerator[ClientSession]:
    async with open_api(FakePipeline(SystemClock()), tmp_path, database_url=server.new_database()) as client:
        yield client


async def get(api: ClientSession, path: str = STORED) -> int:
    async with asyncio.timeout(PATIENCE), api.get(path) as response:
        return response.status


async def until_status(api: ClientSession, path: str, status: int) -> None:
    async with asyncio.timeout(30):
        while await get(api, path) != status:  # noqa: ASYNC110 - it is another process
            await asyncio.sleep(0.1)


async def test_s1_a_server_starts_without_its_database_and_goes_on_when_it_comes(
    server: MariaDB, tmp_path: Path
) -> None:
    address = server.new_database()
    await asyncio.to_thread(server.kill)
    try:
        async with open_api(FakePipeline(SystemClock()), tmp_path, database_url=address) as api:
            assert await get(api, "/healthz") == 200
            assert await get(api, "/readyz") == 503
            problem = await assert_problem(await ask(api, CLIP), "busy", 503)
            assert PASSWORD not in str(problem)
            await asyncio.to_thread(server.start)
            await until_status(api, "/readyz", 200)
            # That the rules could not be read is kept for a second.
            async with asyncio.timeout(30):
                while (answer := await ask(api, CLIP, wait=30)).status == 503:  # noqa: ASYNC110 - it is the server's
                    await asyncio.sleep(0.1)
            assert (await answer.json())["status"] == "successful"
    finally:
        if not server.running:
            server.start()


async def test_s2_a_restart_under_load_hangs_nobody_and_the_pool_recovers(
    server: MariaDB, api: ClientSession
) -> None:
    seen: list[int] = []
    stop = asyncio.Event()

    async def reader() -> None:
        while not stop.is_set():
            seen.append(await get(api))
            await asyncio.sleep(0.01)

    readers = [asyncio.create_task(reader()) for _ in range(20)]
    await until(lambda: 404 in seen)
    await asyncio.to_thread(server.kill)
    await until(lambda: 503 in seen)
    await asyncio.to_thread(server.start)
    await until_status(api, STORED, 404)
    stop.set()
    await asyncio.gather(*readers)
    assert set(seen) == {404, 503}
    assert [await get(api) for _ in range(50)] == [404] * 50


async def test_s2_connections_that_the_server_closed_are_replaced_unseen(
    server: MariaDB, api: ClientSession
) -> None:
    assert await asyncio.gather(*(get(api) for _ in range(20))) == [404] * 20
    ids = server.sql("SELECT id FROM information_schema.processlist WHERE user = 'app'").split()[1:]
    assert ids
    for number in ids:
        server.sql(f"KILL CONNECTION {number}")
    assert await asyncio.gather(*(get(api) for _ in range(20))) == [404] * 20


async def test_s3_a_server_that_hangs_costs_a_bounded_time_and_leaves_the_pool_usable(
    server: MariaDB, api: ClientSession
) -> None:
    assert await get(api) == 404
    server.hang()
    try:
        started = time.monotonic()
        assert await asyncio.gather(*(get(api) for _ in range(40))) == [503] * 40
        assert time.monotonic() - started < PATIENCE
        assert await get(api, "/healthz") == 200
    finally:
        server.go_on()
    await until_status(api, STORED, 404)
    # Those that waited behind the first may still be ahead of these.
    async with asyncio.timeout(PATIENCE):
        while await asyncio.gather(*(get(api) for _ in range(40))) != [404] * 40:  # noqa: ASYNC110 - likewise
            await asyncio.sleep(0.1)


async def test_s4_too_many_connections_are_busy_and_over_when_they_are(server: MariaDB, tmp_path: Path) -> None:
    address = server.new_database()
    with contextlib.ExitStack() as others:
        others.enter_context(others_take_all(server))
        async with open_api(FakePipeline(SystemClock()), tmp_path, database_url=address) as api:
            assert set(await forty(api)) == {503}
            problem = await assert_problem(await ask(api, CLIP), "busy", 503)
            assert problem["retry_after_seconds"] > 0
            assert PASSWORD not in str(problem)
            assert await get(api, "/readyz") == 503
            assert await get(api, "/healthz") == 200
            others.close()
            await until_status(api, STORED, 404)
            assert set(await forty(api)) == {404}
            await until_status(api, "/readyz", 200)
            with others_take_all(server):
                # The connections that the server has go on being used, as soon as no other work has them.
                found: set[int] = set()
                async with asyncio.timeout(PATIENCE):
                    while 404 not in found:
                        found |= set(await forty(api))
                assert found <= {404, 503}
            assert set(await forty(api)) == {404}


async def forty(api: ClientSession) -> list[int]:
    """The statuses of as many requests at once, none of which waits long."""
    started = time.monotonic()
    statuses = await asyncio.gather(*(get(api) for _ in range(40)))
    assert time.monotonic() - started < PATIENCE
    return statuses


@contextmanager
def others_take_all(server: MariaDB) -> Generator[None]:
    """Every connection that is free, or becomes so, is somebody else's."""
    server.sql(f"CREATE USER IF NOT EXISTS 'other'@'127.0.0.1' IDENTIFIED BY '{PASSWORD}'")
    server.sql("SET GLOBAL max_connections = 15")
    all_taken, over = threading.Event(), threading.Event()

    def take() -> None:
        with contextlib.ExitStack() as held:
            while not over.is_set():
                try:
                    held.enter_context(
                        pymysql.connect(host="127.0.0.1", port=server.port, user="other", password=PASSWORD)
                    )
                except pymysql.err.OperationalError as error:
                    assert error.args[0] == TOO_MANY_CONNECTIONS  # noqa: PT017 - raised out of the thread
                    all_taken.set()
                    over.wait(0.02)

    with ThreadPoolExecutor(1) as taker:
        taking = taker.submit(take)
        try:
            assert all_taken.wait(20)
            yield
        finally:
            over.set()
            taking.result(10)
            server.sql("SET GLOBAL max_connections = 100")


async def test_s4_a_deadlock_is_resolved_by_running_the_loser_again(server: MariaDB) -> None:
    async with migrated_database(server.new_database()) as database:
        both = asyncio.Barrier(2)
        attempts: list[str] = []

        async def lock(first: str, second: str) -> None:
            def work(connection: Connection) -> None:
                attempts.append(first)
                for key in (first, second):
                    statement = leases.update().where(leases.c.target_key == key)
                    connection.execute(statement.values(fence=leases.c.fence + 1))
                    if len(attempts) <= 2 and key == first:
                        await_only(both.wait())

            await database.transact(work)

        await add_leases(database, "a", "b")
        await asyncio.gather(lock("a", "b"), lock("b", "a"))
        assert len(attempts) == 3
        assert {row.fence for row in await database.rows(leases.select())} == {2}


async def test_s4_a_row_that_another_holds_is_waited_for_a_second_and_then_busy(server: MariaDB) -> None:
    async with migrated_database(server.new_database()) as database:
        await add_leases(database, "a")
        change = leases.update().values(fence=7)
        holds, done = asyncio.Event(), asyncio.Event()

        def hold(connection: Connection) -> None:
            connection.execute(change)
            holds.set()
            await_only(done.wait())

        holder = asyncio.create_task(database.transact(hold))
        await holds.wait()
        with pytest.raises(TwitchAudioError) as caught:
            await database.change(change)
        assert caught.value.code is ProblemCode.BUSY
        done.set()
        await holder
        await database.ping()


async def add_leases(database: Database, *names: str) -> None:
    for name in names:
        row = {"target_key": name, "identification_id": "i", "owner": "o", "fence": 0, "expires_us": 0}
        await database.change(leases.insert(), row)
