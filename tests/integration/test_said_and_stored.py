"""What is answered with success is stored: the n-th statement fails, for each n until a request passes."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession
from sqlalchemy import select

from fingerprint.clock import SystemClock
from fingerprint.database import Database
from fingerprint.pipeline_settings import PipelineSettings
from server.app import listening, make_app
from server.channels.tables import reports, watches
from server.channels.watch import WatchState
from server.keys import DATABASE
from server.settings import ServerSettings
from server.webhooks.tables import webhooks
from tests.api_client import ask, bot_headers
from tests.failing_sql import Failing
from tests.fakes import FakePipeline

CHANNEL = "/api/v1/channels/somechannel"
HOOKS = "/api/v1/webhooks"
MOST_STATEMENTS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    api: ClientSession
    database: Database
    failing: Failing
    headers: dict[str, str]
    answer: str
    hooks: list[str] = field(default_factory=list[str])

    async def count(self, table: Any, *where: Any) -> int:
        return len(await self.database.rows(select(table).where(*where)))


@asynccontextmanager
async def staged(folder: Path) -> AsyncGenerator[Stage]:
    settings = ServerSettings(
        pipeline=PipelineSettings(data_dir=folder), jobs_per_address=0, starts_per_address=(), starts_per_person=()
    )
    app = make_app(settings, pipeline=FakePipeline(SystemClock()).pipeline)
    async with listening(app, "127.0.0.1", 0) as url, ClientSession(base_url=url) as api:
        database = app[DATABASE]
        headers = await bot_headers(database, "streams", "watch", "webhooks")
        answer = (await (await ask(api, {"channel": "another"}, wait=30)).json())["id"]
        yield Stage(api=api, database=database, failing=Failing(database), headers=headers, answer=answer)


Step = Callable[[Stage], Awaitable[Any]]


async def start_watch(stage: Stage) -> int:
    answer = await stage.api.put(f"{CHANNEL}/watch", json={"every": 300}, headers=stage.headers)
    return answer.status


async def end_watch(stage: Stage) -> int:
    return (await stage.api.delete(f"{CHANNEL}/watch", headers=stage.headers)).status


async def add_webhook(stage: Stage) -> int:
    answer = await stage.api.put(HOOKS, json={"url": "https://bot.example/hook"}, headers=stage.headers)
    if answer.status < 300:
        stage.hooks.append((await answer.json())["id"])
    return answer.status


async def delete_webhook(stage: Stage) -> int:
    return (await stage.api.delete(f"{HOOKS}/{stage.hooks[-1]}", headers=stage.headers)).status


async def report(stage: Stage) -> int:
    answer = await stage.api.post(f"/api/v1/identifications/{stage.answer}/reports", json={"reason": "other"})
    return answer.status


async def is_watched(stage: Stage) -> bool:
    return bool(await stage.count(watches, watches.c.state == str(WatchState.RUNNING)))


async def has_webhook(stage: Stage) -> bool:
    return bool(await stage.count(webhooks))


async def is_reported(stage: Stage) -> bool:
    return bool(await stage.count(reports))


async def nothing(_stage: Stage) -> None: ...


@pytest.mark.parametrize(
    ("before", "act", "is_there", "afterwards"),
    [
        pytest.param(nothing, start_watch, is_watched, True, id="watch", marks=pytest.mark.nightly),
        pytest.param(start_watch, end_watch, is_watched, False, id="watch ended"),
        pytest.param(nothing, add_webhook, has_webhook, True, id="webhook", marks=pytest.mark.nightly),
        pytest.param(add_webhook, delete_webhook, has_webhook, False, id="webhook deleted"),
        pytest.param(nothing, report, is_reported, True, id="report", marks=pytest.mark.nightly),
    ],
)
async def test_what_is_answered_with_success_is_stored(
    before: Step, act: Callable[[Stage], Awaitable[int]], is_there: Step, afterwards: bool, tmp_path: Path
) -> None:
    async with staged(tmp_path) as stage:
        for number in range(1, MOST_STATEMENTS):
            await before(stage)
            stage.failing.at(number)
            status = await act(stage)
            failed = stage.failing.nowhere()
            assert status < 300 or status >= 500, f"statement {number}: {status}"
            if status < 300:
                assert await is_there(stage) is afterwards, f"statement {number} failed, and {status} was said"
                if not failed:
                    break
        else:
            raise AssertionError("it never passes")
