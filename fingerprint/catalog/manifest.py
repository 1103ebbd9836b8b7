"""The manifest: which IndexSegments make up the catalog now. It is the only file that changes.

`manifest.json` is written to a temporary file and renamed, so a reader sees the old catalog or the new one:

    {"format": 1, "fingerprint": "landmarks-...", "generation": 7, "next": 12,
     "segments": [{"file": "00000011.seg", "removed": [3, 8]}], "crc": 123}

`generation` grows with each change. `next` numbers the next file; numbers are never used twice. `removed` holds
the places of removed tracks in the file's list of tracks, until a merge leaves them out. `crc` is the CRC-32 of
the rest, as JSON with sorted keys.
"""

import json
import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

from fingerprint.catalog.index_file import other_fingerprint
from fingerprint.catalog.problems import CatalogError, DamagedCatalogError

MANIFEST_NAME: Final = "manifest.json"
MANIFEST_FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class SegmentEntry:
    """An IndexSegment by its file's name, and the numbers of its removed tracks."""

    file: str
    removed: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """One state of the catalog: its generation and its IndexSegments."""

    generation: int = 0
    next: int = 1
    segments: tuple[SegmentEntry, ...] = ()


Stamp = tuple[int, int, int]
"""A value that changes whenever the manifest is replaced."""


def manifest_stamp(directory: Path) -> Stamp | None:
    """The manifest's stamp, from one `stat`; None when there is no manifest."""
    try:
        status = (directory / MANIFEST_NAME).stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


def read_manifest(directory: Path, *, identity: str) -> Manifest:
    """The catalog's state; an empty one where there is no catalog yet.

    Raises DamagedCatalogError, OtherFingerprintError, or CatalogError for another format.
    """
    path = directory / MANIFEST_NAME
    try:
        text = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return Manifest()
    try:
        body = cast("dict[str, Any]", json.loads(text))
        crc = body.pop("crc")
        if crc != _crc(body):
            raise _damaged(path)
        if body["format"] != MANIFEST_FORMAT:
            raise CatalogError(
                f"{path} has format {body['format']}; this version of TwitchAudio reads format {MANIFEST_FORMAT}. "
                "Add the music again to an empty catalog folder."
            )
        if body["fingerprint"] != identity:
            raise other_fingerprint(directory, str(body["fingerprint"]), identity)
        return Manifest(
            generation=body["generation"],
            next=body["next"],
            segments=tuple(
                SegmentEntry(str(entry["file"]), frozenset(entry["removed"])) for entry in body["segments"]
            ),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _damaged(path) from error


def _damaged(path: Path) -> DamagedCatalogError:
    return DamagedCatalogError(f"{path} is damaged: it is not as it was written")


def write_manifest(directory: Path, manifest: Manifest, *, identity: str) -> None:
    """Replace the manifest atomically, synced to disk."""
    body: dict[str, Any] = {
        "format": MANIFEST_FORMAT,
        "fingerprint": identity,
        "generation": manifest.generation,
        "next": manifest.next,
        "segments": [{"file": entry.file, "removed": sorted(entry.removed)} for entry in manifest.segments],
    }
    body["crc"] = _crc(body)
    temporary = directory / "manifest.tmp"
    with temporary.open("wb") as file:
        file.write(json.dumps(body, sort_keys=True).encode())
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(directory / MANIFEST_NAME)
    _sync_directory(directory)


def _crc(body: dict[str, Any]) -> int:
    return zlib.crc32(json.dumps(body, sort_keys=True).encode())


def _sync_directory(directory: Path) -> None:
    """Make renames in a folder durable; where a folder cannot be opened (Windows), they are synced anyway."""
    try:
        handle = os.open(directory, os.O_RDONLY)
    except PermissionError:
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
