"""One client that tries to use up what all share, beside others: what an honest request takes meanwhile.

Each attack comes from an address of its own, out of a process of its own, at a server in a process of its own. An
honest client asks for a stored answer, a page and a set list all the while.

- `p50_ratio`, `p99_ratio`: of the honest times, to those of the same server before the attack
- `refused`: how many of the attack's requests were refused, of those that were answered
- `memory_mib`: how much the server has grown during the attack

`--undisturbed`, for a machine that is busy or has few cores, puts the server and the honest client ahead of all
else, also of the attacker: a real one takes no processor time of either.

Each row is printed as it is made. With `--results DIR`, a run that was stopped goes on where it was: each attack
has a file there. `--minutes N` begins no further attack after so long, so that a run can be made in pieces.
"""

import argparse
import asyncio
import contextlib
import itertools
import json
import os
import socket
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Final

from aiohttp import ClientSession, TCPConnector

from tests.bench.access import ASK
from tests.bench.overload import percentile99
from tests.bench.servers import START_SECONDS, Served, served
from tests.bench.table import median, print_table, write_json

ATTACKER: Final = "127.0.0.2"
CHANNEL: Final = "somechannel"
AT_ONCE: Final = 50
TIMEOUT: Final = 30.0

Attack = Callable[[int, float], Awaitable[Counter[str]]]


async def _requests(
    port: int,
    until: float,
    paths: Callable[[int], str],
    headers: Callable[[int], dict[str, str]] | None = None,
    bodies: Callable[[int], dict[str, str]] | None = None,
) -> Counter[str]:
    """As many requests as there is time for, `AT_ONCE` at a time."""
    seen: Counter[str] = Counter()
    numbers = itertools.count()
    connector = TCPConnector(limit=0, local_addr=(ATTACKER, 0))
    async with ClientSession(base_url=f"http://127.0.0.1:{port}", connector=connector) as client:

        async def go_on() -> None:
            while time.time() < until:
                number = next(numbers)
                with contextlib.suppress(OSError, TimeoutError):
                    async with asyncio.timeout(TIMEOUT):
                        answer = await client.request(
                            "POST" if bodies else "GET",
                            paths(number),
                            headers=headers and headers(number),
                            json=bodies and bodies(number),
                        )
                        await answer.read()
                        seen[str(answer.status)] += 1

        await asyncio.gather(*(go_on() for _ in range(AT_ONCE)))
    return seen


def _get(path: str, headers: Callable[[int], dict[str, str]] | None = None) -> Attack:
    async def attack(port: int, until: float) -> Counter[str]:
        return await _requests(port, until, path.format, headers)

    return attack


def _questions(headers: Callable[[int], dict[str, str]] | None = None) -> Attack:
    """Questions about channels that do not exist, whose answers are not waited for."""

    async def attack(port: int, until: float) -> Counter[str]:
        bodies = "made_up_{}".format
        return await _requests(port, until, lambda _: ASK, headers, lambda number: {"channel": bodies(number)})

    return attack


def _sockets(count: int, *sent: bytes, drip: bytes = b"") -> Attack:
    """Connections that send something, perhaps drip, and read nothing."""

    async def attack(port: int, until: float) -> Counter[str]:
        seen: Counter[str] = Counter()
        loop = asyncio.get_running_loop()
        opened: list[socket.socket] = []
        for _ in range(count):
            one = socket.socket()
            one.setblocking(False)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            with contextlib.suppress(OSError):
                one.bind((ATTACKER, 0))
                await loop.sock_connect(one, ("127.0.0.1", port))
                for part in sent:
                    with contextlib.suppress(BlockingIOError):
                        one.send(part)
                seen["opened"] += 1
            opened.append(one)
        while time.time() < until:
            for one in opened if drip else ():
                with contextlib.suppress(OSError):
                    one.send(drip)
            await asyncio.sleep(0.5)
        for one in opened:
            one.close()
        return seen

    return attack


def _bodies(
    path: str, content_type: str, begin: bytes, piece: bytes, count: int = 8, *, chunk_bytes: int = 1 << 20
) -> Attack:
    """Requests whose bodies go on for as long as there is time, as fast as the server reads them."""
    parts = [piece[first : first + chunk_bytes] for first in range(0, len(piece), chunk_bytes)]
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)

    async def attack(port: int, until: float) -> Counter[str]:
        seen: Counter[str] = Counter()
        head = _head(
            "POST", path, f"Content-Type: {content_type}", "Transfer-Encoding: chunked", "Accept: text/html"
        )

        async def send() -> None:
            while time.time() < until:
                reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(ATTACKER, 0))
                seen["opened"] += 1
                answered = asyncio.create_task(reader.read(12))
                try:
                    async with asyncio.timeout(until - time.time()):
                        writer.write(head + b"%x\r\n%b\r\n" % (len(begin), begin))
                        while not answered.done():
                            writer.write(chunks)
                            await writer.drain()
                        seen[(await answered)[9:12].decode() or "closed"] += 1
                except (OSError, TimeoutError):
                    pass
                finally:
                    answered.cancel()
                    writer.transport.abort()

        await asyncio.gather(*(send() for _ in range(count)), return_exceptions=True)
        return seen

    return attack


