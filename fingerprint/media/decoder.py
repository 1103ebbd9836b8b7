"""Decodes untrusted media in sandboxed worker processes, which a broken file may crash without harm.

See `worker_pool` for the processes, `decoder_worker` for what they do, and `decoder_protocol` for the bytes.
"""

import asyncio
import logging
import math
import os
import stat
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fingerprint.domain.audio import SAMPLE_RATE, Pcm
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.media.ahead import TOO_COSTLY, Answer, DecodingAhead, Running, SoundListener
from fingerprint.media.decoder_protocol import (
    END,
    FROM_BYTES,
    FROM_FILE,
    FROM_PIECES,
    JOB_HEAD,
    MARK_FRAME,
    MARKED,
    MAX_MARKS,
    MAX_REASON_BYTES,
    MONO,
    NO_AUDIO,
    STEREO,
    JobHead,
    Mark,
)
from fingerprint.media.pcm import Block, Decoded, no_audio, pcm_of, samples_of
from fingerprint.worker_pool import Worker, WorkerError, WorkerLimits, WorkerPool, worker_program
from fingerprint.worker_process import CONTENT, JOB

__all__ = ["DecoderLimits", "DecoderPool"]

MAX_ENCODED_BYTES: Final = 96 << 20
MAX_FILE_SECONDS: Final = 2 * 3600.0
"""The most seconds of a file that are decoded; in mono if it is longer than 15 minutes, to fit in memory."""

MAX_WHOLE_FILE_SECONDS: Final = 48 * 3600.0
"""The most seconds of a file that is taken block by block."""

_WHOLE_FILE_CPU_SECONDS: Final = 3600
_WHOLE_FILE_WALL_SECONDS: Final = 24 * 3600.0

MONO_BEYOND_SECONDS: Final = 900.0
BLOCK_SECONDS: Final = 30.0
HEARD_BLOCK_SECONDS: Final = 1.0
"""The length of a block where somebody listens while it is decoded."""


_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class DecoderLimits(WorkerLimits):
    """The limits of one job. CPU time runs out before wall-clock time, to tell costly input from a hang.

    `ahead_wall_seconds`: the limit of a job whose input is still being fetched, its last piece included.
    """

    wall_seconds: float = 5.0
    cpu_seconds: int = 4
    file_wall_seconds: float = 300.0
    file_cpu_seconds: int = 240
    address_space_bytes: int = 320 << 20
    ahead_wall_seconds: float = 20.0


