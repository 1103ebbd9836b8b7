"""Reads music files for the catalog in sandboxed worker processes: content's digests, fingerprint and tags.

See `worker_pool` for the processes, `fingerprint.index_worker` for what they do, and `index_protocol` for the
bytes. A file that crashes or stalls a decoder is skipped; the others are still read.
"""

import asyncio
import hashlib
import json
import os
import stat
from collections import deque
from collections.abc import Generator, Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from io import BufferedReader
from pathlib import Path
from typing import Final, Protocol

from fingerprint.catalog.fingerprint import NO_FINGERPRINT, TrackFingerprint
from fingerprint.catalog.index_protocol import (
    ARRAY,
    ARRAYS,
    DESCRIBED,
    FOUND,
    MAX_ARRAY_BYTES,
    MAX_HEAD_BYTES,
    UNREADABLE,
    FileDescription,
    decode_description,
    decode_fingerprint,
    decode_head,
)
from fingerprint.catalog.tracker_modules import ModuleError, is_module, render_module
from fingerprint.catalog.tracks import Source
from fingerprint.worker_pool import Worker, WorkerError, WorkerPool, worker_program
from fingerprint.worker_process import JOB

CONTENT_DIGITS: Final = 32

FILE_SECONDS: Final = 900.0
"""The time limit for one file; after it the worker is killed and the file skipped."""

ADDRESS_SPACE_BYTES: Final = 1 << 30

MIN_SECONDS: Final = 1.0
"""Shorter sounds are not indexed, since they could not be recognized."""

POLL_SECONDS: Final = 0.5

WORKER_PROGRAM: Final = worker_program("fingerprint.index_worker", ADDRESS_SPACE_BYTES)


@dataclass(frozen=True, slots=True)
class Read:
    """A file with a recording that was decoded: what is known of it, without its sidecar, and the fingerprint."""

    path: Path
    source: Source
    fingerprint: TrackFingerprint


@dataclass(frozen=True, slots=True)
class Known:
    """A file whose recording is in the catalog already, or is being read from another file.

    `source` has a digest of its content; of its encoded sound and its tags only if it was described.
    """

    path: Path
    source: Source
    was_described: bool = False


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A file or folder that could not be read; `reason` is one sentence.

    `by_choice`: it was left out because of its name or its kind, and nothing failed.
    """

    path: Path
    reason: str
    by_choice: bool = False


FileOutcome = Read | Known | Unreadable


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file to read. `describe`: its tags are wanted even if its content is known."""

    path: Path
    root: str = ""
    describe: bool = False


class Claims(Protocol):
    """Which recordings need no decoding. What is not known is claimed by the file that asks."""

    def content_is_known(self, content: str) -> bool:
        """Whether a file with this content is in the catalog, or is being read."""
        ...

    def sound_is_known(self, sound: str) -> bool:
        """Whether the same encoded sound is in the catalog, or is being read."""
        ...


def read_files(
    files: Iterable[Wanted],
    claims: Claims,
    *,
    workers: int,
    program: Sequence[str] = WORKER_PROGRAM,
    decode: bool = True,
) -> Generator[FileOutcome | None]:
    """The outcome of each file as it completes; None at least every half second while none does.

    Blocks, and cannot be used where an event loop runs. `program` is started instead of the real worker, for
    tests. Without `decode`, new recordings are described only: the outcome is a Read with an empty fingerprint.
    """
    left = deque(files)
    tasks: set[asyncio.Task[FileOutcome]] = set()
    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        stack = AsyncExitStack()
        pool = runner.run(stack.enter_async_context(_pool(program, workers)))
        try:
            while left or tasks:
                while left and len(tasks) < workers:
                    tasks.add(loop.create_task(_read_file(pool, left.popleft(), claims, decode=decode)))
                done = runner.run(_wait(tasks))
                tasks -= done
                if not done:
                    yield None
                for task in done:
                    yield task.result()
        finally:
            runner.run(stack.aclose())


def _pool(program: Sequence[str], workers: int) -> WorkerPool:
    return WorkerPool(program, work="indexed", workers=workers, environment={"OPENBLAS_NUM_THREADS": "1"})


async def _wait(tasks: set[asyncio.Task[FileOutcome]]) -> set[asyncio.Task[FileOutcome]]:
    done, _ = await asyncio.wait(tasks, timeout=POLL_SECONDS, return_when=asyncio.FIRST_COMPLETED)
    return done


