"""Decoding what strangers sent: a pool of locked-in worker processes that a broken file may crash without harm.

Workers are started ahead and kept; a job costs two pipes' worth of copying. One that crashes, hangs or answers
nonsense is killed, reaped and replaced, and its job is tried once more on a fresh one. See `decoder_worker` for
what a worker may not do and `worker_protocol` for the bytes.
"""

import asyncio
import logging
import os
import stat
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from fingerprint.domain.audio import Pcm
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.media.ahead import TOO_COSTLY, Begun, Blocks, DecodingAhead
from fingerprint.media.pcm import no_audio, pcm_of
from fingerprint.media.worker_protocol import READY, REPLY
from fingerprint.media.workers import DecoderLimits, Job, Worker, WorkerError, read_blocks, worker_program

__all__ = ["DecoderLimits", "DecoderPool"]

MAX_ENCODED_BYTES: Final = 64 << 20
MAX_FILE_SECONDS: Final = 2 * 3600.0
"""How much of a file is decoded; beyond a quarter of an hour in mono, so that it fits in memory."""

_log = logging.getLogger(__name__)


class DecoderPool:
    """Decodes in worker processes. An async context manager; leaving it ends and reaps every worker.

    `workers` is the number of jobs at a time, by default one for each core. Jobs beyond that wait in order.
    `program` is what to start instead of the real worker; it speaks the same protocol.
    """

    def __init__(
        self,
        *,
        workers: int | None = None,
        limits: DecoderLimits | None = None,
        program: Sequence[str] | None = None,
    ) -> None:
        self._limits = limits or DecoderLimits()
        self._program = program
        self._count = workers or os.cpu_count() or 1
        self._idle: asyncio.Queue[asyncio.Task[Worker]] = asyncio.Queue()
        self._starting: set[asyncio.Task[Worker]] = set()
        self._workers: set[Worker] = set()
        self._reaping: set[asyncio.Task[None]] = set()
        self._ahead: set[asyncio.Task[Blocks]] = set()
        self._files = asyncio.Semaphore(self._count)
        self._waiting = 0
        self._closed = False

    @property
    def pids(self) -> tuple[int, ...]:
        """The process ids of the workers that live."""
        return tuple(worker.pid for worker in self._workers if worker.pid is not None)

    async def __aenter__(self) -> Self:
        self.wake()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed = True
        for task in (*self._starting, *self._ahead):
            task.cancel()
        await asyncio.gather(*self._starting, *self._ahead, return_exceptions=True)
        for worker in tuple(self._workers):
            self._end(worker)
        await asyncio.gather(*self._reaping)

    def wake(self) -> None:
        """Start the workers that `rest` ended; no more than belong to the pool."""
        while self._idle.qsize() < self._count:
            self._idle.put_nowait(self._start_ahead())

    async def rest(self) -> None:
        """End and reap every worker until `wake`. For when no job is under way."""
        while not self._idle.empty():
            self._idle.get_nowait()
        for task in self._starting:
            task.cancel()
        await asyncio.gather(*self._starting, return_exceptions=True)
        for worker in tuple(self._workers):
            self._end(worker)
        await asyncio.gather(*self._reaping)

    async def ready(self) -> None:
        """Wait until every idle worker has started; for those who want to measure. Jobs wait by themselves."""
        await asyncio.gather(*self._starting, return_exceptions=True)

    async def decode(self, encoded: bytes, *, container: str, max_seconds: float) -> Pcm:
        """The first `max_seconds` of the first audio stream of bytes in FFmpeg's format `container`, at 16 kHz.

        Raises TwitchAudioError: `no-audio` with the reason; `busy` when too many jobs wait; `internal` when two
        workers broke on the same input.
        """
        if len(encoded) > MAX_ENCODED_BYTES:
            raise no_audio(f"it is larger than {MAX_ENCODED_BYTES >> 20} MiB")
        job = Job(container=container, max_seconds=max_seconds, encoded=encoded)
        try:
            return pcm_of(await self._decode_on_idle(job))
        except WorkerError as first:
            _log.warning("decoder_worker_failed", extra={"reason": str(first)})
            if first.cpu_ran_out:
                raise no_audio(TOO_COSTLY) from first
        try:
            return pcm_of(await self._decode_on_idle(job))
        except WorkerError as second:
            _log.exception("decoder_failed", extra={"reason": str(second)})
            raise _broken() from second

    def begin(self, *, max_seconds: float) -> DecodingAhead:
        """Decoding of the first `max_seconds` of something that is still coming.

        It has a worker of its own meanwhile, but only where another one is idle: whoever has all of his sound
        does not wait for one whose sound is slow to come.
        """
        return DecodingAhead(self._begin, max_seconds=max_seconds, wall_seconds=self._limits.wall_seconds)

    async def decode_file(self, path: Path, *, max_seconds: float = MAX_FILE_SECONDS) -> Pcm:
        """The first `max_seconds` of the first audio stream of a file in any format, at 16 kHz.

        Sound that is longer than a quarter of an hour becomes mono.

        Raises TwitchAudioError: `not-found`; `no-audio` with the reason; `internal`.
        """
        descriptor = await asyncio.to_thread(_open_file, path)
        try:
            job = Job(container=None, max_seconds=max_seconds, descriptor=descriptor)
            async with self._files:
                worker = await self._start(descriptor)
                try:
                    blocks = await self._serve(
                        worker, job, self._limits.file_wall_seconds, self._limits.file_cpu_seconds
                    )
                finally:
                    self._end(worker)
            return await asyncio.to_thread(pcm_of, blocks)
        except WorkerError as error:
            _log.exception("decoder_failed", extra={"reason": str(error)})
            if error.cpu_ran_out:
                raise no_audio("decoding it takes too long") from error
            raise _broken() from error
        finally:
            os.close(descriptor)

    # --- Jobs -----------------------------------------------------------------------------------------

    async def _decode_on_idle(self, job: Job) -> Blocks:
        """Run a job on the next idle worker."""
        return await self._decode_on(await self._next_idle(), job, self._limits.wall_seconds)

    def _begin(self, job: Job) -> Begun | None:
        """Run a job whose pieces are sent meanwhile, if a worker can be spared."""
        if self._closed or self._idle.qsize() < 2:
            return None
        starting = self._idle.get_nowait()
        if not starting.done() or starting.cancelled() or starting.exception() is not None:
            self._idle.put_nowait(starting)
            return None
        worker = starting.result()
        worker.send(job.head(self._limits.cpu_seconds))
        task = asyncio.create_task(self._decode_on(starting, job, self._limits.ahead_wall_seconds))
        self._ahead.add(task)
        task.add_done_callback(partial(self._decoded_ahead, worker, worker.jobs))
        return worker, task

    def _decoded_ahead(self, worker: Worker, jobs: int, task: asyncio.Task[Blocks]) -> None:
        self._ahead.discard(task)
        if not task.cancelled():
            task.exception()  # whoever wanted the sound was told
        elif worker.jobs == jobs:  # cancelled before it began, so nobody else saw to the worker
            self._end(worker)
            if not self._closed:
                self._idle.put_nowait(self._start_ahead())

    async def _decode_on(self, starting: asyncio.Task[Worker], job: Job, wall_seconds: float) -> Blocks:
        """Run a job on a worker that is nobody else's. One that does not do well is replaced."""
        successor: asyncio.Task[Worker] | None = None
        try:
            worker = await starting
            answered = False
            try:
                blocks = await self._serve(worker, job, wall_seconds, self._limits.cpu_seconds)
                answered = True
            except TwitchAudioError:
                answered = True  # that there is no sound is an answer too
                raise
            finally:
                worker.jobs += 1
                if answered and worker.jobs < self._limits.jobs_of_a_worker:
                    successor = starting
                else:  # also when cancelled: the worker is in the middle of something
                    self._end(worker)
            return blocks
        finally:
            if not self._closed:
                self._idle.put_nowait(successor or self._start_ahead())

    async def _next_idle(self) -> asyncio.Task[Worker]:
        if self._closed:
            raise TwitchAudioError(ProblemCode.BUSY, "The server is stopping.", retry_after_seconds=5.0)
        if self._waiting >= self._limits.waiting:
            raise TwitchAudioError(
                ProblemCode.BUSY, "Too many recordings wait to be decoded.", retry_after_seconds=5.0
            )
        self._waiting += 1
        try:
            return await self._idle.get()
        finally:
            self._waiting -= 1

    async def _serve(self, worker: Worker, job: Job, wall_seconds: float, cpu_seconds: int) -> Blocks:
        """The blocks of sound. Raises WorkerError, and TwitchAudioError `no-audio`."""
        try:
            async with asyncio.timeout(wall_seconds):
                if not job.in_pieces:
                    worker.send(job.head(cpu_seconds), job.encoded or b"")
                return await read_blocks(worker.replies, job.max_seconds)
        except TimeoutError as error:
            raise WorkerError(f"it did not answer within {wall_seconds:g} s") from error
        except asyncio.IncompleteReadError as error:
            async with asyncio.timeout(1.0):  # the pipe closes a moment before the exit is noticed
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
            _log.error("decoder_worker_not_started", extra={"reason": str(error)})

    async def _start(self, descriptor: int | None = None) -> Worker:
        """A worker that is ready. Raises WorkerError."""
        loop = asyncio.get_running_loop()
        try:
            _, worker = await loop.subprocess_exec(
                Worker,
                *(self._program or worker_program(self._limits.address_space_bytes)),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                env={},
                pass_fds=() if descriptor is None else (descriptor,),
                start_new_session=True,  # Ctrl-C is for the parent, which ends its workers itself
            )
        except OSError as error:
            raise WorkerError(f"it cannot be started: {error.strerror}") from error
        self._workers.add(worker)
        ready = False
        try:
            async with asyncio.timeout(self._limits.start_seconds):
                ready = await worker.replies.readexactly(REPLY.size) == REPLY.pack(READY, 0, 0)
        except (TimeoutError, asyncio.IncompleteReadError) as error:
            raise WorkerError("it ends, or hangs, before its first job") from error
        finally:
            if not ready:
                self._end(worker)
        return worker

    def _end(self, worker: Worker) -> None:
        """Kill a worker and see to it that it is reaped."""
        worker.kill()
        if worker in self._workers:
            self._workers.discard(worker)
            task = asyncio.create_task(self._reap(worker))
            self._reaping.add(task)
            task.add_done_callback(self._reaping.discard)

    async def _reap(self, worker: Worker) -> None:
        await worker.exited.wait()  # a killed process always exits


def _open_file(path: Path) -> int:
    """A descriptor of a regular file. Raises TwitchAudioError."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # never waits for a FIFO
    except FileNotFoundError as error:
        raise TwitchAudioError(ProblemCode.NOT_FOUND, f"There is no file {str(path)!r}.") from error
    except OSError as error:
        raise no_audio(f"the file cannot be read ({error.strerror})") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise no_audio("it is not a file")
    return descriptor


def _broken() -> TwitchAudioError:
    return TwitchAudioError(
        ProblemCode.INTERNAL, "The decoder broke down on this recording, twice. This is a fault of ours."
    )
