"""Access control and logs while a MariaDB is away, hangs, is locked or full (S2, S3, S6, S7)."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pymysql
import pytest
from aiohttp import ClientSession

from fingerprint.clock import SystemClock
from fingerprint.database import QUERY_SECONDS, open_database
from server.audit.entries import AuditKind
from server.audit.search import AuditFilter
from server.audit.store import AuditStore
from server.setting_formats import Rate
from tests.api_client import ask, assert_problem, metric, open_api, until
from tests.fakes import FakePipeline
from tests.mariadb import PASSWORD, MariaDB

LIMITED: dict[str, Any] = {"jobs_per_address": 1, "starts_per_address": (Rate(10_000, 60),)}
PATIENCE = 2 * QUERY_SECONDS + 40.0
"""A unit of work of the rules, one of the admission, a connection that is dropped, and a slow machine."""


@pytest.fixture
def server(mariadb: MariaDB, caplog: pytest.LogCaptureFixture) -> Iterator[MariaDB]:
    """The MariaDB, in order again afterwards, which loses nothing that it has committed when it is killed."""
    mariadb.sql("SET GLOBAL innodb_flush_log_at_trx_commit = 2")
    yield mariadb
    assert PASSWORD not in caplog.text


@pytest.fixture
def address(server: MariaDB) -> str:
    return server.new_database()


@pytest.fixture
async def api(address: str, tmp_path: Path) -> AsyncGenerator[ClientSession]:
    async with open_api(FakePipeline(SystemClock()), tmp_path, database_url=address, **LIMITED) as client:
        yield client


async def question(api: ClientSession, number: int) -> tuple[int, str]:
    """The status, and the problem's code."""
    async with asyncio.timeout(PATIENCE):
        answer = await ask(api, {"clip": f"Slug-{number}"}, wait=30)
        body: dict[str, Any] = await answer.json(content_type=None)
        problem: dict[str, Any] = body if "code" in body else body["problem"] or {}
        return answer.status, problem.get("code", "")


async def until_answered(api: ClientSession) -> None:
    async with asyncio.timeout(30):
        while (await question(api, 0))[0] != 200:  # noqa: ASYNC110 - it is another process
            await asyncio.sleep(0.1)


async def until_logged(api: ClientSession) -> None:
    async with asyncio.timeout(20):
        while await metric(api, "twitchaudio_audit_entries_waiting") > 0:  # noqa: ASYNC110 - the writer's own pace
            await asyncio.sleep(0.1)


async def test_s2_a_restart_under_load_hangs_nobody_and_loses_no_log_entry(
    server: MariaDB, address: str, tmp_path: Path
) -> None:
    server.sql("SET GLOBAL innodb_flush_log_at_trx_commit = 2")
    seen: Counter[tuple[int, str]] = Counter()
    seen_before: Counter[tuple[int, str]] = Counter()
    sent = 0
    stop = asyncio.Event()
    more: dict[str, Any] = {**LIMITED, "jobs_per_address": 0}
    async with open_api(FakePipeline(SystemClock()), tmp_path, database_url=address, **more) as api:

        async def asker(number: int) -> None:
            nonlocal sent
            while not stop.is_set():
                sent += 1
                seen[await question(api, number * 10_000 + sent)] += 1
                await asyncio.sleep(0.05)

        askers = [asyncio.create_task(asker(number)) for number in range(8)]
        for _ in range(2):
            seen_before.update(seen)
            seen.clear()
            await until(lambda: seen[200, ""] > 0)
            await asyncio.to_thread(server.kill)
            await until(lambda: seen.total() > seen[200, ""])
            await asyncio.to_thread(server.start)
            server.sql("SET GLOBAL innodb_flush_log_at_trx_commit = 2")
            await until_answered(api)
        stop.set()
        await asyncio.gather(*askers)
        assert set(seen | seen_before) <= {(200, ""), (503, "busy"), (200, "busy")}, (seen, seen_before)
        assert [(await question(api, 900_000 + number))[0] for number in range(20)] == [200] * 20
        await until_logged(api)
        assert await metric(api, "twitchaudio_audit_entries_lost_total") == 0
    async with open_database(address) as database:
        hits = await AuditStore(database).read(AuditFilter(kinds=[AuditKind.API], limit=1_000_000))
    asked = [hit for hit in hits if hit.subject == "/api/v1/identifications"]
    # Of many refusals, as while the database takes long to start, some are only counted.
    counted = sum(int(hit.what.removesuffix(" more")) for hit in hits if hit.what.endswith(" more"))
    assert len(asked) + counted >= sent
    assert len({hit.request_id for hit in asked}) == len(asked)


