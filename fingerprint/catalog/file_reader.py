"""Reads music files for the catalog in sandboxed worker processes: content's digests, fingerprint and tags.

See `worker_pool` for the processes, `fingerprint.index_worker` for what they do, and `index_protocol` for the
bytes. A file that crashes or stalls a decoder is skipped; the others are still read.
"""

import asyncio
import os
from collections import deque
from collections.abc import Generator, Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Final

from fingerprint.catalog.cover_reader import ENVIRONMENT, CoverReader, KeepCover
from fingerprint.catalog.covers import FolderPicture
from fingerprint.catalog.cue_sheet import cut_and_tags
from fingerprint.catalog.embedded_cue import embedded_songs
from fingerprint.catalog.file_outcomes import Claims, FileOutcome, Known, PictureBeside, Unreadable, Wanted
from fingerprint.catalog.ogg_chain import ogg_links
from fingerprint.catalog.picture_header import UnusablePictureError
from fingerprint.catalog.regular_file import open_regular
from fingerprint.catalog.song_reader import SongReader, content_digest
from fingerprint.catalog.tracker_modules import ModuleError, is_module, render_module
from fingerprint.catalog.tracks import Source
from fingerprint.worker_pool import WorkerPool, worker_program

ADDRESS_SPACE_BYTES: Final = 1 << 30

POLL_SECONDS: Final = 0.5

WORKER_PROGRAM: Final = worker_program("fingerprint.index_worker", ADDRESS_SPACE_BYTES)


def read_files(
    files: Iterable[Wanted],
    claims: Claims,
    *,
    workers: int,
    program: Sequence[str] = WORKER_PROGRAM,
    decode: bool = True,
    keep_cover: KeepCover | None = None,
) -> Generator[list[FileOutcome] | None]:
    """The outcomes of each file, one for each of its songs, as it completes; None at least twice a second.

    Blocks, and cannot be used where an event loop runs. `program` is started instead of the real worker, for
    tests. Without `decode`, new recordings are described only: the outcome is a Read with an empty fingerprint.
    Without `keep_cover`, there are no covers.
    """
    left = deque(files)
    tasks: set[asyncio.Task[list[FileOutcome]]] = set()
    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        stack = AsyncExitStack()
        workers_of_it = WorkerPool(program, work="indexed", workers=workers, environment=ENVIRONMENT)
        pool = runner.run(stack.enter_async_context(workers_of_it))
        covers = CoverReader(pool, keep_cover)
        try:
            while left or tasks:
                while left and len(tasks) < workers:
                    tasks.add(loop.create_task(_read_file(pool, left.popleft(), claims, covers, decode=decode)))
                done = runner.run(_wait(tasks))
                tasks -= done
                if not done:
                    yield None
                for task in done:
                    yield task.result()
        finally:
            runner.run(stack.aclose())


async def _wait(tasks: set[asyncio.Task[list[FileOutcome]]]) -> set[asyncio.Task[list[FileOutcome]]]:
    done, _ = await asyncio.wait(tasks, timeout=POLL_SECONDS, return_when=asyncio.FIRST_COMPLETED)
    return done


async def _read_file(
    pool: WorkerPool, wanted: Wanted, claims: Claims, covers: CoverReader, *, decode: bool
) -> list[FileOutcome]:
    if wanted.unchanged:
        known: list[FileOutcome] = [
            Known(wanted.path, replace(source, cover="", picture=None), was_described=True)
            for source in wanted.unchanged
        ]
        return await _with_picture_beside(covers, wanted.picture, known)
    if await asyncio.to_thread(_is_empty, wanted.path):
        return [Unreadable(wanted.path, "it is empty: its size is 0")]
    try:
        outcomes = await _read_songs(pool, wanted, claims, covers, decode=decode)
        return await _with_picture_beside(covers, wanted.picture, outcomes)
    except ModuleError as error:
        return [Unreadable(wanted.path, str(error), by_choice=error.by_choice)]
    except OSError as error:
        return [Unreadable(wanted.path, f"it cannot be read: {error.strerror}")]


def _is_empty(path: Path) -> bool:
    try:
        return not path.stat().st_size and path.is_file()
    except OSError:
        return False


async def _with_picture_beside(
    covers: CoverReader, picture: FolderPicture | None, outcomes: Sequence[FileOutcome]
) -> list[FileOutcome]:
    """The outcomes of a file, with the picture in its folder where it has none of its own."""
    lacking = [each for each in outcomes if not isinstance(each, Unreadable) and not each.source.cover]
    if picture is None or not lacking:
        return list(outcomes)
    trouble: list[FileOutcome] = []
    try:
        cover = await covers.alone(picture)
    except UnusablePictureError as error:
        cover = ""
        trouble.append(Unreadable(picture.path, f"it is not used as a cover: {error}", by_choice=True))
    beside = PictureBeside(cover, picture.stamp)
    return [*(replace(each, beside=beside) if each in lacking else each for each in outcomes), *trouble]


async def _read_songs(
    pool: WorkerPool, wanted: Wanted, claims: Claims, covers: CoverReader, *, decode: bool
) -> list[FileOutcome]:
    path = wanted.path
    with await asyncio.to_thread(open_regular, path) as file:
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
        reading = SongReader(pool, file, source, claims, covers, describe=wanted.describe, decode=decode)
        if wanted.songs:
            return await reading.songs([replace(source, part=number, cut=cut) for number, cut in wanted.songs])
        own = await asyncio.to_thread(embedded_songs, file)
        if own:
            parts = {song.number: cut_and_tags(song) for song in own}
            return await reading.songs(
                [replace(source, part=number, cut=cut, own_sheet=True) for number, (cut, _) in parts.items()],
                {number: tags for number, (_, tags) in parts.items()},
            )
        if len(links := await asyncio.to_thread(ogg_links, file)) > 1:
            return await reading.links(links)
        if not reading.is_needed(source):
            return [Known(path, source)]
        if await asyncio.to_thread(is_module, file):
            with await render_module(file) as sound:
                return await reading.of(sound, source)
        return await reading.of(file, source)
