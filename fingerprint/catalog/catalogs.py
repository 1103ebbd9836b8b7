"""Several catalogs that are asked together, as if they were one."""

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from threading import Lock

import numpy as np

from fingerprint.catalog.covers import Cover
from fingerprint.catalog.index import Catalog, LiveSegment, Snapshot
from fingerprint.catalog.manifest import read_manifest
from fingerprint.catalog.problems import CatalogError
from fingerprint.catalog.tracks import Track


class Catalogs:
    """Catalogs for reading, shared by threads; the first one that has a recording describes it.

    One that cannot be used is left out for as long as that lasts.
    """

    def __init__(self, directories: Sequence[Path]) -> None:
        self._directories = tuple(directories)
        self._catalogs = [Catalog(directory) for directory in directories]
        self._lock = Lock()
        self._parts: tuple[Snapshot, ...] = ()
        self._joined = Snapshot()

    def snapshot(self) -> Snapshot:
        """The newest state of all catalogs together. Raises CatalogError when none of them can be used."""
        parts, errors = self._open()
        if errors and len(errors) == len(self._catalogs):
            raise errors[0]
        if len(parts) == 1:
            return parts[0]
        with self._lock:
            if len(parts) != len(self._parts) or any(
                one is not other for one, other in zip(parts, self._parts, strict=True)
            ):
                self._parts, self._joined = parts, _joined(parts)
            return self._joined

    def track(self, track_id: str) -> Track | None:
        """The track with an id, of the first catalog that has it; None if none has."""
        for catalog in self._catalogs:
            with contextlib.suppress(CatalogError):
                if (track := catalog.track(track_id)) is not None:
                    return track
        return None

    def generations(self) -> dict[str, int]:
        """The generation of each catalog that can be read, by its identity: it grows with each change."""
        found: dict[str, int] = {}
        for directory in self._directories:
            with contextlib.suppress(CatalogError):
                manifest = read_manifest(directory)
                if manifest.generation:
                    found[manifest.catalog or "unnamed"] = manifest.generation
        return found

    def cover(self, track_id: str) -> Cover | None:
        """The cover of a track, of the first catalog that has one; None if none has. See `Catalog.cover`."""
        for catalog in self._catalogs:
            with contextlib.suppress(CatalogError):
                if (cover := catalog.cover(track_id)) is not None:
                    return cover
        return None

    def cover_named(self, name: str) -> Cover | None:
        """The cover with a name, of whichever catalog has it; None if none has. See `Catalog.cover_named`."""
        return next((cover for each in self._catalogs if (cover := each.cover_named(name)) is not None), None)

    def unavailable_reason(self) -> str | None:
        """One sentence when no catalog can answer: all are empty, or cannot be used; otherwise None."""
        parts, errors = self._open()
        if any(len(part) for part in parts):
            return None
        return errors[0].detail if errors else "The catalog holds no music yet."

    def _open(self) -> tuple[tuple[Snapshot, ...], list[CatalogError]]:
        parts: list[Snapshot] = []
        errors: list[CatalogError] = []
        for catalog in self._catalogs:
            try:
                parts.append(catalog.snapshot())
            except CatalogError as error:
                errors.append(error)
        return tuple(parts), errors


def _joined(parts: Sequence[Snapshot]) -> Snapshot:
    """One snapshot with all segments; a recording that an earlier one has is left out of the later ones.

    Otherwise it would be its own rival, and the answer less sure.
    """
    segments: list[LiveSegment] = []
    seen = np.empty(0, "S12")
    for part in parts:
        for live in part.segments:
            ids = live.segment.tracks["id"]
            alive = live.alive & ~np.isin(ids, seen)
            removed = frozenset(np.flatnonzero(~alive).tolist())
            frames = int(live.segment.tracks["frames"][alive].astype(np.int64).sum())
            segments.append(replace(live, alive=alive, removed=removed, frames=frames))
        own = [live.segment.tracks["id"][live.alive] for live in part.segments]
        seen = np.concatenate([seen, *own])
    return Snapshot(segments=tuple(segments))
