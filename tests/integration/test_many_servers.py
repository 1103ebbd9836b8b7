"""Three server processes on one store as one: one capture for a herd, another owner when the first one dies."""

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from fingerprint.pipeline import LEASE_SECONDS
from tests.bench.herd import Client, Server, connect, post, started
from tests.mariadb import MariaDB

SERVERS = 3
CLIENTS = 3_000
CONNECT_AT_ONCE = 100


@asynccontextmanager
async def three_servers(mariadb: MariaDB, folder: str) -> AsyncGenerator[list[Server]]:
    address = mariadb.new_database()
    async with AsyncExitStack() as stack:
        servers: list[Server] = []
        for number in range(SERVERS):
            arguments = ("--serve", "ours", "--folder", f"{folder}/{number}", "--database", address)
            servers.append(await stack.enter_async_context(started(*arguments)))
        yield servers


async def ask_all(servers: list[Server], clients: int, channel: str) -> list[tuple[Server, asyncio.Future[bytes]]]:
    """Clients spread over the servers, each asking once; they keep their connections."""
    request = post({"channel": channel}, wait=True)
    asked: list[tuple[Server, Client]] = []
    while len(asked) < clients:
        batch = [
            servers[(len(asked) + n) % len(servers)] for n in range(min(CONNECT_AT_ONCE, clients - len(asked)))
        ]
        new = await asyncio.gather(*(connect(server.port) for server in batch))
        asked += zip(batch, new, strict=True)
    # Connected first, so that the questions come within a second.
    return [(server, client.ask(request)) for server, client in asked]


def answer_of(body: bytes) -> dict[str, Any]:
    answer = json.loads(body)
    del answer["shared"]
    return answer


async def captures(servers: list[Server]) -> list[int]:
    return [int((await server.tell("count"))["captures"]) for server in servers]


async def until_captured(servers: list[Server]) -> list[int]:
    found = [0]
    async with asyncio.timeout(60):
        while sum(found) < 1:
            await asyncio.sleep(0.05)
            found = await captures(servers)
    return found


async def test_l2_three_servers_capture_once_for_three_thousand_clients(mariadb: MariaDB, tmp_path: Any) -> None:
    async with three_servers(mariadb, str(tmp_path)) as servers:
        for server in servers:
            await server.tell("hold")
        waiting = await ask_all(servers, CLIENTS, "onechannel")
        await until_captured(servers)
        await asyncio.sleep(1.0)  # a second capture would have begun by now
        for server in servers:
            await server.tell("go")
        async with asyncio.timeout(100):
            answers = [answer_of(await future) for _, future in waiting]
        assert len(answers) == CLIENTS
        assert answers[0]["status"] == "successful"
        assert all(answer == answers[0] for answer in answers)
        assert sum(await captures(servers)) == 1


async def test_p1_when_the_owner_is_killed_the_other_servers_clients_get_one_more_captures_answer(
    mariadb: MariaDB, tmp_path: Any
) -> None:
    async with three_servers(mariadb, str(tmp_path)) as servers:
        for server in servers:
            await server.tell("hold")
        waiting = await ask_all(servers, 300, "onechannel")
        counts = await until_captured(servers)
        owner = servers[counts.index(1)]
        survivors = [server for server in servers if server is not owner]
        await asyncio.sleep(0.5)
        for server in survivors:
            await server.tell("go")
        os.kill(owner.process.pid, signal.SIGKILL)
        killed = time.monotonic()
        theirs = [future for server, future in waiting if server is not owner]
        async with asyncio.timeout(60):
            answers = [answer_of(await future) for future in theirs]
        took = time.monotonic() - killed
        await asyncio.gather(*(future for _, future in waiting), return_exceptions=True)
        assert len(answers) == 200
        assert answers[0]["status"] == "successful"
        assert all(answer == answers[0] for answer in answers)
        assert sum(await captures(survivors)) == 1, "with the one that was killed, two captures"
        if took > LEASE_SECONDS + 3 and os.getloadavg()[0] > 3 * (os.cpu_count() or 1):
            pytest.skip(f"the machine is too crowded for the time to say anything: {took:.1f} s")
        assert took <= LEASE_SECONDS + 3