class DecoderPool(WorkerPool):
    """Decodes in worker processes. An async context manager; leaving it ends and reaps every worker.

    `workers` is the number of jobs at a time, by default one for each core. Jobs beyond that wait in order.
    `program` is started instead of the real worker, for tests; it speaks the same protocol.
    """

    def __init__(
        self,
        *,
        workers: int | None = None,
        limits: DecoderLimits | None = None,
        program: Sequence[str] | None = None,
    ) -> None:
        self._job_limits = limits or DecoderLimits()
        worker = program or worker_program(
            "fingerprint.media.decoder_worker", self._job_limits.address_space_bytes
        )
        super().__init__(worker, work="decoded", workers=workers, limits=self._job_limits)

    async def decode(self, encoded: bytes, *, container: str, max_seconds: float) -> Decoded:
        """The first `max_seconds` of the first audio stream of bytes in FFmpeg's format `container`, at 16 kHz.

        Raises TwitchAudioError: `no-audio` with the reason; `busy` when too many jobs wait; `internal` when two
        workers crashed on the same input.
        """
        if len(encoded) > MAX_ENCODED_BYTES:
            raise no_audio(f"it is larger than {MAX_ENCODED_BYTES >> 20} MiB")
        job = self._job(FROM_BYTES, container, max_seconds, self._job_limits.cpu_seconds)

        async def serve(worker: Worker) -> Answer:
            worker.send(JOB, job)
            worker.send(CONTENT, encoded)
            return await read_answer(worker, max_seconds)

        try:
            return decoded(await self.run(serve, wall_seconds=self._job_limits.wall_seconds))
        except WorkerError as error:
            raise _broken(error, TOO_COSTLY) from error

    def begin(self, *, max_seconds: float, listener: SoundListener | None = None) -> DecodingAhead:
        """Begin decoding the first `max_seconds` of media that is still being fetched.

        It occupies a worker meanwhile, but only if another one is idle, so that complete recordings do not wait
        for one that comes slowly. `listener` is fed with the sound as it is decoded.
        """

        def hear(block: Block) -> None:
            if listener is not None:
                listener.feed(samples_of(block))

        async def serve(worker: Worker) -> Answer:
            return await read_answer(worker, max_seconds, on_block=hear)

        def start(container: str) -> Running | None:
            running = self.run_on_spare(serve, wall_seconds=self._job_limits.ahead_wall_seconds)
            if running is not None:
                cpu_seconds = self._job_limits.cpu_seconds
                block_seconds = BLOCK_SECONDS if listener is None else HEARD_BLOCK_SECONDS
                job = self._job(FROM_PIECES, container, max_seconds, cpu_seconds, block_seconds=block_seconds)
                running[0].send(JOB, job)
            return running

        return DecodingAhead(
            start, wall_seconds=self._job_limits.wall_seconds, on_failure=self.log_failure, listener=listener
        )

    async def begin_long(self, *, container: str, max_seconds: float) -> DecodingAhead:
        """Begin decoding media that is too long to be kept, on the next idle worker; `drain` after each piece.

        Raises TwitchAudioError `busy` when too many jobs wait, and `internal` when the worker cannot be started.
        """

        async def serve(worker: Worker) -> Answer:
            return await read_answer(worker, max_seconds)

        try:
            running = await self.run_begun(serve, wall_seconds=self._job_limits.ahead_wall_seconds)
        except WorkerError as error:
            raise _broken(error, TOO_COSTLY) from error
        running[0].send(JOB, self._job(FROM_PIECES, container, max_seconds, self._job_limits.cpu_seconds))
        return DecodingAhead(
            running=running, wall_seconds=self._job_limits.wall_seconds, on_failure=self.log_failure
        )

    async def decode_file(self, path: Path, *, max_seconds: float = MAX_FILE_SECONDS) -> Decoded:
        """The first `max_seconds` of the first audio stream of a file in any format, at 16 kHz.

        Sound that is longer than a quarter of an hour becomes mono.

        Raises TwitchAudioError: `not-found`; `no-audio` with the reason; `internal`.
        """
        descriptor, size = await asyncio.to_thread(_open_file, path)
        job = self._job(FROM_FILE, None, max_seconds, self._job_limits.file_cpu_seconds, size=size)

        async def serve(worker: Worker) -> Answer:
            worker.send(JOB, job)
            return await read_answer(worker, max_seconds, descriptor=descriptor)

        try:
            answer = await self.run(serve, wall_seconds=self._job_limits.file_wall_seconds)
            return await asyncio.to_thread(decoded, answer)
        except WorkerError as error:
            raise _broken(error, "decoding it takes too long") from error
        finally:
            os.close(descriptor)

    async def file_blocks(self, path: Path) -> AsyncGenerator[Pcm]:
        """The sound of a file of any length in blocks, at 16 kHz, decoded as fast as they are taken.

        Raises as `decode_file` does. A worker that crashes is replaced once, and decodes up to where it was.
        """
        descriptor, size = await asyncio.to_thread(_open_file, path)
        job = self._job(
            FROM_FILE, None, MAX_WHOLE_FILE_SECONDS, _WHOLE_FILE_CPU_SECONDS, size=size, mono_beyond=math.inf
        )
        blocks: asyncio.Queue[Pcm | None] = asyncio.Queue(maxsize=2)
        taken = 0

        async def serve(worker: Worker) -> None:
            nonlocal taken
            worker.send(JOB, job)
            passed = 0
            while (block := await _next_block(worker, descriptor)) is not None:
                passed += 1
                if passed > taken:
                    taken = passed
                    await blocks.put(block)

        async def decode_all() -> None:
            try:
                await self.run(serve, wall_seconds=_WHOLE_FILE_WALL_SECONDS)
            finally:
                await blocks.put(None)

        task = asyncio.create_task(decode_all())
        try:
            while (block := await blocks.get()) is not None:
                yield block
            await task
        except WorkerError as error:
            raise _broken(error, "decoding it takes too long") from error
        finally:
            task.cancel()
            while not blocks.empty():
                blocks.get_nowait()
            await asyncio.gather(task, return_exceptions=True)
            os.close(descriptor)

    @staticmethod
    def _job(
        source: int,
        container: str | None,
        max_seconds: float,
        cpu_seconds: int,
        *,
        size: int = 0,
        mono_beyond: float = MONO_BEYOND_SECONDS,
        block_seconds: float = BLOCK_SECONDS,
    ) -> bytes:
        head = JobHead(source, cpu_seconds, max_seconds, block_seconds, mono_beyond, size)
        return JOB_HEAD.pack(*head) + (container or "").encode("ascii")


