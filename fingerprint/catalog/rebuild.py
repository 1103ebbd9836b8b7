"""Makes a catalog again with the present fingerprint, beside the old one, which answers until then.

Where only the pairing of peaks differs, or nothing does, landmarks are derived from the stored peaks and no music
is decoded. Where peaks differ, the music is decoded again; what is gone keeps its stored peaks, if these mean the
same times and frequencies. Tags and sidecars are read again in any case.

The new catalog grows in a folder within the old one's, so that an interrupted run goes on where it was. In the end
the old one adopts its files in one step.
"""

import contextlib
import hashlib
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from fingerprint.catalog.covers import Covers
from fingerprint.catalog.file_outcomes import Unreadable
from fingerprint.catalog.file_reader import WORKER_PROGRAM
from fingerprint.catalog.file_stamps import FileStamp, file_stamp
from fingerprint.catalog.fingerprint import TrackFingerprint, fingerprint_from_peaks
from fingerprint.catalog.index import LiveSegment, Snapshot
from fingerprint.catalog.ingest import IngestProgress, ingest_found
from fingerprint.catalog.library import Library
from fingerprint.catalog.manifest import MANIFEST_NAME, manifest_leftovers, segment_names
from fingerprint.catalog.parameters import DEFAULT
from fingerprint.catalog.problems import CatalogError
from fingerprint.catalog.shared_store import SharedStore
from fingerprint.catalog.tracks import Source, TrackEntry
from fingerprint.catalog.walk import FoundFile, Walk
from fingerprint.catalog.writer import CatalogWriter

BATCH: Final = 64
"""How many tracks that keep their peaks are written together."""

_BESIDE: Final = re.compile(r"rebuild-[0-9a-f]{8}")


@dataclass(slots=True, kw_only=True)
class RebuildReport:
    """What became of a `rebuild`: the new catalog has `tracks`.

    `kept` of them have the peaks that were stored, `decoded` were made from their music. `lost`: tracks that can
    not be made again, since their music is gone and their peaks mean something else; then the old catalog is kept,
    unless it is forced. `updated`: files with new tags. `skipped`: files that could not be read, and the reasons.
    """

    tracks: int = 0
    kept: int = 0
    decoded: int = 0
    updated: int = 0
    swapped: bool = False
    lost: list[TrackEntry] = field(default_factory=list[TrackEntry])
    skipped: list[Unreadable] = field(default_factory=list[Unreadable])


def rebuild(
    directory: Path,
    *,
    workers: int | None = None,
    on_progress: Callable[[IngestProgress], None] | None = None,
    program: Sequence[str] = WORKER_PROGRAM,
    force: bool = False,
    store: SharedStore | None = None,
) -> RebuildReport:
    """Make the catalog in a folder again. Blocks, and cannot be used where an event loop runs.

    Files are read in `workers` processes that run `program`. `force`: also if tracks are lost. Raises
    CatalogBusyError while another writer works, and CatalogError, after which the old catalog is as it was.
    """
    with CatalogWriter(directory, create=False, any_fingerprint=True, store=store) as writer:
        old = writer.snapshot()
        beside = directory / f"rebuild-{_digest(old)}"
        for other in sorted(directory.iterdir()):
            if other != beside and _BESIDE.fullmatch(other.name):
                _delete(other)
        report = RebuildReport()
        with CatalogWriter(beside, identity=old.manifest.catalog, covers=Covers(directory)) as new:
            run = _Rebuild(old, new, on_progress or _ignore, report)
            run.run(program, workers)
            report.tracks = len(new.snapshot())
            if not report.lost or force:
                writer.adopt(new.snapshot())
                report.swapped = True
        if report.swapped:
            _delete(beside)
        return report


def _ignore(_progress: IngestProgress) -> None:
    """The default `on_progress`, which does nothing."""


def _digest(snapshot: Snapshot) -> str:
    """Tells whether a catalog is the one that a rebuild began with."""
    manifest = snapshot.manifest
    said = [
        (entry.file, entry.id, sorted(entry.removed)) for entry in (*manifest.segments, *manifest.descriptions)
    ]
    return hashlib.sha256(repr((DEFAULT.identity, said)).encode()).hexdigest()[:8]


def _delete(folder: Path) -> None:
    """Delete a catalog that was begun by a rebuild; files that are not a catalog's stay, and their folder."""
    if folder.is_symlink() or not folder.is_dir():
        return
    names = [name.path for name in segment_names(folder)]
    # What cannot be deleted now is deleted by the next rebuild.
    with contextlib.suppress(OSError):
        for path in [folder / MANIFEST_NAME, *names, *manifest_leftovers(folder), folder / "writer.lock"]:
            path.unlink(missing_ok=True)
        if not any(folder.iterdir()):
            folder.rmdir()


