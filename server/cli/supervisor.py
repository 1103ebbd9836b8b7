"""`serve --workers N`: one supervisor and N worker processes that listen on one address.

Linux spreads new connections over all sockets of an address that are bound with SO_REUSEPORT. The supervisor binds
one set for each worker and keeps it open, so that connections which arrive while a worker is replaced wait for the
next one. It starts the first worker alone, which brings the schema up to date, and then the others.

- A worker that dies is replaced: at once, and with growing delays when its successors die early, too.
- SIGHUP replaces all workers, one after the other: the new one is ready before the old one stops accepting, and
  the old one stays until all its requests are answered.
- SIGTERM and Ctrl-C stop them all; they also stop when the supervisor is gone, which closes their standard input.
"""

import asyncio
import contextlib
import logging
import signal
import socket
import sys
from collections.abc import AsyncGenerator, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.tasks import cancel_and_wait
from server.cli.shared_address import SharedAddress

READY: Final = b"ready\n"
"""What a worker writes to its standard output once it accepts connections."""

RETIRE_SIGNAL: Final = signal.SIGUSR1 if sys.platform != "win32" else signal.SIGTERM
"""Tells a worker to stop accepting, and to exit once its requests are answered."""

START_SECONDS: Final = 60.0
RETIRE_SECONDS: Final = 40.0
"""Longer than a job may take."""

STOP_SECONDS: Final = 6.0
"""Longer than a worker takes to drain and shut down."""

HEALTHY_SECONDS: Final = 10.0
"""A worker that lived this long did not fail at its start."""

_FIRST_DELAY_SECONDS: Final = 0.5
_MAX_DELAY_SECONDS: Final = 30.0

_BOOT: Final = (
    "import sys; sys.path[:] = sys.argv[3:-1]; from server.cli import main; "
    "sys.exit(main(['serve', '--workers', sys.argv[2], '--worker', sys.argv[-1]]))"
)

_log = logging.getLogger(__name__)

T = TypeVar("T")


class WorkerFailedError(TwitchAudioError):
    """A worker ended, or took too long, before it was ready. What was wrong is on its standard error."""

    def __init__(self, why: str) -> None:
        super().__init__(ProblemCode.INTERNAL, f"A worker did not start: {why}.")


def worker_command(workers: int) -> Sequence[str]:
    """The command of one of `workers` processes, without its sockets' numbers, which come last."""
    return sys.executable, "-c", _BOOT, "worker", str(workers), *sys.path


def restart_delay(failures: int) -> float:
    """Seconds before a worker is started again, after `failures` in a row have died early."""
    return 0.0 if failures < 2 else min(_MAX_DELAY_SECONDS, _FIRST_DELAY_SECONDS * 2.0 ** (failures - 2))


@dataclass(slots=True, eq=False)
class _Slot:
    """One worker's sockets, which outlive it, and its process."""

    sockets: list[socket.socket]
    process: asyncio.subprocess.Process | None = None
    replacing: asyncio.Lock = field(default_factory=asyncio.Lock)

    def close(self) -> None:
        for each in self.sockets:
            each.close()


