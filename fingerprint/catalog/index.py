"""An open catalog for reading, which sees additions without being opened again."""

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from threading import Lock
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fingerprint.catalog.covers import Cover, Covers, covers_named
from fingerprint.catalog.index_file import IndexSegment
from fingerprint.catalog.manifest import (
    MANIFEST_NAME,
    Manifest,
    SegmentEntry,
    Stamp,
    manifest_stamp,
    read_manifest,
    refuse_lone_segments,
    require_catalog,
    segment_names,
)
from fingerprint.catalog.parameters import DEFAULT, Parameters
from fingerprint.catalog.problems import CatalogError, DamagedCatalogError
from fingerprint.catalog.segment_layout import other_fingerprint
from fingerprint.catalog.segment_name import segment_file
from fingerprint.catalog.shown_tracks import ShownTrack, shown_track
from fingerprint.catalog.tracks import Track, TrackEntry
from fingerprint.domain.text import composed

OPEN_ATTEMPTS: Final = 5
"""How often a writer may replace the catalog while it is being opened."""


@dataclass(frozen=True, slots=True, eq=False)
class LiveSegment:
    """An open IndexSegment, and which of its tracks are still in the catalog.

    `descriptions`: the segments that may say something newer of them.
    """

    segment: IndexSegment
    removed: frozenset[int]
    alive: NDArray[np.bool_]
    """For each track of the file, whether it is in the catalog."""
    frames: int
    """The number of frames of the tracks that are in the catalog."""
    descriptions: tuple["LiveSegment", ...] = ()

    def entry(self, number: int) -> TrackEntry:
        """What is known of a track."""
        track_id = self.segment.tracks[number]["id"]
        for newer in self.descriptions:
            for place in newer.numbers(track_id):
                return newer.segment.entry(place)
        return self.segment.entry(number)

    def track(self, number: int) -> Track:
        """A track as it is shown."""
        return self.entry(number).track

    def numbers(self, track_id: bytes) -> list[int]:
        """The numbers of the track with an id: at most one in an intact catalog."""
        return [number for number in self.segment.ids.numbers(track_id) if number not in self.removed]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Snapshot:
    """The catalog at one moment. It stays readable while writers change the catalog."""

    manifest: Manifest = field(default_factory=Manifest)
    segments: tuple[LiveSegment, ...] = ()
    descriptions: tuple[LiveSegment, ...] = ()

    def __len__(self) -> int:
        return sum(len(live.alive) - len(live.removed) for live in self.segments)

    @property
    def frames(self) -> int:
        """The number of frames of all tracks."""
        return sum(live.frames for live in self.segments)

    def tracks(self) -> Iterator[Track]:
        """All tracks, in the order in which they were added."""
        return (entry.track for entry in self.entries())

    def shown_tracks(self) -> Iterator[ShownTrack]:
        """All tracks as lists show them, in the same order; several times as fast as `tracks`."""
        for segment, number, track_id, text in self._stored():
            yield shown_track(track_id, text) or ShownTrack.of(segment.decode(number, track_id, text).track)

    def entries(self) -> Iterator[TrackEntry]:
        """What is known of all tracks, in the order in which they were added."""
        return self.search(())

    def search(self, words: Sequence[str]) -> Iterator[TrackEntry]:
        """What is known of the tracks whose tags or paths hold every word, in any case and either form of accents.

        Hot path, over 100,000 tracks; simple form: decode each track's text, and look at `TrackEntry.text`. Texts
        that hold ASCII alone, and not the words, are not decoded; all else is stored as `\\u` and digits.
        """
        folded = [composed(word.casefold()) for word in words]
        wide = not all(word.isascii() for word in folded)
        plain = [word.encode() for word in folded if word.isascii() and not {'"', "\\"} & set(word)]
        for segment, number, track_id, text in self._stored():
            if wide and b"\\u" not in text:
                continue
            if plain and b"\\u" not in text:
                lower = text.lower()
                if any(word not in lower for word in plain):
                    continue
            entry = segment.decode(number, track_id, text)
            if folded:
                shown = entry.text.casefold()
                accented = composed(shown)
                if any(word not in accented and word not in shown for word in folded):
                    continue
            yield entry

    def page(self, words: Sequence[str], first: int, count: int) -> list[TrackEntry]:
        """Some of the tracks that `search` finds, from number `first` on; without words only these are decoded."""
        if any(words):
            return list(islice(self.search(words), first, first + count))
        stored = islice(self._stored(), first, first + count)
        return [segment.decode(number, track_id, text) for segment, number, track_id, text in stored]

    def entry(self, track_id: str) -> TrackEntry | None:
        """What is known of the track with an id, or with one that it had before; None when there is none."""
        for live, number in self.places(track_id):
            return live.entry(number)
        return next((entry for entry in self.entries() if track_id in entry.aliases), None)

    def ids(self) -> set[str]:
        """The ids of all tracks."""
        found: set[str] = set()
        for live in self.segments:
            found.update(raw.decode() for raw in live.segment.tracks["id"][live.alive])
        return found

    def covers(self) -> set[str]:
        """The names of the covers of all tracks."""
        return {name for _, _, _, text in self._stored() for name in covers_named(text)}

    def _stored(self) -> Iterator[tuple[IndexSegment, int, bytes, bytes]]:
        """The newest stored form of all tracks: where it is, the track's id, and its bytes."""
        newer = {
            track_id: (live.segment, number, text)
            for live in self.descriptions
            for number, track_id, text in live.segment.texts(live.alive)
        }
        for live in self.segments:
            for place, track_id, stored in live.segment.texts(live.alive):
                segment, number, text = newer.get(track_id, (live.segment, place, stored))
                yield segment, number, track_id, text

    def places(self, track_id: str) -> list[tuple[LiveSegment, int]]:
        """The segments that contain a track, with its number in each: at most one in an intact catalog."""
        wanted = track_id.encode("utf-8", "surrogatepass")
        return [(live, number) for live in self.segments for number in live.numbers(wanted)]


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogStats:
    """Statistics about a catalog. `bytes_per_minute`: index bytes per minute of music."""

    tracks: int
    hours: float
    landmarks: int
    segments: int
    removed: int
    size_bytes: int
    bytes_per_minute: float
    fingerprint: str


