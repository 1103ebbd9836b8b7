"""The SQLite file of a server that is killed in mid-write, or whose disk is full (S8)."""

import asyncio
import contextlib
import multiprocessing
import random
import sqlite3
import threading
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

import pytest
from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector
from sqlalchemy import event, text
from sqlalchemy.pool import ConnectionPoolEntry
from yarl import URL

from fingerprint.clock import SystemClock
from fingerprint.configured_database import SQLITE_FILE
from fingerprint.database import open_database
from fingerprint.domain.identification import Kind
from fingerprint.pipeline_settings import PipelineSettings
from server.access.identity.api_keys import ApiKeyStore
from server.app import listening, make_app
from server.keys import DATABASE
from server.settings import ServerSettings
from tests.api_client import ASK, CLIP, ask, assert_problem, open_api, until
from tests.databases import migrated_database
from tests.fakes import FakePipeline

ASKERS: Final = 6
_PROCESSES: Final = multiprocessing.get_context("forkserver")


def settings_in(folder: Path) -> ServerSettings:
    return ServerSettings(
        pipeline=PipelineSettings(data_dir=folder),
        jobs_per_address=0,
        starts_per_address=(),
        starts_per_person=(),
        watches=1_000_000,
        captures_at_once=8,
    )


def serve(folder: Path, pipe: Connection) -> None:
    """The server's process, which ends when it is killed."""

    async def run() -> None:
        app = make_app(settings_in(folder), pipeline=FakePipeline(SystemClock()).pipeline)
        async with listening(app, "127.0.0.1", 0) as address:
            pipe.send(str(address))
            await asyncio.Event().wait()

    asyncio.run(run())


@contextmanager
def server(folder: Path) -> Generator[tuple[URL, Any]]:
    """A server in a process of its own, at an address; killed at the end if not before."""
    ours, theirs = _PROCESSES.Pipe()
    process = _PROCESSES.Process(target=serve, args=(folder, theirs), daemon=True)
    process.start()
    try:
        assert ours.poll(60), "the server did not start"
        yield URL(ours.recv()), process
    finally:
        process.kill()
        process.join(20)
        ours.close()
        theirs.close()


@dataclass(slots=True)
class Promised:
    """What clients were told that is done."""

    answers: dict[str, str] = field(default_factory=dict[str, str])
    """Ids of answers, by slug."""
    watched: set[str] = field(default_factory=set[str])
    reports: int = 0
    numbers: "count[int]" = field(default_factory=count)


async def use(api: ClientSession, key: dict[str, str], promised: Promised) -> None:
    """Have things stored, one after the other, until the server is gone."""
    with contextlib.suppress(ClientError, ConnectionError):
        while True:
            number = next(promised.numbers)
            async with api.post(ASK, json={"clip": f"Slug-{number}"}, headers={"Prefer": "wait=30"}) as answer:
                told = await answer.json()
                assert (answer.status, told["status"]) == (200, "successful")
                promised.answers[f"Slug-{number}"] = told["id"]
            async with api.post(f"{ASK}/{told['id']}/reports", json={"reason": "other"}, headers=key) as report:
                # Nobody may report as much as this: the first ones of a day count.
                assert report.status in (204, 429), await report.text()
                promised.reports += report.status == 204
            channel = f"channel{number}"
            async with api.put(f"/api/v1/channels/{channel}/watch", json={}, headers=key) as watch:
                assert watch.status == 201, await watch.text()
                promised.watched.add(channel)


def check(folder: Path, promised: Promised) -> None:
    """The file is whole, and has all that was promised."""
    with contextlib.closing(sqlite3.connect(folder / SQLITE_FILE)) as file:
        assert file.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert file.execute("PRAGMA foreign_key_check").fetchall() == []
        stored = file.execute(
            "SELECT target, id FROM identifications WHERE kind = ? AND status = 'successful'", (str(Kind.CLIP),)
        )
        assert promised.answers.items() <= dict(stored.fetchall()).items()
        assert promised.watched <= {name for (name,) in file.execute("SELECT channel FROM watches")}
        assert file.execute("SELECT COUNT(*) FROM reports").fetchone()[0] >= promised.reports


