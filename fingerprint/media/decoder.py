"""Decoding what strangers sent: a pool of locked-in worker processes that a broken file may crash without harm.

Workers are started ahead and kept; a job costs two pipes' worth of copying. One that crashes, hangs or answers
nonsense is killed, reaped and replaced, and its job is tried once more on a fresh one. See `decoder_worker` for
what a worker may not do and `worker_protocol` for the bytes.
"""

import asyncio
import importlib.util
import logging
import os
import signal
import stat
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from fingerprint.domain.audio import SAMPLE_RATE, Pcm
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.media.pcm import no_audio, pcm_of
from fingerprint.media.worker_protocol import (
    END,
    FROM_BYTES,
    FROM_DESCRIPTOR,
    JOB,
    MAX_REASON_BYTES,
    NO_AUDIO,
    PLANES,
    READY,
    REPLY,
    JobHead,
)

MAX_ENCODED_BYTES: Final = 64 << 20
MAX_FILE_SECONDS: Final = 2 * 3600.0
"""How much of a file is decoded; beyond a quarter of an hour in mono, so that it fits in memory."""

_MONO_BEYOND_SECONDS: Final = 900.0
_BLOCK_SECONDS: Final = 30.0
_PIPE_BYTES: Final = 1 << 20

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class DecoderLimits:
    """What one job may take. CPU runs out before the wall limit, so that a costly input is told from a hang."""

    wall_seconds: float = 5.0
    cpu_seconds: int = 4
    file_wall_seconds: float = 300.0
    file_cpu_seconds: int = 240
    address_space_bytes: int = 320 << 20
    start_seconds: float = 20.0
    waiting: int = 200
    jobs_of_a_worker: int = 2_000


class _WorkerError(Exception):
    """A worker crashed, hung or answered nonsense; the text says which, for the log."""

    def __init__(self, reason: str, *, cpu_ran_out: bool = False) -> None:
        super().__init__(reason)
        self.cpu_ran_out = cpu_ran_out


