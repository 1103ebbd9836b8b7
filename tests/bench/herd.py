"""A herd on one server, beside a bare aiohttp handler that returns the same bytes in the same run.

- `clients` wait on one job, in each of some `herds`; `captures` made for them, `answers` that came, all alike
- `kib_per_waiter`: what the server's memory grew by for each; `bare_kib_per_waiter`
- `last_client_s`: from the end of the capture to the last answer
- `fan_out_cpu_ratio`: the server's CPU from then until the last answer, to the bare one's
- `with_logs_cpu_us`: the same until the server is at rest, with the entries of its logs in SQL; they are written
  half a second later, so that they take nothing from those who wait
- `stored_clip_ratio`, `join_ratio`: requests for a second of CPU, for a stored clip answer and for joining a job,
  to the bare handler's
- `spread_captures`, `spread_provider_questions`: what the same clients cost when they ask one after the other over
  `spread_seconds`, each from an address of its own, with the default settings; `..._each_on_its_own`: without
  fresh answers and hot channels. A capture takes `CAPTURE_SECONDS`; the provider is the one that costs money
- `rows`: the same herd on 1 and 2 worker processes that share an address and a database, as `serve --workers` has
  them: `last_client_s`, and `stored_per_s`, stored clip answers for a second of the clock

Servers run in processes of their own. Clients speak HTTP by hand, so that they cost little.
"""

import argparse
import asyncio
import contextlib
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from fingerprint.clock import SystemClock
from fingerprint.domain.audio import Recording
from fingerprint.pipeline import Pipeline
from fingerprint.pipeline_settings import PipelineSettings
from fingerprint.ports import Listing, MediaSource, OnStage, Recognition
from fingerprint.upstream_settings import DynamoDbSettings
from server import keys
from server.app import BACKLOG, listening, make_app, running
from server.cli.serving import tune_garbage_collection
from server.cli.shared_address import SharedAddress
from server.identifications.limits import ServiceLimits
from server.server_limits import ServerLimits
from server.settings import ServerSettings
from tests.bench.table import median, print_table, write_json
from tests.fakes import FakeCapture, FakePipeline, FakeRecognizers

ROOT: Final = Path(__file__).parents[2]
CHANNEL: Final = "herdchannel"
CLIP: Final = "HerdClip-x_1"
CONNECT_AT_ONCE: Final = 100
SECONDS_OF_REQUESTS: Final = 2.0
CONNECTIONS: Final = 16
WORKERS: Final = (1, 2)
CAPTURE_SECONDS: Final = 0.6
"""How long a capture takes in the spread herd, as it does with Twitch."""

SPREAD_SECONDS: Final = 60.0
_WAIT_SECONDS: Final = 300


# --- The servers, each a process of its own -----------------------------------------------------------


