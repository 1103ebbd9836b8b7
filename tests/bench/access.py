"""What deciding who may ask costs, as a ratio to the same request with access control off.

Off: nobody is looked at, nothing is counted and no hit is logged. Two servers, one with and one without, are asked
in turn, one request each, so that whatever else the machine does meets both alike.

- `ratio`: of the median times that a request takes, by the client's clock; the aim is below 1.3
- `cpu_ratio`: of the servers' CPU for a request when many come at once, with what is written in the background
- `stored`: a clip that was answered; `joined`: a stream that is being identified; `started`: a new target
"""

import argparse
import asyncio
import contextlib
import tempfile
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from server.access.identity.api_keys import ApiKeyStore
from tests.bench.access_server import NEVER_ENDS
from tests.bench.servers import Served, served
from tests.bench.table import median, percentile95, print_table, write_json
from tests.databases import migrated_database
from tests.mariadb import running_mariadb

ASK: Final = "/api/v1/identifications"
BURSTS: Final = 4


async def ask(server: Served, body: Mapping[str, str], headers: Mapping[str, str]) -> float:
    """Milliseconds."""
    started = time.perf_counter()
    async with server.client.post(ASK, json=body, headers=headers) as answer:
        text = await answer.text()
    assert answer.status in (200, 202), text
    return (time.perf_counter() - started) * 1000


async def compare(
    on: Served, off: Served, *, path: str, headers: Mapping[str, str], requests: int, mark: str
) -> dict[str, Any]:
    """A row's figures."""

    def body(number: int) -> dict[str, str]:
        match path:
            case "stored":
                return {"clip": "Stored-1"}
            case "joined":
                return {"channel": NEVER_ENDS}
            case _:
                return {"clip": f"New-{mark}-{number}"}

    sent = dict(headers) | ({} if path == "joined" else {"Prefer": "wait=20"})
    for number in range(30):
        for server in (on, off):
            await ask(server, body(-1 - number), sent)
    times: dict[Served, list[float]] = {on: [], off: []}
    for number in range(requests):
        for server in (on, off) if number % 2 else (off, on):
            times[server].append(await ask(server, body(number), sent))
    cpu: dict[Served, float] = {on: 0.0, off: 0.0}
    # Enough for a second of work, since CPU is counted in hundredths of one.
    many = requests if path == "started" else 10 * requests
    for burst in range(BURSTS):
        for server in (on, off) if burst % 2 else (off, on):
            first = requests + burst * many
            bodies = [body(number) for number in range(first, first + many)]
            cpu[server] += await burst_cpu(server, bodies, sent, at_once=2 if path == "started" else 16)
    return {
        "on_ms": median(times[on]),
        "off_ms": median(times[off]),
        "ratio": round(median(times[on]) / median(times[off]), 3),
        "on_p95_ms": percentile95(times[on]),
        "off_p95_ms": percentile95(times[off]),
        "on_cpu_ms": cpu[on] / (BURSTS * many) * 1000,
        "cpu_ratio": round(cpu[on] / cpu[off], 3),
    }


async def burst_cpu(
    server: Served, bodies: Sequence[Mapping[str, str]], headers: Mapping[str, str], *, at_once: int
) -> float:
    """The server's CPU seconds for many requests, so many at once, and for what they leave to be written."""
    left = list(bodies)

    async def client() -> None:
        while left:
            await ask(server, left.pop(), headers)

    before = server.cpu_seconds()
    await asyncio.gather(*(client() for _ in range(at_once)))
    await asyncio.sleep(1.0)
    return server.cpu_seconds() - before


@asynccontextmanager
async def id_server() -> AsyncGenerator[str]:
    """Says of every token that it is a viewer's, issued to our application."""

    async def validate(request: web.Request) -> web.Response:
        assert "Authorization" in request.headers
        told = {"client_id": "benchmark", "login": "viewer", "user_id": "77", "expires_in": 9_999}
        return web.json_response(told)

    app = web.Application()
    app.router.add_get("/oauth2/validate", validate)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def key_for(address: str) -> str:
    """A new API key's text."""
    async with migrated_database(address) as database:
        _, secret = await ApiKeyStore(database).create(
            "benchmark", now=datetime.now(UTC), per_minute=1_000_000, per_day=1_000_000, at_once=100
        )
        return secret.reveal()


async def measure(
    name: str, addresses: tuple[str, str], requests: int, *, callers: Sequence[str]
) -> list[dict[str, Any]]:
    """All rows of one kind of database; `addresses` of two empty ones."""
    rows: list[dict[str, Any]] = []
    key = await key_for(addresses[0])
    headers = {
        "nobody": {},
        "key": {"X-API-Key": key},
        "token": {"Authorization": "Bearer abcdefghijklmnopqrstuvwxyz0123"},
    }
    with tempfile.TemporaryDirectory() as folder:
        async with (
            id_server() as id_url,
            served(folder=folder, database=addresses[0], id_url=id_url, jobs_per_address=3) as on,
            served(folder=folder, database=addresses[1], id_url=id_url, access=False) as off,
        ):
            for server in (on, off):
                await ask(server, {"clip": "Stored-1"}, {"Prefer": "wait=20"})
                await ask(server, {"channel": NEVER_ENDS}, {})
            for caller in callers:
                for path in ("stored", "joined", "started"):
                    figures = await compare(
                        on, off, path=path, headers=headers[caller], requests=requests, mark=f"{name}-{caller}"
                    )
                    rows.append({"database": name, "caller": caller, "request": path, **figures})
    return rows


def main(argv: Sequence[str]) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="scripts/bench access", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--requests", type=int, default=400, help="of each kind, to each server")
    parser.add_argument("--database", choices=("sqlite", "mariadb"), action="append", help="both when left out")
    parser.add_argument("--caller", choices=("nobody", "key", "token"), action="append", help="all when left out")
    chosen = parser.parse_args(argv)
    databases: list[str] = chosen.database or ["sqlite", "mariadb"]
    callers: list[str] = chosen.caller or ["nobody", "key", "token"]
    rows: list[dict[str, Any]] = []
    with contextlib.ExitStack() as stack:
        if "sqlite" in databases:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            files = (f"sqlite:///{folder}/on.sqlite3", f"sqlite:///{folder}/off.sqlite3")
            rows += asyncio.run(measure("sqlite", files, chosen.requests, callers=callers))
        if "mariadb" in databases:
            server = stack.enter_context(running_mariadb())
            pair = (server.new_database(), server.new_database())
            rows += asyncio.run(measure("mariadb", pair, chosen.requests, callers=callers))
    shown = [
        {name: f"{value:.2f}" if isinstance(value, float) else value for name, value in row.items()}
        for row in rows
    ]
    print_table("A request with access control, and the same without (medians)", shown)
    write_json(chosen.json, {"rows": rows})
    return 0
