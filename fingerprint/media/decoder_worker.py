"""The worker process that decodes untrusted media: see `decoder` for its parent, and `worker_process`.

Before the first job it drops the rights that decoding does not need: it may open no file and no socket, write no
file and leave no core dump, and its memory is limited. Each job has a limit of CPU seconds.
"""

import io
import wave
from typing import Final

import av.logging

from fingerprint.media.decoder_protocol import (
    END,
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
from fingerprint.media.planes import Readable, Stream, UndecodableError, iter_planes
from fingerprint.worker_process import (
    ParentPipe,
    limit_cpu,
    lock_in_sandbox,
    number_argument,
    open_parent_file,
    serve_jobs,
)

TOO_LARGE: Final = "decoding it takes more memory than any real sound would"


def main() -> None:
    """Serve jobs until the parent ends. The argument is the limit of address space in bytes."""
    serve_jobs(_serve, warm_up=warm_up_decoder, lock_in=lambda: lock_in_sandbox(number_argument()))


def warm_up_decoder() -> None:
    """Decode a moment of silence, to load every lazily loaded library while files may still be opened."""
    av.logging.set_level(None)
    with io.BytesIO() as silence:
        with wave.open(silence, "wb") as writer:
            writer.setnchannels(2)
            writer.setsampwidth(2)
            writer.setframerate(8_000)
            writer.writeframes(bytes(3_200))
        content = silence.getvalue()
    for _ in iter_planes(_Bytes(content), container="wav", max_seconds=1.0, block_seconds=1.0):
        pass


def _serve(pipe: ParentPipe, content: bytearray) -> None:
    job = JobHead(*JOB_HEAD.unpack_from(content))
    container = content[JOB_HEAD.size :].decode("ascii") or None
    limit_cpu(job.cpu_seconds)
    if job.source == FROM_PIECES:
        pieces = _Pieces(pipe)
        reason = _decode(pipe, pieces, container, job)
        pieces.drain()
    elif job.source == FROM_FILE:
        reason = _decode(pipe, open_parent_file(pipe, job.size), container, job)
    else:
        reason = _decode(pipe, _Bytes(pipe.content()), container, job)
    if reason is None:
        pipe.send(END)
    else:
        pipe.send(NO_AUDIO, reason.encode("utf-8", "replace")[:MAX_REASON_BYTES])


def _decode(pipe: ParentPipe, file: Readable | Stream, container: str | None, job: JobHead) -> str | None:
    """Send the decoded sound. Returns None on success, otherwise the reason why there is none."""
    marks = 0

    def on_mark(mark: Mark) -> None:
        nonlocal marks
        marks += 1
        if marks <= MAX_MARKS:
            pipe.send(MARKED, MARK_FRAME.pack(*mark))

    try:
        for planes in iter_planes(
            file,
            container=container,
            max_seconds=job.max_seconds,
            block_seconds=job.block_seconds,
            mono_beyond_seconds=job.mono_beyond_seconds,
            on_mark=on_mark,
        ):
            pipe.send(MONO if len(planes) == 1 else STEREO, *planes)
    except UndecodableError as error:
        return str(error)
    except MemoryError:
        return TOO_LARGE
    return None


class _Bytes:
    """A read-only file over bytes, without the copy that BytesIO makes."""

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
    """Input that is still being received, as a stream that cannot seek."""

    def __init__(self, pipe: ParentPipe) -> None:
        self._pipe = pipe
        self._content = memoryview(b"")
        self._ended = False

    def read(self, size: int = -1, /) -> bytes:
        """The rest of a piece, or of the next one, up to `size` bytes; empty at the end."""
        if not self._content:
            self._next()
        found = bytes(self._content if size < 0 else self._content[:size])
        self._content = self._content[len(found) :]
        return found

    def drain(self) -> None:
        """Read and discard the rest of the input."""
        while not self._ended:
            self._next()

    def _next(self) -> None:
        if not self._ended:
            self._content = memoryview(self._pipe.content())
            self._ended = not self._content
