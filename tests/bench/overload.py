"""What happens far beyond capacity: new targets come at many times the rate at which they can be identified.

- `started`, `busy`, `other`: what became of the questions; every `busy` says when to ask again (`retry_after`)
- `busy_ratio`, `stored_ratio`: the median time of a refusal, and of a stored answer that is asked for meanwhile,
  to that of a stored answer on the same server when it was idle; `_p99_ms` is what one in a hundred is above
- `recovered_s`: from the last question until a new one is answered
"""

import argparse
import asyncio
import contextlib
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.bench.access import ASK
from tests.bench.servers import Served, served
from tests.bench.table import median, print_table, write_json
from tests.mariadb import running_mariadb

AT_ONCE: Final = 4
QUEUE: Final = 20
JOB_SECONDS: Final = 0.5
STORED: Final = {"clip": "Stored-1"}


@dataclass(slots=True)
class Seen:
    """What became of the questions."""

    became: Counter[str] = field(default_factory=Counter[str])
    busy_ms: list[float] = field(default_factory=list[float])
    stored_ms: list[float] = field(default_factory=list[float])
    without_retry_after: int = 0
    most_running: float = 0.0


async def timed(server: Served, body: dict[str, str], seen: Seen | None = None, wait: int = 0) -> float:
    """Milliseconds until the answer; what it was is noted."""
    headers = {"Prefer": f"wait={wait}"} if wait else {}
    started = time.perf_counter()
    async with server.client.post(ASK, json=body, headers=headers) as answer:
        told: dict[str, Any] = await answer.json(content_type=None)
    ms = (time.perf_counter() - started) * 1000
    if seen is not None:
        word = told.get("code", "started")
        seen.became[word if word in ("started", "busy") else "other"] += 1
        if word == "busy":
            seen.busy_ms.append(ms)
            seen.without_retry_after += "Retry-After" not in answer.headers
    return ms


async def probe(server: Served, seen: Seen, until: float) -> None:
    """Ask for what is stored, and how much is going on, all the while."""
    while time.perf_counter() < until:
        seen.stored_ms.append(await timed(server, STORED))
        text = await (await server.client.get("/metrics")).text()
        line = next(line for line in text.splitlines() if line.startswith("twitchaudio_jobs_running "))
        seen.most_running = max(seen.most_running, float(line.rpartition(" ")[2]))
        await asyncio.sleep(0.02)


async def flood(server: Served, seen: Seen, until: float, per_second: float) -> None:
    """Questions for new targets at an even pace, whatever becomes of them."""
    number = 0
    begun = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        while (now := time.perf_counter()) < until:
            while number < (now - begun) * per_second:
                number += 1
                tasks.create_task(timed(server, {"channel": f"c{number}"}, seen))
            await asyncio.sleep(0.005)


async def measure(name: str, address: str, *, seconds: float, times: float) -> dict[str, Any]:
    """A row."""
    with tempfile.TemporaryDirectory() as folder:
        options = {"jobs_per_address": 0, "captures_at_once": AT_ONCE, "queue": QUEUE, "seconds": JOB_SECONDS}
        async with served(folder=folder, database=address, **options) as server:
            await timed(server, STORED, wait=20)
            idle = [await timed(server, STORED) for _ in range(300)][50:]
            seen, capacity = Seen(), AT_ONCE / JOB_SECONDS
            until = time.perf_counter() + seconds
            cpu = server.cpu_seconds()
            await asyncio.gather(probe(server, seen, until), flood(server, seen, until, capacity * times))
            cpu = server.cpu_seconds() - cpu
            ended = time.perf_counter()
            while await asking(server):  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.1)
            recovered = time.perf_counter() - ended
    return {
        "database": name,
        "offered_per_s": round(sum(seen.became.values()) / seconds),
        "capacity_per_s": capacity,
        "started": seen.became["started"],
        "busy": seen.became["busy"],
        "other": seen.became["other"],
        "retry_after": f"{len(seen.busy_ms) - seen.without_retry_after} of {len(seen.busy_ms)}",
        "most_running": seen.most_running,
        "idle_stored_ms": median(idle),
        "stored_ms": median(seen.stored_ms),
        "stored_p99_ms": percentile99(seen.stored_ms),
        "stored_ratio": median(seen.stored_ms) / median(idle),
        "busy_ms": median(seen.busy_ms),
        "busy_p99_ms": percentile99(seen.busy_ms),
        "busy_ratio": median(seen.busy_ms) / median(idle),
        "server_cores": cpu / seconds,
        "recovered_s": recovered,
    }


async def asking(server: Served) -> bool:
    """Whether a new question is still told that it is too much."""
    seen = Seen()
    await timed(server, {"channel": f"after{time.monotonic_ns()}"}, seen, wait=20)
    return seen.became["busy"] > 0


def percentile99(values: Sequence[float]) -> float:
    """The value that one in a hundred is above."""
    return sorted(values)[max(0, round(0.99 * len(values)) - 1)]


def main(argv: Sequence[str]) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="scripts/bench overload", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--database", choices=("sqlite", "mariadb"), action="append", help="both when left out")
    parser.add_argument("--times", type=float, default=20.0, help="how many times the capacity is asked for")
    chosen = parser.parse_args(argv)
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        databases: list[str] = chosen.database or ["sqlite", "mariadb"]
        addresses = {"sqlite": f"sqlite:///{folder}/overload.sqlite3"} if "sqlite" in databases else {}
        if "mariadb" in databases:
            addresses["mariadb"] = stack.enter_context(running_mariadb()).new_database()
        rows = [
            asyncio.run(measure(name, address, seconds=chosen.seconds, times=chosen.times))
            for name, address in addresses.items()
        ]
    for row in rows:
        shown = [
            {"": name, "value": f"{value:.2f}" if isinstance(value, float) else str(value)}
            for name, value in row.items()
        ]
        print_table(f"{chosen.times:g} times what {row['database']} and {AT_ONCE} captures at once can do", shown)
    write_json(chosen.json, {"rows": rows})
    return 0
