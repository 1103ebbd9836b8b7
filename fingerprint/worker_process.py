"""The worker's side of `worker_pool`: how a worker process talks to its parent, and the limits it puts on itself.

Standard library only, so that a worker starts fast. Everything on the two pipes is a frame, in both directions:
kind u8, length u32 (big-endian), then `length` bytes. Kinds below 16 have the same meaning in every program:

    1 READY     from the worker, once, before its first job
    2 JOB       to the worker: a job begins; the bytes are the program's own
    3 CONTENT   to the worker: input of the job, or the bytes requested with READ
    4 READ      from the worker: offset u64, size u32; the parent answers with CONTENT from the job's file

The last frame of a job's answer comes after all of the job's input was read.
"""

import contextlib
import ctypes
import fcntl
import gc
import io
import math
import os
import resource
import select
import struct
import sys
import time
from collections.abc import Callable
from typing import Final

READY: Final = 1
JOB: Final = 2
CONTENT: Final = 3
READ: Final = 4

HEAD: Final = struct.Struct("!BI")
RANGE: Final = struct.Struct("!QI")

READ_BYTES: Final = 1 << 18
"""How many bytes of a file are requested at once."""

_PIPE_BYTES: Final = 1 << 20
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # numbers of malloc.h
_STDIN: Final = 0
_STDOUT: Final = 1


class ParentPipe:
    """Exchanges frames with the parent. Anything else that this process prints does not reach it."""

    def __init__(self) -> None:
        self._replies = os.dup(_STDOUT)
        with contextlib.suppress(OSError, AttributeError):  # only saves waiting: a whole answer fits
            fcntl.fcntl(self._replies, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, _STDOUT)
        os.close(nowhere)

    def receive(self) -> tuple[int, bytearray] | None:
        """The kind and the bytes of the next frame; None when the parent has closed the pipe, or died."""
        head = _read(HEAD.size)
        if head is None:
            return None
        kind, length = HEAD.unpack(head)
        content = _read(length)
        return None if content is None else (kind, content)

    @staticmethod
    def has_more() -> bool:
        """Whether the next frame, or the end, has begun to come."""
        return bool(select.select([_STDIN], [], [], 0)[0])

    def content(self) -> bytearray:
        """The bytes of the next frame; empty when the parent has exited."""
        frame = self.receive()
        return bytearray() if frame is None else frame[1]

    def send(self, kind: int, *parts: bytes | memoryview) -> None:
        """Send one frame with all parts. Raises BrokenPipeError when the parent has exited."""
        self._write(HEAD.pack(kind, sum(len(part) for part in parts)))
        for part in parts:
            self._write(part)

    def _write(self, content: bytes | memoryview) -> None:
        view = memoryview(content)
        while view:
            view = view[os.write(self._replies, view) :]


class _ParentFile(io.RawIOBase):
    """`size` bytes of the job's file from `start` on. The parent holds it open: each read is a request to it."""

    def __init__(self, pipe: ParentPipe, size: int, start: int) -> None:
        self._pipe = pipe
        self._size = size
        self._start = start
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # pyright: ignore[reportIncompatibleMethodOverride] - bytes-like is what BufferedReader gives
        wanted = min(len(buffer), max(0, self._size - self._position))
        if not wanted:
            return 0
        self._pipe.send(READ, RANGE.pack(self._start + self._position, wanted))
        content = self._pipe.content()
        buffer[: len(content)] = content
        self._position += len(content)
        return len(content)

    def seek(self, offset: int, whence: int = 0, /) -> int:
        base = {io.SEEK_CUR: self._position, io.SEEK_END: self._size}.get(whence, 0)
        self._position = max(0, base + offset)
        return self._position

    def tell(self) -> int:
        return self._position


def open_parent_file(pipe: ParentPipe, size: int, start: int = 0) -> io.BufferedReader:
    """Opens `size` bytes of the job's file, from `start` on, for reading `READ_BYTES` at a time."""
    return io.BufferedReader(_ParentFile(pipe, size, start), READ_BYTES)


def keep_freed_memory(*, block_bytes: int = 32 << 20, total_bytes: int = 128 << 20) -> None:
    """Let freed memory be used again, instead of given back to the system and asked for again, page by page.

    For a program that needs large arrays for each job: where pages are dear, as in virtual machines, they are a
    tenth of its time and more. Larger arrays than `block_bytes` are given back all the same, and what is free
    beyond `total_bytes`. Only the GNU C library has this; elsewhere nothing happens (see `man 3 mallopt`).
    """
    with contextlib.suppress(OSError, AttributeError):
        library = ctypes.CDLL(None)
        library.mallopt(_MMAP_THRESHOLD, block_bytes)
        library.mallopt(_TRIM_THRESHOLD, total_bytes)


def serve_jobs(
    do: Callable[[ParentPipe, bytearray], None], *, warm_up: Callable[[], None], lock_in: Callable[[], None]
) -> None:
    """Run a worker: load what jobs need, give up rights, then run jobs until the parent closes the pipe."""
    pipe = ParentPipe()
    warm_up()
    gc.freeze()  # what is loaded now stays, and need not be looked at again
    lock_in()
    with contextlib.suppress(BrokenPipeError):  # the parent is gone
        pipe.send(READY)
        while (frame := pipe.receive()) is not None:
            do(pipe, frame[1])


def lock_in_sandbox(address_space_bytes: int) -> None:
    """Prevent this process from opening any file or socket from now on, and limit its memory.

    For programs that read untrusted data: they have the pipes to the parent and nothing else.
    """
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_NOFILE, 0)
    _limit(resource.RLIMIT_AS, address_space_bytes)


def limit_memory(data_bytes: int) -> None:
    """Prevent this process from writing files from now on, and limit its memory; mapped files do not count."""
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_DATA, data_bytes)


def limit_cpu(seconds: int) -> None:
    """Have the process killed (SIGXCPU) once it uses this many more seconds of CPU."""
    used = math.ceil(time.process_time())
    resource.setrlimit(resource.RLIMIT_CPU, (used + seconds, resource.RLIM_INFINITY))


def number_argument() -> int:
    """The last command-line argument of this program, a whole number."""
    return int(sys.argv[-1])


def _limit(what: int, value: int) -> None:
    resource.setrlimit(what, (value, value))


def _read(size: int) -> bytearray | None:
    """Exactly `size` bytes of standard input, or None at its end."""
    content = bytearray(size)
    view = memoryview(content)
    filled = 0
    while filled < size:
        count = os.readv(_STDIN, [view[filled:]])
        if count == 0:
            return None
        filled += count
    view.release()
    return content