class Supervisor:
    """Keeps `workers` processes of `command` running on an address."""

    def __init__(self, command: Sequence[str], address: SharedAddress, *, workers: int) -> None:
        self._command = command
        self._address = address
        self._slots = [_Slot(address.bind()) for _ in range(workers)]
        self._processes: set[asyncio.subprocess.Process] = set()

    @asynccontextmanager
    async def running(self, stop: asyncio.Event) -> AsyncGenerator[None]:
        """Workers that are ready when the block begins, are replaced while it runs, and stopped at its end.

        The block may begin without them when `stop` is set before. Raises WorkerFailedError when one does not
        start at first.
        """
        loop, restart = asyncio.get_running_loop(), asyncio.Event()
        loop.add_signal_handler(signal.SIGHUP, restart.set)
        starting = asyncio.create_task(self._start_all())
        stopping = asyncio.create_task(stop.wait())
        tasks = [starting, stopping]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                starting.result()
                tasks += [asyncio.create_task(self._keep(slot), name="keep a worker") for slot in self._slots]
                tasks.append(asyncio.create_task(self._restart_when(restart), name="restart workers"))
            yield
            await cancel_and_wait(*tasks)
            await self._stop_all()
        finally:
            loop.remove_signal_handler(signal.SIGHUP)
            await cancel_and_wait(*tasks)
            await _all(self._end(process, 0.0) for process in list(self._processes))
            for slot in self._slots:
                slot.close()

    async def _start_all(self) -> None:
        first, *others = self._slots
        first.process = await self._start(first)
        for slot, process in zip(others, await _all(self._start(slot) for slot in others), strict=True):
            slot.process = process

    async def _restart_when(self, restart: asyncio.Event) -> None:
        while True:
            await restart.wait()
            restart.clear()
            try:
                await self._replace_all()
            except (WorkerFailedError, OSError) as error:
                _log.error("workers_not_replaced", extra={"error": str(error)})

    async def _replace_all(self) -> None:
        """A rolling restart. Raises WorkerFailedError when a new worker does not start: the old ones stay then."""
        for slot in self._slots:
            async with slot.replacing:
                old = slot.process
                if old is None:
                    continue  # it is being started anyway
                slot.process = await self._start(slot)
            await self._retire(old)

    async def _keep(self, slot: _Slot) -> None:
        """Replace a slot's worker each time that it dies."""
        failures, started = 0, asyncio.get_running_loop().time()
        while True:
            process = slot.process
            if process is not None:
                status = await process.wait()
                async with slot.replacing:
                    if slot.process is not process:
                        continue  # it was replaced by a rolling restart
                    slot.process = None
                self._processes.discard(process)
                lived = asyncio.get_running_loop().time() - started
                failures = 1 if lived > HEALTHY_SECONDS else failures + 1
                _log.warning("worker_died", extra={"pid": process.pid, "status": status, "failures": failures})
            delay = restart_delay(failures)
            if delay:
                # Meanwhile connections go to the other workers.
                slot.close()
                await asyncio.sleep(delay)
                slot.sockets = self._address.bind()
            started = asyncio.get_running_loop().time()
            try:
                async with slot.replacing:
                    slot.process = await self._start(slot)
            except (WorkerFailedError, OSError) as error:
                failures += 1
                _log.error("worker_not_started", extra={"error": str(error), "failures": failures})

    async def _start(self, slot: _Slot) -> asyncio.subprocess.Process:
        """A worker that accepts connections."""
        numbers = [sock.fileno() for sock in slot.sockets]
        process = await asyncio.create_subprocess_exec(
            *self._command,
            ",".join(map(str, numbers)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            pass_fds=numbers,
            # Ctrl-C in a terminal is for the supervisor alone.
            start_new_session=True,
        )
        self._processes.add(process)
        ready, why = False, f"it was not ready within {START_SECONDS:.0f} s"
        try:
            assert process.stdout is not None
            async with asyncio.timeout(START_SECONDS):
                ready = await process.stdout.readline() == READY
                if not ready:
                    why = f"exit status {await process.wait()}"
        except TimeoutError:
            pass
        finally:
            if not ready:
                await self._end(process, 0.0)
        if not ready:
            raise WorkerFailedError(why)
        _log.info("worker_started", extra={"pid": process.pid})
        return process

    async def _retire(self, process: asyncio.subprocess.Process) -> None:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(RETIRE_SIGNAL)
        await self._end(process, RETIRE_SECONDS + STOP_SECONDS)

    async def _stop_all(self) -> None:
        for process in self._processes:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        await _all(self._end(process, STOP_SECONDS) for process in list(self._processes))

    async def _end(self, process: asyncio.subprocess.Process, seconds: float) -> None:
        """Wait for a process to exit; kill it after `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                await process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        self._processes.discard(process)


async def _all(work: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Run all side by side; when one fails, cancel the others and raise its error."""
    tasks = [asyncio.create_task(each) for each in work]
    try:
        return await asyncio.gather(*tasks)
    except BaseException:
        await cancel_and_wait(*tasks)
        raise