class _Worker(asyncio.SubprocessProtocol):
    """A running worker process and what it says."""

    def __init__(self) -> None:
        self.replies = asyncio.StreamReader(limit=_PIPE_BYTES)
        self.exited = asyncio.Event()
        self.jobs = 0
        self._transport: asyncio.SubprocessTransport | None = None

    @property
    def pid(self) -> int | None:
        """The process id while the process lives."""
        transport = self._transport
        return None if transport is None or self.exited.is_set() else transport.get_pid()

    @property
    def cpu_ran_out(self) -> bool:
        """Whether it was the limit of CPU that ended it."""
        return self._transport is not None and self._transport.get_returncode() == -signal.SIGXCPU

    def send(self, *pieces: bytes) -> None:
        """Write to its standard input. What a dead worker does not take is lost; its silence tells."""
        pipe = None if self._transport is None else self._transport.get_pipe_transport(0)
        if isinstance(pipe, asyncio.WriteTransport):
            for piece in pieces:
                pipe.write(piece)

    def kill(self) -> None:
        """End it at once, and close the pipes. Its exit is awaited with `exited`."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.SubprocessTransport)
        self._transport = transport

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        if fd == 1:
            self.replies.feed_data(data)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        if fd == 1:
            self.replies.feed_eof()

    def process_exited(self) -> None:
        self.replies.feed_eof()
        self.exited.set()


@dataclass(frozen=True, slots=True)
class _Job:
    """What to decode: bytes, or a file descriptor that the worker inherits."""

    container: str | None
    max_seconds: float
    encoded: bytes | None = field(repr=False, default=None)
    descriptor: int | None = None

    def head(self, cpu_seconds: int) -> bytes:
        name = (self.container or "").encode("ascii")
        return (
            JOB.pack(
                *JobHead(
                    kind=FROM_BYTES if self.descriptor is None else FROM_DESCRIPTOR,
                    container_length=len(name),
                    cpu_seconds=cpu_seconds,
                    max_seconds=self.max_seconds,
                    block_seconds=_BLOCK_SECONDS,
                    mono_beyond_seconds=_MONO_BEYOND_SECONDS,
                    length=len(self.encoded or b"") if self.descriptor is None else self.descriptor,
                )
            )
            + name
        )


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
        self._idle: asyncio.Queue[asyncio.Task[_Worker]] = asyncio.Queue()
        self._starting: set[asyncio.Task[_Worker]] = set()
        self._workers: set[_Worker] = set()
        self._reaping: set[asyncio.Task[None]] = set()
        self._files = asyncio.Semaphore(self._count)
        self._waiting = 0
        self._closed = False

    @property
    def pids(self) -> tuple[int, ...]:
        """The process ids of the workers that live."""
        return tuple(worker.pid for worker in self._workers if worker.pid is not None)

    async def __aenter__(self) -> Self:
        for _ in range(self._count):
            self._idle.put_nowait(self._start_ahead())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed = True
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
        job = _Job(container=container, max_seconds=max_seconds, encoded=encoded)
        try:
            return pcm_of(await self._decode_on_idle(job))
        except _WorkerError as first:
            _log.warning("decoder_worker_failed", extra={"reason": str(first)})
            if first.cpu_ran_out:
                raise no_audio("decoding it takes more time than any real sound would") from first
        try:
            return pcm_of(await self._decode_on_idle(job))
        except _WorkerError as second:
            _log.exception("decoder_failed", extra={"reason": str(second)})
            raise _broken() from second

    async def decode_file(self, path: Path, *, max_seconds: float = MAX_FILE_SECONDS) -> Pcm:
        """The first `max_seconds` of the first audio stream of a file in any format, at 16 kHz.

        Sound that is longer than a quarter of an hour becomes mono.

        Raises TwitchAudioError: `not-found`; `no-audio` with the reason; `internal`.
        """
        descriptor = await asyncio.to_thread(_open_file, path)
        try:
            job = _Job(container=None, max_seconds=max_seconds, descriptor=descriptor)
            async with self._files:
                worker = await self._start(descriptor)
                try:
                    blocks = await self._serve(
                        worker, job, self._limits.file_wall_seconds, self._limits.file_cpu_seconds
                    )
                finally:
                    self._end(worker)
            return await asyncio.to_thread(pcm_of, blocks)
        except _WorkerError as error:
            _log.exception("decoder_failed", extra={"reason": str(error)})
            if error.cpu_ran_out:
                raise no_audio("decoding it takes too long") from error
            raise _broken() from error
        finally:
            os.close(descriptor)

    # --- Jobs -----------------------------------------------------------------------------------------

    async def _decode_on_idle(self, job: _Job) -> Sequence[tuple[bytes, ...]]:
        """Run a job on the next idle worker. One that does not do well is replaced."""
        starting = await self._next_idle()
        successor: asyncio.Task[_Worker] | None = None
        try:
            worker = await starting
            answered = False
            try:
                blocks = await self._serve(worker, job, self._limits.wall_seconds, self._limits.cpu_seconds)
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

    async def _next_idle(self) -> asyncio.Task[_Worker]:
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

    async def _serve(
        self, worker: _Worker, job: _Job, wall_seconds: float, cpu_seconds: int
    ) -> Sequence[tuple[bytes, ...]]:
        """The blocks of sound. Raises _WorkerError, and TwitchAudioError `no-audio`."""
        try:
            async with asyncio.timeout(wall_seconds):
                worker.send(job.head(cpu_seconds), job.encoded or b"")
                return await _blocks(worker.replies, job.max_seconds)
        except TimeoutError as error:
            raise _WorkerError(f"it did not answer within {wall_seconds:g} s") from error
        except asyncio.IncompleteReadError as error:
            async with asyncio.timeout(1.0):  # the pipe closes a moment before the exit is noticed
                await worker.exited.wait()
            raise _WorkerError("it ended", cpu_ran_out=worker.cpu_ran_out) from error

    # --- Workers --------------------------------------------------------------------------------------

    def _start_ahead(self) -> asyncio.Task[_Worker]:
        task = asyncio.create_task(self._start())
        self._starting.add(task)
        task.add_done_callback(self._started)
        return task

    def _started(self, task: asyncio.Task[_Worker]) -> None:
        self._starting.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("decoder_worker_not_started", extra={"reason": str(error)})

    async def _start(self, descriptor: int | None = None) -> _Worker:
        """A worker that is ready. Raises _WorkerError."""
        loop = asyncio.get_running_loop()
        try:
            _, worker = await loop.subprocess_exec(
                _Worker,
                *(self._program or _worker_program(self._limits.address_space_bytes)),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                env={},
                pass_fds=() if descriptor is None else (descriptor,),
                start_new_session=True,  # Ctrl-C is for the parent, which ends its workers itself
            )
        except OSError as error:
            raise _WorkerError(f"it cannot be started: {error.strerror}") from error
        self._workers.add(worker)
        ready = False
        try:
            async with asyncio.timeout(self._limits.start_seconds):
                ready = await worker.replies.readexactly(REPLY.size) == REPLY.pack(READY, 0, 0)
        except (TimeoutError, asyncio.IncompleteReadError) as error:
            raise _WorkerError("it ends, or hangs, before its first job") from error
        finally:
            if not ready:
                self._end(worker)
        return worker

    def _end(self, worker: _Worker) -> None:
        """Kill a worker and see to it that it is reaped."""
        worker.kill()
        if worker in self._workers:
            self._workers.discard(worker)
            task = asyncio.create_task(self._reap(worker))
            self._reaping.add(task)
            task.add_done_callback(self._reaping.discard)

    async def _reap(self, worker: _Worker) -> None:
        await worker.exited.wait()  # a killed process always exits


async def _blocks(replies: asyncio.StreamReader, max_seconds: float) -> Sequence[tuple[bytes, ...]]:
    """Read the replies to one job, believing nothing.

    Raises TwitchAudioError `no-audio`, _WorkerError, and IncompleteReadError when the worker ends.
    """
    blocks: list[tuple[bytes, ...]] = []
    left = round(max_seconds * SAMPLE_RATE)
    while True:
        kind, channels, length = REPLY.unpack(await replies.readexactly(REPLY.size))
        match kind:
            case _ if kind == PLANES:
                left -= length // 4
                same = not blocks or len(blocks[0]) == channels
                if channels not in (1, 2) or not same or length == 0 or length % 4 or left < 0:
                    raise _WorkerError("it answered nonsense")
                blocks.append(tuple([await replies.readexactly(length) for _ in range(channels)]))
            case _ if kind == END and blocks:
                return blocks
            case _ if kind == NO_AUDIO and length <= MAX_REASON_BYTES:
                raise no_audio((await replies.readexactly(length)).decode("utf-8", "replace"))
            case _:
                raise _WorkerError("it answered nonsense")


def _worker_program(address_space_bytes: int) -> tuple[str, ...]:
    """How to start a worker: isolated Python, no site packages but the place where PyAV is."""
    av = importlib.util.find_spec("av")
    if av is None or av.origin is None:
        raise _WorkerError("PyAV is not installed")
    paths = (str(Path(__file__).parents[2]), str(Path(av.origin).parents[1]))
    program = "import sys; sys.path[:0] = sys.argv[1:3]; from fingerprint.media.decoder_worker import main; main()"
    return sys.executable, "-I", "-S", "-c", program, *paths, str(address_space_bytes)


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