async def _read_file(pool: WorkerPool, wanted: Wanted, claims: Claims, *, decode: bool) -> FileOutcome:
    path = wanted.path
    try:
        with await asyncio.to_thread(_open, path) as file:
            content = await asyncio.to_thread(content_digest, file)
            status = os.fstat(file.fileno())
            source = Source(
                path=str(path),
                root=wanted.root,
                size=status.st_size,
                modified_ns=status.st_mtime_ns,
                changed_ns=status.st_ctime_ns,
                inode=status.st_ino,
                content=content,
            )
            known = claims.content_is_known(content)
            if known and not wanted.describe:
                return Known(path, source)
            if await asyncio.to_thread(is_module, file):
                with await render_module(file) as sound:
                    return await _index(pool, sound, source, claims, known=known, decode=decode)
            return await _index(pool, file, source, claims, known=known, decode=decode)
    except ModuleError as error:
        return Unreadable(path, str(error), by_choice=error.by_choice)
    except OSError as error:
        return Unreadable(path, f"it cannot be read: {error.strerror}")


async def _index(
    pool: WorkerPool, file: BufferedReader, source: Source, claims: Claims, *, known: bool, decode: bool
) -> FileOutcome:
    path = Path(source.path)
    size = os.fstat(file.fileno()).st_size

    async def serve(worker: Worker) -> FileOutcome:
        answer = await _ask(worker, file, path, size, decode=False)
        if isinstance(answer, str):
            return Unreadable(path, answer)
        assert isinstance(answer, FileDescription)
        described = replace(source, sound=answer.sound, tags=answer.tags)
        if known or (answer.sound and claims.sound_is_known(answer.sound)):
            return Known(path, described, was_described=True)
        if not decode:
            if not answer.sound:
                return Unreadable(path, "this is not an audio or video file we can read")
            return Read(path, described, NO_FINGERPRINT)
        found = await _ask(worker, file, path, size, decode=True)
        if isinstance(found, str):
            return Unreadable(path, found)
        assert isinstance(found, TrackFingerprint)
        return _indexable(path, described, found)

    try:
        return await pool.run(serve, wall_seconds=FILE_SECONDS, attempts=1)
    except WorkerError as error:
        if error.cpu_ran_out or error.timed_out:
            return Unreadable(path, f"reading it took longer than {FILE_SECONDS / 60:.0f} minutes")
        return Unreadable(path, "reading it crashed the decoder")


def _indexable(path: Path, source: Source, fingerprint: TrackFingerprint) -> Read | Unreadable:
    if fingerprint.duration_seconds < MIN_SECONDS:
        return Unreadable(path, f"it holds {fingerprint.duration_seconds:.1f} s of sound, too little to recognize")
    if not len(fingerprint.hashes):
        return Unreadable(path, "it is silent")
    return Read(path, source, fingerprint)


async def _ask(
    worker: Worker, file: BufferedReader, path: Path, size: int, *, decode: bool
) -> TrackFingerprint | FileDescription | str:
    job = {"cpu_seconds": int(FILE_SECONDS), "size": size, "name": path.name, "decode": decode}
    worker.send(JOB, json.dumps(job).encode("utf-8", "surrogatepass"))
    return await _receive(worker, file.fileno())


async def _receive(worker: Worker, descriptor: int) -> TrackFingerprint | FileDescription | str:
    """Read the answer to one job, validating all of it; a text says why the file cannot be indexed.

    Raises WorkerError, and IncompleteReadError when the worker ends.
    """
    kind, head = await worker.receive(descriptor=descriptor, max_bytes=MAX_HEAD_BYTES)
    if kind == UNREADABLE:
        return head.decode("utf-8", "replace")
    arrays: list[bytes] = []
    for _ in ARRAYS if kind == FOUND else ():
        kind, content = await worker.receive(max_bytes=MAX_ARRAY_BYTES)
        arrays += [content] if kind == ARRAY else []
    try:
        if kind == DESCRIBED:
            return decode_description(head)
        found = decode_head(head)
        return decode_fingerprint(arrays, frames=found.frames, duration_seconds=found.duration_seconds)
    except ValueError as error:
        raise WorkerError("it answered nonsense") from error


def _open(path: Path) -> BufferedReader:
    """Opens a regular file for reading. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # so that opening a FIFO does not block
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(0, "it is not a regular file")
    return open(descriptor, "rb")  # noqa: PTH123 - of a descriptor


def content_digest(file: BufferedReader) -> str:
    """A digest of a file's content, 32 hex digits. Raises OSError."""
    return hashlib.file_digest(file, "sha256").hexdigest()[:CONTENT_DIGITS]
