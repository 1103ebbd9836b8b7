"""Whether a server's memory stays flat: many identifications of all kinds by one server, a row after each hundred.

Of twenty questions eleven are about live channels (one of which has no audio-only rendition), five about moments
of a VOD, two about clips (the first answer to each is stored and given again), and two about a channel that is not
live and one that nobody has. Several askers ask at once.

- `resident_mib`: resident memory of the server and all its decoder workers together; `server_mib` without those
- `descriptors`, `threads`: of the server
- `answers`, `failed`, `refused`: how many ended so since the row before; the last two kinds of questions fail as
  they should, and a machine that has no time left may refuse some
- `median_ms`: from POST to answer
- `growth_mib_per_1000`: the slope of `resident_mib` over `--identifications`, after a `--warm-up` in which caches,
  pools and the database's pages fill; in its first half four times as many ask at once, so that all threads have
  begun, each of which has memory of its own

Exits with 1 when the memory grew by more than `--most` MiB per 1,000 identifications.
"""

import argparse
import asyncio
import itertools
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp
import numpy as np

from tests.bench.answer_time import Bench, process, simulated_twitch
from tests.bench.table import median, print_table, write_json

LIVE: Final = ("neonharbour", "talkshow_tess", "barebones_tv")
NOT_THERE: Final = ("sleepy_otter", "nobody_at_all")
VIDEO_SECONDS: Final = 60
ASKERS: Final = 2
ANY_NUMBER: Final = {"TWITCHAUDIO_JOBS_PER_ADDRESS": "0", "TWITCHAUDIO_STARTS_PER_ADDRESS": "none"}
"""All ask from one address."""

MOST_MIB: Final = 5.0
STEP: Final = 100


@dataclass(slots=True)
class Answers:
    """What was answered since the last row."""

    times: list[float] = field(default_factory=list[float])
    failed: int = 0
    refused: int = 0


def questions(simulator: Mapping[str, Any]) -> Iterator[dict[str, object]]:
    """For ever, in the same order every time."""
    live, absent = itertools.cycle(LIVE), itertools.cycle(NOT_THERE)
    clips, videos = itertools.cycle(simulator["clips"]), itertools.cycle(simulator["videos"])
    moments = itertools.count(0.0, 0.37)
    for number in itertools.count():
        match number % 20:
            case 3 | 7 | 11 | 15 | 19:
                yield {"video": next(videos), "at": round(next(moments) % VIDEO_SECONDS, 2)}
            case 5 | 13:
                yield {"clip": next(clips)}
            case 9 | 17:
                yield {"channel": next(absent)}
            case _:
                yield {"channel": next(live)}


async def ask(session: aiohttp.ClientSession, url: str, question: Mapping[str, object], answers: Answers) -> None:
    """One question, until it is answered."""
    started = time.perf_counter()
    async with session.post(
        f"{url}/api/v1/identifications", json=question, headers={"Prefer": "wait=30"}
    ) as response:
        answer = await response.json()
    match response.status:
        case 200:
            answers.times.append((time.perf_counter() - started) * 1000)
            answers.failed += answer["status"] == "failed"
        case 202 | 503:
            answers.refused += 1
        case _:
            raise RuntimeError(f"no answer: {answer}")


def resident_mib(pid: int) -> float:
    """Of one process."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) / 1024


def children(pid: int) -> list[int]:
    """Of a process, all the way down."""
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    own = [int(child) for child in text.split()]
    return [*own, *(grandchild for child in own for grandchild in children(child))]


def sample(pid: int, identifications: int, answers: Answers) -> dict[str, Any]:
    """A row."""
    return {
        "identifications": identifications,
        "resident_mib": round(resident_mib(pid) + sum(map(resident_mib, children(pid))), 1),
        "server_mib": round(resident_mib(pid), 1),
        "descriptors": len(list(Path(f"/proc/{pid}/fd").iterdir())),
        "threads": len(list(Path(f"/proc/{pid}/task").iterdir())),
        "answers": len(answers.times) - answers.failed,
        "failed": answers.failed,
        "refused": answers.refused,
        "median_ms": round(median(answers.times), 1) if answers.times else 0.0,
    }


async def soak(bench: Bench, warm_up: int, identifications: int, askers: int) -> list[dict[str, Any]]:
    """Questions to one server."""
    total = warm_up + identifications
    rows: list[dict[str, Any]] = []
    with process(["server", "serve", "--port", "0"], {**bench.environment, **ANY_NUMBER}) as child:
        assert child.stdout is not None
        line = ""
        while "http://" not in line:
            line = await asyncio.to_thread(child.stdout.readline)
            if not line:
                raise RuntimeError("the server did not start")
        url = "http://" + line.split("http://", 1)[1].split()[0].rstrip("/.")
        asked = questions(bench.simulator)
        rows.append(sample(child.pid, 0, Answers()))
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as session:
            for done in range(0, total, STEP):
                answers = Answers()
                left = min(STEP, total - done)

                async def one(batch: Iterator[dict[str, object]], answers: Answers = answers) -> None:
                    for question in batch:
                        await ask(session, url, question, answers)

                batch = itertools.islice(asked, left)
                async with asyncio.TaskGroup() as group:
                    for _ in range(4 * askers if done < warm_up / 2 else askers):
                        group.create_task(one(batch))
                rows.append(sample(child.pid, done + left, answers))
    return rows


def growth(rows: Sequence[Mapping[str, Any]], warm_up: int) -> float:
    """MiB per 1,000 identifications: the slope of a line through the rows after the warm-up."""
    later = [row for row in rows if row["identifications"] >= warm_up]
    counts = np.array([row["identifications"] for row in later], dtype=float)
    memory = np.array([row["resident_mib"] for row in later], dtype=float)
    return float(np.polyfit(counts, memory, 1)[0]) * 1000 if len(later) > 1 else 0.0


def main(argv: Sequence[str]) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="scripts/bench soak", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--identifications", type=int, default=1000)
    parser.add_argument("--warm-up", type=int, default=1500, help="identifications before those that count")
    parser.add_argument("--askers", type=int, default=ASKERS, help="how many ask at once")
    parser.add_argument("--most", type=float, default=MOST_MIB, metavar="MIB", help="growth that is still flat")
    chosen = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder, simulated_twitch(Path(folder)) as bench:
        rows = asyncio.run(soak(bench, chosen.warm_up, chosen.identifications, chosen.askers))
    grown = growth(rows, chosen.warm_up)
    print_table("A server and its decoders over many identifications", rows)
    print(f"\nGrowth after the warm-up: {grown:.1f} MiB per 1,000 identifications (flat: up to {chosen.most:g})")
    write_json(chosen.json, {"rows": rows, "growth_mib_per_1000": round(grown, 2)})
    return 0 if grown <= chosen.most else 1