class Catalog:
    """A catalog for reading, shared by threads. A folder that does not exist yet is an empty catalog.

    `snapshot()` returns the newest state and costs one `stat` when nothing has changed. Opening maps files; it
    does not read them, so it takes no longer for a large catalog.

    With `any_fingerprint`, it may have been made by another fingerprint, and can be read but not searched.

    Methods raise CatalogError when the catalog is damaged, OtherFingerprintError when it cannot be searched.
    """

    def __init__(
        self, directory: Path, parameters: Parameters = DEFAULT, *, any_fingerprint: bool = False
    ) -> None:
        self.directory = directory
        self.parameters = parameters
        self._any_fingerprint = any_fingerprint
        self._lock = Lock()
        self._stamp: Stamp | None = None
        self._snapshot = Snapshot()

    def snapshot(self) -> Snapshot:
        with self._lock:
            stamp = manifest_stamp(self.directory)
            if stamp is None:
                refuse_lone_segments(self.directory)
            if stamp != self._stamp:
                self._snapshot = self._open()
                self._stamp = stamp
            return self._snapshot

    def track(self, track_id: str) -> Track | None:
        """The track with an id, or None."""
        entry = self.snapshot().entry(track_id)
        return None if entry is None else entry.track

    def cover(self, track_id: str) -> Cover | None:
        """The cover of the track with an id (or with one that it had before); None without one.

        Reads one file of at most 1 MiB; blocks. Covers are small JPEG pictures that this program made itself, so
        that they may be sent to browsers. `Track.cover` is the name alone, for which nothing is read.
        """
        entry = self.snapshot().entry(track_id)
        names = dict.fromkeys(source.cover for source in (entry.preferred, *entry.sources)) if entry else ()
        covers = Covers(self.directory)
        return next((cover for name in names if (cover := covers.read(name)) is not None), None)

    def cover_named(self, name: str) -> Cover | None:
        """The cover with a name, such as `Track.cover`; None if it is not there. Reads a file, as `cover` does."""
        return Covers(self.directory).read(name)

    def stats(self) -> CatalogStats:
        """Statistics for `catalog` commands and the admin pages."""
        snapshot = self.snapshot()
        size = sum(live.segment.size for live in (*snapshot.segments, *snapshot.descriptions))
        seconds = snapshot.frames / self.parameters.frames_per_second
        return CatalogStats(
            tracks=len(snapshot),
            hours=seconds / 3600,
            landmarks=sum(int(live.segment.tracks["landmarks"][live.alive].sum()) for live in snapshot.segments),
            segments=len(snapshot.segments) + len(snapshot.descriptions),
            removed=sum(len(live.removed) for live in snapshot.segments),
            size_bytes=size,
            bytes_per_minute=size * 60 / seconds if seconds else 0.0,
            fingerprint=snapshot.manifest.made_by.landmarks
            if snapshot.manifest.made_by
            else self.parameters.identity,
        )

    def verify(self) -> list[str]:
        """Read the whole catalog and report damage, one sentence for each; empty when it is intact."""
        problems = self.damage()
        covers = Covers(self.directory)
        with contextlib.suppress(CatalogError):
            problems += [
                f"{covers.folder / name} is missing or damaged: tracks lack this cover. `catalog rebuild` "
                "takes it from their files again"
                for name in self.lost_covers()
            ]
        return problems

    def lost_covers(self) -> list[str]:
        """The names of covers that tracks should have, and that are missing or damaged."""
        covers = Covers(self.directory)
        return [name for name in sorted(self.snapshot().covers()) if covers.read(name) is None]

    def damage(self) -> list[str]:
        """Likewise without the covers, whose loss costs no track."""
        try:
            require_catalog(self.directory)
            snapshot = self.snapshot()
        except CatalogError as error:
            return [error.detail]
        problems = self._strangers(snapshot.manifest)
        problems += [
            f"{live.segment.path} is damaged: its {part} are not as they were written"
            for live in (*snapshot.segments, *snapshot.descriptions)
            if (part := live.segment.damage()) is not None
        ]
        seen: set[str] = set()
        try:
            for track in snapshot.tracks():
                if track.id in seen:
                    problems.append(f"track {track.id} is there twice ({track.path})")
                seen.add(track.id)
        except DamagedCatalogError as error:
            problems.append(error.detail)
        return problems

    def _strangers(self, manifest: Manifest) -> list[str]:
        """Index files in the folder that the manifest should not be beside."""
        problems = strangers(self.directory, manifest)
        # A writer may have been at work meanwhile.
        return problems if problems and read_manifest(self.directory) == manifest else []

    def _open(self) -> Snapshot:
        known = {
            (live.segment.path.name, live.segment.id): live.segment
            for live in (*self._snapshot.segments, *self._snapshot.descriptions)
        }
        ours = self.parameters.identities
        for attempt in range(1, OPEN_ATTEMPTS + 1):
            manifest = read_manifest(self.directory)
            made_by = manifest.made_by or ours
            if not self._any_fingerprint and not ours.can_search(made_by):
                raise other_fingerprint(self.directory, made_by.landmarks, ours.landmarks)
            try:
                opened = {
                    entry: known.get((entry.file, entry.id)) or self._open_segment(entry, made_by.landmarks)
                    for entry in (*manifest.segments, *manifest.descriptions)
                }
            except FileNotFoundError as error:
                # A merge has removed it since the manifest was read; then there is a newer manifest.
                if attempt == OPEN_ATTEMPTS or read_manifest(self.directory) == manifest:
                    raise DamagedCatalogError(
                        f"The catalog in {self.directory} is damaged: {error.filename} is missing. Copy the whole "
                        "catalog again, while no command is changing it."
                    ) from error
                continue
            except OSError as error:
                raise CatalogError(f"The catalog in {self.directory} cannot be read: {error.strerror}.") from error
            descriptions = tuple(_live(opened[entry], entry) for entry in manifest.descriptions)
            segments = tuple(_live(opened[entry], entry, descriptions) for entry in manifest.segments)
            return Snapshot(manifest=manifest, segments=segments, descriptions=descriptions)
        raise AssertionError("unreachable")

    def _open_segment(self, entry: SegmentEntry, made_by: str) -> IndexSegment:
        segment = IndexSegment.open(self.directory / entry.file, identity=made_by)
        if entry.id and segment.id != entry.id:
            raise DamagedCatalogError(
                f"The catalog in {self.directory} is damaged: {segment.path} is not the file that {MANIFEST_NAME} "
                "lists, but one of another catalog or of another time. Copy the whole catalog again, while no "
                "command is changing it."
            )
        return segment


