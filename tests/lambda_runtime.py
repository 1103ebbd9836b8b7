"""The Lambda function as AWS runs it: under its Runtime Interface Client and Emulator, and on ministack.

The emulator takes one invocation at a time and dies of two, so a lock is held around each.
"""

import asyncio
import io
import os
import signal
import subprocess
import sys
import sysconfig
import time
import zipfile
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest
from aiohttp import web

from fingerprint.jobs.dynamodb.client import open_client
from fingerprint.jobs.dynamodb.tables import TableNames, create_tables
from tests.emulators import CREDENTIALS, Emulator, free_port
from tests.fetched import wait_until_fetched

ROOT: Final = Path(__file__).parent.parent
RIE: Final = ROOT / ".cache" / "rie" / "aws-lambda-rie"
INVOKE: Final = "/2015-03-31/functions/function/invocations"


@dataclass(slots=True)
class Runtime:
    """A running emulator; `endpoint` is where the function is invoked, one invocation at a time."""

    endpoint: str
    process: subprocess.Popen[bytes]
    invocations: int = 0

    def children(self) -> list[int]:
        """The process ids of the function's process and of all that it started."""
        return _descendants(self.process.pid)

    def kill_function(self) -> None:
        """End the function's process, as a crash or the lack of memory would."""
        for pid in _children(self.process.pid):
            os.kill(pid, signal.SIGKILL)


def _children(pid: int) -> list[int]:
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        return [int(child) for task in tasks for child in (task / "children").read_text().split()]
    except FileNotFoundError:
        return []


def _descendants(pid: int) -> list[int]:
    return [found for child in _children(pid) for found in (child, *_descendants(child))]


@asynccontextmanager
async def lambda_runtime(environment: Mapping[str, str], *, seconds: int = 45) -> AsyncGenerator[Runtime]:
    """The handler under the client and the emulator; Lambda would end it after `seconds`."""
    await asyncio.to_thread(wait_until_fetched)
    if not RIE.exists():
        pytest.skip("the Lambda Runtime Interface Emulator is missing; scripts/test fetches it")
    async with cold_runtime(environment, seconds=seconds) as runtime:
        # The process is started by the first invocation; its imports are not what is tested.
        async with asyncio.timeout(120):
            while "InvalidEventError" not in await said(runtime.endpoint):
                pass
        runtime.invocations = 0
        yield runtime


@asynccontextmanager
async def cold_runtime(
    environment: Mapping[str, str], *, seconds: int = 45, launcher: Sequence[str] = ()
) -> AsyncGenerator[Runtime]:
    """The emulator before the first invocation, which starts the function's process; started by `launcher`."""
    port, api = free_port(), free_port()
    command = [
        *launcher,
        str(RIE),
        *("--runtime-interface-emulator-address", f"127.0.0.1:{port}"),
        *("--runtime-api-address", f"127.0.0.1:{api}"),
        *("--log-level", "error"),
        *(sys.executable, "-m", "awslambdaric", "fingerprint.lambda_handler.handler"),
    ]
    variables = {
        **environment,
        **CREDENTIALS,
        "PATH": os.defpath,
        "AWS_LAMBDA_FUNCTION_NAME": "function",
        "AWS_LAMBDA_FUNCTION_TIMEOUT": str(seconds),
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1024",
    }
    process = _start(command, variables)
    try:
        await _listens(port)
        async with _one_at_a_time(f"http://127.0.0.1:{port}", process) as runtime:
            yield runtime
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)


def _start(command: list[str], variables: Mapping[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env=dict(variables),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


async def _listens(port: int) -> None:
    deadline = time.monotonic() + 240
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            assert time.monotonic() < deadline, "the emulator did not start"
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return


@asynccontextmanager
async def _one_at_a_time(upstream: str, process: subprocess.Popen[bytes]) -> AsyncGenerator[Runtime]:
    """Before the emulator, which dies of two invocations at once."""
    lock = asyncio.Lock()
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=90)) as session:

        async def invoke(request: web.Request) -> web.Response:
            body = await request.read()
            runtime.invocations += 1
            async with lock, session.post(upstream + INVOKE, data=body) as response:
                return web.Response(body=await response.read(), status=response.status)

        app = web.Application()
        app.router.add_post(INVOKE, invoke)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            runtime = Runtime(f"http://127.0.0.1:{runner.addresses[0][1]}", process)
            yield runtime
        finally:
            await runner.cleanup()


async def tables_on(emulator: Emulator) -> dict[str, str]:
    """New tables, as settings."""
    names = TableNames(*emulator.new_names())
    async with open_client(emulator.endpoint, read_seconds=30) as client:
        await create_tables(client, names)
    return {
        "TWITCHAUDIO_JOBS": "dynamodb",
        "TWITCHAUDIO_DYNAMODB_ENDPOINT": emulator.endpoint,
        "TWITCHAUDIO_DYNAMODB_STREAM_TABLE": names.streams,
        "TWITCHAUDIO_DYNAMODB_CLIP_TABLE": names.clips,
    }


def shim() -> bytes:
    """An archive whose handler is this checkout's, since ministack has a Python without our libraries."""
    code = (
        f"import sys\nsys.path[:0] = {[str(ROOT), sysconfig.get_path('purelib')]!r}\n"
        "from fingerprint.lambda_handler import handler\n"
    )
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as writer:
        writer.writestr("shim.py", code)
    return archive.getvalue()


async def said(endpoint: str) -> str:
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=90)) as session,
        session.post(endpoint + INVOKE, json={}) as response,
    ):
        return await response.text()


async def invoke(endpoint: str, event: object) -> Any:
    """An invocation by plain HTTP."""
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as session,
        session.post(endpoint + INVOKE, json=event) as response,
    ):
        return await response.json(content_type=None)
