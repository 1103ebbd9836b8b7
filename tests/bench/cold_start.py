"""How long the Lambda function takes until its handler is ready, under AWS's own client and emulator.

All runs on one core, as a function with less than 1.8 GB does. Rows: `python` is an interpreter that does nothing,
`function` the function's process until it has answered its first event, which is one that it refuses. `cpu_s` is
what the process used, which a busy machine changes little; `ready_s` is the time less that of the second event.
"""

import argparse
import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.bench.table import median, print_table, write_json
from tests.lambda_runtime import RIE, cold_runtime, said

ONE_CORE: Final = ("taskset", "-c", "0")
_TICKS: Final = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """The CPU time that a running process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


async def start_function() -> tuple[float, float]:
    """The seconds of CPU and of time until the first event was answered."""
    async with cold_runtime({"PYTHONPATH": str(Path.cwd())}, launcher=ONE_CORE) as runtime:
        began = time.perf_counter()
        await said(runtime.endpoint)
        first = time.perf_counter()
        used = sum(map(cpu_seconds, runtime.children()))
        await said(runtime.endpoint)
        return used, (first - began) - (time.perf_counter() - first)


def start_python() -> tuple[float, float]:
    """The same of an interpreter that does nothing."""
    before, began = os.times(), time.perf_counter()
    subprocess.run([*ONE_CORE, sys.executable, "-c", "pass"], check=True, timeout=60)
    after = os.times()
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return used, time.perf_counter() - began


def main(argv: Sequence[str]) -> int:
    """Print a row for each; 1 where the emulator is missing."""
    parser = argparse.ArgumentParser(prog="scripts/bench cold-start", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args(argv)
    if not RIE.exists():
        print(
            "scripts/bench cold-start: no Lambda emulator; `scripts/test prepare integration` fetches it",
            file=sys.stderr,
        )
        return 1
    asyncio.run(start_function())  # writes byte code, as the image has it
    python = [start_python() for _ in range(arguments.rounds)]
    function = [asyncio.run(start_function()) for _ in range(arguments.rounds)]
    rows = [
        {
            "process": name,
            "cpu_s": f"{median([cpu for cpu, _ in each]):.2f}",
            "ready_s": f"{median([s for _, s in each]):.2f}",
        }
        for name, each in (("python", python), ("function", function))
    ]
    print_table(f"Cold start on one core, median of {arguments.rounds}", rows)
    write_json(arguments.json, {"rows": rows})
    return 0