async def test_s8_nothing_that_was_promised_is_lost_however_often_the_server_is_killed_in_mid_write(
    tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    kills = int(str(pytestconfig.getoption("kills")))
    _PROCESSES.set_forkserver_preload([__name__])
    async with migrated_database(f"sqlite:///{tmp_path / SQLITE_FILE}") as database:
        _, secret = await ApiKeyStore(database).create(
            "a bot", now=datetime(2026, 3, 1, tzinfo=UTC), scopes=("streams", "clips", "watch")
        )
    key = {"X-API-Key": secret.reveal()}
    promised = Promised()
    for round_number in range(kills):
        before = len(promised.answers)
        with server(tmp_path) as (address, process):
            timeout = ClientTimeout(total=60)
            async with ClientSession(base_url=address, connector=TCPConnector(limit=0), timeout=timeout) as api:
                # What was promised last is there over HTTP too, and what is new is stored.
                for slug, answer_id in list(promised.answers.items())[-ASKERS:]:
                    stored = await (await api.get(f"/api/v1/clips/{slug}")).json()
                    assert (stored["id"], stored["status"]) == (answer_id, "successful")
                users = [asyncio.create_task(use(api, key, promised)) for _ in range(ASKERS)]
                await until(lambda: len(promised.answers) > before or any(user.done() for user in users))  # noqa: B023
                await asyncio.sleep(random.uniform(0, 0.15))
                process.kill()
                await asyncio.gather(*users)
        assert len(promised.answers) > before
        # In every other round the next server is the first to open the file.
        if round_number % 2:
            check(tmp_path, promised)
    check(tmp_path, promised)


class Disk:
    """How many pages the SQLite file of a server may have."""

    def __init__(self) -> None:
        self.pages = 2**30

    def limit(self, connection: Any, _entry: ConnectionPoolEntry, _proxy: object) -> None:
        """On each use of a connection: the number is the connection's own."""
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA max_page_count={self.pages}")
        cursor.close()


@asynccontextmanager
async def on_disk(folder: Path, disk: Disk) -> AsyncGenerator[ClientSession]:
    app = make_app(settings_in(folder), pipeline=FakePipeline(SystemClock()).pipeline)
    async with listening(app, "127.0.0.1", 0) as address, ClientSession(base_url=address) as api:
        event.listen(app[DATABASE].engine, "checkout", disk.limit)
        yield api


async def outcome(api: ClientSession, slug: str) -> str:
    """How an identification ended, or the problem's code."""
    body = await (await ask(api, {"clip": slug}, wait=30)).json(content_type=None)
    return body["code"] if "code" in body else body["status"]


async def test_s8_a_full_disk_is_busy_for_what_is_new_and_what_is_stored_is_given(tmp_path: Path) -> None:
    disk = Disk()
    async with on_disk(tmp_path, disk) as api:
        kept = await (await ask(api, CLIP, wait=30)).json()
        assert kept["status"] == "successful"
        # Not one page more than there is: jobs begin while there is room within the pages.
        disk.pages = 1
        # Each is tried to be stored for a while, and keeps no other one waiting meanwhile.
        told = await asyncio.gather(*(outcome(api, f"Slug-{number}") for number in range(8)))
        # What was found out is told, though it cannot be stored.
        assert set(told) <= {"successful", "busy"}
        # Once no page has room for a further job, the next one is refused.
        answers = [await ask(api, {"clip": f"More-{number}"}, wait=0) for number in range(60)]
        problem = await assert_problem(answers[-1], "busy", 503)
        assert problem["retry_after_seconds"] > 0
        assert (await api.get("/healthz")).status == 200
        stored = await (await api.get(f"/api/v1/clips/{CLIP['clip']}")).json()
        assert stored["id"] == kept["id"]
        disk.pages = 2**30
        after = await ask(api, {"clip": "Slug-after"}, wait=30)
        assert (after.status, (await after.json())["status"]) == (200, "successful")
    with contextlib.closing(sqlite3.connect(tmp_path / SQLITE_FILE)) as file:
        assert file.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    async with open_api(FakePipeline(SystemClock()), tmp_path) as api:
        assert (await (await api.get("/api/v1/clips/Slug-after")).json())["status"] == "successful"


SLOW = (
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000000000) SELECT count(*) FROM n"
)


async def test_a_query_that_was_cancelled_ends_before_its_loop_does(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    async with open_database(f"sqlite:///{tmp_path / SQLITE_FILE}") as database:

        async def look() -> None:
            await database.read(lambda connection: connection.execute(text(SLOW)).all())

        looking = asyncio.create_task(look())
        await asyncio.sleep(0.05)
        looking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await looking
    # The query would take an hour. Closing waits for a moment, in which a busy machine may not get to the thread.
    left = {thread for thread in threading.enumerate() if thread.name.startswith("database ")} - before
    for thread in left:
        await asyncio.to_thread(thread.join, 60)
    assert not any(thread.is_alive() for thread in left)
