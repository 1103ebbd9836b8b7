"""The end of a server process: Ctrl-C and SIGTERM, and an address that is taken."""

import asyncio
import json
import signal
import socket
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession
from yarl import URL

from fingerprint.clock import SystemClock
from fingerprint.domain.problems import TwitchAudioError
from fingerprint.pipeline_settings import PipelineSettings
from server.app import make_app
from server.cli.serving import SIGNAL_DEBOUNCE_SECONDS, serving
from server.server_limits import ServerLimits
from server.settings import ServerSettings
from tests.api_client import until_metric
from tests.bench.herd import Client, connect, post
from tests.fakes import FakePipeline

WAITERS = 1_000
SECONDS = 60.0
"""How long a test waits for what comes much sooner, however busy the machine is."""

SCRIPT = """
import resource
import signal
import sys
from pathlib import Path
from fingerprint.clock import SystemClock
from fingerprint.pipeline_settings import PipelineSettings
from server.app import make_app
from server.cli import serve
from server.cli.serving import run_until_stopped
from server.settings import ServerLimits, ServerSettings
from tests.fakes import FakePipeline

# As many systems start a process, with room for fewer connections than will come.
resource.setrlimit(resource.RLIMIT_NOFILE, (256, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))

async def run():
    parts = FakePipeline(SystemClock())
    parts.capture.gate.clear()
    limits = ServerLimits(drain_seconds=float(sys.argv[2]), shutdown_seconds=30.0)
    pipeline = PipelineSettings(data_dir=Path(sys.argv[1]))
    settings = ServerSettings(pipeline=pipeline, limits=limits, jobs_per_address=0)
    await serve._serve(make_app(settings, pipeline=parts.pipeline), "127.0.0.1", 0)

signal.signal(signal.SIGHUP, signal.SIG_DFL)  # where the tests run under nohup, children ignore it
sys.exit(run_until_stopped(run()))
"""