def decoded(answer: Answer) -> Decoded:
    """The sound in a worker's answer."""
    blocks, marks = answer
    return Decoded(pcm_of(blocks), marks)


def _ignore_block(_block: Block) -> None:
    """An `on_block` that does nothing."""


async def read_answer(
    worker: Worker,
    max_seconds: float,
    *,
    descriptor: int | None = None,
    on_block: Callable[[Block], None] = _ignore_block,
) -> Answer:
    """Read the answer to one job, validating all of it; `on_block` is called with each block of sound.

    Raises TwitchAudioError `no-audio`, WorkerError, and IncompleteReadError when the worker ends.
    """
    blocks: list[Block] = []
    marks: list[Mark] = []
    left = round(max_seconds * SAMPLE_RATE)
    while True:
        kind, content = await worker.receive(descriptor=descriptor)
        match kind:
            case _ if kind in (MONO, STEREO):
                channels = 1 if kind == MONO else 2
                samples, odd = divmod(len(content), 4 * channels)
                left -= samples
                same = not blocks or len(blocks[0]) == channels
                if not same or not samples or odd or left < 0:
                    raise WorkerError("it answered nonsense")
                planes = memoryview(content)
                blocks.append(tuple(planes[4 * samples * of :][: 4 * samples] for of in range(channels)))
                on_block(blocks[-1])
            case _ if kind == MARKED and len(content) == MARK_FRAME.size and len(marks) < MAX_MARKS:
                marks.append(Mark(*MARK_FRAME.unpack(content)))
            case _ if kind == END and blocks:
                return blocks, tuple(marks)
            case _ if kind == NO_AUDIO and len(content) <= MAX_REASON_BYTES:
                raise no_audio(content.decode("utf-8", "replace"))
            case _:
                raise WorkerError("it answered nonsense")


async def _next_block(worker: Worker, descriptor: int) -> Pcm | None:
    """The next block of a job's answer; None at its end. Raises as `read_answer` does."""
    while True:
        kind, content = await worker.receive(descriptor=descriptor)
        match kind:
            case _ if kind in (MONO, STEREO):
                channels = 1 if kind == MONO else 2
                samples, odd = divmod(len(content), 4 * channels)
                if odd or not 0 < samples <= (BLOCK_SECONDS + 1) * SAMPLE_RATE:
                    raise WorkerError("it answered nonsense")
                planes = memoryview(content)
                return pcm_of([tuple(planes[4 * samples * of :][: 4 * samples] for of in range(channels))])
            case _ if kind == MARKED and len(content) == MARK_FRAME.size:
                pass
            case _ if kind == END:
                return None
            case _ if kind == NO_AUDIO and len(content) <= MAX_REASON_BYTES:
                raise no_audio(content.decode("utf-8", "replace"))
            case _:
                raise WorkerError("it answered nonsense")


def _open_file(path: Path) -> tuple[int, int]:
    """A file descriptor of a regular file, and its size in bytes. Raises TwitchAudioError."""
    try:
        descriptor = os.open(
            path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
        )  # so that opening a FIFO does not block
    except FileNotFoundError as error:
        raise TwitchAudioError(ProblemCode.NOT_FOUND, f"No such file: {str(path)!r}.") from error
    except OSError as error:
        raise no_audio(f"the file cannot be read ({error.strerror})") from error
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise no_audio("it is not a file")
    return descriptor, status.st_size


def _broken(error: WorkerError, too_costly: str) -> TwitchAudioError:
    if error.cpu_ran_out:
        return no_audio(too_costly)
    _log.error("decoder_failed", extra={"reason": str(error)}, exc_info=error)
    return TwitchAudioError(
        ProblemCode.INTERNAL, "The decoder broke down on this recording, twice. This is a fault of ours."
    )