async def test_s3_while_the_database_hangs_a_start_is_refused_in_a_bounded_time(
    server: MariaDB, api: ClientSession
) -> None:
    assert await question(api, 1) == (200, "")
    server.hang()
    try:
        started = time.monotonic()
        assert {await question(api, number) for number in (2, 3)} == {(503, "busy")}
        assert time.monotonic() - started < 2 * PATIENCE
    finally:
        server.go_on()
    await until_answered(api)
    assert await question(api, 4) == (200, "")


async def test_s6_while_the_rules_are_out_of_reach_nobody_passes(server: MariaDB, api: ClientSession) -> None:
    assert await question(api, 1) == (200, "")
    await asyncio.to_thread(server.kill)
    try:
        await asyncio.sleep(1.1)
        for path in ("/api/v1/me", "/api/v1/clips/Slug-1", "/api/v1/status"):
            await assert_problem(await api.get(path), "busy", 503)
        assert await question(api, 1) == (503, "busy")
    finally:
        server.start()
    await until_answered(api)


async def test_s7_a_locked_log_table_slows_and_fails_no_request(
    server: MariaDB, address: str, tmp_path: Path
) -> None:
    async with (
        open_api(FakePipeline(SystemClock()), tmp_path, database_url=address, **LIMITED) as api,
        open_database(address) as other,
    ):
        usual = [await timed(api, number) for number in range(20)]
        async with locked(server, address, "log_entries"):
            slowed = [await timed(api, number) for number in range(100, 120)]
            await asyncio.sleep(1.0)
            assert await metric(api, "twitchaudio_audit_entries_waiting") >= 20
            assert [await question(api, 200)] == [(200, "")]
        assert sorted(slowed)[10] < 3 * sorted(usual)[10] + 0.05
        await until_logged(api)
        assert await metric(api, "twitchaudio_audit_entries_lost_total") == 0
        hits = await AuditStore(other).read(AuditFilter(kinds=[AuditKind.API], subject="/api/v1/identifications"))
        assert len(hits) == 41


@asynccontextmanager
async def locked(server: MariaDB, address: str, table: str) -> AsyncGenerator[None]:
    """Nobody else gets at a table during the block."""
    name = address.rpartition("/")[2]
    holder = pymysql.connect(host="127.0.0.1", port=server.port, user="app", password=PASSWORD, database=name)
    try:
        # Whoever writes to it must be able to end first.
        await asyncio.to_thread(holder.cursor().execute, f"LOCK TABLES {table} WRITE")
        yield
    finally:
        holder.close()


async def timed(api: ClientSession, number: int) -> float:
    started = time.monotonic()
    assert await question(api, number) == (200, "")
    return time.monotonic() - started


async def test_s7_a_database_that_takes_no_writes_gives_what_is_stored(
    server: MariaDB, api: ClientSession, address: str
) -> None:
    assert await question(api, 1) == (200, "")
    server.sql("SET GLOBAL read_only = 1")
    try:
        assert await question(api, 1) == (200, "")
        assert await question(api, 2) == (503, "busy")
    finally:
        server.sql("SET GLOBAL read_only = 0")
    assert await question(api, 3) == (200, "")
    await until_logged(api)
    async with open_database(address) as database:
        hits = await AuditStore(database).read(
            AuditFilter(kinds=[AuditKind.API], subject="/api/v1/identifications")
        )
    assert len(hits) == 4