class TimedCapture(FakeCapture):
    """A capture that takes a while."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds

    async def takes(
        self, source: MediaSource, seconds: float, listing: Listing | None = None
    ) -> AsyncGenerator[Recording]:
        await asyncio.sleep(self._seconds)
        async for take in super().takes(source, seconds):
            yield take


class Provider(FakeRecognizers):
    """A recognizer that costs money for each question."""

    def __init__(self) -> None:
        super().__init__()
        self.questions = 0

    async def identify(self, recording: Recording, on_stage: OnStage) -> Recognition:
        self.questions += 1
        return await super().identify(recording, on_stage)


async def serve_ours(
    folder: Path,
    database: str | None,
    dynamodb: DynamoDbSettings | None,
    port: int | None,
    *,
    spread: str = "",
) -> None:
    """The real server; its pipeline captures silence once a line comes on standard input.

    With a `port` it shares that with other servers. `spread`: for clients that ask one after the other, with the
    default settings (`shared`), without listening to hot channels (`fresh`), or with a capture for each that comes
    after the last job (`alone`).
    """
    parts = FakePipeline(SystemClock())
    provider = Provider()
    if spread:
        parts.capture = TimedCapture(CAPTURE_SECONDS)
    pipeline = Pipeline(
        resolver=parts.resolver,
        capture=parts.capture,
        recognizers=provider,
        further=FakeRecognizers(),
        clock=SystemClock(),
        job_seconds=_WAIT_SECONDS,
    )
    sharing: dict[str, Any] = {"fresh_seconds": 0, "hot_askers": 0} if spread == "alone" else {}
    if spread:
        # These captures take no CPU.
        sharing |= {"hot_askers": 0} if spread == "fresh" else {}
        sharing |= {"captures_at_once": 256, "queue": 10_000}
    settings = ServerSettings(
        pipeline=PipelineSettings(
            data_dir=folder,
            database_url=database,
            jobs="sql" if dynamodb is None else "dynamodb",
            dynamodb=dynamodb or DynamoDbSettings(),
        ),
        limits=ServerLimits(wait_seconds=_WAIT_SECONDS, head_seconds=120.0),
        jobs_per_address=0,
        starts_per_address=(),
        trusted_proxies=(ip_network("127.0.0.1"),) if spread else (),
        **sharing,
    )
    # The job of the bench waits for its herd, however long that takes to arrive.
    app = make_app(settings, pipeline=pipeline, service_limits=ServiceLimits(waiters=50_000))
    async with AsyncExitStack() as stack:
        if port is None:
            port = (await stack.enter_async_context(listening(app, "127.0.0.1", 0))).port or 0
        else:
            runner = await stack.enter_async_context(running(app))
            await web.TCPSite(runner, "127.0.0.1", port, backlog=BACKLOG, reuse_port=True).start()
        tune_garbage_collection()
        waiting = re.compile(r"^twitchaudio_waiters (\d+)", re.MULTILINE)

        def state() -> dict[str, int]:
            found = waiting.search(app[keys.METRICS].render())
            return {
                "captures": parts.capture.captures,
                "questions": provider.questions,
                "waiting": int(found[1]) if found else 0,
            }

        await _obey(port, parts.capture.gate, state)


async def serve_bare(body: bytes) -> None:
    """A bare handler: waits for one shared future, or answers at once, with the same bytes."""
    gate = asyncio.Event()
    gate.set()
    shared: dict[str, asyncio.Future[bytes]] = {}
    waiting = 0

    async def answer(request: web.Request) -> web.Response:
        nonlocal waiting
        await request.read()
        if "Prefer" not in request.headers:
            return web.Response(body=body, content_type="application/json")
        if "job" not in shared:
            shared["job"] = asyncio.ensure_future(_after(gate, body))
        waiting += 1
        found = await asyncio.shield(shared["job"])
        waiting -= 1
        return web.Response(body=found, content_type="application/json")

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, backlog=4096)
    await site.start()
    # As ours does: else what is measured is the garbage collector's share.
    tune_garbage_collection()
    await _obey(int(runner.addresses[0][1]), gate, lambda: {"captures": 1, "waiting": waiting})
    await runner.cleanup()


async def _after(gate: asyncio.Event, body: bytes) -> bytes:
    await gate.wait()
    return body


async def _obey(port: int, gate: asyncio.Event, state: Callable[[], Mapping[str, int]]) -> None:
    print(json.dumps({"port": port}), flush=True)
    while True:
        line = (await asyncio.to_thread(sys.stdin.readline)).strip()
        match line:
            case "hold":
                gate.clear()
            case "go":
                gate.set()
            case "":
                return
            case _:
                pass
        print(json.dumps(state()), flush=True)


@dataclass(slots=True)
class Server:
    """One of them, as the client sees it."""

    port: int
    process: subprocess.Popen[str]

    async def tell(self, command: str) -> Mapping[str, Any]:
        """Send a command and read what it says."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{command}\n")
        self.process.stdin.flush()
        return json.loads(await asyncio.to_thread(self.process.stdout.readline))

    def cpu_seconds(self) -> float:
        """CPU used so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident_kib(self) -> int:
        """Resident memory."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))


class Group:
    """Several servers on one port, as if they were one."""

    def __init__(self, servers: Sequence[Server]) -> None:
        self._servers = servers
        self.port = servers[0].port

    async def tell(self, command: str) -> Mapping[str, Any]:
        """Send a command to all and add up the numbers that they say."""
        said = await asyncio.gather(*(server.tell(command) for server in self._servers))
        return {name: sum(each[name] for each in said) for name in said[0]}

    def cpu_seconds(self) -> float:
        """CPU used so far."""
        return sum(server.cpu_seconds() for server in self._servers)

    def resident_kib(self) -> int:
        """Resident memory."""
        return sum(server.resident_kib() for server in self._servers)


