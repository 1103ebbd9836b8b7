"""Reads music files for the catalog in sandboxed worker processes: content's digests, fingerprint and tags.

See `worker_pool` for the processes, `fingerprint.index_worker` for what they do, and `index_protocol` for the
bytes. A file that crashes or stalls a decoder is skipped; the others are still read.
"""

import asyncio
import hashlib
import json
import os
from collections import deque
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from io import BufferedReader
from pathlib import Path
from typing import Final, Protocol, TypeVar

from fingerprint.catalog.cover_reader import ENVIRONMENT, CoverReader, KeepCover
from fingerprint.catalog.covers import FolderPicture
from fingerprint.catalog.cue_sheet import cut_and_tags
from fingerprint.catalog.cuts import Cut
from fingerprint.catalog.embedded_cue import embedded_songs
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
from fingerprint.catalog.ogg_chain import ogg_links
from fingerprint.catalog.picture_header import UnusablePictureError
from fingerprint.catalog.regular_file import open_regular
from fingerprint.catalog.tracker_modules import ModuleError, is_module, render_module
from fingerprint.catalog.tracks import Source, Tags, over
from fingerprint.domain.identification import ExternalIds
from fingerprint.worker_pool import Serve, Worker, WorkerError, WorkerPool, worker_program
from fingerprint.worker_process import JOB

T = TypeVar("T")

CONTENT_DIGITS: Final = 32

_NO_TAGS: Final[Mapping[int, Tags]] = {}

FILE_SECONDS: Final = 900.0
"""The time limit for one file; after it the worker is killed and the file skipped."""

ADDRESS_SPACE_BYTES: Final = 1 << 30

MIN_SECONDS: Final = 1.0
"""Shorter sounds are not indexed, since they could not be recognized."""

POLL_SECONDS: Final = 0.5

WORKER_PROGRAM: Final = worker_program("fingerprint.index_worker", ADDRESS_SPACE_BYTES)


@dataclass(frozen=True, slots=True)
class PictureBeside:
    """The picture beside a file: the name of its cover, empty if it is unusable, and what tells its changes."""

    cover: str
    stamp: tuple[str, int, int]


@dataclass(frozen=True, slots=True)
class Read:
    """A file with a recording that was decoded: what is known of it, without its sidecar, and the fingerprint.

    `beside`: the picture in its folder, if it has none of its own.
    """

    path: Path
    source: Source
    fingerprint: TrackFingerprint
    beside: PictureBeside | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """A file whose recording is in the catalog already, or is being read from another file.

    `source` has a digest of its content; of its encoded sound, its tags and its cover only if it was described.
    `beside`: the picture in its folder, if it is not known to have one of its own.
    """

    path: Path
    source: Source
    was_described: bool = False
    beside: PictureBeside | None = None


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
    """A file to read. `describe`: its tags are wanted even if its content is known.

    `songs`: the numbers and places of its songs, by a cue sheet; empty for a file that is one song. `picture`: the
    cover beside it, for a file without one of its own. `unchanged`: what is known of a file of which nothing is
    new but that picture.
    """

    path: Path
    root: str = ""
    describe: bool = False
    songs: tuple[tuple[int, Cut], ...] = ()
    picture: FolderPicture | None = None
    unchanged: tuple[Source, ...] = ()


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
        pool = runner.run(stack.enter_async_context(_pool(program, workers)))
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


def _pool(program: Sequence[str], workers: int) -> WorkerPool:
    return WorkerPool(program, work="indexed", workers=workers, environment=ENVIRONMENT)


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
        reading = _Reading(pool, file, source, claims, covers, describe=wanted.describe, decode=decode)
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


