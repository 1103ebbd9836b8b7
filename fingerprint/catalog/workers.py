"""Worker processes that read files. A file that crashes or stalls a decoder costs that file, not the run."""

import contextlib
import hashlib
import multiprocessing
import signal
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnContext, SpawnProcess
from pathlib import Path
from typing import Final, Literal, cast

from fingerprint.catalog.fingerprint import TrackFingerprint, fingerprint_track
from fingerprint.catalog.parameters import Parameters
from fingerprint.catalog.tags import read_tags, title_from_name
from fingerprint.catalog.tracks import Track
from fingerprint.domain.audio import Pcm
from fingerprint.domain.problems import TwitchAudioError

DecodeBlocks = Callable[[Path], Iterable[Pcm]]
"""Decodes a file, block by block; raises TwitchAudioError for a file that it cannot read. Must be picklable."""

ID_DIGITS: Final = 12
FILE_SECONDS: Final = 900.0
"""How long a worker may be busy with one file before it is given up."""

MIN_SECONDS: Final = 1.0
"""Shorter sounds are not indexed: nothing could be recognized by them."""


@dataclass(frozen=True, slots=True)
class Read:
    """A file was read."""

    path: Path
    track: Track
    fingerprint: TrackFingerprint


@dataclass(frozen=True, slots=True)
class Known:
    """A file whose content is in the catalog already."""

    path: Path
    track_id: str


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A file that could not be read; `reason` is one sentence."""

    path: Path
    reason: str


FileOutcome = Read | Known | Unreadable
_Message = tuple[Literal["id"], str] | tuple[Literal["outcome"], FileOutcome]


def file_id(path: Path) -> str:
    """The id of a file's content. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:ID_DIGITS]


def read_file(path: Path, track_id: str, decode: DecodeBlocks, parameters: Parameters) -> FileOutcome:
    """Decode and fingerprint one file."""
    status = path.stat()
    try:
        fingerprint = fingerprint_track(decode(path), parameters)
    except TwitchAudioError as error:
        return Unreadable(path, error.detail)
    if fingerprint.duration_seconds < MIN_SECONDS:
        return Unreadable(path, f"it holds {fingerprint.duration_seconds:.1f} s of sound, too little to recognize")
    if not len(fingerprint.hashes):
        return Unreadable(path, "it is silent")
    tags = read_tags(path)
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


def _work(pipe: Connection, decode: DecodeBlocks, parameters: Parameters) -> None:
    """A worker: gets a path, says the file's id, and when it is told to go on, reads the file."""
    # Ctrl-C reaches the whole process group; the parent decides what becomes of the workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(EOFError, BrokenPipeError):  # the parent has gone, however it went
        while True:
            path = cast("Path", pipe.recv())
            try:
                track_id = file_id(path)
                pipe.send(("id", track_id))
                if pipe.recv():
                    pipe.send(("outcome", read_file(path, track_id, decode, parameters)))
            except OSError as error:
                if isinstance(error, BrokenPipeError):
                    raise
                pipe.send(("outcome", Unreadable(path, f"it cannot be read: {error.strerror}")))
            except (ValueError, ArithmeticError, MemoryError) as error:
                pipe.send(("outcome", Unreadable(path, f"it cannot be fingerprinted: {error}")))


class _Worker:
    """A worker process as its parent sees it."""

    def __init__(self, context: SpawnContext, decode: DecodeBlocks, parameters: Parameters) -> None:
        self.pipe, theirs = context.Pipe()
        self.process: SpawnProcess = context.Process(target=_work, args=(theirs, decode, parameters), daemon=True)
        self.process.start()
        theirs.close()
        self.path: Path | None = None
        self.deadline = 0.0

    def give(self, path: Path) -> None:
        self.path = path
        self.deadline = time.monotonic() + FILE_SECONDS
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # then it is dead, and found so by `wait`
            self.pipe.send(path)

    def end(self) -> None:
        self.process.kill()
        self.process.join()
        self.process.close()
        self.pipe.close()


class WorkerPool:
    """Reads files in worker processes, as many at a time as there are workers. A context manager."""

    def __init__(self, decode: DecodeBlocks, parameters: Parameters, *, workers: int) -> None:
        self._decode = decode
        self._parameters = parameters
        self._context = multiprocessing.get_context("spawn")
        self._limit = max(1, workers)
        self._workers: list[_Worker] = []

    def __enter__(self) -> "WorkerPool":
        return self

    def __exit__(self, *_: object) -> None:
        while self._workers:
            self._workers.pop().end()

    def read(self, paths: Iterable[Path], known: Callable[[str], bool]) -> Iterator[FileOutcome | None]:
        """What became of each file, as it is done; None at least every half second when nothing is.

        `known` tells whether a content's id is in the catalog already, and is asked before a file is decoded.
        """
        waiting = deque(paths)
        while waiting or any(worker.path for worker in self._workers):
            self._assign(waiting)
            busy = {worker.pipe: worker for worker in self._workers if worker.path}
            ready = wait(list(busy), timeout=0.5)
            if not ready:
                yield None
            for pipe in ready:
                worker = busy[cast("Connection", pipe)]
                outcome = self._receive(worker, known)
                if outcome is not None:
                    yield outcome
            for worker in [worker for worker in self._workers if worker.path]:
                if time.monotonic() > worker.deadline:
                    yield self._lose(worker, f"reading it took longer than {FILE_SECONDS / 60:.0f} minutes")

    def _assign(self, waiting: deque[Path]) -> None:
        idle = [worker for worker in self._workers if worker.path is None]
        while waiting and (idle or len(self._workers) < self._limit):
            if idle:
                worker = idle.pop()
            else:
                worker = _Worker(self._context, self._decode, self._parameters)
                self._workers.append(worker)
            worker.give(waiting.popleft())

    def _receive(self, worker: _Worker, known: Callable[[str], bool]) -> FileOutcome | None:
        path = worker.path
        assert path is not None
        try:
            kind, value = cast("_Message", worker.pipe.recv())
            if kind == "id":
                track_id = cast("str", value)
                if known(track_id):
                    worker.pipe.send(False)  # noqa: FBT003 - the message is the boolean
                    worker.path = None
                    return Known(path, track_id)
                worker.pipe.send(True)  # noqa: FBT003 - likewise
                return None
        except (EOFError, ConnectionResetError, BrokenPipeError):
            return self._lose(worker, "reading it crashed the decoder")
        worker.path = None
        return cast("FileOutcome", value)

    def _lose(self, worker: _Worker, reason: str) -> Unreadable:
        """End a worker that crashed or stalled; the next file gets a new one."""
        path = worker.path
        assert path is not None
        self._workers.remove(worker)
        worker.end()
        return Unreadable(path, reason)
