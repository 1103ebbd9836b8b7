"""What a fleet needs for many presses: a queueing model with costs measured here, checked against real processes.

Presses on a channel come at random. One that finds no fresh answer starts a job; those that come during it, or as
long as its answer is fresh, join it. So a channel with `r` presses a second has `r / (1 + r W)` jobs a second, if
`W` is how long a job and its answer serve others. Captures wait for one of `c` places, as in an M/M/c queue.

- costs: CPU of the servers and of MariaDB for a press, and besides for a job. `--capture-ms` is what listening and
  recognizing take, which `scripts/bench capture` and `recognition` measure
- `rows`: the same presses over many channels on 1, 2 and 3 server processes with one MariaDB: jobs and CPU, and
  their ratios to what the model says
- `plans`: for `--presses` in `--minutes` over `--channels`: cores, places for captures (on AWS: concurrency of the
  function)
"""

import argparse
import asyncio
import itertools
import math
import random
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from server.cli.shared_address import SharedAddress
from tests.bench.herd import CAPTURE_SECONDS, Group, connect, post, started
from tests.bench.table import print_table, write_json
from tests.mariadb import MariaDB

BUSY: Final = 0.6
"""How much of a core, a database or a place may be in use on average: queues grow long beyond it."""

FRESH_SECONDS: Final = 5.0
PROCESSES: Final = (1, 2, 3)
_MAX_WAIT_SECONDS: Final = 0.1
_TRIES: Final = 20
_ADDRESSES: Final = itertools.count(1)


# --- The model ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """Seconds of CPU: of the servers and of the database, for each press, and for each job besides."""

    press: float
    job: float
    database_press: float
    database_job: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is needed on average, with `BUSY` in mind."""

    presses_per_s: float
    jobs_per_s: float
    server_cores: float
    capture_cores: float
    capture_places: int
    database_cores: float


def popularity(channels: int, exponent: float) -> list[float]:
    """Each channel's share of the presses; Zipf's law, with 0 for all alike."""
    weights = [1 / rank**exponent for rank in range(1, channels + 1)]
    whole = sum(weights)
    return [weight / whole for weight in weights]


def jobs_per_second(presses_per_second: float, shares: Sequence[float], window_seconds: float) -> float:
    """How many jobs start a second, when a job and its answer serve all who come within `window_seconds`."""
    rates = (presses_per_second * share for share in shares)
    return sum(rate / (1 + rate * window_seconds) for rate in rates)


def jobs_of(presses: Sequence[tuple[float, str]], window_seconds: float) -> int:
    """How many jobs these presses start, each with its moment and channel, when there was none before."""
    over: dict[str, float] = {}
    jobs = 0
    for moment, channel in presses:
        if moment >= over.get(channel, 0.0):
            jobs += 1
            over[channel] = moment + window_seconds
    return jobs


def probability_of_waiting(load: float, places: int) -> float:
    """Erlang's C formula: how often an arrival finds all places taken; `load` in places, below `places`."""
    blocked = 1.0
    for place in range(1, places + 1):
        blocked = load * blocked / (place + load * blocked)
    return blocked / (1 - load / places * (1 - blocked))


def places_for(load: float, service_seconds: float, wait_seconds: float = _MAX_WAIT_SECONDS) -> int:
    """The fewest places with which an arrival waits `wait_seconds` on average, or less."""
    places = math.floor(load) + 1
    while probability_of_waiting(load, places) * service_seconds / (places - load) > wait_seconds:
        places += 1
    return places


def plan(
    costs: Costs, *, presses_per_second: float, shares: Sequence[float], job_seconds: float, capture_cpu: float
) -> Plan:
    """What the presses need."""
    jobs = jobs_per_second(presses_per_second, shares, job_seconds + FRESH_SECONDS)
    return Plan(
        presses_per_s=presses_per_second,
        jobs_per_s=jobs,
        server_cores=(presses_per_second * costs.press + jobs * costs.job) / BUSY,
        capture_cores=jobs * capture_cpu / BUSY,
        capture_places=places_for(jobs * job_seconds, job_seconds),
        database_cores=(presses_per_second * costs.database_press + jobs * costs.database_job) / BUSY,
    )


# --- Real processes -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What a number of presses cost."""

    presses: int
    jobs: int
    cpu: float
    database_cpu: float


async def press(
    folder: Path, database: MariaDB, processes: int, channels: Sequence[str], seconds: float
) -> Measured:
    """Presses on channels, evenly over some time, each from an address of its own."""
    address = SharedAddress("127.0.0.1", 0)
    async with AsyncExitStack() as stack:
        stack.callback(address.close)
        shared = ("--spread", "fresh", "--database", database.new_database(), "--port", str(address.port))
        servers = [
            await stack.enter_async_context(
                started("--serve", "ours", "--folder", str(folder / str(number)), *shared)
            )
            for number in range(processes)
        ]
        group = Group(servers)

        async def ask(number: int, channel: str) -> None:
            await asyncio.sleep(number * seconds / len(channels))
            who = next(_ADDRESSES)
            request = post(
                {"channel": channel}, wait=True, address=f"10.{who >> 16 & 255}.{who >> 8 & 255}.{who & 255}"
            )
            for _ in range(_TRIES):
                client = await connect(group.port)
                assert client.transport is not None
                try:
                    await client.ask(request)
                except RuntimeError:  # on a busy machine, the database may not answer in time
                    await asyncio.sleep(1.0)
                else:
                    return
                finally:
                    client.transport.close()
            raise RuntimeError("the servers do not keep up: let --sample be smaller, or --seconds longer")

        await asyncio.gather(*(ask(number, f"warm{number}") for number in range(20)))
        before = (await group.tell("state"))["captures"], group.cpu_seconds(), database.cpu_seconds()
        await asyncio.gather(*itertools.starmap(ask, enumerate(channels)))
        await asyncio.sleep(1.0)  # log entries are written a little later
        after = (await group.tell("state"))["captures"], group.cpu_seconds(), database.cpu_seconds()
    return Measured(
        presses=len(channels),
        jobs=after[0] - before[0],
        cpu=after[1] - before[1],
        database_cpu=after[2] - before[2],
    )


