"""A decoder's worker process, seen from the parent: what it may take, what it is told, and what it answers.

See `decoder_worker` for what a worker may not do and `worker_protocol` for the bytes.
"""

import asyncio
import importlib.util
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from fingerprint.domain.audio import SAMPLE_RATE
from fingerprint.media.pcm import no_audio
from fingerprint.media.worker_protocol import (
    END,
    FROM_BYTES,
    FROM_DESCRIPTOR,
    FROM_PIECES,
    JOB,
    MAX_REASON_BYTES,
    NO_AUDIO,
    PIECE,
    PLANES,
    REPLY,
    JobHead,
)

MONO_BEYOND_SECONDS: Final = 900.0
BLOCK_SECONDS: Final = 30.0
_PIPE_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class DecoderLimits:
    """What one job may take. CPU runs out before the wall limit, so that a costly input is told from a hang.

    `ahead_wall_seconds`: for a job whose input is still coming; its last piece included.
    """

    wall_seconds: float = 5.0
    cpu_seconds: int = 4
    file_wall_seconds: float = 300.0
    file_cpu_seconds: int = 240
    address_space_bytes: int = 320 << 20
    start_seconds: float = 20.0
    ahead_wall_seconds: float = 20.0
    waiting: int = 200
    jobs_of_a_worker: int = 2_000


class WorkerError(Exception):
    """A worker crashed, hung or answered nonsense; the text says which, for the log."""

    def __init__(self, reason: str, *, cpu_ran_out: bool = False) -> None:
        super().__init__(reason)
        self.cpu_ran_out = cpu_ran_out


class Worker(asyncio.SubprocessProtocol):
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
        """It runs."""
        assert isinstance(transport, asyncio.SubprocessTransport)
        self._transport = transport

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """It says something."""
        if fd == 1:
            self.replies.feed_data(data)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        """It says nothing more."""
        if fd == 1:
            self.replies.feed_eof()

    def process_exited(self) -> None:
        """It has ended."""
        self.replies.feed_eof()
        self.exited.set()


@dataclass(frozen=True, slots=True)
class Job:
    """What to decode: bytes, a file descriptor that the worker inherits, or, with neither, pieces that follow."""

    container: str | None
    max_seconds: float
    encoded: bytes | None = field(repr=False, default=None)
    descriptor: int | None = None

    @property
    def in_pieces(self) -> bool:
        """Whether the input is sent piece by piece, while the job runs."""
        return self.encoded is None and self.descriptor is None

    def head(self, cpu_seconds: int) -> bytes:
        """What the worker is told first."""
        name = (self.container or "").encode("ascii")
        kind, length = FROM_PIECES, 0
        if self.descriptor is not None:
            kind, length = FROM_DESCRIPTOR, self.descriptor
        elif self.encoded is not None:
            kind, length = FROM_BYTES, len(self.encoded)
        return (
            JOB.pack(
                *JobHead(
                    kind=kind,
                    container_length=len(name),
                    cpu_seconds=cpu_seconds,
                    max_seconds=self.max_seconds,
                    block_seconds=BLOCK_SECONDS,
                    mono_beyond_seconds=MONO_BEYOND_SECONDS,
                    length=length,
                )
            )
            + name
        )


def piece(content: bytes) -> tuple[bytes, bytes]:
    """One piece of a job's input as it is sent; an empty one is the last."""
    return PIECE.pack(len(content)), content


async def read_blocks(replies: asyncio.StreamReader, max_seconds: float) -> Sequence[tuple[bytes, ...]]:
    """Read the replies to one job, believing nothing.

    Raises TwitchAudioError `no-audio`, WorkerError, and IncompleteReadError when the worker ends.
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
                    raise WorkerError("it answered nonsense")
                blocks.append(tuple([await replies.readexactly(length) for _ in range(channels)]))
            case _ if kind == END and blocks:
                return blocks
            case _ if kind == NO_AUDIO and length <= MAX_REASON_BYTES:
                raise no_audio((await replies.readexactly(length)).decode("utf-8", "replace"))
            case _:
                raise WorkerError("it answered nonsense")


def worker_program(address_space_bytes: int) -> tuple[str, ...]:
    """How to start a worker: isolated Python, no site packages but the place where PyAV is."""
    av = importlib.util.find_spec("av")
    if av is None or av.origin is None:
        raise WorkerError("PyAV is not installed")
    paths = (str(Path(__file__).parents[2]), str(Path(av.origin).parents[1]))
    program = "import sys; sys.path[:0] = sys.argv[1:3]; from fingerprint.media.decoder_worker import main; main()"
    return sys.executable, "-I", "-S", "-c", program, *paths, str(address_space_bytes)