def _start(arguments: Sequence[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.bench.herd", *arguments],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


@asynccontextmanager
async def started(*arguments: str) -> AsyncGenerator[Server]:
    """A server process."""
    process = _start(arguments)
    try:
        assert process.stdout is not None
        hello = json.loads(await asyncio.to_thread(process.stdout.readline))
        yield Server(hello["port"], process)
    finally:
        process.kill()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
        process.wait(10)


# --- The clients --------------------------------------------------------------------------------------


def post(body: object, *, wait: bool, address: str = "") -> bytes:
    """A question as the bytes of a request; `address`: whose it is, by the word of a proxy."""
    content = json.dumps(body).encode()
    prefer = f"Prefer: wait={_WAIT_SECONDS}\r\n" if wait else ""
    head = (
        "POST /api/v1/identifications HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"{prefer}{f'X-Forwarded-For: {address}{chr(13)}{chr(10)}' if address else ''}"
        f"Content-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


class Client(asyncio.Protocol):
    """Sends a request when told and keeps the answer."""

    def __init__(self) -> None:
        self._data = b""
        self._answer: asyncio.Future[bytes] | None = None
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def ask(self, request: bytes) -> asyncio.Future[bytes]:
        """A future of the answer's body."""
        assert self.transport is not None
        self._answer = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return self._answer

    def data_received(self, data: bytes) -> None:
        self._data += data
        head, separator, rest = self._data.partition(b"\r\n\r\n")
        if not separator or self._answer is None:
            return
        length = next(
            int(line.partition(b":")[2])
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"content-length:")
        )
        if len(rest) >= length:
            answer, self._answer, self._data = self._answer, None, b""
            if head.split(b" ", 2)[1] in (b"200", b"202"):
                answer.set_result(rest[:length])
            else:
                answer.set_exception(RuntimeError((head.split(b"\r\n")[0] + b" " + rest).decode()))

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc or ConnectionResetError())


async def connect(port: int) -> Client:
    """A connection."""
    _, client = await asyncio.get_running_loop().create_connection(Client, "127.0.0.1", port)
    return client


async def herd(server: Server | Group, clients: int) -> dict[str, float]:
    """Clients that all wait on one job, and then get its answer."""
    await server.tell("hold")
    before_kib = server.resident_kib()
    request = post({"channel": CHANNEL}, wait=True)
    connections: list[Client] = []
    waiting: list[asyncio.Future[bytes]] = []
    while len(connections) < clients:
        count = min(CONNECT_AT_ONCE, clients - len(connections))
        new = await asyncio.gather(*(connect(server.port) for _ in range(count)))
        connections += new
        waiting += [client.ask(request) for client in new]
    while (await server.tell("state"))["waiting"] < clients:  # noqa: ASYNC110 - it is another process
        await asyncio.sleep(0.1)
    await _at_rest(server)
    kib = (server.resident_kib() - before_kib) / clients
    cpu, moment = server.cpu_seconds(), time.perf_counter()
    captures = await server.tell("go")
    answers = await asyncio.gather(*waiting)
    last = time.perf_counter() - moment
    fan_out = server.cpu_seconds() - cpu
    await asyncio.sleep(1.0)
    await _at_rest(server)
    with_logs = server.cpu_seconds() - cpu
    for client in connections:
        if client.transport is not None:
            client.transport.close()
    alike = {_without_shared(answer) for answer in answers}
    if len(alike) != 1:
        raise RuntimeError("not all answers are alike")
    return {
        "answers": len(answers),
        "captures": captures["captures"],
        "kib": kib,
        "last_s": last,
        "fan_out_cpu_us": fan_out / clients * 1e6,
        "with_logs_cpu_us": with_logs / clients * 1e6,
    }


async def spread_herd(folder: Path, mode: str, clients: int, seconds: float) -> Mapping[str, Any]:
    """Clients that ask one after the other: how many captures and questions to a provider they cost."""
    async with started("--serve", "ours", "--folder", str(folder), "--spread", mode) as server:

        async def ask(number: int) -> None:
            await asyncio.sleep(number * seconds / clients)
            client = await connect(server.port)
            address = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
            await client.ask(post({"channel": CHANNEL}, wait=True, address=address))
            assert client.transport is not None
            client.transport.close()

        async with asyncio.TaskGroup() as group:
            for number in range(clients):
                group.create_task(ask(number))
        return await server.tell("state")


async def _at_rest(server: Server | Group) -> None:
    before = -1.0
    while server.cpu_seconds() - before > 0.02:
        before = server.cpu_seconds()
        await asyncio.sleep(0.5)


def _without_shared(answer: bytes) -> bytes:
    return answer.replace(b'"shared":true', b'"shared":false')


async def requests_per_second(server: Server | Group, request: bytes, *, of_cpu: bool = True) -> float:
    """Answers that a few connections get for a second of the server's CPU, which is steadier than the clock."""
    clients = await asyncio.gather(*(connect(server.port) for _ in range(CONNECTIONS)))
    until = time.perf_counter() + SECONDS_OF_REQUESTS
    done = 0

    async def ask(client: Client) -> None:
        nonlocal done
        while time.perf_counter() < until:
            await client.ask(request)
            done += 1

    cpu = server.cpu_seconds()
    await asyncio.gather(*map(ask, clients))
    spent = server.cpu_seconds() - cpu if of_cpu else SECONDS_OF_REQUESTS
    for client in clients:
        if client.transport is not None:
            client.transport.close()
    return done / max(spent, 1e-3)


async def with_workers(folder: Path, workers: int, clients: int, rounds: int) -> dict[str, Any]:
    """The herd, and stored answers, with some servers on one port and one database."""
    address = SharedAddress("127.0.0.1", 0)
    async with AsyncExitStack() as stack:
        stack.callback(address.close)
        servers: list[Server] = []
        for _ in range(workers):
            arguments = ("--serve", "ours", "--folder", str(folder), "--port", str(address.port))
            servers.append(await stack.enter_async_context(started(*arguments)))
        group = Group(servers)
        client = await connect(group.port)
        await client.ask(post({"clip": CLIP}, wait=True))
        stored = post({"clip": CLIP}, wait=False)
        rates = [await requests_per_second(group, stored, of_cpu=False) for _ in range(rounds)]
        before = (await group.tell("state"))["captures"]
        found = await herd(group, clients)
    return {
        "workers": workers,
        "clients": clients,
        "captures": found["captures"] - before,
        "answers": found["answers"],
        "last_client_s": round(found["last_s"], 3),
        "stored_per_s": round(median(rates)),
    }


async def measure(clients: int, rounds: int, herds: int, spread_seconds: float) -> dict[str, Any]:
    """All of it."""
    with tempfile.TemporaryDirectory() as folder:
        async with started("--serve", "ours", "--folder", folder) as ours:
            stored = post({"clip": CLIP}, wait=False)
            client = await connect(ours.port)
            body = await client.ask(post({"clip": CLIP}, wait=True))
            await ours.tell("hold")
            running = post({"channel": "joined"}, wait=False)
            joined_body = await client.ask(running)
            joined_body = await client.ask(running)
            rates: dict[str, list[float]] = {"stored": [], "bare_stored": [], "join": [], "bare_join": []}
            async with (
                started("--serve", "bare", "--body", body.decode()) as bare,
                started("--serve", "bare", "--body", joined_body.decode()) as bare_join,
            ):
                for _ in range(rounds):
                    rates["stored"].append(await requests_per_second(ours, stored))
                    rates["bare_stored"].append(await requests_per_second(bare, stored))
                    rates["join"].append(await requests_per_second(ours, running))
                    rates["bare_join"].append(await requests_per_second(bare_join, running))
            await ours.tell("go")
        ours_found: list[dict[str, float]] = []
        bare_found: list[dict[str, float]] = []
        rows = [await with_workers(Path(folder) / "workers", count, clients, rounds) for count in WORKERS]
        shared = await spread_herd(Path(folder) / "shared", "shared", clients, spread_seconds)
        alone = await spread_herd(Path(folder) / "alone", "alone", clients, spread_seconds)
        for _ in range(herds):
            async with started("--serve", "ours", "--folder", folder) as ours:
                ours_found.append(await herd(ours, clients))
            async with started("--serve", "bare", "--body", body.decode()) as bare:
                bare_found.append(await herd(bare, clients))
    ours_herd, bare_herd = _medians(ours_found), _medians(bare_found)
    per_core = {name: median(values) for name, values in rates.items()}
    return {
        "clients": clients,
        "herds": herds,
        "captures": max(found["captures"] for found in ours_found),
        "answers": min(found["answers"] for found in ours_found),
        "kib_per_waiter": round(ours_herd["kib"], 2),
        "bare_kib_per_waiter": round(bare_herd["kib"], 2),
        "last_client_s": round(ours_herd["last_s"], 3),
        "slowest_last_client_s": round(max(found["last_s"] for found in ours_found), 3),
        "bare_last_client_s": round(bare_herd["last_s"], 3),
        "fan_out_cpu_us": round(ours_herd["fan_out_cpu_us"], 1),
        "bare_fan_out_cpu_us": round(bare_herd["fan_out_cpu_us"], 1),
        "fan_out_cpu_ratio": round(ours_herd["fan_out_cpu_us"] / max(bare_herd["fan_out_cpu_us"], 0.1), 2),
        "with_logs_cpu_us": round(ours_herd["with_logs_cpu_us"], 1),
        "stored_clip_ratio": round(per_core["stored"] / per_core["bare_stored"], 3),
        "join_ratio": round(per_core["join"] / per_core["bare_join"], 3),
        "spread_seconds": spread_seconds,
        "spread_captures": shared["captures"],
        "spread_provider_questions": shared["questions"],
        "spread_captures_each_on_its_own": alone["captures"],
        "spread_provider_questions_each_on_its_own": alone["questions"],
        "rows": rows,
        "per_core_second": {name: round(value) for name, value in per_core.items()},
    }


def _medians(found: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: median([each[name] for each in found]) for name in found[0]}


def main(argv: Sequence[str]) -> int:
    """Measure and print; with `--serve`, be one of the servers."""
    parser = argparse.ArgumentParser(prog="scripts/bench herd", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--clients", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3, help="repetitions of each measurement of rates")
    parser.add_argument("--herds", type=int, default=3, help="repetitions of the herd, of which the medians count")
    parser.add_argument(
        "--spread-seconds", type=float, default=SPREAD_SECONDS, metavar="N", help="of the spread herd"
    )
    parser.add_argument("--spread", choices=["", "shared", "alone", "fresh"], default="", help=argparse.SUPPRESS)
    parser.add_argument("--serve", choices=["ours", "bare"], help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--database", help=argparse.SUPPRESS)
    parser.add_argument("--dynamodb", nargs=3, metavar=("ENDPOINT", "STREAMS", "CLIPS"), help=argparse.SUPPRESS)
    parser.add_argument("--body", default="", help=argparse.SUPPRESS)
    chosen = parser.parse_args(argv)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if chosen.serve == "ours":
        names = ("endpoint", "stream_table", "clip_table")
        tables = DynamoDbSettings(**dict(zip(names, chosen.dynamodb, strict=True))) if chosen.dynamodb else None
        asyncio.run(serve_ours(chosen.folder, chosen.database, tables, chosen.port, spread=chosen.spread))
        return 0
    if chosen.serve == "bare":
        asyncio.run(serve_bare(chosen.body.encode()))
        return 0
    with contextlib.suppress(OSError):
        # Clients beside the servers, not on top of them.
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    figures = asyncio.run(measure(chosen.clients, chosen.rounds, chosen.herds, chosen.spread_seconds))
    shown = [{"figure": name, "value": str(value)} for name, value in figures.items() if name != "rows"]
    print_table("A herd on one server, and a bare aiohttp handler with the same bytes", shown)
    print_table("The same herd on worker processes that share an address", figures["rows"])
    write_json(chosen.json, figures)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
