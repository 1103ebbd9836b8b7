"""Indexes files and folders in a catalog. Safe to interrupt at any moment, and to run again."""

import contextlib
import dataclasses
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from fingerprint.catalog.file_reader import WORKER_PROGRAM, FileOutcome, Known, Read, Unreadable, read_files
from fingerprint.catalog.sidecar import Sidecars, over
from fingerprint.catalog.tags import Tags
from fingerprint.catalog.tracks import Track
from fingerprint.catalog.writer import CatalogWriter

COMMIT_SECONDS: Final = 1.0
COMMIT_TRACKS: Final = 32
"""How many finished tracks are written together; none waits longer than COMMIT_SECONDS."""


def _endings(text: str) -> frozenset[str]:
    return frozenset(f".{ending}" for ending in text.split())


AUDIO_SUFFIXES: Final = _endings(
    "aac aif aiff ape flac m4a m4b mka mkv mov mp2 mp3 mp4 mpc oga ogg opus ts tta wav webm wma wv"
)
"""In a folder, files with these endings are music; others are named and skipped, unless they are companions."""

COMPANION_SUFFIXES: Final = _endings(
    "bmp csv cue gif jpeg jpg json log lrc m3u m3u8 md5 nfo pdf pls png sfv webp xml"
)
"""Endings of files that usually accompany music; they are skipped without being reported."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestReport:
    """The result of an `ingest`. `skipped`: files and the reason for each; `missing`: paths that do not exist."""

    added: int = 0
    replaced: int = 0
    already: int = 0
    seconds: float = 0.0
    skipped: tuple[Unreadable, ...] = ()
    missing: tuple[Path, ...] = ()


@dataclass(slots=True)
class _Tally:
    added: int = 0
    replaced: int = 0
    already: int = 0
    seconds: float = 0.0
    skipped: list[Unreadable] = field(default_factory=list[Unreadable])


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestProgress:
    """The progress of an `ingest`: `done` of `total` files, and the newest one's outcome (None at the start).

    Files that are skipped for their names are reported first and are not counted.
    """

    done: int
    total: int
    outcome: FileOutcome | None


def walk(paths: Iterable[Path]) -> tuple[list[Path], list[Unreadable], list[Path]]:
    """The music files that paths stand for, what is skipped, and the paths that do not exist.

    A file that is named itself always counts as music. Files are in the order of their names, each once;
    hidden files and folders are left out.
    """
    found: dict[Path, None] = {}
    skipped: list[Unreadable] = []
    missing: list[Path] = []
    for path in paths:
        absolute = path.absolute()
        if absolute.is_dir():
            for file in _files_below(absolute):
                suffix = file.suffix.lower()
                if suffix in AUDIO_SUFFIXES:
                    found[file] = None
                elif suffix not in COMPANION_SUFFIXES:
                    skipped.append(Unreadable(file, "its name does not end like an audio file's"))
        elif absolute.exists():
            found[absolute] = None
        else:
            missing.append(path)
    return list(found), skipped, missing


def _files_below(folder: Path) -> Iterator[Path]:
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith("."):
                yield Path(parent, name)


def ingest(
    directory: Path,
    paths: Sequence[Path],
    *,
    workers: int | None = None,
    on_progress: Callable[[IngestProgress], None] | None = None,
    program: Sequence[str] = WORKER_PROGRAM,
) -> IngestReport:
    """Index the music that `paths` (files, folders) stand for in the catalog in `directory`.

    Files are read in `workers` processes that run `program`, by default one for each processor. A file is reported
    to `on_progress` once it is committed to the catalog. Files that are in the catalog already (same path, size
    and time, or same content) are not read again; a changed file, or one of which a sidecar says something new,
    replaces what was indexed under its path. Blocks, and cannot be used where an event loop runs.

    Raises CatalogBusyError while another writer works, and CatalogError for a catalog that cannot be used.
    """
    files, skipped, missing = walk(paths)
    tally = _Tally(skipped=skipped)
    with CatalogWriter(directory) as writer:
        _Ingest(writer, tally, on_progress or _ignore, len(files)).run(
            files, program, workers or os.cpu_count() or 1
        )
    return IngestReport(
        added=tally.added,
        replaced=tally.replaced,
        already=tally.already,
        seconds=tally.seconds,
        skipped=tuple(tally.skipped),
        missing=tuple(missing),
    )


def _ignore(_progress: IngestProgress) -> None:
    """The default `on_progress`, which does nothing."""


class _Ingest:
    def __init__(
        self, writer: CatalogWriter, tally: _Tally, on_progress: Callable[[IngestProgress], None], total: int
    ) -> None:
        self._writer = writer
        self._tally = tally
        self._on_progress = on_progress
        self._total = total
        self._done = 0
        self._pending: list[Read] = []
        self._pending_since = 0.0
        tracks = list(writer.snapshot().tracks())
        self._ids = {track.id for track in tracks}
        self._by_path = {track.path: track for track in tracks}
        self._sidecars = Sidecars()

    def run(self, files: Sequence[Path], program: Sequence[str], workers: int) -> None:
        self._on_progress(IngestProgress(done=0, total=self._total, outcome=None))
        for skipped in self._tally.skipped:
            self._on_progress(IngestProgress(done=0, total=self._total, outcome=skipped))
        unknown = [file for file in files if not self._unchanged(file)]
        outcomes = read_files(unknown, self._claim, workers=min(workers, len(unknown)), program=program)
        with contextlib.closing(outcomes):
            try:
                for outcome in outcomes:
                    if outcome is not None:
                        self._take(outcome)
                    if self._due():
                        self._commit()
            finally:
                # Also when interrupted, so that finished tracks are committed.
                self._commit()

    def _unchanged(self, file: Path) -> bool:
        known = self._by_path.get(str(file))
        if known is None:
            return False
        try:
            status = file.stat()
        except OSError:
            return False
        if (status.st_size, status.st_mtime_ns) != (known.size, known.modified_ns):
            return False
        if self._described(known) != known:
            self._ids.discard(known.id)
            return False
        self._count_known(Known(file, known.id))
        return True

    def _described(self, track: Track) -> Track:
        """The track with its sidecars' data; each error in a sidecar is reported once."""
        said = self._sidecars.of(Path(track.path))
        while self._sidecars.troubles:
            trouble = self._sidecars.troubles.pop(0)
            self._tally.skipped.append(Unreadable(trouble.path, trouble.reason))
            self._on_progress(IngestProgress(done=self._done, total=self._total, outcome=self._tally.skipped[-1]))
        return track if said is None else _tagged(track, over(_tags_of(track), said))

    def _claim(self, track_id: str) -> bool:
        """Whether content need not be read: it is in the catalog, or another file in this run has it."""
        if track_id in self._ids:
            return True
        self._ids.add(track_id)
        return False

    def _take(self, outcome: FileOutcome) -> None:
        match outcome:
            case Read():
                if not self._pending:
                    self._pending_since = time.monotonic()
                self._pending.append(dataclasses.replace(outcome, track=self._described(outcome.track)))
            case Known():
                self._count_known(outcome)
            case Unreadable():
                self._tally.skipped.append(outcome)
                self._report(outcome)

    def _due(self) -> bool:
        if not self._pending:
            return False
        return len(self._pending) >= COMMIT_TRACKS or time.monotonic() - self._pending_since >= COMMIT_SECONDS

    def _commit(self) -> None:
        if not self._pending:
            return
        pending, self._pending = self._pending, []
        before = (self._by_path.get(read.track.path) for read in pending)
        old = {track.id for track in before if track is not None}
        self._writer.add([(read.track, read.fingerprint) for read in pending], replacing=old)
        self._tally.replaced += len(old)
        for read in pending:
            self._by_path[read.track.path] = read.track
            self._tally.added += 1
            self._tally.seconds += read.track.duration_seconds
            self._report(read)

    def _count_known(self, outcome: Known) -> None:
        self._tally.already += 1
        self._report(outcome)

    def _report(self, outcome: FileOutcome) -> None:
        self._done += 1
        self._on_progress(IngestProgress(done=self._done, total=self._total, outcome=outcome))


def _tags_of(track: Track) -> Tags:
    return Tags(title=track.title, **track.metadata)


def _tagged(track: Track, tags: Tags) -> Track:
    return dataclasses.replace(track, title=tags.title or track.title, **tags.metadata)