class _Rebuild:
    def __init__(
        self,
        old: Snapshot,
        new: CatalogWriter,
        on_progress: Callable[[IngestProgress], None],
        report: RebuildReport,
    ) -> None:
        made_by = old.manifest.made_by
        assert made_by is not None, "a catalog that exists knows its fingerprint"
        self._old, self._new = old, new
        self._on_progress = on_progress
        self._report = report
        self._peaks_are_ours = DEFAULT.identities.same_peaks(made_by)
        self._frames_are_ours = DEFAULT.identities.same_frames(made_by)

    def run(self, program: Sequence[str], workers: int | None) -> None:
        if self._peaks_are_ours:
            self._keep(list(self._tracks()))
        found = ingest_found(
            self._new, self._files(), workers=workers, on_progress=self._on_progress, program=program
        )
        self._report.decoded, self._report.updated = found.added, found.updated
        self._report.skipped = found.failed
        if not self._peaks_are_ours:
            self._keep_what_is_gone()
        self._report.kept = len(self._new.snapshot()) - self._report.decoded

    def _tracks(self) -> Iterator[tuple[LiveSegment, int, TrackEntry]]:
        for live in self._old.segments:
            for number in live.alive.nonzero()[0].tolist():
                yield live, number, live.entry(number)

    def _files(self) -> Walk:
        """The files that tracks were found in and that are there."""
        found: dict[str, FoundFile] = {}
        for entry in self._old.entries():
            for source in entry.sources:
                if not source.owner and source.path not in found and (stamp := _stamp(source)) is not None:
                    found[source.path] = FoundFile(source.path, source.root, stamp)
        return Walk(files=[found[path] for path in sorted(found)])

    def _keep(self, tracks: Sequence[tuple[LiveSegment, int, TrackEntry]]) -> None:
        """Take tracks over with their stored peaks, except those that are there from an interrupted run."""
        known = {entry.id: entry for entry in self._new.snapshot().entries()}
        done = set(known) | {alias for entry in known.values() for alias in entry.aliases}
        left = [each for each in tracks if each[2].id not in done]
        for first in range(0, len(left), BATCH):
            batch: dict[str, tuple[TrackEntry, TrackFingerprint]] = {}
            described: dict[str, TrackEntry] = {}
            for live, number, entry in left[first : first + BATCH]:
                fingerprint = _stored_fingerprint(live, number, entry)
                new_id = fingerprint.track_id
                merged = _joined(new_id, entry, known.get(new_id))
                if new_id in known and new_id not in batch:
                    described[new_id] = merged
                else:
                    batch[new_id] = (merged, fingerprint)
                known[new_id] = merged
            self._new.add(list(batch.values()), describing=list(described.values()))
            self._on_progress(IngestProgress(done=min(first + BATCH, len(left)), total=len(left), outcome=None))

    def _keep_what_is_gone(self) -> None:
        """After the music was decoded: take over the tracks whose music is gone, and what else was known."""
        library = Library(self._new.snapshot().entries())
        gone: list[tuple[LiveSegment, int, TrackEntry]] = []
        changed: dict[str, TrackEntry] = {}
        for live, number, entry in self._tracks():
            found = next(
                (
                    known[0]
                    for source in entry.sources
                    if not source.owner and (known := library.source(source.key)) is not None
                ),
                None,
            )
            if found is None:
                gone.append((live, number, entry))
                continue
            before = changed.get(found) or library.entry(found)
            assert before is not None, "the library knows its own tracks"
            others = [source for source in entry.sources if source.owner or _stamp(source) is None]
            merged = _joined(found, entry.with_sources(others), before)
            if merged != before:
                changed[found] = merged
        self._new.describe(list(changed.values()))
        if self._frames_are_ours:
            self._keep(gone)
        else:
            self._report.lost = [entry for _, _, entry in gone]


def _joined(new_id: str, entry: TrackEntry, other: TrackEntry | None) -> TrackEntry:
    """A track of the old catalog under its id in the new one, together with one that has this id there.

    Its files count as not described yet, so that they are.
    """
    sources = [replace(source, changed_ns=0) for source in entry.sources]
    aliases = [*entry.aliases, *([] if entry.id == new_id else [entry.id])]
    if other is None:
        return replace(entry, id=new_id, sources=tuple(sources), aliases=tuple(dict.fromkeys(aliases)))
    known = {(source.owner, source.key) for source in other.sources}
    more = [source for source in sources if (source.owner, source.key) not in known]
    return replace(
        other, sources=(*other.sources, *more), aliases=tuple(dict.fromkeys([*other.aliases, *aliases]))
    )


def _stamp(source: Source) -> FileStamp | None:
    try:
        return file_stamp(os.stat(source.path))  # noqa: PTH116 - the path is text
    except (OSError, ValueError):
        return None


def _stored_fingerprint(live: LiveSegment, number: int, entry: TrackEntry) -> TrackFingerprint:
    record, raw = live.segment.tracks[number], live.segment.raw_peaks(number)
    middle = int(record["peaks_size"])
    fingerprint = fingerprint_from_peaks(
        raw[:middle], raw[middle:], frames=int(record["frames"]), duration_seconds=entry.duration_seconds
    )
    if not len(fingerprint.hashes):
        raise CatalogError(f"The stored peaks of track {entry.id} ({entry.track.path}) give no landmarks.")
    return fingerprint
