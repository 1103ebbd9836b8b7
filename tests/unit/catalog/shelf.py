"""A catalog of made-up music for tests."""

import functools
from collections.abc import Sequence
from pathlib import Path

from fingerprint.catalog.fingerprint import TrackFingerprint, fingerprint_track
from fingerprint.catalog.tracks import Track
from fingerprint.catalog.writer import CatalogWriter
from fingerprint.domain.audio import Pcm
from tests.unit.catalog.music import tune


def track(number: int, seconds: float = 20.0) -> Track:
    return Track(
        id=f"{number:012x}",
        title=f"Song {number}",
        artists=(f"Artist {number}",),
        album="Made up",
        path=f"/music/{number}.flac",
        size=1000 + number,
        modified_ns=number,
        duration_seconds=seconds,
    )


def entry(number: int, pcm: Pcm | None = None) -> tuple[Track, TrackFingerprint]:
    """A track and its fingerprint; the music is `tune(number)` unless given."""
    if pcm is None:
        return track(number), _of_tune(number)
    return track(number, pcm.duration_seconds), fingerprint_track([pcm])


@functools.cache
def _of_tune(number: int) -> TrackFingerprint:
    return fingerprint_track([tune(number)])


def fill(directory: Path, numbers: Sequence[int]) -> None:
    """Add tracks to the catalog in a folder."""
    with CatalogWriter(directory) as writer:
        writer.add([entry(number) for number in numbers])
