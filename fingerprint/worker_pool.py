"""Worker processes for work that must not run in the server: decoding, recognizing, indexing.

Workers are started ahead and reused; each does one job at a time, whose data is copied through two pipes. A worker
that crashes, hangs or sends invalid frames is killed, reaped and replaced, and its job is tried once more on a new
one. Workers end when their parent closes their pipes, and so when it is killed. `worker_process` has the worker's
side: what is on the pipes, and what a worker may not do.
"""

import asyncio
import contextlib
import importlib.util
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.worker_process import CONTENT, HEAD, RANGE, READ, READ_BYTES, READY

__all__ = ["Worker", "WorkerError", "WorkerLimits", "WorkerPool", "worker_program"]

ATTEMPTS: Final = 2
"""How many workers try a job before it fails."""

MAX_FRAME_BYTES: Final = 16 << 20
"""The longest valid frame of a worker, in bytes."""

EXIT_SECONDS: Final = 5.0
"""How long after its pipe a worker may take to end; what it left unsaid is in its exit status."""

_PIPE_BYTES: Final = 1 << 20

_log = logging.getLogger(__name__)

T = TypeVar("T")
Serve = Callable[["Worker"], Awaitable[T]]
"""Talks to a worker about one job, from the frame that begins it to the last of its answer.

Raises WorkerError for invalid frames; a TwitchAudioError is an answer, after which the worker is reused.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerLimits:
    """The limits of a pool's workers, besides those of each job.

    `start_seconds`: from the start of a process to its READY. `waiting`: jobs that wait for an idle worker.
    `jobs_of_a_worker`: after so many jobs a worker is replaced.
    """

    start_seconds: float = 20.0
    waiting: int = 200
    jobs_of_a_worker: int = 2_000


class WorkerError(Exception):
    """A worker crashed, hung or sent invalid frames; the text says which, for the log.

    `cpu_ran_out`: its limit of CPU ended it, so the job was too costly. `timed_out`: it did not answer in time.
    """

    def __init__(self, reason: str, *, cpu_ran_out: bool = False, timed_out: bool = False) -> None:
        super().__init__(reason)
        self.cpu_ran_out = cpu_ran_out
        self.timed_out = timed_out


class Worker(asyncio.SubprocessProtocol):
    """The parent's side of a worker process."""

    def __init__(self) -> None:
        self.exited = asyncio.Event()
        self.jobs = 0
        self._replies = asyncio.StreamReader(limit=_PIPE_BYTES)
        self._writable = asyncio.Event()
        self._writable.set()
        self._transport: asyncio.SubprocessTransport | None = None

    @property
    def pid(self) -> int | None:
        """The process id while the process lives."""
        transport = self._transport
        return None if transport is None or self.exited.is_set() else transport.get_pid()

    @property
    def cpu_ran_out(self) -> bool:
        """Whether its CPU limit ended it."""
        return self._transport is not None and self._transport.get_returncode() == -signal.SIGXCPU

    def send(self, kind: int, *parts: bytes | memoryview) -> None:
        """Send one frame. A frame to a dead worker is lost, and the wait for its answer fails."""
        pipe = None if self._transport is None else self._transport.get_pipe_transport(0)
        if isinstance(pipe, asyncio.WriteTransport):
            pipe.write(HEAD.pack(kind, sum(len(part) for part in parts)))
            for part in parts:
                pipe.write(part)

    async def drain(self) -> None:
        """Wait until the worker has read most of what was sent, so that no more than that waits in memory."""
        await self._writable.wait()

    async def receive(
        self, *, descriptor: int | None = None, max_bytes: int = MAX_FRAME_BYTES
    ) -> tuple[int, bytes]:
        """The kind and the bytes of the worker's next frame. Reads of the job's file are answered meanwhile.

        `descriptor`: the job's file, open for reading. Raises WorkerError for a frame of more than `max_bytes`,
        and IncompleteReadError when the worker ends.
        """
        while True:
            kind, length = HEAD.unpack(await self._replies.readexactly(HEAD.size))
            if length > max_bytes:
                raise WorkerError("it answered nonsense")
            content = await self._replies.readexactly(length)
            if kind != READ:
                return kind, content
            if descriptor is None or length != RANGE.size:
                raise WorkerError("it answered nonsense")
            offset, size = RANGE.unpack(content)
            found = await asyncio.to_thread(_read_at, descriptor, min(size, READ_BYTES), offset)
            self.send(CONTENT, found)

    def kill(self) -> None:
        """End the process at once, and close its pipes. Wait for `exited` to know that it has ended."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by asyncio when the process has started."""
        assert isinstance(transport, asyncio.SubprocessTransport)
        self._transport = transport
        pipe = transport.get_pipe_transport(1)
        if pipe is not None:  # so that reading pauses while no job consumes what was read
            self._replies.set_transport(pipe)

    def pause_writing(self) -> None:
        """Called by asyncio when much of what was sent is not read yet."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Called by asyncio when most of it is read."""
        self._writable.set()

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """Called by asyncio with what the worker wrote."""
        if fd == 1:
            self._replies.feed_data(data)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        """Called by asyncio when the worker has closed a pipe."""
        if fd == 1:
            self._replies.feed_eof()

    def process_exited(self) -> None:
        """Called by asyncio when the process has ended."""
        self._replies.feed_eof()
        self._writable.set()
        self.exited.set()


