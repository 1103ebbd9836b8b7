"""A decoder worker: the program that decodes what strangers sent, locked in its own process.

It is started by `decoder`, with an empty environment. Before the first job it gives up what decoding does not
need: it may open no file and no socket (a limit of no descriptors), write no file, leave no core dump, and use
only so much memory. Each job has a limit of CPU seconds. It ends by itself when its standard input is closed, so
when its parent dies.
"""

import contextlib
import fcntl
import io
import math
import os
import resource
import sys
import time
import wave
from typing import Final

import av.logging

from fingerprint.media.planes import Readable, Stream, UndecodableError, iter_planes
from fingerprint.media.worker_protocol import (
    END,
    FROM_DESCRIPTOR,
    FROM_PIECES,
    JOB,
    MAX_REASON_BYTES,
    NO_AUDIO,
    PIECE,
    PLANES,
    READY,
    REPLY,
    JobHead,
)

_PIPE_BYTES: Final = 1 << 20
_STDIN: Final = 0
_STDOUT: Final = 1


def main() -> None:
    """Serve jobs until standard input ends. The argument is the limit of address space in bytes."""
    replies = os.dup(_STDOUT)
    with contextlib.suppress(OSError, AttributeError):  # a wish: a whole answer fits, so nobody waits for anybody
        fcntl.fcntl(replies, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    # What a library may print goes nowhere instead of into the protocol.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, _STDOUT)
    os.close(nowhere)
    av.logging.set_level(None)
    _warm_up()
    _lock_in(int(sys.argv[-1]))
    try:
        _write(replies, REPLY.pack(READY, 0, 0))
        while _serve(replies):
            pass
    except BrokenPipeError:
        pass  # the parent is gone


def _serve(replies: int) -> bool:
    """One job. False when there will be none."""
    head = _read(JOB.size)
    if head is None:
        return False
    job = JobHead(*JOB.unpack(head))
    container = (_read(job.container_length) or b"").decode("ascii") or None
    _limit_cpu(job.cpu_seconds)
    file: Readable | Stream
    if job.kind == FROM_DESCRIPTOR:
        file = os.fdopen(job.length, "rb", buffering=1 << 16)
    elif job.kind == FROM_PIECES:
        file = _Pieces()
    else:
        encoded = _read(job.length)
        if encoded is None:
            return False
        file = _Bytes(encoded)
    reason = _decode(file, container, job, replies)
    if isinstance(file, io.BufferedReader):
        file.close()
    elif isinstance(file, _Pieces):
        file.drain()
    if reason is None:
        _write(replies, REPLY.pack(END, 0, 0))
    else:
        text = reason.encode("utf-8", "replace")[:MAX_REASON_BYTES]
        _write(replies, REPLY.pack(NO_AUDIO, 0, len(text)) + text)
    return True


def _decode(file: Readable | Stream, container: str | None, job: JobHead, replies: int) -> str | None:
    """Reply with the sound. None when that worked, else the reason why there is none."""
    try:
        for planes in iter_planes(
            file,
            container=container,
            max_seconds=job.max_seconds,
            block_seconds=job.block_seconds,
            mono_beyond_seconds=job.mono_beyond_seconds,
        ):
            _write(replies, REPLY.pack(PLANES, len(planes), len(planes[0])))
            for plane in planes:
                _write(replies, plane)
    except UndecodableError as error:
        return str(error)
    except MemoryError:
        return "decoding it takes more memory than any real sound would"
    return None


def _warm_up() -> None:
    """Decode a moment of silence: loads all that is loaded lazily, while files may still be opened."""
    with io.BytesIO() as silence:
        with wave.open(silence, "wb") as writer:
            writer.setnchannels(2)
            writer.setsampwidth(2)
            writer.setframerate(8_000)
            writer.writeframes(bytes(3_200))
        content = silence.getvalue()
    for _ in iter_planes(_Bytes(content), container="wav", max_seconds=1.0, block_seconds=1.0):
        pass


def _lock_in(address_space: int) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (address_space, address_space))


def _limit_cpu(seconds: int) -> None:
    """The process is killed (SIGXCPU) when this job uses more."""
    used = math.ceil(time.process_time())
    resource.setrlimit(resource.RLIMIT_CPU, (used + seconds, resource.RLIM_INFINITY))


def _read(size: int) -> bytearray | None:
    """Exactly `size` bytes of standard input; None at its end."""
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


def _write(descriptor: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]


class _Bytes:
    """Bytes as a file, without the copy that BytesIO makes."""

    def __init__(self, content: bytes | bytearray) -> None:
        self._content = memoryview(content)
        self._position = 0

    def read(self, size: int = -1, /) -> bytes:
        end = len(self._content) if size < 0 else self._position + size
        piece = bytes(self._content[self._position : end])
        self._position += len(piece)
        return piece

    def seek(self, offset: int, whence: int = 0, /) -> int:
        base = {io.SEEK_CUR: self._position, io.SEEK_END: len(self._content)}.get(whence, 0)
        self._position = min(max(0, base + offset), len(self._content))
        return self._position

    def tell(self) -> int:
        return self._position


class _Pieces:
    """Input that is still coming, as a stream: it can only be read on."""

    def __init__(self) -> None:
        self._content = memoryview(b"")
        self._ended = False

    def read(self, size: int = -1, /) -> bytes:
        """What is left of a piece, or of the next one, up to `size` bytes; empty at the end."""
        if not self._content:
            self._next()
        found = bytes(self._content if size < 0 else self._content[:size])
        self._content = self._content[len(found) :]
        return found

    def drain(self) -> None:
        """Read and forget what is left."""
        while not self._ended:
            self._next()

    def _next(self) -> None:
        if self._ended:
            return
        head = _read(PIECE.size)
        content = None if head is None else _read(*PIECE.unpack(head))
        self._ended = not content
        self._content = memoryview(content or b"")
