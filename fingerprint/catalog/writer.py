"""Changes a catalog: one writer at a time, and a writer that is killed leaves the catalog intact."""

import contextlib
import os
import secrets
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from fingerprint.catalog.covers import Covers
from fingerprint.catalog.fingerprint import NO_FINGERPRINT, TrackFingerprint
from fingerprint.catalog.folder_writes import FULL, UnwritableError, link_file, saying_what_is_full
from fingerprint.catalog.index import Catalog, LiveSegment, Snapshot, refuse_strangers
from fingerprint.catalog.index_build import MergeSource, build_segment, merge_segments
from fingerprint.catalog.manifest import (
    Manifest,
    SegmentEntry,
    manifest_bytes,
    manifest_leftovers,
    manifest_stamp,
    refuse_lone_segments,
    require_catalog,
    require_no_file,
    segment_names,
    write_manifest,
)
from fingerprint.catalog.merging import choose_merge
from fingerprint.catalog.parameters import DEFAULT, HASH_BITS, Parameters
from fingerprint.catalog.picture_header import UnusablePictureError
from fingerprint.catalog.problems import CatalogBusyError, CatalogError, ChangedElsewhereError
from fingerprint.catalog.segment_layout import other_fingerprint
from fingerprint.catalog.segment_name import new_id, segment_file
from fingerprint.catalog.shared_store import SharedStore
from fingerprint.catalog.tracks import Track, TrackEntry
from fingerprint.catalog.upgrading import is_earlier, upgraded
from fingerprint.catalog.write_lock import WriteLock


def _without(
    segments: Sequence[LiveSegment], entries: Sequence[SegmentEntry], gone: Collection[str]
) -> list[SegmentEntry]:
    """The files of a manifest, where tracks with some ids are removed."""
    kept: list[SegmentEntry] = []
    for live, entry in zip(segments, entries, strict=True):
        places = {number for track_id in gone for number in live.numbers(track_id.encode())}
        kept.append(replace(entry, removed=entry.removed | places) if places else entry)
    return kept


CHANGE_ATTEMPTS: Final = 50
"""How often other writers may be faster before a change is given up: each time, one of them has got on."""