@asynccontextmanager
async def server_process(
    folder: Path, *, drain_seconds: float = 1.0
) -> AsyncGenerator[tuple[asyncio.subprocess.Process, URL]]:
    """A server in a process of its own, whose captures never end; at its end it has time to tell everyone, too."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        SCRIPT,
        str(folder),
        str(drain_seconds),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parent.parent.parent,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(SECONDS):
            said = (await process.stdout.readline()).decode()
        yield process, URL(said.split()[3])
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


def test_p7_three_seconds_are_promised_for_the_end() -> None:
    limits = ServerLimits()
    assert limits.drain_seconds + limits.shutdown_seconds < 3


@pytest.mark.parametrize(
    "number", [pytest.param(signal.SIGINT, marks=pytest.mark.nightly), signal.SIGTERM, signal.SIGHUP]
)
async def test_p7_a_signal_ends_the_server_in_time_and_everyone_is_told(
    tmp_path: Path, number: signal.Signals
) -> None:
    async with server_process(tmp_path) as (process, address), ClientSession(base_url=address) as client:
        headers = {"Prefer": "wait=30"}
        body = {"channel": "somechannel"}

        async def wait_for_answer() -> tuple[int, str]:
            async with client.post("/api/v1/identifications", json=body, headers=headers) as response:
                return response.status, (await response.json(content_type=None))["code"]

        async def listen() -> bytes:
            async with client.post("/api/v1/identifications", json=body) as response:
                location = response.headers["Location"]
            async with client.get(f"{location}/events") as response:
                return await response.read()

        waiting = [asyncio.create_task(wait_for_answer()) for _ in range(20)]
        listening = asyncio.create_task(listen())
        await until_metric(client, "twitchaudio_waiters", 21)
        process.send_signal(number)
        async with asyncio.timeout(SECONDS):
            assert await process.wait() == 0
        assert {await task for task in waiting} == {(503, "busy")}
        assert b"event: result" not in await listening


async def _somebody_waits(client: ClientSession) -> asyncio.Task[int]:
    async def wait_for_answer() -> int:
        body, headers = {"channel": "somechannel"}, {"Prefer": "wait=30"}
        async with client.post("/api/v1/identifications", json=body, headers=headers) as response:
            return response.status

    waiting = asyncio.create_task(wait_for_answer())
    await until_metric(client, "twitchaudio_waiters", 1)
    return waiting


async def test_one_ctrl_c_that_comes_twice_is_one(tmp_path: Path) -> None:
    async with server_process(tmp_path) as (process, address), ClientSession(base_url=address) as client:
        waiting = await _somebody_waits(client)
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        assert await waiting == 503
        async with asyncio.timeout(SECONDS):
            assert await process.wait() == 0


async def test_a_second_ctrl_c_breaks_off_the_end_without_a_word(tmp_path: Path) -> None:
    async with (
        server_process(tmp_path, drain_seconds=SECONDS) as (process, address),
        ClientSession(base_url=address) as client,
    ):
        waiting = await _somebody_waits(client)
        process.send_signal(signal.SIGINT)
        await asyncio.sleep(SIGNAL_DEBOUNCE_SECONDS + 0.2)
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        said = await process.stderr.read()
        assert await process.wait() == 130
        assert b"Traceback" not in said
        await asyncio.gather(waiting, return_exceptions=True)


async def test_an_idle_server_stops_at_once(tmp_path: Path) -> None:
    async with server_process(tmp_path) as (process, address), ClientSession(base_url=address) as client:
        # A connection that is kept open between requests does not hold it up.
        assert (await client.get("/healthz")).status == 200
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(SECONDS):
            assert await process.wait() == 0


async def wait_all(port: int, question: bytes) -> list[asyncio.Future[bytes]]:
    """A thousand clients that ask the same and wait, each on a connection of its own."""
    clients: list[Client] = []
    while len(clients) < WAITERS:
        clients += await asyncio.gather(*(connect(port) for _ in range(100)))
    return [client.ask(question) for client in clients]


@pytest.mark.usefixtures("many_files")
async def test_p2_a_server_killed_under_a_thousand_who_wait_is_replaced_by_the_next(tmp_path: Path) -> None:
    body = {"channel": "somechannel"}
    question = post(body, wait=True)
    async with server_process(tmp_path) as (process, address), ClientSession(base_url=address) as client:
        async with client.post("/api/v1/identifications", json=body) as response:
            location = response.headers["Location"]
        waiting = await wait_all(address.port or 0, question)
        await until_metric(client, "twitchaudio_waiters", WAITERS)
        process.kill()
        await process.wait()
        lost = await asyncio.gather(*waiting, return_exceptions=True)
    assert {type(error) for error in lost} == {ConnectionResetError}
    parts = FakePipeline(SystemClock())
    settings = ServerSettings(pipeline=PipelineSettings(data_dir=tmp_path))
    app = make_app(settings, pipeline=parts.pipeline)
    async with serving(app, "127.0.0.1", 0) as address, ClientSession(base_url=address) as client:
        async with asyncio.timeout(SECONDS):
            again = await wait_all(address.port or 0, question)
            followed = await client.get(location, headers={"Prefer": "wait=30"})
            answers: list[dict[str, Any]] = [json.loads(await reply) for reply in again]
            answers.append(await followed.json())
    assert len(answers) == WAITERS + 1
    assert {answer["status"] for answer in answers} == {"successful"}
    assert {answer["id"] for answer in answers} == {location.rpartition("/")[2]}
    assert parts.capture.captures == 1


async def test_a_port_in_use_is_said_in_one_line(tmp_path: Path) -> None:
    parts = FakePipeline(SystemClock())
    app = make_app(ServerSettings(pipeline=PipelineSettings(data_dir=tmp_path)), pipeline=parts.pipeline)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(TwitchAudioError, match=f"port {port} is in use"):
            async with serving(app, "127.0.0.1", port):
                pass
