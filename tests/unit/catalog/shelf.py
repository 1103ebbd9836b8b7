"""A catalog of made-up music for tests."""

import functools
import hashlib
import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fingerprint.catalog.fingerprint import TrackFingerprint, fingerprint_track
from fingerprint.catalog.index import Catalog
from fingerprint.catalog.index_build import MergeSource, merge_segments
from fingerprint.catalog.manifest import MANIFEST_NAME, Manifest, SegmentEntry, write_manifest
from fingerprint.catalog.parameters import DEFAULT, HASH_BITS
from fingerprint.catalog.segment_layout import HEADER_BYTES
from fingerprint.catalog.segment_name import segment_file
from fingerprint.catalog.tracks import Track, TrackEntry
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


def as_format_1(directory: Path) -> None:
    """Make a catalog what an earlier version would have written: a manifest and index files without identities."""
    path = directory / MANIFEST_NAME
    body = json.loads(path.read_text())
    for entry in body["segments"]:
        del entry["id"]
        segment = directory / entry["file"]
        raw = bytearray(segment.read_bytes())
        raw[8] = 2
        raw[240:304] = bytes(64)
        raw[12:16] = zlib.crc32(bytes(raw[16:HEADER_BYTES])).to_bytes(4, "little")
        segment.write_bytes(raw)
    kept = {name: body[name] for name in ("fingerprint", "generation", "next", "segments")} | {"format": 1}
    kept["crc"] = zlib.crc32(json.dumps(kept, sort_keys=True).encode())
    path.write_text(json.dumps(kept, sort_keys=True))


@dataclass(frozen=True, kw_only=True)
class _EarlierEntry(TrackEntry):
    """A track as an earlier version stored it: one file, with merged tags."""

    def encode(self) -> bytes:
        track = self.track
        body = track.to_json() | {"size": track.size, "modified_ns": track.modified_ns}
        del body["id"]
        return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def as_earlier_version(directory: Path) -> dict[str, str]:
    """Rewrite a catalog as an earlier version would have made it of the same files; returns its ids by name."""
    ids: dict[str, str] = {}
    catalog = Catalog(directory)
    segments: list[SegmentEntry] = []
    for number, live in enumerate(catalog.snapshot().segments, 1):
        entries: dict[int, TrackEntry] = {}
        for place in range(len(live.segment.tracks)):
            entry = live.entry(place)
            source = entry.preferred
            content = hashlib.sha256(Path(source.path).read_bytes()).hexdigest()[:12]
            ids[Path(source.path).stem] = content
            entries[place] = _EarlierEntry(id=content, duration_seconds=entry.duration_seconds, sources=(source,))
        name = segment_file(90_000_000 + number)
        sources = [MergeSource(live.segment, live.removed, entries)]
        merge_segments(directory / name, sources, identity=DEFAULT.identity, hash_bits=HASH_BITS)
        segments.append(SegmentEntry(name))
        live.segment.path.unlink()
    write_manifest(directory, Manifest(made_by=DEFAULT.identities, segments=tuple(segments), next=90_000_099))
    as_format_1(directory)
    return ids