class CatalogWriter:
    """Adds and removes tracks. A context manager that holds the catalog's write lock.

    Each `add` or `remove` is complete when it returns: on disk, and visible to readers. A writer that is killed
    leaves the last complete state; the next one deletes its leftovers, and no file that is not this catalog's own.

    With `create=False`, there must be a catalog already. `any_fingerprint`: it may have been made by another one,
    and then only `replace_content` and `adopt` may be used. `identity`: that of a catalog that is begun; random by
    default. `store`: where the catalog is shared with other machines. `covers`: where covers are kept, if not with
    the catalog; then they are never deleted here. Raises CatalogBusyError on entering while another writer works,
    CatalogError for a catalog that cannot be used.
    """

    def __init__(
        self,
        directory: Path,
        parameters: Parameters = DEFAULT,
        *,
        create: bool = True,
        any_fingerprint: bool = False,
        identity: str = "",
        store: SharedStore | None = None,
        covers: Covers | None = None,
    ) -> None:
        self._directory = directory
        self._create = create
        self._parameters = parameters
        self._any_fingerprint = any_fingerprint
        self._identity = identity
        self._store = store
        self._covers = covers or Covers(directory)
        self._owns_covers = covers is None
        self._covers_may_go = False
        self._unpublished: set[str] = set()
        self._entered = Snapshot()
        self._catalog = Catalog(directory, parameters, any_fingerprint=any_fingerprint)
        self._lock = WriteLock(directory / "writer.lock")
        self._last = 0
        self._reserved: list[int] = []

    def __enter__(self) -> Self:
        if self._create or self._store is not None:
            require_no_file(self._directory)
            try:
                self._directory.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise CatalogError(
                    f"The catalog folder {self._directory} cannot be made: {error.strerror}."
                ) from error
        else:
            require_catalog(self._directory)
        if self._store is None and manifest_stamp(self._directory) is None:
            # Before the lock is made: a folder that holds half a copy stays as it is.
            refuse_lone_segments(self._directory)
        self._lock.take()
        try:
            if self._store is not None:
                self._store.refresh()
                if not self._create:
                    require_catalog(self._directory)
            manifest = self.snapshot().manifest
            refuse_strangers(self._directory, manifest)
            self._refuse_other_fingerprint(manifest)
            if not manifest.catalog:
                # From now on, index files in this folder are known to be this catalog's.
                identity = self._identity or new_id()
                self._in_turn(lambda: self._commit(catalog=self.snapshot().manifest.catalog or identity))
            self._clear_up()
            self._in_turn(self._upgrade)
            self._entered = self.snapshot()
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None and self._covers_may_go and self._owns_covers:
                self._drop_covers()
        finally:
            self._lock.release()

    def keep_cover(self, content: bytes) -> str:
        """Keep a cover, and return its name, for sources that are added.

        Raises UnusablePictureError when it cannot be kept, CatalogError when the disk is full.
        """
        self._covers_may_go = True  # should the track not be added after all
        with saying_what_is_full(self._covers.folder):
            try:
                name = self._covers.keep(content)
            except OSError as error:
                if error.errno in FULL:
                    raise
                raise UnusablePictureError(f"it cannot be kept: {error.strerror}") from error
        self._unpublished.add(name)
        return name

    def _drop_covers(self) -> None:
        """Delete the covers that no track has any more. What cannot be deleted stays until the next time."""
        needed = self.snapshot().covers()
        self._covers.drop(needed)
        if self._store is not None:
            self._store.retire_covers(needed)

    def _refuse_other_fingerprint(self, manifest: Manifest) -> None:
        ours, made_by = self._parameters.identity, manifest.made_by
        if made_by is not None and made_by.landmarks != ours and not self._any_fingerprint:
            raise other_fingerprint(self._directory, made_by.landmarks, ours)

    def snapshot(self) -> Snapshot:
        return self._catalog.snapshot()

    def add(
        self,
        tracks: Sequence[tuple[Track | TrackEntry, TrackFingerprint]],
        *,
        replacing: Iterable[str] = (),
        describing: Sequence[TrackEntry] = (),
    ) -> None:
        """Add tracks, and in the same step remove those with the ids `replacing` (an id in both is replaced).

        `describing`: what is newly known of tracks that are in the catalog already.
        """
        entries = {
            track.id: (track if isinstance(track, TrackEntry) else TrackEntry.of(track), fingerprint)
            for track, fingerprint in tracks
        }
        described = {entry.id: (entry, NO_FINGERPRINT) for entry in describing if entry.id not in entries}
        gone = frozenset(replacing)
        self._covers_may_go |= bool(described or gone)
        self._in_turn(lambda: self._add(entries, described, gone))
        self._merge()

    def _add(
        self,
        entries: Mapping[str, tuple[TrackEntry, TrackFingerprint]],
        described: Mapping[str, tuple[TrackEntry, TrackFingerprint]],
        replacing: frozenset[str],
    ) -> None:
        new = [
            [(self._with_others(entry), fingerprint) for entry, fingerprint in group.values()]
            for group in (entries, described)
        ]
        self._reserve(sum(1 for group in new if group))
        snapshot = self.snapshot()
        segments = _without(snapshot.segments, snapshot.manifest.segments, {*replacing, *entries})
        descriptions = _without(
            snapshot.descriptions, snapshot.manifest.descriptions, {*replacing, *entries, *described}
        )
        for group, files in zip(new, (segments, descriptions), strict=True):
            if group:
                files.append(self._write(group))
        self._commit(segments=tuple(segments), descriptions=tuple(descriptions))

    def _with_others(self, entry: TrackEntry) -> TrackEntry:
        """The track, also with the files that other machines have found it in since this writer was entered."""
        if self._store is None:
            return entry
        before, now = (
            [source for live, number in snapshot.places(entry.id) for source in live.entry(number).sources]
            for snapshot in (self._entered, self.snapshot())
        )
        known = {(source.owner, source.path) for source in (*before, *entry.sources)}
        others = [source for source in now if (source.owner, source.path) not in known]
        return entry.with_sources((*entry.sources, *others)) if others else entry

    def _in_turn(self, change: Callable[[], None]) -> None:
        """Make a change; when another machine was faster, on what it has left."""
        for _ in range(CHANGE_ATTEMPTS):
            try:
                change()
            except ChangedElsewhereError:
                assert self._store is not None, "nobody else changes a folder that is locked"
                self._reserved = []
                self._store.refresh()
            else:
                return
        raise CatalogBusyError(
            "Other machines change this catalog all the time. What was indexed before is kept; run the command "
            "again to go on."
        )

    def describe(self, entries: Sequence[TrackEntry]) -> None:
        """Replace what is known of tracks; their sound stays."""
        self.add([], describing=entries)

    def remove(self, ids: Iterable[str]) -> set[str]:
        """Remove tracks; returns the ids that were there."""
        gone = set(ids) & self.snapshot().ids()
        if gone:
            self.add([], replacing=gone)
        return gone

    def exclude(self, patterns: Sequence[str]) -> None:
        """Replace the patterns of files that are not indexed."""
        self._in_turn(lambda: self._commit(excluded=tuple(patterns)))

    def replace_content(self, other: Snapshot) -> None:
        """Have the catalog hold what another one holds, in one step, except its covers."""
        self._covers_may_go = True
        self._in_turn(lambda: self._rewrite(other))

    def adopt(self, other: Snapshot) -> None:
        """Have the catalog hold what another one of the same identity holds, in one step, by its files.

        These stay where they are, too.
        """
        self._covers_may_go = True
        self._in_turn(lambda: self._adopt(other))

    def _adopt(self, other: Snapshot) -> None:
        before = self.snapshot().manifest.files
        self._reserve(len(other.segments) + len(other.descriptions))
        linked: list[list[SegmentEntry]] = [[], []]
        for files, group, listed in zip(
            linked,
            (other.segments, other.descriptions),
            (other.manifest.segments, other.manifest.descriptions),
            strict=True,
        ):
            for live, entry in zip(group, listed, strict=True):
                file = self._next_file()
                with saying_what_is_full(self._directory):
                    link_file(live.segment.path, self._directory / file)
                files.append(replace(entry, file=file, id=live.segment.id))
        self._reserved = []
        self._commit(segments=tuple(linked[0]), descriptions=tuple(linked[1]), made_by=other.manifest.made_by)
        self._clear_up(merged=before)

    def _write(self, tracks: Sequence[tuple[TrackEntry, TrackFingerprint]]) -> SegmentEntry:
        file = self._next_file()
        with saying_what_is_full(self._directory):
            segment_id = build_segment(
                self._directory / file,
                tracks,
                identity=self._parameters.identity,
                hash_bits=HASH_BITS,
                catalog=self.snapshot().manifest.catalog,
            )
        return SegmentEntry(file, id=segment_id)

    def _write_merged(self, sources: Sequence[MergeSource], made_by: str = "") -> SegmentEntry:
        file = self._next_file()
        with saying_what_is_full(self._directory):
            segment_id = merge_segments(
                self._directory / file,
                sources,
                identity=made_by or self._parameters.identity,
                hash_bits=sources[0].segment.hash_bits,
                catalog=self.snapshot().manifest.catalog,
            )
        return SegmentEntry(file, id=segment_id)

    def _reserve(self, files: int) -> None:
        """Commit that some numbers are used, when a change writes several files.

        After a crash, files with these numbers are known to be leftovers, not newer than the manifest.
        """
        if files > 1 and self._store is None:
            self._reserved = self._free_numbers(files)
            self._commit(next=self._reserved[-1] + 1)

    def _next_file(self) -> str:
        """The name of a new file."""
        number = self._reserved.pop(0) if self._reserved else self._free_numbers(1)[0]
        self._last = max(self._last, number)
        # Another machine may choose the same number at the same time.
        return segment_file(number, "" if self._store is None else secrets.token_hex(4))

    def _free_numbers(self, count: int) -> list[int]:
        """The next numbers; those of files that exist are left out: they may be the user's own."""
        numbers: list[int] = []
        number = max(self.snapshot().manifest.next, self._last + 1)
        while len(numbers) < count:
            if not os.path.lexists(self._directory / segment_file(number)):
                numbers.append(number)
            number += 1
        return numbers

    def _commit(self, **changes: Any) -> None:
        """Replace the manifest by one with these changes."""
        before = self.snapshot().manifest
        changes.setdefault("next", max(before.next, self._last + 1))
        changes.setdefault("made_by", before.made_by or self._parameters.identities)
        manifest = replace(before, generation=before.generation + 1, **changes)
        text = manifest_bytes(manifest)
        if self._store is not None:
            unpublished = sorted(self._unpublished)
            self._store.publish_covers([self._covers.folder / name for name in unpublished])
            self._unpublished.difference_update(unpublished)
            self._store.publish(text, [self._directory / file for file in sorted(manifest.files - before.files)])
        with saying_what_is_full(self._directory):
            write_manifest(self._directory, text)

    def _merge(self) -> None:
        """Merge until the number of files is small and few removed tracks are left in them.

        The change that was made before is complete: where there is no room to merge, the next one does it.
        """
        try:
            self._merge_all()
        except UnwritableError:
            pass
        except ChangedElsewhereError:
            # Whoever was faster merges, too.
            assert self._store is not None, "as in `_in_turn`"
            self._store.refresh()

    def _merge_all(self) -> None:
        for name in ("segments", "descriptions"):
            while chosen := choose_merge(getattr(self.snapshot(), name)):
                listed: tuple[SegmentEntry, ...] = getattr(self.snapshot().manifest, name)
                names = {live.segment.path.name for live in chosen}
                sources = [
                    MergeSource(live.segment, live.removed)
                    for live in chosen
                    if len(live.removed) < len(live.alive)
                ]
                entries = [entry for entry in listed if entry.file not in names]
                if sources:
                    place = min(index for index, entry in enumerate(listed) if entry.file in names)
                    entries.insert(min(place, len(entries)), self._write_merged(sources))
                self._commit(**{name: tuple(entries)})
                self._clear_up(merged=names)

    def _upgrade(self) -> None:
        """Give tracks that an earlier version indexed the ids of their sound, without the music.

        Files of that version are rewritten beside the old ones, which answer until all of them are ready.
        """
        snapshot = self.snapshot()
        if is_earlier(snapshot) and not self._any_fingerprint:
            self._rewrite(snapshot)

    def _rewrite(self, snapshot: Snapshot) -> None:
        """Write all files of a snapshot, with the ids of their sound where an earlier version gave others."""
        made_by = snapshot.manifest.made_by or self._parameters.identities
        entries, gone = upgraded(snapshot) if is_earlier(snapshot) else ({}, {})
        described = () if entries else snapshot.descriptions
        before = self.snapshot().manifest.files
        self._reserve(len(snapshot.segments) + len(described))
        written: list[list[SegmentEntry]] = [[], []]
        for files, group in zip(written, (snapshot.segments, described), strict=True):
            for live in group:
                file = live.segment.path.name
                removed = live.removed | gone.get(file, frozenset())
                if len(removed) < len(live.alive):
                    source = MergeSource(live.segment, removed, entries.get(file, {}))
                    files.append(self._write_merged([source], made_by.landmarks))
        self._reserved = []
        self._commit(
            segments=tuple(written[0]),
            descriptions=tuple(written[1]),
            excluded=snapshot.manifest.excluded,
            made_by=made_by,
        )
        self._clear_up(merged=before)

    def _clear_up(self, merged: frozenset[str] | set[str] = frozenset()) -> None:
        """Delete the files that were just merged into another, and what a killed writer left.

        Nothing else: a file is known to be this catalog's by its name and by the identity in its header.
        """
        manifest = self.snapshot().manifest
        needed = manifest.files
        own = [
            name.path
            for name in segment_names(self._directory)
            if name.path.name not in needed
            and (name.catalog == manifest.catalog if name.catalog else name.path.name in merged)
        ]
        for path in [*own, *manifest_leftovers(self._directory)]:
            # Windows keeps files that a reader has mapped; the next writer tries again.
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
        if self._store is not None and merged:
            self._store.retire(merged - needed)
