"""A worker of `serve --workers N`: the server on sockets that the supervisor has bound."""

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import Sequence
from typing import Final

from aiohttp import web

from fingerprint.tasks import cancel_and_wait, running_tasks
from server import keys
from server.app import BACKLOG, running
from server.cli.serving import keep_memory_of_jobs, raise_open_file_limit, stop_signals, tune_garbage_collection
from server.cli.supervisor import READY, RETIRE_SECONDS, RETIRE_SIGNAL

_POLL_SECONDS: Final = 0.1


def parse_descriptors(text: str) -> list[int]:
    """The descriptors of inherited sockets, separated by commas. Raises ValueError when one is no number."""
    return [int(number) for number in text.split(",")]


async def serve_as_worker(app: web.Application, descriptors: Sequence[int]) -> None:
    """Serve until SIGTERM or the end of the supervisor; after `RETIRE_SIGNAL`, until all requests are answered."""
    loop = asyncio.get_running_loop()
    retire = asyncio.Event()
    async with stop_signals() as stop, running(app) as runner:
        sites = [web.SockSite(runner, socket.socket(fileno=each), backlog=BACKLOG) for each in descriptors]
        for site in sites:
            await site.start()
        keep_memory_of_jobs()
        tune_garbage_collection()
        raise_open_file_limit()
        loop.add_signal_handler(RETIRE_SIGNAL, retire.set)
        # The supervisor writes nothing: the pipe is readable once it is closed.
        loop.add_reader(sys.stdin.fileno(), stop.set)
        os.write(sys.stdout.fileno(), READY)
        try:
            await _first(stop, retire)
            if retire.is_set():
                for site in sites:
                    await site.stop()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(RETIRE_SECONDS):
                        await _finish(app, stop)
        finally:
            loop.remove_signal_handler(RETIRE_SIGNAL)
            loop.remove_reader(sys.stdin.fileno())


async def _first(*events: asyncio.Event) -> None:
    """Wait until one of the events is set."""
    async with running_tasks(event.wait() for event in events) as tasks:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)


async def _finish(app: web.Application, stop: asyncio.Event) -> None:
    """Take no further watch, and wait until no job runs and no request waits, or until `stop`."""
    closing = asyncio.create_task(app[keys.WATCHER].close(RETIRE_SECONDS))
    try:
        service = app[keys.SERVICE]
        while (service.waiter_count or service.job_count) and not stop.is_set():  # noqa: ASYNC110 - two counters
            await asyncio.sleep(_POLL_SECONDS)
    finally:
        await cancel_and_wait(closing)
