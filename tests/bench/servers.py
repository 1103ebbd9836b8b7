"""Servers in processes of their own, and what they cost."""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, TCPConnector

TICKS = os.sysconf("SC_CLK_TCK")
START_SECONDS = 600.0
"""How long a server may take to start: a busy machine takes minutes. One that ends is noticed at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A server that runs, and a client for it."""

    pid: int
    client: ClientSession

    def cpu_seconds(self) -> float:
        """CPU of all its threads so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS


@asynccontextmanager
async def served(**options: Any) -> AsyncGenerator[Served]:
    """`tests.bench.access_server` with these options while the block runs."""
    command = [sys.executable, "-m", "tests.bench.access_server", json.dumps(options)]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout is not None
        line = await asyncio.wait_for(process.stdout.readline(), timeout=START_SECONDS)
        if not line:
            raise RuntimeError(f"the server ended with {await process.wait()} before it listened")
        url = f"http://127.0.0.1:{int(line)}"
        async with ClientSession(base_url=url, connector=TCPConnector(limit=0)) as client:
            yield Served(pid=process.pid, client=client)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await asyncio.wait_for(process.wait(), timeout=120)
