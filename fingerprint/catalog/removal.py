"""Removes a track so that it can be brought back: it is set aside as a catalog of its own. It blocks."""

import re
import shutil
import time
from pathlib import Path
from typing import Final

from fingerprint.catalog.covers import Covers
from fingerprint.catalog.fingerprint import TrackFingerprint, fingerprint_from_peaks
from fingerprint.catalog.index import Catalog, Snapshot
from fingerprint.catalog.tracks import ID_DIGITS, TrackEntry
from fingerprint.catalog.writer import CatalogWriter

_ID: Final = re.compile(rf"[0-9a-f]{{{ID_DIGITS}}}")
_SPECIAL: Final = re.compile(r"[*?\[]")


def remove_track(directory: Path, track_id: str, aside: Path) -> TrackEntry | None:
    """Remove a track, leave its files out of the next syncs, and set it aside; None without such a track.

    A file with several songs is not left out, since the others stay. Raises CatalogError, OSError.
    """
    if not _ID.fullmatch(track_id):
        return None
    with CatalogWriter(directory, create=False) as writer:
        snapshot = writer.snapshot()
        entry = snapshot.entry(track_id)
        if entry is None:
            return None
        known = snapshot.manifest.excluded
        new = [pattern for pattern in _patterns(entry) if pattern not in known]
        place = aside / entry.id
        shutil.rmtree(place, ignore_errors=True)
        _put(place, entry, _fingerprint(snapshot, entry), Covers(directory), new)
        if new:
            writer.exclude([*known, *new])
        writer.remove([entry.id])
    return entry


def bring_back(directory: Path, track_id: str, aside: Path, *, within_seconds: float) -> TrackEntry | None:
    """Undo `remove_track`; None when the track was not removed, or longer ago. Raises CatalogError, OSError."""
    place = aside / track_id
    if not _ID.fullmatch(track_id) or not _is_recent(place, within_seconds):
        return None
    kept = Catalog(place).snapshot()
    entry = kept.entry(track_id)
    if entry is None:
        return None
    with CatalogWriter(directory, create=False) as writer:
        _add(writer, entry, _fingerprint(kept, entry), Covers(place))
        known, new = writer.snapshot().manifest.excluded, kept.manifest.excluded
        if new:
            writer.exclude([pattern for pattern in known if pattern not in new])
    shutil.rmtree(place, ignore_errors=True)
    return entry


def include_again(directory: Path, pattern: str) -> bool:
    """Take back a pattern of files that are left out; whether it was there. Raises CatalogError, OSError."""
    with CatalogWriter(directory, create=False) as writer:
        known = writer.snapshot().manifest.excluded
        if pattern in known:
            writer.exclude([each for each in known if each != pattern])
    return pattern in known


def clear_aside(aside: Path, *, within_seconds: float) -> None:
    """Delete the tracks that were set aside longer ago."""
    for place in aside.iterdir() if aside.is_dir() else ():
        if not _is_recent(place, within_seconds):
            shutil.rmtree(place, ignore_errors=True)


def _is_recent(place: Path, seconds: float) -> bool:
    try:
        return abs(time.time() - place.stat().st_mtime) <= seconds
    except OSError:
        return False


def _patterns(entry: TrackEntry) -> list[str]:
    """The patterns that leave out exactly the files of a track that hold nothing else."""
    alone = [source.path for source in entry.sources if not source.owner and not source.part]
    return [_SPECIAL.sub(lambda sign: f"[{sign[0]}]", path) for path in alone if path.startswith("/")]


def _fingerprint(snapshot: Snapshot, entry: TrackEntry) -> TrackFingerprint:
    live, number = snapshot.places(entry.id)[0]
    record, raw = live.segment.tracks[number], live.segment.raw_peaks(number)
    middle = int(record["peaks_size"])
    return fingerprint_from_peaks(
        raw[:middle], raw[middle:], frames=int(record["frames"]), duration_seconds=entry.duration_seconds
    )


def _put(
    place: Path, entry: TrackEntry, fingerprint: TrackFingerprint, covers: Covers, patterns: list[str]
) -> None:
    with CatalogWriter(place) as writer:
        _add(writer, entry, fingerprint, covers)
        writer.exclude(patterns)


def _add(writer: CatalogWriter, entry: TrackEntry, fingerprint: TrackFingerprint, covers: Covers) -> None:
    for name in {source.cover for source in entry.sources if source.cover}:
        cover = covers.read(name)
        if cover is not None:
            writer.keep_cover(cover.content)
    writer.add([(entry, fingerprint)])
