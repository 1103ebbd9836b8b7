"""Changes a catalog: one writer at a time, and a writer that is killed leaves the catalog intact."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from fingerprint.catalog.fingerprint import TrackFingerprint
from fingerprint.catalog.index import Catalog, LiveSegment, Snapshot
from fingerprint.catalog.index_build import MergeSource, build_segment, merge_segments
from fingerprint.catalog.index_file import GAP, POSITION_LIMIT
from fingerprint.catalog.manifest import Manifest, SegmentEntry, write_manifest
from fingerprint.catalog.parameters import DEFAULT, HASH_BITS, Parameters
from fingerprint.catalog.problems import CatalogBusyError, CatalogError
from fingerprint.catalog.tracks import Track

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

TIER_RATIO: Final = 4
"""How many IndexSegments of a size are merged into the next size. Each track is rewritten log4(tracks) times."""

PURGE_SHARE: Final = 0.2
"""The share of removed tracks from which an IndexSegment is rewritten."""


class CatalogWriter:
    """Adds and removes tracks. A context manager that holds the catalog's write lock.

    Each `add` or `remove` is complete when it returns: on disk, and visible to readers. A writer that is killed
    leaves the last complete state; the next one deletes its leftovers.

    Raises CatalogBusyError on entering while another writer works, CatalogError for a catalog that cannot be
    used.
    """

    def __init__(self, directory: Path, parameters: Parameters = DEFAULT) -> None:
        self._directory = directory
        self._parameters = parameters
        self._catalog = Catalog(directory, parameters)
        self._lock = _WritingRight(directory / "writer.lock")

    def __enter__(self) -> Self:
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CatalogError(
                f"The catalog folder {self._directory} cannot be made: {error.strerror}."
            ) from error
        self._lock.take()
        try:
            self._clear_up(self.snapshot().manifest)
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.release()

    def snapshot(self) -> Snapshot:
        return self._catalog.snapshot()

    def add(self, tracks: Sequence[tuple[Track, TrackFingerprint]], *, replacing: Iterable[str] = ()) -> None:
        """Add tracks, and in the same step remove those with the ids `replacing` (an id in both is replaced)."""
        gone = {*replacing, *(track.id for track, _ in tracks)}
        snapshot = self.snapshot()
        entries = self._without(snapshot, gone)
        manifest = snapshot.manifest
        added = list({track.id: (track, fingerprint) for track, fingerprint in tracks}.values())
        if added:
            file = _file_name(manifest.next)
            identity = self._parameters.identity
            build_segment(self._directory / file, added, identity=identity, hash_bits=HASH_BITS)
            entries.append(SegmentEntry(file))
        self._commit(replace(manifest, segments=tuple(entries), next=manifest.next + 1))
        self._merge()

    def remove(self, ids: Iterable[str]) -> set[str]:
        """Remove tracks; returns the ids that were there."""
        snapshot = self.snapshot()
        gone = set(ids) & snapshot.ids()
        if gone:
            self._commit(replace(snapshot.manifest, segments=tuple(self._without(snapshot, gone))))
            self._merge()
        return gone

    def _without(self, snapshot: Snapshot, gone: set[str]) -> list[SegmentEntry]:
        places: dict[str, set[int]] = {}
        for track_id in gone:
            for live, number in snapshot.places(track_id):
                places.setdefault(live.segment.path.name, set()).add(number)
        return [
            SegmentEntry(entry.file, entry.removed | places.get(entry.file, set()))
            for entry in snapshot.manifest.segments
        ]

    def _commit(self, manifest: Manifest) -> None:
        manifest = replace(manifest, generation=manifest.generation + 1)
        write_manifest(self._directory, manifest, identity=self._parameters.identity)

    def _merge(self) -> None:
        """Merge until the number of IndexSegments is small and few removed tracks are left in them."""
        while chosen := choose_merge(self.snapshot().segments):
            snapshot = self.snapshot()
            manifest = snapshot.manifest
            names = {live.segment.path.name for live in chosen}
            sources = [
                MergeSource(live.segment, live.removed) for live in chosen if len(live.removed) < len(live.alive)
            ]
            entries = [entry for entry in manifest.segments if entry.file not in names]
            if sources:
                file = _file_name(manifest.next)
                identity = self._parameters.identity
                merge_segments(self._directory / file, sources, identity=identity, hash_bits=HASH_BITS)
                place = min(index for index, entry in enumerate(manifest.segments) if entry.file in names)
                entries.insert(min(place, len(entries)), SegmentEntry(file))
            self._commit(replace(manifest, segments=tuple(entries), next=manifest.next + 1))
            self._clear_up(self.snapshot().manifest)

    def _clear_up(self, manifest: Manifest) -> None:
        """Delete files that the catalog no longer needs, or that a killed writer left behind."""
        needed = {entry.file for entry in manifest.segments}
        for path in [*self._directory.glob("*.seg"), *self._directory.glob("*.tmp")]:
            if path.name not in needed:
                try:
                    path.unlink(missing_ok=True)
                except PermissionError:
                    continue  # Windows keeps files that a reader has mapped; the next writer tries again


def choose_merge(segments: Sequence[LiveSegment]) -> list[LiveSegment]:
    """The IndexSegments to merge next; empty when none need merging.

    Log-structured, in tiers by the number of tracks (P. O'Neil et al., "The Log-Structured Merge-Tree", 1996):
    TIER_RATIO files of a tier become one of the next. A file with many removed tracks is rewritten alone.
    """
    for live in segments:
        if len(live.removed) > PURGE_SHARE * len(live.alive):
            return [live]
    tiers: dict[int, list[LiveSegment]] = {}
    for live in segments:
        tier = 0
        while TIER_RATIO ** (tier + 1) <= len(live.alive):
            tier += 1
        tiers.setdefault(tier, []).append(live)
    for tier in sorted(tiers):
        chosen = tiers[tier][:TIER_RATIO]
        if len(chosen) == TIER_RATIO and _fits(chosen):
            return chosen
    return []


def _fits(segments: Sequence[LiveSegment]) -> bool:
    frames = sum(live.segment.frames for live in segments) + GAP
    postings = sum(len(live.segment.postings) for live in segments)
    return max(frames, postings) < POSITION_LIMIT


def _file_name(number: int) -> str:
    return f"{number:08d}.seg"


class _WritingRight:
    """A lock on a file, freed by the system when its process dies (POSIX).

    Where such locks do not exist, the file's existence is the lock, and it must be deleted after a crash.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle: int | None = None

    def take(self) -> None:
        flags = os.O_RDWR | os.O_CREAT | (os.O_EXCL if fcntl is None else 0)
        try:
            handle = os.open(self._path, flags, 0o644)
        except FileExistsError as error:
            raise self._busy(" If no other one is running, delete that file.") from error
        except OSError as error:
            raise CatalogError(
                f"The catalog folder {self._path.parent} cannot be written to: {error.strerror}."
            ) from error
        if fcntl is not None:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                os.close(handle)
                raise self._busy("") from error
        self._handle = handle

    def release(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
            if fcntl is None:
                self._path.unlink(missing_ok=True)

    def _busy(self, more: str) -> CatalogBusyError:
        return CatalogBusyError(
            f"Another command is changing the catalog in {self._path.parent} ({self._path.name}); "
            f"wait until it is done.{more}"
        )
