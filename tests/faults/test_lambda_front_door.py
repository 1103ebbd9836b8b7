"""AWS's front door refuses, breaks down or stalls when the server has a function invoked (P12)."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest
from aiohttp import ClientSession, web

from fingerprint.clock import SystemClock
from fingerprint.domain.identification import Stage, Status
from fingerprint.job_ports import JobStore
from fingerprint.jobs import open_job_store
from fingerprint.lambda_event import event_from_json
from fingerprint.pipeline_settings import PipelineSettings
from fingerprint.wire import to_json
from server.app import listening, make_app
from server.identifications.limits import ServiceLimits
from server.settings import ServerSettings
from tests.api_client import ask, until_metric
from tests.builders import song
from tests.emulators import REGION
from tests.mariadb import MariaDB

STREAM: Final = {"channel": "somechannel"}
START_SECONDS: Final = 1.5
PATIENCE: Final = 25.0
"""For a few round trips; nothing is waited for on purpose but the start of a function."""

Door = Callable[[web.Request], Awaitable[web.StreamResponse]]


def refuses(status: int, error: str = "", body: bytes = b"") -> Door:
    """An answer of the service's own instead of the function's."""

    async def refuse(_request: web.Request) -> web.StreamResponse:
        content = body or json.dumps({"Type": "User", "message": "Not now.", "Reason": error}).encode()
        headers = {"X-Amzn-Errortype": error} if error else {}
        return web.Response(status=status, body=content, headers=headers, content_type="application/json")

    return refuse


def says(content: bytes, **headers: str) -> Door:
    """What the function is said to have answered."""

    async def say(_request: web.Request) -> web.StreamResponse:
        return web.Response(body=content, headers=headers)

    return say


async def stalls(_request: web.Request) -> web.StreamResponse:
    await asyncio.Event().wait()
    raise AssertionError


async def stalls_in_mid_answer(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b'{"id": ')
    return await stalls(request)


async def hangs_up_in_mid_answer(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b'{"id": ')
    await asyncio.sleep(0.1)
    return await hangs_up(request)


async def hangs_up(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    raise ConnectionResetError


def works(jobs: JobStore) -> Door:
    """A function that does its job: it adopts the lease, stores the answer and gives it."""

    async def work(request: web.Request) -> web.StreamResponse:
        event = event_from_json(await request.json())
        assert event.lease is not None
        now = datetime.now(UTC)
        claimed = await jobs.adopt(event.lease, owner="function", now=now, lease_seconds=60)
        assert claimed is not None
        found = replace(
            claimed.identification,
            status=Status.SUCCESSFUL,
            stage=Stage.DONE,
            finished_at=datetime.now(UTC),
            song=song(),
            songs=(song(),),
        )
        assert await jobs.finish(claimed.lease, found)
        # In pieces, as a network brings it.
        body = json.dumps(to_json(found)).encode()
        response = web.StreamResponse(headers={"Content-Length": str(len(body))})
        await response.prepare(request)
        for start in range(0, len(body), 200):
            await response.write(body[start : start + 200])
            await asyncio.sleep(0)
        return response

    return work


@dataclass(slots=True)
class FrontDoor:
    """Stands for the service's address; `invocations` are the job ids that came."""

    door: Door = stalls
    endpoint: str = ""
    invocations: list[str] = field(default_factory=list[str])

    async def invoke(self, request: web.Request) -> web.StreamResponse:
        assert request.path == "/2015-03-31/functions/twitchaudio-fingerprint/invocations"
        self.invocations.append(json.loads(await request.read())["JobId"])
        return await self.door(request)


@asynccontextmanager
async def front_door() -> AsyncGenerator[FrontDoor]:
    front = FrontDoor()
    app = web.Application()
    app.router.add_post("/{path:.*}", front.invoke)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        front.endpoint = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield front
    finally:
        await runner.cleanup()


