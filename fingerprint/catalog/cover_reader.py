"""Has sandboxed workers make covers of pictures, each once in a run."""

import asyncio
import contextlib
import json
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from io import BufferedReader
from pathlib import Path
from typing import Final

from fingerprint.catalog.covers import MAX_COVER_BYTES, FolderPicture
from fingerprint.catalog.index_protocol import ALONE, EMBEDDED, PICTURE
from fingerprint.catalog.picture_header import MAX_PICTURE_BYTES, UnusablePictureError, picture_header
from fingerprint.catalog.regular_file import open_regular
from fingerprint.worker_pool import Worker, WorkerError, WorkerPool
from fingerprint.worker_process import JOB

PICTURE_SECONDS: Final = 30
"""The time limit for one picture; most take a hundredth of a second."""

ENVIRONMENT: Final = {"OPENBLAS_NUM_THREADS": "1"}
"""For workers that index: each is one of many."""

KeepCover = Callable[[bytes], str]
"""Keeps a cover, and returns its name. Raises UnusablePictureError, and CatalogError when the disk is full."""


@dataclass(slots=True)
class _Picture:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    cover: str | None = None


class CoverReader:
    """Makes covers with a pool of workers, and has them kept. Without `keep`, there are no covers."""

    def __init__(self, pool: WorkerPool, keep: KeepCover | None) -> None:
        self._pool = pool
        self._keep = keep
        self._pictures: dict[object, _Picture] = {}

    async def embedded(self, file: BufferedReader, span: tuple[int, int], digest: str) -> str:
        """The name of the cover that is embedded in a part of a file; empty if it was unusable before.

        `digest`: of the picture as it is in the file. Raises UnusablePictureError, once for each picture.
        """
        return await self._once(digest, lambda: self._made(file, span, EMBEDDED))

    async def alone(self, picture: FolderPicture) -> str:
        """The name of the cover that a file is; empty if it was unusable before.

        Raises UnusablePictureError, once for each picture.
        """
        return await self._once((picture.path, picture.stamp), lambda: self._file(picture.path))

    async def part(self, file: BufferedReader, span: tuple[int, int]) -> str:
        """The name of the cover that a part of a file is. Raises UnusablePictureError."""
        return await self._made(file, span, ALONE)

    async def _once(self, key: object, make: Callable[[], Awaitable[str]]) -> str:
        if self._keep is None:
            return ""
        known = self._pictures.setdefault(key, _Picture())
        async with known.lock:
            if known.cover is None:
                known.cover = ""
                known.cover = await make()
        return known.cover

    async def _file(self, path: Path) -> str:
        try:
            with await asyncio.to_thread(open_regular, path) as file:
                size = len(await asyncio.to_thread(file.read, MAX_PICTURE_BYTES + 1))
                return await self._made(file, (0, size), ALONE)
        except OSError as error:
            raise UnusablePictureError(f"it cannot be read: {error.strerror}") from error

    async def _made(self, file: BufferedReader, span: tuple[int, int], kind: str) -> str:
        start, size = span
        job = {"cpu_seconds": PICTURE_SECONDS, "start": start, "size": size, "picture": kind}

        async def serve(worker: Worker) -> tuple[int, bytes]:
            worker.send(JOB, json.dumps(job).encode())
            return await worker.receive(descriptor=file.fileno(), max_bytes=MAX_COVER_BYTES)

        try:
            answer, content = await self._pool.run(serve, wall_seconds=PICTURE_SECONDS, attempts=1)
        except WorkerError as error:
            raise UnusablePictureError("it cannot be decoded") from error
        if answer != PICTURE:
            raise UnusablePictureError(content.decode("utf-8", "replace"))
        if picture_header(content).media_type != "image/jpeg":
            raise UnusablePictureError("it cannot be decoded")
        assert self._keep is not None, "pictures are only read to be kept"
        return await asyncio.to_thread(self._keep, content)


def read_parts(
    file: BufferedReader, spans: Sequence[tuple[int, int]], keep: KeepCover, program: Sequence[str]
) -> list[str]:
    """The names of the covers that parts of a file are; empty for each that is unusable.

    Blocks, and cannot be used where an event loop runs. Raises CatalogError when the disk is full.
    """
    workers = max(1, min(os.cpu_count() or 1, len(spans)))

    async def read() -> list[str]:
        slots = asyncio.Semaphore(workers)
        names = [""] * len(spans)

        async def one(number: int, span: tuple[int, int]) -> None:
            async with slots:
                with contextlib.suppress(UnusablePictureError):
                    names[number] = await reader.part(file, span)

        async with WorkerPool(program, work="indexed", workers=workers, environment=ENVIRONMENT) as pool:
            reader = CoverReader(pool, keep)
            try:
                async with asyncio.TaskGroup() as group:
                    for number, span in enumerate(spans):
                        group.create_task(one(number, span))
            except ExceptionGroup as errors:
                raise errors.exceptions[0] from errors
        return names

    return asyncio.run(read()) if spans else []
