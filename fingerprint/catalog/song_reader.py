"""Has workers describe and decode the songs of one file."""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from io import BufferedReader
from pathlib import Path
from typing import Final, TypeVar

from fingerprint.catalog.cover_reader import CoverReader
from fingerprint.catalog.cuts import Cut
from fingerprint.catalog.file_outcomes import Claims, FileOutcome, Known, Read, Unreadable
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
from fingerprint.catalog.picture_header import UnusablePictureError
from fingerprint.catalog.song_tags import Tags, over
from fingerprint.catalog.tracks import Source
from fingerprint.domain.identification import ExternalIds
from fingerprint.worker_pool import Serve, Worker, WorkerError, WorkerPool
from fingerprint.worker_process import JOB

T = TypeVar("T")

_NO_TAGS: Final[Mapping[int, Tags]] = {}

FILE_SECONDS: Final = 900.0
"""The time limit for one file; after it the worker is killed and the file skipped."""

MIN_SECONDS: Final = 1.0
"""Shorter sounds are not indexed, since they could not be recognized."""


CONTENT_DIGITS: Final = 32


class SongReader:
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