def _head(method: str, path: str, *lines: str) -> bytes:
    return "\r\n".join((f"{method} {path} HTTP/1.1", "Host: a", *lines, "", "")).encode()


def _bearer(number: int) -> dict[str, str]:
    return {"Authorization": f"Bearer {number:030d}"}


def _cookie(number: int) -> dict[str, str]:
    return {"Cookie": f"__Host-session={number:060d}; session={number:060d}"}


def _of_a_56(number: int) -> dict[str, str]:
    """As of one of the 256 networks of a customer; the attacker's own address is a trusted proxy's."""
    return {"X-Forwarded-For": f"2001:db8:0:{number % 256:x}::1"}


_FORM: Final = 'Content-Disposition: form-data; name="file"; filename="a.mp3"'
_FILE_PART: Final = f"--x\r\n{_FORM}\r\nContent-Type: audio/mpeg\r\n\r\n".encode()
_MULTIPART: Final = (
    _head("POST", ASK, "Content-Type: multipart/form-data; boundary=x", "Content-Length: 20000000"),
    _FILE_PART,
)
_PIPELINED: Final = _head("GET", "/docs") * 40

ATTACKS: Final[dict[str, Attack]] = {
    "addresses that do not exist": _get("/none/{}"),
    "pages": _get("/?target=x{}"),
    "stored answers of made-up clips": _get("/api/v1/clips/Made-Up-{}"),
    "made-up identifications": _get("/api/v1/identifications/made{}"),
    "set lists as CSV": _get(f"/channels/{CHANNEL}/songs.csv?limit=200&before=2099-01-{{}}T00:00:00Z"),
    "set lists of made-up channels": _get("/api/v1/channels/made_up_{}/songs"),
    "song lines of made-up channels": _get("/api/v1/channels/made_up_{}/song.txt"),
    "live events of made-up channels": _get("/api/v1/channels/made_up_{}/events"),
    "pages of made-up songs": _get("/songs/MADE-UP-{}"),
    "made-up songs": _get("/api/v1/songs/MADE-UP-{}"),
    "cards": _get("/api/v1/artwork/song-MADE-{}-card.png"),
    "drawn covers": _get("/covers/made{}.svg"),
    "set lists of made-up VODs": _get("/videos/{}"),
    "overlays": _get("/overlay/made_up_{}"),
    "unknown tokens": _get(f"/api/v1/clips/{CHANNEL}", _bearer),
    "wrong sessions at /admin": _get("/admin/logs?text={}", _cookie),
    "questions": _questions(),
    "questions of an IPv6 /56": _questions(_of_a_56),
    "pages of an IPv6 /56": _get("/?target=x{}", _of_a_56),
    "idle connections": _sockets(3_000),
    "pipelined requests, unread": _sockets(300, _PIPELINED),
    "uploads that drip": _sockets(200, *_MULTIPART, drip=b"x"),
    "uploads of empty lines": _bodies(ASK, "multipart/form-data; boundary=x", b"\r\n", b"\n" * 65_536),
    "uploads of tiny parts": _bodies(ASK, "multipart/form-data; boundary=x", b"--x\r\n", b"\r\n--x\r\n" * 8_192),
    "forms of empty lines": _bodies("/identify", "multipart/form-data; boundary=x", b"\r\n", b"\n" * 65_536),
    "uploads of tiny chunks": _bodies(
        ASK, "multipart/form-data; boundary=x", _FILE_PART, b"x" * 8_192, chunk_bytes=1
    ),
    "forms of tiny chunks": _bodies(
        "/identify", "application/x-www-form-urlencoded", b"target=x", b"x" * 8_192, chunk_bytes=1
    ),
    "questions of tiny chunks": _bodies(ASK, "application/json", b"[", b" " * 8_192, chunk_bytes=1),
}


