"""`serve --workers N`, as processes: all answer, dead ones are replaced, and nobody who waits is forgotten."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import ClientSession, TCPConnector
from yarl import URL

from server.cli.shared_address import SharedAddress
from tests.api_client import ASK
from tests.worker_server import STOP_SECONDS

ROOT = Path(__file__).parents[2]
HELD = {"channel": "somechannel"}
SECONDS = 60.0
"""Processes start slowly where other tests run."""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="connections are spread by Linux alone")


@asynccontextmanager
async def supervised(command: Sequence[str]) -> AsyncGenerator[tuple[asyncio.subprocess.Process, URL]]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, cwd=ROOT
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(SECONDS):
            said = (await process.stdout.readline()).decode()
        assert said, "it did not start"
        yield process, URL(said.split()[3])
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


@asynccontextmanager
async def two_workers(folder: Path) -> AsyncGenerator[tuple[asyncio.subprocess.Process, URL]]:
    async with supervised(["-m", "tests.worker_server", "supervise", str(folder)]) as started:
        yield started


def client(address: URL) -> ClientSession:
    """One whose requests each have a connection of their own."""
    return ClientSession(base_url=address, connector=TCPConnector(limit=0, force_close=True))


async def workers_that_answer(api: ClientSession, requests: int = 30) -> set[int]:
    async def ask() -> int:
        async with api.get("/healthz") as response:
            assert response.status == 200
            return int(response.headers["X-Worker"])

    return set(await asyncio.gather(*(ask() for _ in range(requests))))


async def wait_for_answer(api: ClientSession) -> tuple[int, str, str]:
    """Status, identification or problem code, and worker of a request that waits."""
    async with api.post(ASK, json=HELD, headers={"Prefer": "wait=30"}) as response:
        body = await response.json(content_type=None)
        return response.status, str(body.get("id") or body["code"]), response.headers["X-Worker"]


async def until_waiting(api: ClientSession, count: int) -> None:
    """Wait until each worker has told, on its own page of metrics, and together they have so many waiters."""
    async with asyncio.timeout(SECONDS):
        while True:
            found: dict[str, int] = {}
            while len(found) < 2:
                async with api.get("/metrics") as response:
                    lines = (await response.text()).splitlines()
                    waiters = next(line for line in lines if line.startswith("twitchaudio_waiters "))
                    found[response.headers["X-Worker"]] = int(float(waiters.split()[1]))
            if sum(found.values()) >= count:
                return
            await asyncio.sleep(0.1)


def processes_below(pid: int, program: str) -> int:
    """How many descendants of a process run a program."""
    found = 0
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split():
        with contextlib.suppress(OSError):
            found += program.encode() in Path(f"/proc/{child}/cmdline").read_bytes()
            found += processes_below(int(child), program)
    return found


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


async def until_gone(pids: set[int]) -> None:
    async with asyncio.timeout(SECONDS):
        while any(map(alive, pids)):  # noqa: ASYNC110 - other processes
            await asyncio.sleep(0.05)


async def test_all_workers_answer_and_share_one_job(tmp_path: Path) -> None:
    async with two_workers(tmp_path) as (_, address), client(address) as api:
        assert len(await workers_that_answer(api)) == 2
        waiting = [asyncio.create_task(wait_for_answer(api)) for _ in range(30)]
        await until_waiting(api, 30)
        (tmp_path / "go").touch()
        answers = await asyncio.gather(*waiting)
        assert {status for status, _, _ in answers} == {200}
        assert len({identification for _, identification, _ in answers}) == 1
        assert len({worker for _, _, worker in answers}) == 2


async def test_a_worker_that_is_killed_is_replaced(tmp_path: Path) -> None:
    async with two_workers(tmp_path) as (_, address), client(address) as api:
        before = await workers_that_answer(api)
        killed = min(before)
        os.kill(killed, signal.SIGKILL)
        async with asyncio.timeout(SECONDS):
            after = await workers_that_answer(api)
            while len(after) < 2 or killed in after:
                after = await workers_that_answer(api)
        assert len(after & before) == 1


async def test_workers_stay_when_their_successors_do_not_start(tmp_path: Path) -> None:
    async with two_workers(tmp_path) as (supervisor, address), client(address) as api:
        before = await workers_that_answer(api)
        (tmp_path / "broken").touch()
        supervisor.send_signal(signal.SIGHUP)
        assert supervisor.stderr is not None
        async with asyncio.timeout(SECONDS):
            while b"workers_not_replaced" not in await supervisor.stderr.readline():
                pass
        assert await workers_that_answer(api) == before


async def test_a_rolling_restart_loses_nobody_who_waits_or_comes(tmp_path: Path) -> None:
    async with two_workers(tmp_path) as (supervisor, address), client(address) as api:
        before = await workers_that_answer(api)
        waiting = [asyncio.create_task(wait_for_answer(api)) for _ in range(30)]
        await until_waiting(api, 30)
        supervisor.send_signal(signal.SIGHUP)
        async with asyncio.timeout(SECONDS):
            # The first one's successor is there; the first itself stays for those who wait.
            while not await workers_that_answer(api) - before:  # noqa: ASYNC110 - other processes
                await asyncio.sleep(0.05)
        assert all(map(alive, before))
        (tmp_path / "go").touch()
        answers = await asyncio.gather(*waiting)
        assert {status for status, _, _ in answers} == {200}
        assert {int(worker) for _, _, worker in answers} == before
        async with asyncio.timeout(SECONDS):
            while await workers_that_answer(api) & before:  # noqa: ASYNC110 - other processes
                await asyncio.sleep(0.05)
        await until_gone(before)
        assert len(await workers_that_answer(api)) == 2


async def test_sigterm_stops_all_and_everyone_is_told(tmp_path: Path) -> None:
    async with two_workers(tmp_path) as (supervisor, address), client(address) as api:
        workers = await workers_that_answer(api)
        waiting = [asyncio.create_task(wait_for_answer(api)) for _ in range(30)]
        await until_waiting(api, 30)
        supervisor.terminate()
        began = time.monotonic()
        assert {(status, what) for status, what, _ in await asyncio.gather(*waiting)} == {(503, "busy")}
        async with asyncio.timeout(SECONDS):
            assert await supervisor.wait() == 0
        assert not any(map(alive, workers))
        assert time.monotonic() - began < STOP_SECONDS, "they were killed"


async def test_workers_end_with_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    async with two_workers(tmp_path) as (supervisor, address), client(address) as api:
        workers = await workers_that_answer(api)
        supervisor.kill()
        await until_gone(workers)


async def test_the_command_itself_starts_its_workers_and_ctrl_c_stops_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TWITCHAUDIO_DATA_DIR", str(tmp_path))
    async with (
        supervised(["-m", "server", "serve", "--workers", "2", "--port", "0"]) as (supervisor, address),
        client(address) as api,
    ):
        async with api.get("/healthz") as response:
            assert response.status == 200
        # They divide the cores: together they decode on as many as one server would.
        decoders = 2 * max(1, (os.cpu_count() or 1) // 2)
        async with asyncio.timeout(SECONDS):
            while (found := processes_below(supervisor.pid, "decoder_worker")) < decoders:  # noqa: ASYNC110 - other processes
                await asyncio.sleep(0.05)
        assert found == decoders
        supervisor.send_signal(signal.SIGINT)
        async with asyncio.timeout(20):
            assert await supervisor.wait() == 0


async def test_a_worker_that_does_not_start_ends_it_all_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TWITCHAUDIO_DATA_DIR", str(tmp_path))
    # A folder where the database should be.
    (tmp_path / "twitchaudio.sqlite3").mkdir()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "server", "serve", "--workers", "2", "--port", "0"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=ROOT,
    )
    with contextlib.suppress(ProcessLookupError):
        async with asyncio.timeout(SECONDS):
            _, said = await process.communicate()
        assert process.returncode == 1
        assert b"twitchaudio: A worker did not start: exit status 1." in said
        assert b"Traceback" not in said


def test_several_sockets_share_an_address_whose_port_the_system_chose() -> None:
    address = SharedAddress("127.0.0.1", 0)
    sockets = [each for _ in range(3) for each in address.bind()]
    try:
        assert {each.getsockname() for each in sockets} == {("127.0.0.1", address.port)}
    finally:
        address.close()
        for each in sockets:
            each.close()


def test_an_address_is_taken_even_when_its_owner_would_share_it() -> None:
    address = SharedAddress("127.0.0.1", 0)
    [worker] = address.bind()
    worker.listen()
    try:
        with pytest.raises(OSError, match="in use"):
            SharedAddress("127.0.0.1", address.port)
    finally:
        address.close()
        worker.close()
    with socket.create_server(("127.0.0.1", address.port)), pytest.raises(OSError, match="in use"):
        SharedAddress("127.0.0.1", address.port)
