"""An open catalog for reading, which sees additions without being opened again."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fingerprint.catalog.index_file import IndexSegment
from fingerprint.catalog.manifest import Manifest, Stamp, manifest_stamp, read_manifest
from fingerprint.catalog.parameters import DEFAULT, Parameters
from fingerprint.catalog.problems import CatalogError, DamagedCatalogError
from fingerprint.catalog.tracks import Track

OPEN_ATTEMPTS: Final = 5
"""How often a writer may replace the catalog while it is being opened."""


@dataclass(frozen=True, slots=True, eq=False)
class LiveSegment:
    """An open IndexSegment, and which of its tracks are still in the catalog."""

    segment: IndexSegment
    removed: frozenset[int]
    alive: NDArray[np.bool_]
    """For each track of the file, whether it is in the catalog."""
    frames: int
    """The number of frames of the tracks that are in the catalog."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Snapshot:
    """The catalog at one moment. It stays readable while writers change the catalog."""

    manifest: Manifest = field(default_factory=Manifest)
    segments: tuple[LiveSegment, ...] = ()

    def __len__(self) -> int:
        return sum(len(live.alive) - len(live.removed) for live in self.segments)

    @property
    def frames(self) -> int:
        """The number of frames of all tracks."""
        return sum(live.frames for live in self.segments)

    def tracks(self) -> Iterator[Track]:
        """All tracks, in the order in which they were added."""
        for live in self.segments:
            for number in np.flatnonzero(live.alive):
                yield live.segment.track(int(number))

    def ids(self) -> set[str]:
        """The ids of all tracks."""
        found: set[str] = set()
        for live in self.segments:
            found.update(raw.decode() for raw in live.segment.tracks["id"][live.alive])
        return found

    def places(self, track_id: str) -> list[tuple[LiveSegment, int]]:
        """The segments that contain a track, with its number in each: at most one in an intact catalog."""
        wanted = track_id.encode()
        return [
            (live, int(number))
            for live in self.segments
            for number in np.flatnonzero((live.segment.tracks["id"] == wanted) & live.alive)
        ]


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

    Methods raise CatalogError when the catalog is damaged or was made by another fingerprint.
    """

    def __init__(self, directory: Path, parameters: Parameters = DEFAULT) -> None:
        self.directory = directory
        self.parameters = parameters
        self._lock = Lock()
        self._stamp: Stamp | None = None
        self._snapshot = Snapshot()

    def snapshot(self) -> Snapshot:
        with self._lock:
            stamp = manifest_stamp(self.directory)
            if stamp != self._stamp:
                self._snapshot = self._open()
                self._stamp = stamp
            return self._snapshot

    def track(self, track_id: str) -> Track | None:
        """The track with an id, or None."""
        places = self.snapshot().places(track_id)
        return places[0][0].segment.track(places[0][1]) if places else None

    def stats(self) -> CatalogStats:
        """Statistics for `catalog` commands and the admin pages."""
        snapshot = self.snapshot()
        size = sum(live.segment.size for live in snapshot.segments)
        seconds = snapshot.frames / self.parameters.frames_per_second
        return CatalogStats(
            tracks=len(snapshot),
            hours=seconds / 3600,
            landmarks=sum(int(live.segment.tracks["landmarks"][live.alive].sum()) for live in snapshot.segments),
            segments=len(snapshot.segments),
            removed=sum(len(live.removed) for live in snapshot.segments),
            size_bytes=size,
            bytes_per_minute=size * 60 / seconds if seconds else 0.0,
            fingerprint=self.parameters.identity,
        )

    def verify(self) -> list[str]:
        """Read the whole catalog and report damage, one sentence for each; empty when it is intact."""
        try:
            snapshot = self.snapshot()
        except CatalogError as error:
            return [error.detail]
        problems = [
            f"{live.segment.path} is damaged: its {part} are not as they were written"
            for live in snapshot.segments
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

    def _open(self) -> Snapshot:
        known = {live.segment.path.name: live.segment for live in self._snapshot.segments}
        identity = self.parameters.identity
        for attempt in range(1, OPEN_ATTEMPTS + 1):
            manifest = read_manifest(self.directory, identity=identity)
            try:
                opened = [
                    known.get(entry.file) or IndexSegment.open(self.directory / entry.file, identity=identity)
                    for entry in manifest.segments
                ]
            except FileNotFoundError as error:
                # A merge has removed it since the manifest was read; then there is a newer manifest.
                if attempt == OPEN_ATTEMPTS or read_manifest(self.directory, identity=identity) == manifest:
                    raise DamagedCatalogError(
                        f"The catalog in {self.directory} is damaged: {error.filename} is missing."
                    ) from error
                continue
            live: list[LiveSegment] = []
            for entry, segment in zip(manifest.segments, opened, strict=True):
                alive = np.ones(len(segment.tracks), np.bool_)
                alive[list(entry.removed)] = False
                frames = int(segment.tracks["frames"][alive].astype(np.int64).sum())
                live.append(LiveSegment(segment, entry.removed, alive, frames))
            return Snapshot(manifest=manifest, segments=tuple(live))
        raise AssertionError("unreachable")
