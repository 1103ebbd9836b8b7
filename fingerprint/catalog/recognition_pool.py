"""Recognizes songs by a catalog in worker processes, so that the event loop is not delayed.

See `worker_pool` for the processes, `recognition_worker` for what they do, and `recognition_protocol` for the
bytes.
"""

import asyncio
import json
import os
import time
from pathlib import Path
from typing import Final, Self

import msgspec
import numpy as np

from fingerprint.catalog import numpy_features
from fingerprint.catalog.examination import Finding
from fingerprint.catalog.fingerprinting_ahead import FingerprintingAhead, Running
from fingerprint.catalog.manifest import MANIFEST_NAME, read_manifest
from fingerprint.catalog.problems import DamagedCatalogError
from fingerprint.catalog.query_print import MAX_PRINT_SECONDS
from fingerprint.catalog.recognition_protocol import (
    AHEAD,
    FAILED,
    FOUND,
    PREPARED,
    failure_decoder,
    findings_decoder,
)
from fingerprint.catalog.segment_layout import check_length
from fingerprint.domain.audio import Pcm
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.worker_pool import Worker, WorkerError, WorkerPool, worker_program
from fingerprint.worker_process import CONTENT, JOB

JOB_SECONDS: Final = 60.0
"""How long a worker may be busy with a recording, and for each second of a long one:"""

JOB_SECONDS_PER_SECOND: Final = 1.0

AHEAD_SECONDS: Final = 30.0
"""How long sound that a worker fingerprints ahead may be coming; its decoding ends before."""

KNOWN_SECONDS: Final = 1.0
"""How long a catalog counts as there after it was seen: a question asks twice."""

MEMORY_BYTES: Final = 4 << 30
"""The memory that a worker may allocate, without the mapped catalog."""