class _Reading:
    """Reads one file with the help of workers."""

    def __init__(
        self,
        pool: WorkerPool,
        file: BufferedReader,
        source: Source,
        claims: Claims,
        covers: CoverReader,
        *,
        describe: bool,
        decode: bool,
    ) -> None:
        self._pool = pool
        self._file = file
        self._source = source
        self._path = Path(source.path)
        self._claims = claims
        self._covers = covers
        self._describe = describe
        self._decode = decode
        self._known: set[str] = set()
        self._picture = ""

    def is_needed(self, source: Source) -> bool:
        """Whether there is anything to read, as far as a file's content tells."""
        if self._claims.content_is_known(source.content):
            self._known.add(source.content)
        return self._describe or source.content not in self._known

    async def links(self, links: Sequence[tuple[int, int]]) -> list[FileOutcome]:
        """The songs of a chained Ogg file, by the bytes of each link."""
        outcomes: list[FileOutcome] = []
        for number, (start, end) in enumerate(links, 1):
            song = replace(self._source, part=number, content=_part_digest(self._source.content, start, end))
            if self.is_needed(song):
                outcomes += await self.of(self._file, song, start=start, size=end - start)
            else:
                outcomes.append(Known(self._path, song))
        return outcomes

    async def of(
        self, file: BufferedReader, source: Source, *, start: int = 0, size: int | None = None
    ) -> list[FileOutcome]:
        """One song, which is a whole file or some bytes of it."""
        span = (start, os.fstat(file.fileno()).st_size if size is None else size)

        async def serve(worker: Worker) -> FileOutcome:
            described = await self._described(worker, file, span)
            if isinstance(described, str):
                return Unreadable(self._path, described)
            song = replace(source, sound=described.sound, tags=described.tags)
            if (outcome := self._without_decoding(song)) is not None:
                return outcome
            self._ask(worker, span, decode=True)
            return _indexable(song, await _receive(worker, file.fileno()))

        found = await self._run(serve)
        outcome = found if not isinstance(found, str) else Unreadable(self._path, found)
        return await self._with_cover([outcome], file, span)

    async def _with_cover(
        self, outcomes: Sequence[FileOutcome], file: BufferedReader, span: tuple[int, int]
    ) -> list[FileOutcome]:
        """The outcomes of what was just described, with the embedded picture."""
        picture, self._picture = self._picture, ""
        if not picture or all(isinstance(outcome, Unreadable) for outcome in outcomes):
            return list(outcomes)
        try:
            cover = await self._covers.embedded(file, span, picture)
        except UnusablePictureError as error:
            reason = f"the picture in it is not used as a cover: {error}"
            return [*outcomes, Unreadable(self._path, reason, by_choice=True)]
        return [
            replace(outcome, source=replace(outcome.source, cover=cover))
            if isinstance(outcome, Read) or (isinstance(outcome, Known) and outcome.was_described)
            else outcome
            for outcome in outcomes
        ]

    async def songs(self, songs: Sequence[Source], own: Mapping[int, Tags] = _NO_TAGS) -> list[FileOutcome]:
        """The songs of a cue sheet, which are decoded in one go. `own`: what a sheet in the tags says of them."""
        parts = [replace(song, content=_part_digest(song.content, *(song.cut or ()))) for song in songs]
        needed = {part.key for part in parts if self.is_needed(part)}
        if not needed:
            return [Known(self._path, part) for part in parts]
        span = (0, self._source.size)

        async def serve(worker: Worker) -> list[FileOutcome]:
            described = await self._described(worker, self._file, span)
            if isinstance(described, str):
                return [Unreadable(self._path, described)]
            outcomes: dict[str, FileOutcome] = {}
            left: list[Source] = []
            for part in parts:
                # A title or an id in the tags is the whole album's.
                tags = replace(described.tags, title=None, isrc=None, ids=ExternalIds())
                tags = over(tags, own[part.part]) if part.part in own else tags
                sound = _part_digest(described.sound, *(part.cut or ())) if described.sound else ""
                song = replace(part, sound=sound, tags=tags)
                if part.key not in needed:
                    outcomes[part.key] = Known(self._path, part)
                elif (outcome := self._without_decoding(song)) is not None:
                    outcomes[part.key] = outcome
                else:
                    left.append(song)
            if left:
                self._ask(worker, span, decode=True, cuts=[song.cut for song in left if song.cut is not None])
            for song in left:
                outcomes[song.key] = _indexable(song, await _receive(worker, self._file.fileno()))
            return [outcomes[part.key] for part in parts]

        found = await self._run(serve)
        outcomes = found if not isinstance(found, str) else [Unreadable(self._path, found)]
        return await self._with_cover(outcomes, self._file, span)

    def _without_decoding(self, song: Source) -> FileOutcome | None:
        """What became of a song that was described; None when it has to be decoded."""
        if song.content in self._known or (song.sound and self._claims.sound_is_known(song.sound)):
            return Known(self._path, song, was_described=True)
        if self._decode:
            return None
        if not song.sound:
            return Unreadable(self._path, "it is not an audio or video file that can be read")
        return Read(self._path, song, NO_FINGERPRINT)

    async def _run(self, serve: Serve[T]) -> T | str:
        """Do a job; a text says why it failed."""
        try:
            return await self._pool.run(serve, wall_seconds=FILE_SECONDS, attempts=1)
        except WorkerError as error:
            if error.cpu_ran_out or error.timed_out:
                return f"reading it took longer than {FILE_SECONDS / 60:.0f} minutes"
            return "reading it crashed the decoder"

    async def _described(
        self, worker: Worker, file: BufferedReader, span: tuple[int, int]
    ) -> FileDescription | str:
        self._ask(worker, span, decode=False)
        answer = await _receive(worker, file.fileno())
        assert not isinstance(answer, TrackFingerprint)
        self._picture = "" if isinstance(answer, str) else answer.picture
        return answer

    def _ask(self, worker: Worker, span: tuple[int, int], *, decode: bool, cuts: Sequence[Cut] = ()) -> None:
        start, size = span
        job = {
            "cpu_seconds": int(FILE_SECONDS),
            "start": start,
            "size": size,
            "name": self._path.name,
            "decode": decode,
            "cuts": cuts,
            "picture": "",
        }
        worker.send(JOB, json.dumps(job).encode("utf-8", "surrogatepass"))


def _part_digest(digest: str, *span: float) -> str:
    """A digest of a part of what another digest is of."""
    return hashlib.sha256(f"{digest} {span}".encode()).hexdigest()[:CONTENT_DIGITS]


def _indexable(source: Source, found: TrackFingerprint | FileDescription | str) -> FileOutcome:
    path = Path(source.path)
    # Songs of a file that holds several are named by their number; that one is short or silent is no failure.
    name, by_choice = (f"song {source.part}", True) if source.part else ("it", False)
    if isinstance(found, str):
        return Unreadable(path, f"{name}: {found}" if source.part else found)
    assert isinstance(found, TrackFingerprint)
    if found.duration_seconds < MIN_SECONDS:
        reason = f"{name} holds {found.duration_seconds:.1f} s of sound, too little to recognize"
        return Unreadable(path, reason, by_choice=by_choice)
    if not len(found.hashes):
        return Unreadable(path, f"{name} is silent", by_choice=by_choice)
    return Read(path, source, found)


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


def content_digest(file: BufferedReader) -> str:
    """A digest of a file's content, 32 hex digits. Raises OSError."""
    return hashlib.file_digest(file, "sha256").hexdigest()[:CONTENT_DIGITS]
