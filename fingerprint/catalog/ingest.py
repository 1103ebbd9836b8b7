"""Brings a catalog up to date with files and folders. Safe to interrupt at any moment, and to run again.

A file that has not changed is not opened. A new or changed one is known by its content, or by its encoded sound
when only its tags or its container changed; only a recording that is new is decoded.
"""

import contextlib
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from fingerprint.catalog.covers import FolderPictures
from fingerprint.catalog.file_outcomes import FileOutcome, Known, PictureBeside, Read, Unreadable, Wanted
from fingerprint.catalog.file_reader import WORKER_PROGRAM, read_files
from fingerprint.catalog.file_stamps import changed_seconds
from fingerprint.catalog.fingerprint import TrackFingerprint
from fingerprint.catalog.index import Catalog, Snapshot
from fingerprint.catalog.library import Library
from fingerprint.catalog.manifest import require_no_file
from fingerprint.catalog.missing import is_gone, too_many_missing
from fingerprint.catalog.shared_store import SharedStore
from fingerprint.catalog.sidecar import Sidecars
from fingerprint.catalog.tracks import Source
from fingerprint.catalog.walk import FoundFile, Walk, walk
from fingerprint.catalog.writer import CatalogWriter

COMMIT_SECONDS: Final = 1.0
COMMIT_TRACKS: Final = 32
"""How many finished tracks are written together; none waits longer than COMMIT_SECONDS."""


@dataclass(slots=True, kw_only=True)
class IngestReport:
    """The result of an `ingest`.

    `added`: new recordings, `seconds` long together; `replaced` of them took the place of another one in the same
    file. `already`: files whose recording was there; `moved`, `updated` and `copies` of these have a new place,
    new tags or sidecars, or are a further file of a track. `gone`: files marked as missing; `excluded`: files that
    are left out from now on. `too_many_missing`: so many files are missing that nothing was marked. `skipped`:
    files and the reason for each; `missing`: paths that do not exist. `waiting`: files that may still be copied.
    """

    added: int = 0
    replaced: int = 0
    already: int = 0
    moved: int = 0
    updated: int = 0
    copies: int = 0
    gone: int = 0
    excluded: int = 0
    too_many_missing: int = 0
    waiting: int = 0
    seconds: float = 0.0
    skipped: list[Unreadable] = field(default_factory=list[Unreadable])
    missing: list[Path] = field(default_factory=list[Path])

    @property
    def failed(self) -> list[Unreadable]:
        """What could not be read, without what was left out by choice."""
        return [skipped for skipped in self.skipped if not skipped.by_choice]


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestProgress:
    """The progress of an `ingest`: `done` of `total` files, and the newest one's outcome (None at the start).

    Files that are skipped for their names are reported first and are not counted.
    """

    done: int
    total: int
    outcome: FileOutcome | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sync:
    """How to deal with files that are not there any more: with this, they are marked as missing.

    `force`: mark them however many they are. `dry_run`: change nothing, and only say what would happen.
    `settle_seconds`: files that changed less than this ago wait: they may still be copied.
    """

    force: bool = False
    dry_run: bool = False
    settle_seconds: float = 0.0


def ingest(
    directory: Path,
    paths: Sequence[Path],
    *,
    workers: int | None = None,
    on_progress: Callable[[IngestProgress], None] | None = None,
    program: Sequence[str] = WORKER_PROGRAM,
    sync: Sync | None = None,
    store: SharedStore | None = None,
) -> IngestReport:
    """Index the music that `paths` (files, folders) stand for in the catalog in `directory`.

    Files are read in `workers` processes that run `program`, by default one for each processor. A file is reported
    to `on_progress` once it is committed to the catalog. Blocks, and cannot be used where an event loop runs.

    `store`: where the catalog is shared with other machines. Raises CatalogBusyError while another writer works,
    and CatalogError for a catalog that cannot be used.
    """
    if sync is not None and sync.dry_run:
        require_no_file(directory)
        snapshot = Catalog(directory).snapshot()
        found = walk(paths, excluded=snapshot.manifest.excluded)
        run = _Ingest(None, snapshot, found, on_progress or _ignore, sync)
        return run.run(program, workers or os.cpu_count() or 1)
    with CatalogWriter(directory, store=store) as writer:
        snapshot = writer.snapshot()
        found = walk(paths, excluded=snapshot.manifest.excluded)
        run = _Ingest(writer, snapshot, found, on_progress or _ignore, sync)
        return run.run(program, workers or os.cpu_count() or 1)