@asynccontextmanager
async def serving(endpoint: str, database_url: str, folder: Path) -> AsyncGenerator[ClientSession]:
    settings = ServerSettings(
        pipeline=PipelineSettings(data_dir=folder, database_url=database_url),
        runner="lambda",
        lambda_endpoint=endpoint,
        jobs_per_address=0,
        fresh_seconds=0,
    )
    limits = ServiceLimits(function_start_seconds=START_SECONDS)
    async with (
        listening(make_app(settings, service_limits=limits), "127.0.0.1", 0) as address,
        ClientSession(base_url=address) as api,
    ):
        yield api


async def outcome(api: ClientSession) -> dict[str, Any]:
    """How the identification ended, in a bounded time."""
    started = time.monotonic()
    async with asyncio.timeout(60):
        body = await (await ask(api, STREAM, wait=30)).json()
    assert time.monotonic() - started < START_SECONDS + PATIENCE
    return body


@pytest.fixture(autouse=True)
def region(aws_credentials: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)


REFUSALS: Final[dict[str, tuple[Door, str]]] = {
    "throttled": (refuses(429, "TooManyRequestsException"), "busy"),
    "out of addresses": (refuses(502, "EC2UnexpectedException"), "busy"),
    "broken": (refuses(500, "ServiceException"), "busy"),
    "a proxy's page": (refuses(503, body=b"<html>Service Unavailable</html>"), "busy"),
    "no such function": (refuses(404, "ResourceNotFoundException"), "busy"),
    "not allowed": (refuses(403, "AccessDeniedException"), "busy"),
    "hangs up": (hangs_up, "busy"),
    "hangs up in mid-answer": (hangs_up_in_mid_answer, "busy"),
    "stalls": (stalls, "busy"),
    "stalls in mid-answer": (stalls_in_mid_answer, "busy"),
    "an exception": (
        says(b'{"errorMessage": "x", "errorType": "KeyError"}', **{"X-Amz-Function-Error": "Unhandled"}),
        "internal",
    ),
    "no JSON": (says(b"Task timed out after 5.00 seconds"), "internal"),
    "another's answer": (says(b'{"id": "x"}'), "internal"),
}


async def test_p12_an_invocation_that_comes_to_nothing_is_told_once_and_not_repeated(
    mariadb: MariaDB, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    address = mariadb.new_database()
    async with (
        front_door() as front,
        serving(front.endpoint, address, tmp_path) as api,
        open_job_store(PipelineSettings(database_url=address), SystemClock()) as jobs,
    ):
        working = works(jobs)
        for name, (door, code) in REFUSALS.items():
            front.door, front.invocations = door, []
            body = await outcome(api)
            problem = body["problem"]
            assert (body["status"], problem and problem["code"]) == ("failed", code), name
            assert problem["retry_after_seconds"] > 0, name
            # Neither the client library nor the server asked again, and nothing else did the job.
            assert front.invocations == [body["id"]], name
            await until_metric(api, "twitchaudio_jobs_running", 0)
            # The target is free for the next who asks, as soon as the door opens.
            front.door = working
            assert (await outcome(api))["status"] == "successful", name
    assert "canary-aws-s3cret" not in caplog.text


async def test_p12_where_nothing_listens_a_question_is_busy(mariadb: MariaDB, tmp_path: Path) -> None:
    async with front_door() as front:
        closed = front.endpoint
    async with serving(closed, mariadb.new_database(), tmp_path) as api:
        body = await outcome(api)
        assert (body["status"], body["problem"]["code"]) == ("failed", "busy")


async def test_p12_a_herd_that_is_throttled_costs_one_invocation(mariadb: MariaDB, tmp_path: Path) -> None:
    async with front_door() as front, serving(front.endpoint, mariadb.new_database(), tmp_path) as api:
        begun, go = asyncio.Event(), asyncio.Event()

        async def throttles_later(request: web.Request) -> web.StreamResponse:
            begun.set()
            await go.wait()
            return await refuses(429, "TooManyRequestsException")(request)

        front.door = throttles_later
        waiting = [asyncio.create_task(outcome(api)) for _ in range(50)]
        await begun.wait()
        await until_metric(api, "twitchaudio_waiters", 50)
        go.set()
        bodies = await asyncio.gather(*waiting)
        assert {body["problem"]["code"] for body in bodies} == {"busy"}
        assert len({body["id"] for body in bodies}) == len(front.invocations) == 1
