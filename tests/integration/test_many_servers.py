"""Three server processes on one store as one: one capture for a herd, another owner when the first one dies.

The stores are those that many servers share: MariaDB, and DynamoDB as ministack does it.
"""

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import ClientResponse, ClientSession

from fingerprint.job_ports import LEASE_SECONDS
from fingerprint.jobs.dynamodb.client import open_client
from fingerprint.jobs.dynamodb.tables import TableNames, create_tables
from tests.api_client import ASK, next_event
from tests.bench.herd import Client, Server, connect, post, started
from tests.emulators import Emulator

SERVERS = 3
CLIENTS = 3_000
CONNECT_AT_ONCE = 100
LEARN_SECONDS, BUSY_LEARN_SECONDS = 0.5, 5.0
"""By when other servers know of a job's end, once it is stored: where nothing else is in the way, and else."""

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def shared_store(name: str, request: pytest.FixtureRequest) -> list[str]:
    """An empty store, as arguments of a server."""
    if name == "mariadb":
        return ["--database", request.getfixturevalue("mariadb").new_database()]
    emulator: Emulator = request.getfixturevalue(name)
    names = emulator.new_names()
    async with open_client(emulator.endpoint, read_seconds=30) as client:
        await create_tables(client, TableNames(*names))
    return ["--dynamodb", emulator.endpoint, *names]


@asynccontextmanager
async def three_servers(folder: Path, store: list[str]) -> AsyncGenerator[list[Server]]:
    async with AsyncExitStack() as stack:
        opened = (
            stack.enter_async_context(started("--serve", "ours", "--folder", str(folder / str(number)), *store))
            for number in range(SERVERS)
        )
        yield list(await asyncio.gather(*opened))


@pytest_asyncio.fixture(params=["mariadb", "ministack"], scope="module", loop_scope="module")
async def servers(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, many_files: int
) -> AsyncGenerator[list[Server]]:
    """The same three for the tests of this file; the last test kills one of them."""
    assert many_files > CLIENTS + 300, "not enough open files for the clients"
    store = await shared_store(request.param, request)
    async with three_servers(tmp_path_factory.mktemp("servers"), store) as servers:
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


async def until_captured(servers: list[Server], before: list[int]) -> list[int]:
    """How many captures each server has begun, once one did."""
    found = before
    async with asyncio.timeout(60):
        while sum(found) <= sum(before):
            await asyncio.sleep(0.05)
            found = await captures(servers)
    return [now - earlier for now, earlier in zip(found, before, strict=True)]


async def test_l2_three_servers_capture_once_for_three_thousand_clients(servers: list[Server]) -> None:
    before = await captures(servers)
    for server in servers:
        await server.tell("hold")
    waiting = await ask_all(servers, CLIENTS, "onechannel")
    await until_captured(servers, before)
    await asyncio.sleep(1.0)  # a second capture would have begun by now
    for server in servers:
        await server.tell("go")
    async with asyncio.timeout(100):
        answers = [answer_of(await future) for _, future in waiting]
    assert len(answers) == CLIENTS
    assert answers[0]["status"] == "successful"
    assert all(answer == answers[0] for answer in answers)
    assert sum(await captures(servers)) - sum(before) == 1


async def test_an_answer_of_a_moment_ago_is_given_by_every_server(servers: list[Server]) -> None:
    before = await captures(servers)
    for server in servers:
        await server.tell("go")
    question = {"channel": "heardbefore"}
    async with ClientSession() as client:
        places = [f"http://127.0.0.1:{server.port}{ASK}" for server in servers]
        headers = {"Cache-Control": "max-age=300"}  # not a matter of how fast this machine is
        first = await (await client.post(places[0], json=question, headers={"Prefer": "wait=30"})).json()
        for place in places:
            again = await client.post(place, json=question, headers=headers)
            assert "Age" in again.headers
            assert await again.json() == first | {"shared": True}
        anew = {"Cache-Control": "no-cache", "Prefer": "wait=30"}
        second = await (await client.post(places[1], json=question, headers=anew)).json()
        assert (second["id"] != first["id"], second["shared"]) == (True, False)
    assert sum(await captures(servers)) - sum(before) == 2


async def test_stages_and_the_end_reach_listeners_at_another_server(servers: list[Server]) -> None:
    working, other, _ = servers
    delays: list[float] = []
    async with (
        ClientSession(f"http://127.0.0.1:{working.port}") as a,
        ClientSession(f"http://127.0.0.1:{other.port}") as b,
    ):
        for number in range(6):
            before = await captures([working, other])
            await working.tell("hold")
            question = {"channel": f"listened{number}"}
            begun = await (await a.post(ASK, json=question)).json()
            assert await until_captured([working, other], before) == [1, 0]
            joined = await (await b.post(ASK, json=question)).json()
            assert (joined["id"], joined["shared"]) == (begun["id"], True)
            async with asyncio.timeout(30), b.get(f"{ASK}/{begun['id']}/events") as events:
                assert await stage_of(events, "status") == "capturing"
                await working.tell("go")
                name, state = "status", begun
                while name == "status":
                    name, state = await next_event(events)
                heard = datetime.now(UTC)
            assert (name, state["status"]) == ("result", "successful")
            # The job had ended before its end was stored, so that this is the longer time.
            delays.append((heard - datetime.fromisoformat(state["finished_at"])).total_seconds())
    # The machine may be busy with something else at times.
    assert min(delays) <= LEARN_SECONDS, delays
    assert median(delays) <= BUSY_LEARN_SECONDS, delays


async def stage_of(events: ClientResponse, name: str) -> str:
    """The stage of the next event that is past waiting for a turn."""
    while True:
        found, state = await next_event(events)
        assert found == name
        if state["stage"] not in ("queued", "resolving"):
            return state["stage"]


async def test_p1_when_the_owner_is_killed_the_other_servers_clients_get_one_more_captures_answer(
    servers: list[Server],
) -> None:
    before = await captures(servers)
    for server in servers:
        await server.tell("hold")
    waiting = await ask_all(servers, CLIENTS, "twochannel")
    counts = await until_captured(servers, before)
    owner = servers[counts.index(1)]
    survivors = [server for server in servers if server is not owner]
    before = await captures(survivors)
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
    assert len(answers) == CLIENTS * 2 // 3
    assert answers[0]["status"] == "successful"
    assert all(answer == answers[0] for answer in answers)
    assert sum(await captures(survivors)) - sum(before) == 1, "with the one that was killed, two captures"
    assert took <= LEASE_SECONDS + 20
