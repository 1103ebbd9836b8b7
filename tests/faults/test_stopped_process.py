"""A server process that is stopped for longer than a job's time (SIGSTOP) while clients wait, and goes on."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession
from yarl import URL

from fingerprint.standstill import STOOD_STILL_SECONDS
from tests.api_client import ASK, read_events, until_metric

JOB_SECONDS = 2.0
START_SECONDS = 60.0

SCRIPT = """
import sys
from pathlib import Path
from fingerprint.clock import SystemClock
from fingerprint.pipeline_settings import PipelineSettings
from server.app import make_app
from server.cli import serve
from server.cli.serving import run_until_stopped
from server.settings import ServerSettings
from tests.fakes import FakePipeline

async def run():
    parts = FakePipeline(SystemClock())
    parts.capture.gate.clear()
    settings = ServerSettings(pipeline=PipelineSettings(data_dir=Path(sys.argv[1])), fresh_seconds=0)
    app = make_app(settings, pipeline=parts.pipeline.within(float(sys.argv[2])))
    await serve._serve(app, "127.0.0.1", 0)

sys.exit(run_until_stopped(run()))
"""


@asynccontextmanager
async def server_process(folder: Path) -> AsyncGenerator[tuple[int, ClientSession]]:
    """A server whose captures wait, with one job for each address, in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", SCRIPT, str(folder), str(JOB_SECONDS)),
        stdout=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parent.parent.parent,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(START_SECONDS):
            said = (await process.stdout.readline()).decode()
        async with ClientSession(base_url=URL(said.split()[3]).origin()) as client:
            yield process.pid, client
    finally:
        process.send_signal(signal.SIGCONT)
        process.terminate()
        await process.communicate()


async def answer(client: ClientSession, channel: str) -> dict[str, Any]:
    async with client.post(ASK, json={"channel": channel}, headers={"Prefer": "wait=30"}) as response:
        assert response.status == 200
        return await response.json()


async def last_event(client: ClientSession, location: str) -> dict[str, Any]:
    async with client.get(f"{location}/events") as response:
        return (await read_events(response))[-1][1]


@pytest.mark.nightly
async def test_p9_whoever_waits_for_a_server_that_was_stopped_gets_timeout_and_all_is_given_back(
    tmp_path: Path,
) -> None:
    async with server_process(tmp_path) as (pid, client), asyncio.timeout(START_SECONDS):
        async with client.post(ASK, json={"channel": "somechannel"}) as asked:
            location = asked.headers["Location"]
        waiting = [
            asyncio.create_task(answer(client, "somechannel")),
            asyncio.create_task(last_event(client, location)),
        ]
        await until_metric(client, "twitchaudio_waiters", 2)
        os.kill(pid, signal.SIGSTOP)
        await asyncio.sleep(JOB_SECONDS + STOOD_STILL_SECONDS + 1)
        os.kill(pid, signal.SIGCONT)
        for told in await asyncio.gather(*waiting):
            assert (told["status"], told["problem"]["code"]) == ("failed", "timeout")
            assert "stood still" in told["problem"]["detail"]
        await until_metric(client, "twitchaudio_waiters", 0)
        # The address has its one job back; this one is in nobody's way, and ends by its own limit.
        again = await answer(client, "otherchannel")
        assert again["problem"]["detail"].startswith("This took longer than 2 s")