async def _honest(client: ClientSession, until: float) -> list[float]:
    """Milliseconds of each request of somebody who uses the product."""
    found: list[float] = []
    while time.time() < until:
        for path in (f"/api/v1/clips/{CHANNEL}", "/", f"/api/v1/channels/{CHANNEL}/songs?limit=5"):
            started = time.perf_counter()
            async with client.get(path) as answer:
                await answer.read()
                assert answer.status == 200, (path, answer.status)
            found.append((time.perf_counter() - started) * 1000)
        await asyncio.sleep(0.01)
    return found


def _memory_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) / 1024


async def _attacked(name: str, server: Served, seconds: float) -> tuple[list[float], Counter[str]]:
    assert server.client._base_url is not None  # pyright: ignore[reportPrivateUsage]
    port = server.client._base_url.port  # pyright: ignore[reportPrivateUsage]
    command = (sys.executable, "-m", "tests.bench.attack", "--port", str(port), "--seconds", str(seconds), name)
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    await asyncio.wait_for(process.stdout.readline(), timeout=START_SECONDS)
    await asyncio.sleep(1.0)
    times = await _honest(server.client, time.time() + seconds)
    out = await asyncio.wait_for(process.stdout.read(), timeout=START_SECONDS)
    await process.wait()
    return times, Counter(json.loads(out))


async def measure(name: str, seconds: float) -> dict[str, Any]:
    """A row."""
    with tempfile.TemporaryDirectory() as folder:
        database = f"sqlite:///{folder}/attack.sqlite3"
        async with served(
            folder=folder,
            database=database,
            jobs_per_address=0,
            id_url="http://127.0.0.1:9",
            # Some attacks are of many addresses; all others come from the attacker's own.
            trusted_proxies=[ATTACKER] if "/56" in name else [],
        ) as server:
            for body in ({"clip": CHANNEL}, {"channel": CHANNEL}):
                async with server.client.post(ASK, json=body, headers={"Prefer": "wait=20"}) as answer:
                    await answer.read()
            await _honest(server.client, time.time() + 1)
            before = await _honest(server.client, time.time() + seconds)
            memory = _memory_mib(server.pid)
            during, seen = await _attacked(name, server, seconds)
            grown = _memory_mib(server.pid) - memory
    answered = sum(count for status, count in seen.items() if status.isdecimal())
    return {
        "attack": name,
        "p50_ms": median(during),
        "p50_ratio": median(during) / median(before),
        "p99_ms": percentile99(during),
        "p99_ratio": percentile99(during) / percentile99(before),
        "refused": f"{seen['429'] + seen['503']} of {answered}" if answered else f"{seen['opened']} opened",
        "memory_mib": grown,
    }


def main(argv: Sequence[str]) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="scripts/bench attack", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    parser.add_argument("attack", nargs="*", metavar="ATTACK", help=f"all when left out: {', '.join(ATTACKS)}")
    parser.add_argument("--results", type=Path, metavar="DIR", help="a folder for a file of each attack")
    parser.add_argument("--minutes", type=float, default=600.0, help="begin no further attack after so long")
    parser.add_argument(
        "--undisturbed",
        action="store_true",
        help="the server and the honest client ahead of everything else on this machine (Linux, as root)",
    )
    chosen = parser.parse_args(argv)
    names: list[str] = chosen.attack or list(ATTACKS)
    if unknown := set(names) - ATTACKS.keys():
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    if chosen.undisturbed:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))  # inherited by the server
    if chosen.port is not None:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
        print("begins", flush=True)
        print(json.dumps(asyncio.run(_run(ATTACKS[names[0]], chosen.port, chosen.seconds))))
        return 0
    results: Path | None = chosen.results
    if results is not None:
        results.mkdir(parents=True, exist_ok=True)
    ends = time.monotonic() + 60 * chosen.minutes
    rows: list[dict[str, Any]] = []
    for name in names:
        file = None if results is None else results / f"{name.replace(' ', '-').replace('/', '')}.json"
        if file is not None and file.exists():
            rows.append(json.loads(file.read_text(encoding="utf-8")))
            continue
        if time.monotonic() > ends:
            print(f"the time is over: {len(names) - len(rows)} attacks are left", flush=True)
            break
        row = asyncio.run(measure(name, chosen.seconds))
        rows.append(row)
        write_json(file, row)
        print(_shown(row), flush=True)
    if rows:
        print_table("an honest client beside one that attacks", [_shown(row) for row in rows])
    write_json(chosen.json, {"rows": rows})
    return 0


def _shown(row: dict[str, Any]) -> dict[str, str]:
    return {key: f"{value:.1f}" if isinstance(value, float) else str(value) for key, value in row.items()}


async def _run(attack: Attack, port: int, seconds: float) -> Counter[str]:
    return await attack(port, time.time() + 1.0 + seconds)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
