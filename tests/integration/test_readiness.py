"""`/readyz` is green only while the server can do its work: write, decode, and read the catalog."""

import asyncio
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession
from sqlalchemy import text

from fingerprint.catalog.manifest import MANIFEST_NAME
from fingerprint.clock import SystemClock
from fingerprint.configured_database import SQLITE_FILE
from fingerprint.database import open_database
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.media.decoder import DecoderLimits, DecoderPool
from fingerprint.pipeline_settings import PipelineSettings
from server import readiness, readiness_trials
from server.app import listening, make_app
from server.readiness import PartState, Readiness, Trial
from server.readiness_trials import database_trial, worker_trials
from server.settings import ServerSettings
from tests.api_client import open_api
from tests.databases import migrated_database
from tests.fakes import FakeClock, FakePipeline
from tests.mariadb import MariaDB
from tests.unit.catalog.shelf import fill


async def until_ready(api: ClientSession, status: int) -> dict[str, Any]:
    async with asyncio.timeout(60):
        while (answer := await api.get("/readyz")).status != status:  # noqa: ASYNC110 - it is the server's
            await asyncio.sleep(0.1)
    body: dict[str, Any] = await answer.json()
    return body["dependencies"]


async def test_a_full_disk_is_not_ready_and_the_last_error_stays_to_be_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_api(FakePipeline(SystemClock()), tmp_path) as api:
        found = (await until_ready(api, 200))["database"]
        assert found == {
            "ready": True,
            "required": True,
            "detail": None,
            "last_error": None,
            "last_error_at": None,
        }
        # The folder has room for nothing, as a full disk has.
        monkeypatch.setattr(readiness_trials, "ROOM_BYTES", 1 << 62)
        monkeypatch.setattr(os, "write", _no_room)
        found = (await until_ready(api, 503))["database"]
        assert found["detail"] == "Nothing can be written in the database's folder: No space left on device."
        assert (await api.get("/healthz")).status == 200
        monkeypatch.undo()
        found = (await until_ready(api, 200))["database"]
        assert found["ready"] is True
        assert "No space left" in found["last_error"]
        assert found["last_error_at"].endswith("Z")


def _no_room(_descriptor: int, _content: bytes) -> int:
    raise OSError(28, "No space left on device")


async def test_a_database_without_room_for_a_row_or_that_takes_no_writes_is_not_ready(tmp_path: Path) -> None:
    async with migrated_database(f"sqlite:///{tmp_path / SQLITE_FILE}") as database:
        trial = database_trial(database, clock=SystemClock(), seconds=20.0)
        await trial.attempt()
        async with asyncio.timeout(20):
            pages = await database.transact(lambda each: each.execute(text("PRAGMA page_count")).scalar())
            await database.transact(lambda each: each.execute(text(f"PRAGMA max_page_count = {pages}")))
            with pytest.raises(TwitchAudioError, match="disk full"):
                await trial.attempt()
            await database.transact(lambda each: each.execute(text("PRAGMA max_page_count = 1000000")))
            await trial.attempt()
            await database.transact(lambda each: each.execute(text("PRAGMA query_only = ON")))
            with pytest.raises(TwitchAudioError, match="read-only"):
                await trial.attempt()


async def test_readiness_writes_no_rows_that_stay(tmp_path: Path) -> None:
    async with migrated_database(f"sqlite:///{tmp_path / SQLITE_FILE}") as database:
        for _ in range(3):
            await database_trial(database, clock=SystemClock(), seconds=20.0).attempt()
        count = text("SELECT count(*) FROM log_entries")
        assert await database.read(lambda connection: connection.execute(count).scalar()) == 0


@asynccontextmanager
async def real_server(folder: Path) -> AsyncGenerator[tuple[Any, ClientSession]]:
    app = make_app(ServerSettings(pipeline=PipelineSettings(data_dir=folder), cores=1))
    async with listening(app, "127.0.0.1", 0) as address, ClientSession(base_url=address) as api:
        yield app, api


async def test_a_real_server_decodes_and_searches_to_be_ready_and_names_a_broken_catalog(tmp_path: Path) -> None:
    await asyncio.to_thread(fill, tmp_path / "catalog", range(1))
    async with real_server(tmp_path) as (_, api):
        found = await until_ready(api, 200)
        assert found["decoder"]["ready"] is True
        assert found["catalog"]["ready"] is True
    (tmp_path / "catalog" / MANIFEST_NAME).write_text("{")
    async with real_server(tmp_path) as (_, api):
        found = await until_ready(api, 503)
        assert found["catalog"]["ready"] is False
        assert MANIFEST_NAME in found["catalog"]["detail"]
        assert found["decoder"]["ready"] is True


async def test_workers_that_die_before_their_first_job_are_not_ready() -> None:
    async with DecoderPool(workers=1, program=(sys.executable, "-c", "")) as dead:
        (trial,) = worker_trials(dead, None, catalog_required=False)
        with pytest.raises(TwitchAudioError):
            await trial.attempt()
    async with DecoderPool(workers=1, limits=DecoderLimits(waiting=0)) as busy:
        # Refused for lack of room, though it has done nothing for others meanwhile: that is not well, either.
        (trial,) = worker_trials(busy, None, catalog_required=False)
        with pytest.raises(TwitchAudioError, match="Too many"):
            await trial.attempt()


async def test_a_result_counts_for_some_seconds_and_callers_share_a_trial() -> None:
    clock = FakeClock()
    tries = 0
    failure: TwitchAudioError | None = None

    async def attempt() -> None:
        nonlocal tries
        tries += 1
        await asyncio.sleep(0)
        if failure is not None:
            raise failure

    trial = Trial(name="part", attempt=attempt, silent="silent", seconds=20.0)
    async with Readiness([trial], clock=clock, wait_seconds=20.0) as parts:
        for _ in range(3):
            states = await asyncio.gather(*(parts.states() for _ in range(50)))
            assert {state["part"] for state in states} == {PartState(ready=True, required=True)}
        assert tries == 1
        await clock.advance(readiness.FRESH_SECONDS)
        failure = TwitchAudioError(ProblemCode.BUSY, "It is broken.")
        state = (await parts.states())["part"]
        assert (tries, state.ready, state.detail, state.last_error) == (2, False, "It is broken.", "It is broken.")
        assert state.last_error_at == clock.now()


async def test_a_trial_that_takes_long_leaves_the_last_result_until_it_ends() -> None:
    clock = FakeClock()
    go = asyncio.Event()
    go.set()

    async def attempt() -> None:
        await go.wait()

    slow = Trial(name="part", attempt=attempt, silent="It is silent.", seconds=3_600.0)
    async with Readiness([slow], clock=clock, wait_seconds=0.0) as parts:
        assert (await parts.states())["part"].ready
        go.clear()
        await clock.advance(readiness.FRESH_SECONDS)
        assert (await parts.states())["part"].ready


async def test_a_clock_that_is_not_the_database_servers_is_named(
    mariadb: MariaDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_database(mariadb.new_database()) as database:
        trial = readiness_trials.clock_trial(database, seconds=20.0)
        await trial.attempt()
        monkeypatch.setattr(readiness_trials, "_SERVER_TIME", text("SELECT UTC_TIMESTAMP(6) - INTERVAL 1 HOUR"))
        with pytest.raises(TwitchAudioError, match=r"3[56]\d\d s apart"):
            await trial.attempt()