def _live(segment: IndexSegment, entry: SegmentEntry, descriptions: tuple[LiveSegment, ...] = ()) -> LiveSegment:
    alive = np.ones(len(segment.tracks), np.bool_)
    if max(entry.removed, default=-1) >= len(alive):
        raise DamagedCatalogError(
            f"The catalog in {segment.path.parent} is damaged: {segment.path} is not the file that "
            f"{MANIFEST_NAME} lists."
        )
    alive[list(entry.removed)] = False
    frames = int(segment.tracks["frames"][alive].astype(np.int64).sum())
    return LiveSegment(segment, entry.removed, alive, frames, descriptions)


def strangers(directory: Path, manifest: Manifest) -> list[str]:
    """The index files in a folder that do not belong to a manifest, one sentence for each.

    What a killed writer leaves behind is none of them: it has the catalog's identity, and a number that the
    manifest expects.
    """
    listed = manifest.files
    names = [name for name in segment_names(directory) if name.path.name not in listed]
    # The next file's number; numbers are left out whose names other files have.
    others = {name.path for name in names}
    number = manifest.next
    while os.path.lexists(path := directory / segment_file(number)) and path not in others:
        number += 1
    problems: list[str] = []
    for name in names:
        if name.catalog and manifest.catalog and name.catalog != manifest.catalog:
            problems.append(
                f"{name.path} belongs to another catalog, and {MANIFEST_NAME} does not list it: move it away, or "
                "copy the catalog that it belongs to again, as a whole"
            )
        elif name.finished and name.number > number:
            problems.append(
                f"{name.path} is newer than {MANIFEST_NAME}, which does not list it, as after a copy that was "
                "made during a change: copy the whole catalog again"
            )
    return problems


def refuse_strangers(directory: Path, manifest: Manifest) -> None:
    """Raises DamagedCatalogError when a folder holds index files that do not belong to its manifest."""
    problems = strangers(directory, manifest)
    if problems:
        raise DamagedCatalogError(f"{problems[0]}. Nothing was changed.")
