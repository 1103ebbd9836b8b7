"""A supervisor and its workers on a pipeline of fake parts, each a process of its own.

    python -m tests.worker_server supervise FOLDER       on a free port, two workers
    python -m tests.worker_server worker FOLDER SOCKETS  what the supervisor starts

Captures wait until the file `go` is in the folder; workers do not start while `broken` is there. Each answer says
in `X-Worker` which process gave it.
"""

import asyncio
import os
import sys
from pathlib import Path
from unittest.mock import patch

from aiohttp import web

from fingerprint.clock import SystemClock
from fingerprint.pipeline_settings import PipelineSettings
from server.app import make_app
from server.cli import supervisor
from server.cli.serve import supervise
from server.cli.serving import run_until_stopped
from server.cli.worker import parse_descriptors, serve_as_worker
from server.settings import ServerSettings
from tests.fakes import FakePipeline

WORKERS = 2
STOP_SECONDS = 30.0
"""When workers that do not end are killed: later than a busy machine needs to end them."""


async def work(folder: Path, sockets: str) -> None:
    """Be a worker."""
    parts = FakePipeline(SystemClock())
    parts.capture.gate.clear()
    settings = ServerSettings(
        pipeline=PipelineSettings(data_dir=folder), jobs_per_address=0, starts_per_address=(), queue=100
    )
    app = make_app(settings, pipeline=parts.pipeline)

    async def say_who(_request: web.Request, response: web.StreamResponse) -> None:
        response.headers["X-Worker"] = str(os.getpid())

    app.on_response_prepare.append(say_who)

    async def open_gate() -> None:
        while not (folder / "go").exists():  # noqa: ASYNC110 - another process makes it
            await asyncio.sleep(0.05)
        parts.capture.gate.set()

    opening = asyncio.create_task(open_gate())
    try:
        await serve_as_worker(app, parse_descriptors(sockets))
    finally:
        opening.cancel()


if __name__ == "__main__":
    role, data, *rest = sys.argv[1:]
    if role == "worker":
        if (Path(data) / "broken").exists():
            sys.exit(3)
        sys.exit(run_until_stopped(work(Path(data), rest[0])))
    command = [sys.executable, "-m", "tests.worker_server", "worker", data]
    with patch.object(supervisor, "STOP_SECONDS", STOP_SECONDS):
        sys.exit(run_until_stopped(supervise(command, "127.0.0.1", 0, WORKERS)))