class WorkerPool:
    """Processes that run `program`. An async context manager; leaving it ends and reaps every worker.

    `work` is a word for the log and for the error when too many jobs wait, such as "decoded".
    `workers` is the number of jobs at a time, by default one for each core. Jobs beyond that wait in order.
    `environment`: the environment variables of the processes; they inherit none.
    """

    def __init__(
        self,
        program: Sequence[str],
        *,
        work: str,
        workers: int | None = None,
        limits: WorkerLimits | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._program = program
        self._environment = environment or {}
        self._work = work
        self._limits = limits or WorkerLimits()
        self._count = workers or os.cpu_count() or 1
        self._idle: asyncio.Queue[asyncio.Task[Worker]] = asyncio.Queue()
        self._starting: set[asyncio.Task[Worker]] = set()
        self._unwanted: set[asyncio.Task[tuple[asyncio.SubprocessTransport, Worker]]] = set()
        self._workers: set[Worker] = set()
        self._reaping: set[asyncio.Task[None]] = set()
        self._spare_jobs: set[asyncio.Task[Any]] = set()
        self._waiting = 0
        self._answered = 0
        self._failed = 0
        self._closed = False

    @property
    def pids(self) -> tuple[int, ...]:
        """The process ids of the workers that live."""
        return tuple(worker.pid for worker in self._workers if worker.pid is not None)

    @property
    def answered(self) -> int:
        """How many jobs its workers have answered so far."""
        return self._answered

    @property
    def failed(self) -> int:
        """How many workers have crashed, hung, answered nonsense or not started so far; each was replaced."""
        return self._failed

    async def __aenter__(self) -> Self:
        self.start_workers()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed = True
        for task in self._spare_jobs:
            task.cancel()
        await self._end_all(self._spare_jobs)

    def start_workers(self) -> None:
        """Start the workers that `end_workers` ended; no more than belong to the pool."""
        while self._idle.qsize() < self._count:
            self._idle.put_nowait(self._start_ahead())

    async def end_workers(self) -> None:
        """End and reap every worker until `start_workers`. For when no job is under way."""
        while not self._idle.empty():
            self._idle.get_nowait()
        await self._end_all(())

    async def ready(self) -> None:
        """Wait until every idle worker has started. Only measurements need it: jobs wait by themselves."""
        await asyncio.gather(*self._starting, return_exceptions=True)

    async def run(self, serve: Serve[T], *, wall_seconds: float, attempts: int = ATTEMPTS) -> T:
        """Do a job on the next idle worker, and again on another one if that fails, `attempts` times in all.

        Raises WorkerError when all fail, or one's CPU limit ends it; TwitchAudioError `busy` when too many jobs
        wait, and whatever `serve` raises as an answer.
        """
        while True:
            attempts -= 1
            try:
                return await self._run_on(await self._next_idle(), serve, wall_seconds)
            except WorkerError as error:
                self.log_failure(error)
                if error.cpu_ran_out or not attempts:
                    raise

    def run_on_spare(self, serve: Serve[T], *, wall_seconds: float) -> tuple[Worker, asyncio.Task[T]] | None:
        """Do a job at once, on a worker that has started, if another one stays idle; otherwise None.

        The caller sends the worker what begins the job before it awaits anything; `serve` need not.
        """
        if self._closed or self._idle.qsize() < 2:
            return None
        starting = self._idle.get_nowait()
        if not starting.done() or starting.cancelled() or starting.exception() is not None:
            self._idle.put_nowait(starting)
            return None
        return self._begin(starting, starting.result(), serve, wall_seconds)

    async def run_begun(self, serve: Serve[T], *, wall_seconds: float) -> tuple[Worker, asyncio.Task[T]]:
        """Do a job on the next idle worker, whose input the caller sends from then on, as for `run_on_spare`.

        Raises WorkerError when that worker cannot be started, and TwitchAudioError `busy` when too many jobs wait.
        """
        starting = await self._next_idle()
        try:
            worker = await asyncio.shield(starting)
        except BaseException:
            failed = starting.done() and (starting.cancelled() or starting.exception() is not None)
            if not self._closed:
                self._idle.put_nowait(self._start_ahead() if failed else starting)
            raise
        return self._begin(starting, worker, serve, wall_seconds)

    def log_failure(self, error: Exception) -> None:
        """Count and log that a worker failed."""
        self._failed += 1
        _log.warning("worker_failed", extra={"work": self._work, "reason": str(error)})

    def _begin(
        self, starting: asyncio.Task[Worker], worker: Worker, serve: Serve[T], wall_seconds: float
    ) -> tuple[Worker, asyncio.Task[T]]:
        task = asyncio.create_task(self._run_on(starting, serve, wall_seconds))
        self._spare_jobs.add(task)
        task.add_done_callback(partial(self._spare_job_done, worker, worker.jobs))
        return worker, task

    # --- Jobs -----------------------------------------------------------------------------------------

    def _spare_job_done(self, worker: Worker, jobs: int, task: asyncio.Task[Any]) -> None:
        self._spare_jobs.discard(task)
        if not task.cancelled():
            task.exception()  # its caller already has the error
        elif worker.jobs == jobs:  # cancelled before it began, so `_run_on` did not see to the worker
            self._end(worker)
            if not self._closed:
                self._idle.put_nowait(self._start_ahead())

    async def _run_on(self, starting: asyncio.Task[Worker], serve: Serve[T], wall_seconds: float) -> T:
        """Do a job on a worker that was taken from the idle ones. A worker that fails is replaced."""
        successor: asyncio.Task[Worker] | None = None
        try:
            worker = await starting
            answered = False
            try:
                answer = await self._serve(worker, serve, wall_seconds)
                answered = True
            except TwitchAudioError:
                answered = True
                raise
            finally:
                worker.jobs += 1
                self._answered += answered
                if answered and worker.jobs < self._limits.jobs_of_a_worker:
                    successor = starting
                else:  # also when cancelled, since the worker is in the middle of a job
                    self._end(worker)
            return answer
        finally:
            if not self._closed:
                self._idle.put_nowait(successor or self._start_ahead())

    async def _next_idle(self) -> asyncio.Task[Worker]:
        if self._closed:
            raise TwitchAudioError(ProblemCode.BUSY, "The server is stopping.", retry_after_seconds=5.0)
        if self._waiting >= self._limits.waiting:
            raise TwitchAudioError(
                ProblemCode.BUSY, f"Too many recordings wait to be {self._work}.", retry_after_seconds=5.0
            )
        self._waiting += 1
        try:
            return await self._idle.get()
        finally:
            self._waiting -= 1

    async def _serve(self, worker: Worker, serve: Serve[T], wall_seconds: float) -> T:
        try:
            async with asyncio.timeout(wall_seconds):
                return await serve(worker)
        except TimeoutError as error:
            raise WorkerError(f"it did not answer within {wall_seconds:g} s", timed_out=True) from error
        except asyncio.IncompleteReadError as error:
            # The pipe closes a moment before the exit is noticed.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(EXIT_SECONDS):
                    await worker.exited.wait()
            raise WorkerError("it ended", cpu_ran_out=worker.cpu_ran_out) from error

    # --- Workers --------------------------------------------------------------------------------------

    def _start_ahead(self) -> asyncio.Task[Worker]:
        task = asyncio.create_task(self._start())
        self._starting.add(task)
        task.add_done_callback(self._started)
        return task

    def _started(self, task: asyncio.Task[Worker]) -> None:
        self._starting.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failed += 1
            _log.error("worker_not_started", extra={"work": self._work, "reason": str(error)})

    async def _start(self) -> Worker:
        """Start a worker and wait until it is ready. Raises WorkerError."""
        # A start that is cancelled twice, as by its job and the pool's end, would leave its process unreaped.
        opening = asyncio.create_task(self._open())
        try:
            _, worker = await asyncio.shield(opening)
        except OSError as error:
            raise WorkerError(f"it cannot be started: {error.strerror}") from error
        except asyncio.CancelledError:
            self._unwanted.add(opening)
            opening.add_done_callback(self._opened_in_vain)
            raise
        self._workers.add(worker)
        ready = False
        try:
            async with asyncio.timeout(self._limits.start_seconds):
                ready = await worker.receive() == (READY, b"")
            if not ready:
                raise WorkerError("it answered nonsense")
        except (TimeoutError, asyncio.IncompleteReadError) as error:
            raise WorkerError("it ends, or hangs, before its first job") from error
        finally:
            if not ready:
                self._end(worker)
        return worker

    async def _open(self) -> tuple[asyncio.SubprocessTransport, Worker]:
        """Start a process. Raises OSError."""
        return await asyncio.get_running_loop().subprocess_exec(
            Worker,
            *self._program,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=self._environment,
            start_new_session=True,  # Ctrl-C is for the parent, which ends its workers itself
        )

    def _opened_in_vain(self, opening: asyncio.Task[tuple[asyncio.SubprocessTransport, Worker]]) -> None:
        self._unwanted.discard(opening)
        if not opening.cancelled() and opening.exception() is None:
            _, worker = opening.result()
            self._workers.add(worker)
            self._end(worker)

    async def _end_all(self, tasks: Sequence[asyncio.Task[Any]] | set[asyncio.Task[Any]]) -> None:
        for task in self._starting:
            task.cancel()
        await asyncio.gather(*self._starting, *tasks, return_exceptions=True)
        await asyncio.gather(*self._unwanted, return_exceptions=True)
        for worker in tuple(self._workers):
            self._end(worker)
        await asyncio.gather(*self._reaping)

    def _end(self, worker: Worker) -> None:
        """Kill a worker, and reap it in the background."""
        worker.kill()
        if worker in self._workers:
            self._workers.discard(worker)
            task = asyncio.create_task(self._reap(worker))
            self._reaping.add(task)
            task.add_done_callback(self._reaping.discard)

    async def _reap(self, worker: Worker) -> None:
        await worker.exited.wait()  # a killed process always exits


def worker_program(module: str, *arguments: int | str) -> tuple[str, ...]:
    """The command line of a worker whose `main` is in `module`: isolated Python with our packages and libraries.

    Site packages' start-up files (`.pth`) are not run.
    """
    folders = [str(Path(__file__).parents[1])]
    for library in ("av", "numpy"):
        found = importlib.util.find_spec(library)
        if found is not None and found.origin is not None:
            folders.append(str(Path(found.origin).parents[1]))
    command = f"import sys; sys.path[:0] = sys.argv[1].split(':'); from {module} import main; main()"
    return sys.executable, "-I", "-S", "-c", command, ":".join(folders), *map(str, arguments)


def _read_at(descriptor: int, size: int, offset: int) -> bytes:
    """Bytes of a file; empty when it can no longer be read."""
    try:
        return os.pread(descriptor, size, offset)
    except OSError:
        return b""