def ingest_found(
    writer: CatalogWriter,
    found: Walk,
    *,
    workers: int | None = None,
    on_progress: Callable[[IngestProgress], None] | None = None,
    program: Sequence[str] = WORKER_PROGRAM,
) -> IngestReport:
    """Likewise, with a writer that is open and files that were found already."""
    run = _Ingest(writer, writer.snapshot(), found, on_progress or _ignore, None)
    return run.run(program, workers or os.cpu_count() or 1)


def _ignore(_progress: IngestProgress) -> None:
    """The default `on_progress`, which does nothing."""


class _Ingest:
    def __init__(
        self,
        writer: CatalogWriter | None,
        snapshot: Snapshot,
        found: Walk,
        on_progress: Callable[[IngestProgress], None],
        sync: Sync | None,
    ) -> None:
        self._writer = writer
        self._library = Library(snapshot.entries())
        self._walk = found
        self._on_progress = on_progress
        self._sync = sync
        self._report_so_far = IngestReport(skipped=list(found.skipped), missing=list(found.missing))
        self._total = len(found.files)
        self._done = 0
        self._new: dict[str, TrackFingerprint] = {}
        self._changed: set[str] = set()
        self._uncommitted: list[FileOutcome] = []
        self._pending_since = 0.0
        self._waiting: list[Known] = []
        self._sidecars = Sidecars(roots=found.roots, listings=found.listings)
        self._pictures = FolderPictures(found.listings)
        self._repictured: dict[str, tuple[Source, ...]] = {}

    def run(self, program: Sequence[str], workers: int) -> IngestReport:
        report = self._report_so_far
        self._on_progress(IngestProgress(done=0, total=self._total, outcome=None))
        for skipped in self._walk.skipped:
            self._on_progress(IngestProgress(done=0, total=self._total, outcome=skipped))
        seen = {file.path for file in self._walk.files}
        under_roots = self._library.under(self._walk.roots) if self._sync else []
        wanted = [
            Wanted(
                Path(file.path),
                file.root,
                describe=self._library.poorly_described,
                songs=self._sidecars.songs(Path(file.path)),
                picture=self._pictures.beside(file.path),
                unchanged=self._repictured.pop(file.path, ()),
            )
            for file in self._walk.files
            if not self._unchanged(file) and not self._waits(file)
        ]
        outcomes = read_files(
            wanted,
            self._library,
            workers=max(1, min(workers, len(wanted))),
            program=program,
            decode=self._writer is not None,
            keep_cover=self._writer.keep_cover if self._writer is not None else None,
        )
        with contextlib.closing(outcomes):
            try:
                for of_file in outcomes if wanted else ():
                    if of_file is not None:
                        self._take_file(of_file)
                    if self._due():
                        self._commit()
                self._take_waiting()
                self._sidecars.check_rows()
                self._report_troubles()
                report.replaced = len(self._library.orphans())
                if self._sync is not None:
                    self._mark_missing(seen, under_roots, force=self._sync.force)
            finally:
                # Also when interrupted, so that finished tracks are committed.
                self._commit()
        gone = self._library.orphans()
        if gone and self._writer is not None:
            self._writer.remove(gone)
        return report

    def _waits(self, file: FoundFile) -> bool:
        """Whether a file may still be copied. Of a clock that is ahead nothing can be told."""
        settle = 0.0 if self._sync is None else self._sync.settle_seconds
        waits = 0 <= time.time() - changed_seconds(file.stamp) < settle
        self._report_so_far.waiting += waits
        return waits

    def _unchanged(self, file: FoundFile) -> bool:
        """Whether a file is the one that was read; if so, what its sidecars say now is noted."""
        known = self._library.sources_at(file.path)
        if not known or not all(source.same_file(file.stamp) for _, source in known):
            return False
        path = Path(file.path)
        songs = self._sidecars.songs(path)
        cuts = {(source.part, source.cut) for _, source in known if source.cut is not None}
        # Songs that are too short are in the sheet and not in the catalog.
        own_sheet = not songs and all(source.own_sheet for _, source in known)
        if not own_sheet and (bool(cuts) != bool(songs) or not cuts.issubset(songs)):
            return False
        if self._writer is not None and self._has_other_picture(file.path, [source for _, source in known]):
            self._repictured[file.path] = tuple(
                replace(source, missing_since=None, root=file.root or source.root) for _, source in known
            )
            return False
        self._total += len(known) - 1
        for track_id, source in known:
            there = source
            if source.missing_since is not None or file.root not in ("", source.root):
                there = replace(source, missing_since=None, root=file.root or source.root)
            described = self._described(there, path)
            if described != source:
                self._library.update(track_id, described)
                self._note_change(track_id, updated=described.sidecar != source.sidecar)
            self._report_so_far.already += 1
            self._report(Known(path, described))
        return True

    def _has_other_picture(self, path: str, known: Sequence[Source]) -> bool:
        """Whether a file without a cover of its own has another one beside it than when it was read."""
        if all(source.cover and source.picture is None for source in known):
            return False
        picture = self._pictures.beside(path)
        stamp = None if picture is None else picture.stamp
        return any(source.picture != stamp for source in known if source.picture or not source.cover)

    def _note_change(self, track_id: str, *, updated: bool) -> None:
        self._report_so_far.updated += updated
        if not self._changed and not self._new:
            self._pending_since = time.monotonic()
        self._changed.add(track_id)

    def _described(self, source: Source, path: Path | None = None) -> Source:
        """The source with what its sidecars say; each error in a sidecar is reported once.

        `path`: the source's, where there is one already.
        """
        said = self._sidecars.of(path or Path(source.path), source.part)
        self._report_troubles()
        said = said if said is not None and said.filled else None
        return source if said == source.sidecar else replace(source, sidecar=said)

    def _report_troubles(self) -> None:
        while self._sidecars.troubles:
            trouble = self._sidecars.troubles.pop(0)
            self._report_so_far.skipped.append(
                Unreadable(trouble.path, trouble.reason, by_choice=trouble.by_choice)
            )
            self._on_progress(
                IngestProgress(done=self._done, total=self._total, outcome=self._report_so_far.skipped[-1])
            )

    def _take_file(self, outcomes: Sequence[FileOutcome]) -> None:
        """What became of a file's songs; songs that it does not have any more are taken out."""
        self._total += len(outcomes) - 1
        for outcome in outcomes:
            self._take(outcome)
        read = [outcome.source for outcome in outcomes if not isinstance(outcome, Unreadable)]
        if not read:
            return
        keys = {source.key for source in read}
        for _, source in self._library.sources_at(read[0].path):
            if source.key not in keys:
                self._changed |= self._library.forget(source.key)

    def _take(self, outcome: FileOutcome) -> None:
        match outcome:
            case Read():
                self._take_new(outcome)
            case Known():
                self._take_known(outcome)
            case Unreadable():
                self._report_so_far.skipped.append(outcome)
                self._report(outcome)

    def _take_new(self, read: Read) -> None:
        source = self._described(_with_picture(read.source, read.beside))
        # Without decoding, in a dry run, the id of the sound is not known.
        track_id = read.fingerprint.track_id if self._writer is not None else f"new {source.content}"
        if self._library.entry(track_id) is not None:
            self._place(track_id, Known(read.path, source), source)
            return
        if not self._changed and not self._new:
            self._pending_since = time.monotonic()
        self._library.add(track_id, source, read.fingerprint.duration_seconds)
        self._new[track_id] = read.fingerprint
        self._report_so_far.added += 1
        self._report_so_far.seconds += read.fingerprint.duration_seconds
        self._uncommitted.append(read)

    def _take_known(self, known: Known) -> None:
        track_id = self._library.find(known.source)
        if track_id is None:
            self._waiting.append(known)  # another file with the same recording is being read
            return
        like = self._library.alike(track_id, known.source)
        source = known.source
        if not known.was_described and like is not None:
            own = "" if like.picture else like.cover
            source = replace(source, sound=like.sound, tags=like.tags, cover=own)
        self._place(track_id, known, self._described(_with_picture(source, known.beside)))

    def _place(self, track_id: str, outcome: Known, source: Source) -> None:
        placed = self._library.place(track_id, source)
        report = self._report_so_far
        report.already += 1
        report.moved += placed.moved
        report.copies += placed.copy
        self._note_change(track_id, updated=placed.updated)
        self._changed |= placed.also_changed
        self._uncommitted.append(outcome)

    def _take_waiting(self) -> None:
        waiting, self._waiting = self._waiting, []
        for known in waiting:
            if self._library.find(known.source) is None:
                self._take(Unreadable(known.path, "it has the same sound as another file that cannot be read"))
            else:
                self._take_known(known)

    def _mark_missing(self, seen: set[str], under_roots: Sequence[Source], *, force: bool) -> None:
        """Mark files that were indexed from the folders, and are not there any more."""
        closed = tuple(f"{folder}/" for folder in self._walk.closed)
        gone: list[str] = []
        for source in under_roots:
            if source.path in seen or source.path.startswith(closed):
                continue
            known = self._library.source(source.key)
            if known is None or known[1].missing_since is not None:
                continue
            if self._walk.leaves_out(source.path):
                self._changed |= self._library.forget(source.key)
                self._report_so_far.excluded += 1
            elif is_gone(source.path):
                gone.append(source.key)
            # Else it was named itself, or is behind a link that is not followed.
        if too_many_missing(len(gone), len(under_roots)) and not force:
            self._report_so_far.too_many_missing = len(gone)
            return
        now = time.time()
        for key in gone:
            known = self._library.source(key)
            if known is not None:
                self._library.update(known[0], replace(known[1], missing_since=now))
                self._changed.add(known[0])
        self._report_so_far.gone += len(gone)

    def _due(self) -> bool:
        if not self._new and not self._changed:
            return False
        return len(self._new) >= COMMIT_TRACKS or time.monotonic() - self._pending_since >= COMMIT_SECONDS

    def _commit(self) -> None:
        new, self._new = self._new, {}
        changed, self._changed = self._changed, set()
        outcomes, self._uncommitted = self._uncommitted, []
        interrupted: KeyboardInterrupt | None = None
        if self._writer is not None and (new or changed):
            entries = {track_id: self._library.entry(track_id) for track_id in {*new, *changed}}
            added = [(entry, new[track_id]) for track_id in new if (entry := entries[track_id]) is not None]
            described = [entry for track_id in changed if (entry := entries[track_id]) is not None]
            try:
                self._writer.add(added, describing=described)
            except KeyboardInterrupt as error:
                # In the middle of it: what was decoded is kept all the same.
                interrupted = error
                self._writer.add(added, describing=described)
        for outcome in outcomes:
            self._report(outcome)
        if interrupted is not None:
            raise interrupted

    def _report(self, outcome: FileOutcome) -> None:
        self._done += 1
        self._on_progress(IngestProgress(done=self._done, total=self._total, outcome=outcome))


def _with_picture(source: Source, beside: PictureBeside | None) -> Source:
    """The source, with the picture in its folder unless it has one of its own."""
    if beside is None or source.cover:
        return source
    return replace(source, cover=beside.cover, picture=beside.stamp)