async def measure_costs(folder: Path, database: MariaDB, presses: int, seconds: float) -> Costs:
    """The costs of presses that find an answer, and of those that start a job."""
    same = await press(folder / "same", database, 1, ["same"] * presses, seconds)
    each = await press(folder / "each", database, 1, [f"each{number}" for number in range(presses)], seconds)
    jobs = each.jobs - same.jobs
    one, database_one = same.cpu / same.presses, same.database_cpu / same.presses
    return Costs(
        press=one,
        job=max(0.0, each.cpu - each.presses * one) / jobs,
        database_press=database_one,
        database_job=max(0.0, each.database_cpu - each.presses * database_one) / jobs,
    )


async def check(
    folder: Path, database: MariaDB, costs: Costs, *, presses: int, seconds: float, channels: int
) -> list[dict[str, Any]]:
    """The model's word beside what was measured, for each number of processes."""
    shares = popularity(channels, 1.0)
    chosen = random.Random(1).choices(range(channels), shares, k=presses)
    moments = [(number * seconds / presses, str(channel)) for number, channel in enumerate(chosen)]
    expected = jobs_of(moments, CAPTURE_SECONDS + FRESH_SECONDS)
    rows: list[dict[str, Any]] = []
    for processes in PROCESSES:
        names = [f"mix{processes}x{channel}" for channel in chosen]
        found = await press(folder / f"mix{processes}", database, processes, names, seconds)
        cpu = presses * costs.press + found.jobs * costs.job
        database_cpu = presses * costs.database_press + found.jobs * costs.database_job
        rows.append(
            {
                "processes": processes,
                "presses": presses,
                "jobs": found.jobs,
                "jobs_ratio": round(found.jobs / expected, 2),
                "cpu_s": round(found.cpu, 2),
                "cpu_ratio": round(found.cpu / cpu, 2),
                "database_cpu_s": round(found.database_cpu, 2),
                "database_cpu_ratio": round(found.database_cpu / database_cpu, 2),
            }
        )
    return rows


async def measure_and_check(
    folder: Path, database: MariaDB, chosen: argparse.Namespace
) -> tuple[Costs, list[dict[str, Any]]]:
    """The costs, and how right the model is about other presses."""
    costs = await measure_costs(folder, database, chosen.sample, chosen.seconds)
    rows = await check(
        folder, database, costs, presses=chosen.sample, seconds=chosen.seconds, channels=chosen.sample // 5
    )
    return costs, rows


def measure(chosen: argparse.Namespace) -> dict[str, Any]:
    """Costs, check and plan."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "mariadb").mkdir()
        database = MariaDB(folder / "mariadb")
        database.install()
        database.start()
        try:
            costs, rows = asyncio.run(measure_and_check(folder, database, chosen))
        finally:
            database.kill()
    plans = {
        label: plan(
            costs,
            presses_per_second=chosen.presses / (60 * chosen.minutes),
            shares=popularity(chosen.channels, exponent),
            job_seconds=chosen.job_seconds,
            capture_cpu=chosen.capture_ms / 1_000,
        )
        for label, exponent in (("zipf", 1.0), ("all alike", 0.0))
    }
    return {
        "costs_ms": {
            "press": round(1_000 * costs.press, 2),
            "job": round(1_000 * costs.job, 2),
            "database_press": round(1_000 * costs.database_press, 2),
            "database_job": round(1_000 * costs.database_job, 2),
        },
        "rows": rows,
        "plans": [
            {
                "popularity": label,
                "presses_per_s": round(each.presses_per_s),
                "jobs_per_s": round(each.jobs_per_s),
                "server_cores": round(each.server_cores, 1),
                "capture_cores": round(each.capture_cores, 1),
                "capture_places": each.capture_places,
                "database_cores": round(each.database_cores, 1),
            }
            for label, each in plans.items()
        ],
    }


def main(argv: Sequence[str]) -> int:
    """Measure, check and print."""
    parser = argparse.ArgumentParser(prog="scripts/bench fleet", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--sample", type=int, default=1_500, metavar="N", help="presses of each measurement")
    parser.add_argument("--seconds", type=float, default=30.0, metavar="N", help="how long each measurement takes")
    parser.add_argument("--presses", type=int, default=1_000_000, metavar="N")
    parser.add_argument("--minutes", type=float, default=10.0, metavar="N")
    parser.add_argument("--channels", type=int, default=20_000, metavar="N")
    parser.add_argument("--job-seconds", type=float, default=1.0, metavar="N", help="how long a job takes")
    parser.add_argument("--capture-ms", type=float, default=250.0, metavar="N", help="CPU of a capture's work")
    chosen = parser.parse_args(argv)
    figures = measure(chosen)
    print_table("CPU, in milliseconds", [figures["costs_ms"]])
    print_table("What was measured, and its ratio to what the model says", figures["rows"])
    print_table("What the presses need", figures["plans"])
    write_json(chosen.json, figures)
    return 0