ENVIRONMENT: Final = {
    "OPENBLAS_NUM_THREADS": "1",
    "MALLOC_MMAP_THRESHOLD_": str(64 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(128 << 20),
}
"""Workers keep freed memory for the next recording: getting it from the system again costs 4 ms each time."""

PendingFindings = asyncio.Task[list[Finding]]
"""The task of a worker process that recognizes a recording."""


class RecognitionPool(WorkerPool):
    """Recognizes by the catalogs in some folders. An async context manager; leaving it ends every worker.

    Workers are started ahead if there is a catalog, otherwise with the first recording.
    """

    def __init__(self, *directories: Path, workers: int | None = None) -> None:
        names = json.dumps([os.fspath(directory) for directory in directories])
        program = worker_program("fingerprint.catalog.recognition_worker", names, MEMORY_BYTES)
        environment = ENVIRONMENT | numpy_features.HERE
        super().__init__(program, work="recognized", workers=workers, environment=environment)
        self._directories = directories
        self._started_workers = False
        self._known_until = 0.0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._queries: set[PendingFindings] = set()
        self._ahead: set[FingerprintingAhead] = set()

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        if await self.has_catalog():
            self._start_once()
        return self

    async def __aexit__(self, *error: object) -> None:
        for query in self._queries:
            query.cancel()
        await super().__aexit__(None, None, None)
        await asyncio.gather(*self._queries, return_exceptions=True)

    def hear_ahead(self) -> FingerprintingAhead:
        """Begin to fingerprint a sound, the first take of a question, that is still being decoded.

        It occupies a worker meanwhile, but only if another one is idle. `prepare` of the finished sound goes on
        from there.
        """
        return FingerprintingAhead(self._begin_ahead, self._ahead.discard)

    def _begin_ahead(self, ahead: FingerprintingAhead, channels: int) -> Running | None:
        running = self.run_on_spare(
            lambda worker: self._answer(worker, ahead.prepared), wall_seconds=AHEAD_SECONDS + JOB_SECONDS
        )
        if running is not None:
            worker, task = running
            worker.send(JOB, bytes([channels, 1, AHEAD]))
            task.add_done_callback(lambda _: ahead.prepared.set())
            self._ahead.add(ahead)
        return running

    def prepare(self, pcm: Pcm, *, take: int = 1) -> PendingFindings:
        """Give a recording to a worker, and return when it is fingerprinted. Blocks: call it in a thread.

        `take`: which one of a question's takes it is. A sound that was heard ahead is not given once more.
        """
        assert self._loop is not None, "the pool is entered first"
        return asyncio.run_coroutine_threadsafe(self._begin_query(pcm, take), self._loop).result()

    async def findings(self, query: PendingFindings) -> list[Finding]:
        """The songs found, surest first. When this is cancelled, so is the work.

        Raises TwitchAudioError: `recognizer-unavailable` when the catalog cannot be used, `busy` when too many
        recordings wait or the pool is closed, `internal` when two workers crashed.
        """
        try:
            return await query
        except asyncio.CancelledError:
            current = asyncio.current_task()
            if current is not None and current.cancelling():
                raise
            raise TwitchAudioError(ProblemCode.BUSY, "The server is stopping.", retry_after_seconds=5.0) from None
        except WorkerError as error:
            detail = "The recognizer broke down on this recording, twice. This is a fault of ours."
            raise TwitchAudioError(ProblemCode.INTERNAL, detail) from error

    async def print_findings(self, fingerprint: bytes) -> list[Finding]:
        """The songs found by the fingerprint of a short sound. Raises as `findings` does."""
        self._start_once()
        head, prepared = bytes([0, 1]), asyncio.Event()
        query = asyncio.create_task(self._found(head, fingerprint, MAX_PRINT_SECONDS, prepared))
        self._queries.add(query)
        query.add_done_callback(self._done)
        try:
            return await self.findings(query)
        finally:
            query.cancel()

    async def has_catalog(self) -> bool:
        """Whether there is a catalog in one of the folders; one that was there a moment ago is not looked for."""
        if time.monotonic() >= self._known_until:
            if not await asyncio.to_thread(self._has_catalog):
                return False
            self._known_until = time.monotonic() + KNOWN_SECONDS
        return True

    def _has_catalog(self) -> bool:
        return any((directory / MANIFEST_NAME).exists() for directory in self._directories)

    async def check_files(self) -> None:
        """The index files are as long as they were written: workers have them in memory, and would read nothing.

        Raises CatalogError, which names one that was cut off or is missing.
        """
        await asyncio.to_thread(self._check_files)

    def _check_files(self) -> None:
        for directory in self._directories:
            manifest = read_manifest(directory)
            for entry in manifest.segments:
                try:
                    check_length(directory / entry.file)
                except FileNotFoundError as error:
                    if read_manifest(directory) == manifest:  # otherwise it was replaced meanwhile
                        raise DamagedCatalogError(f"{directory / entry.file} is missing") from error

    def _start_once(self) -> None:
        if not self._started_workers:
            self._started_workers = True
            self.start_workers()

    async def _begin_query(self, pcm: Pcm, take: int) -> PendingFindings:
        self._start_once()
        prepared = asyncio.Event()
        query = asyncio.create_task(self._identify(pcm, take, prepared))
        self._queries.add(query)
        query.add_done_callback(self._done)
        query.add_done_callback(lambda _: prepared.set())
        await prepared.wait()
        return query

    def _done(self, query: PendingFindings) -> None:
        self._queries.discard(query)
        if not query.cancelled():
            query.exception()  # `findings` raises it, where the caller still waits

    async def _identify(self, pcm: Pcm, take: int, prepared: asyncio.Event) -> list[Finding]:
        for ahead in self._ahead:
            search = ahead.search_of(pcm)
            if search is not None:
                try:
                    return await self._heard_ahead(search, ahead.prepared, prepared)
                except WorkerError as error:
                    self.log_failure(error)
                break
        samples = np.ascontiguousarray(pcm.samples, np.float32)
        head, seconds = bytes([len(samples), take]), pcm.duration_seconds
        return await self._found(head, samples.data.cast("B"), seconds, prepared)

    async def _found(
        self, head: bytes, content: bytes | memoryview, seconds: float, prepared: asyncio.Event
    ) -> list[Finding]:
        """What a worker finds in `seconds` of sound."""

        async def serve(worker: Worker) -> list[Finding]:
            worker.send(JOB, head)
            worker.send(CONTENT, content)
            return await self._answer(worker, prepared)

        return await self.run(serve, wall_seconds=JOB_SECONDS + JOB_SECONDS_PER_SECOND * seconds)

    @staticmethod
    async def _heard_ahead(
        search: asyncio.Task[list[Finding]], begun: asyncio.Event, prepared: asyncio.Event
    ) -> list[Finding]:
        """What a search finds that has begun already. When this is cancelled, so is the search."""
        try:
            await begun.wait()
        except asyncio.CancelledError:
            search.cancel()
            raise
        prepared.set()
        return await search

    @staticmethod
    async def _answer(worker: Worker, prepared: asyncio.Event) -> list[Finding]:
        """Read a worker's answer to one job."""
        while True:
            kind, answer = await worker.receive()
            try:
                if kind == FOUND:
                    return findings_decoder.decode(answer)
                if kind == FAILED:
                    code, detail = failure_decoder.decode(answer)
                    raise TwitchAudioError(ProblemCode(code), detail)
            except (msgspec.MsgspecError, ValueError) as error:
                raise WorkerError("it answered nonsense") from error
            if kind != PREPARED:
                raise WorkerError("it answered nonsense")
            prepared.set()
