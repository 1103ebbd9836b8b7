"""Reads music files for the catalog in sandboxed worker processes: the content's id, fingerprint and tags.

See `worker_pool` for the processes, `fingerprint.index_worker` for what they do, and `index_protocol` for the
bytes. A file that crashes or stalls a decoder is skipped; the others are still read.
"""

import asyncio
import hashlib
import json
import os
import stat
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Final

from fingerprint.catalog.fingerprint import TrackFingerprint
from fingerprint.catalog.index_protocol import (
    ARRAY,
    ARRAYS,
    FOUND,
    MAX_ARRAY_BYTES,
    MAX_HEAD_BYTES,
    UNREADABLE,
    decode_fingerprint,
    decode_head,
)
from fingerprint.catalog.tags import Tags, title_from_name
from fingerprint.catalog.tracks import Track
from fingerprint.worker_pool import Worker, WorkerError, WorkerPool, worker_program
from fingerprint.worker_process import JOB

ID_DIGITS: Final = 12

FILE_SECONDS: Final = 900.0
"""The time limit for one file; after it the worker is killed and the file skipped."""

ADDRESS_SPACE_BYTES: Final = 1 << 30

MIN_SECONDS: Final = 1.0
"""Shorter sounds are not indexed, since they could not be recognized."""

POLL_SECONDS: Final = 0.5

WORKER_PROGRAM: Final = worker_program("fingerprint.index_worker", ADDRESS_SPACE_BYTES)


@dataclass(frozen=True, slots=True)
class Read:
    """A file that was read: its track and fingerprint."""

    path: Path
    track: Track
    fingerprint: TrackFingerprint


@dataclass(frozen=True, slots=True)
class Known:
    """A file whose content is already in the catalog."""

    path: Path
    track_id: str


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A file that could not be read; `reason` is one sentence."""

    path: Path
    reason: str


FileOutcome = Read | Known | Unreadable


def read_files(
    paths: Iterable[Path],
    is_known: Callable[[str], bool],
    *,
    workers: int,
    program: Sequence[str] = WORKER_PROGRAM,
) -> Generator[FileOutcome | None]:
    """The outcome of each file as it completes; None at least every half second while none does.

    `is_known` tells whether a content's id is in the catalog already, and is asked before a file is decoded.
    Blocks, and cannot be used where an event loop runs. `program` is started instead of the real worker, for
    tests.
    """
    left = deque(paths)
    tasks: set[asyncio.Task[FileOutcome]] = set()
    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        stack = AsyncExitStack()
        pool = runner.run(stack.enter_async_context(_pool(program, workers)))
        try:
            while left or tasks:
                while left and len(tasks) < workers:
                    tasks.add(loop.create_task(_read_file(pool, left.popleft(), is_known)))
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


async def _read_file(pool: WorkerPool, path: Path, is_known: Callable[[str], bool]) -> FileOutcome:
    try:
        with await asyncio.to_thread(_open, path) as file:
            track_id = await asyncio.to_thread(content_id, file)
            if is_known(track_id):
                return Known(path, track_id)
            return await _index(pool, path, file, track_id)
    except OSError as error:
        return Unreadable(path, f"it cannot be read: {error.strerror}")


async def _index(pool: WorkerPool, path: Path, file: BufferedReader, track_id: str) -> FileOutcome:
    status = os.fstat(file.fileno())
    job = json.dumps({"cpu_seconds": int(FILE_SECONDS), "size": status.st_size, "name": path.name})

    async def serve(worker: Worker) -> tuple[TrackFingerprint, Tags] | str:
        worker.send(JOB, job.encode("utf-8", "surrogatepass"))
        return await _receive(worker, file.fileno())

    try:
        found = await pool.run(serve, wall_seconds=FILE_SECONDS, attempts=1)
    except WorkerError as error:
        if error.cpu_ran_out or error.timed_out:
            return Unreadable(path, f"reading it took longer than {FILE_SECONDS / 60:.0f} minutes")
        return Unreadable(path, "reading it crashed the decoder")
    if isinstance(found, str):
        return Unreadable(path, found)
    fingerprint, tags = found
    if fingerprint.duration_seconds < MIN_SECONDS:
        return Unreadable(path, f"it holds {fingerprint.duration_seconds:.1f} s of sound, too little to recognize")
    if not len(fingerprint.hashes):
        return Unreadable(path, "it is silent")
    track = Track(
        id=track_id,
        title=tags.title or title_from_name(path),
        **tags.metadata,
        duration_seconds=fingerprint.duration_seconds,
        path=str(path),
        size=status.st_size,
        modified_ns=status.st_mtime_ns,
    )
    return Read(path, track, fingerprint)


async def _receive(worker: Worker, descriptor: int) -> tuple[TrackFingerprint, Tags] | str:
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
        found = decode_head(head)
        fingerprint = decode_fingerprint(arrays, frames=found.frames, duration_seconds=found.duration_seconds)
    except ValueError as error:
        raise WorkerError("it answered nonsense") from error
    return fingerprint, found.tags


def _open(path: Path) -> BufferedReader:
    """Opens a regular file for reading. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # so that opening a FIFO does not block
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(0, "it is not a file")
    return open(descriptor, "rb")  # noqa: PTH123 - of a descriptor


def content_id(file: BufferedReader) -> str:
    """The id of a file's content. Raises OSError."""
    return hashlib.file_digest(file, "sha256").hexdigest()[:ID_DIGITS]
