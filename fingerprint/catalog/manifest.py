"""The manifest: which IndexSegments make up the catalog now. It is the only file that changes.

`manifest.json` is written to a temporary file and renamed, so a reader sees the old catalog or the new one:

    {"catalog": "5d...", "format": 2, "fingerprint": "landmarks-...", "peaks": "peaks-...",
     "frames": "frames-...", "generation": 7, "next": 12,
     "segments": [{"file": "00000011.seg", "id": "c0...", "removed": [3, 8]}],
     "descriptions": [{"file": "00000012.seg", "id": "9e...", "removed": []}],
     "excluded": ["*.wav"], "crc": 123}

`catalog` is a random identity, made with the catalog; each segment has one too, which its header repeats, so that
files of other catalogs and of other times are recognized. `peaks` and `frames` tell what of the fingerprint is
another one's (see `parameters.Identities`); earlier versions did not write them. `generation` grows with each
change. `next` numbers the next file; numbers are never used twice. `removed` holds the places of removed tracks in
the file's list of tracks, until a merge leaves them out. `descriptions` are IndexSegments without any sound: what
is newly known of tracks in the other segments. `excluded`: patterns of files that are not indexed. `crc` is the
CRC-32 of the rest, as JSON with sorted keys.

Format 1 had no identities; it is read, and becomes format 2 with the next change.
"""

import json
import os
import re
import secrets
import stat
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

from fingerprint.catalog.parameters import Identities
from fingerprint.catalog.problems import CatalogError, DamagedCatalogError, NoCatalogError
from fingerprint.catalog.regular_file import open_regular
from fingerprint.catalog.segment_name import SegmentName, new_id, read_name

MANIFEST_NAME: Final = "manifest.json"
MANIFEST_FORMAT: Final = 2
_READABLE_FORMATS: Final = (1, MANIFEST_FORMAT)

_LEFTOVER: Final = re.compile(rb'\{"catalog": "[0-9a-f]{32}", "crc": ')


@dataclass(frozen=True, slots=True)
class SegmentEntry:
    """An IndexSegment by its file's name, the numbers of its removed tracks, and its identity.

    `id` is empty for a file that was written before there were identities.
    """

    file: str
    removed: frozenset[int] = frozenset()
    id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """One state of the catalog: its identity, its generation and its IndexSegments.

    `catalog` is empty where there is no catalog yet, and in one of format 1. `made_by`: the fingerprint that made
    it; None where there is no catalog yet.
    """

    catalog: str = ""
    made_by: Identities | None = None
    generation: int = 0
    next: int = 1
    segments: tuple[SegmentEntry, ...] = ()
    descriptions: tuple[SegmentEntry, ...] = ()
    excluded: tuple[str, ...] = ()

    @property
    def files(self) -> set[str]:
        """The names of all index files."""
        return {entry.file for entry in (*self.segments, *self.descriptions)}


Stamp = tuple[int, int, int, int]
"""A value that changes whenever the manifest is replaced."""


def manifest_stamp(directory: Path) -> Stamp | None:
    """The manifest's stamp, from one `stat`; None when there is no manifest. Raises CatalogError."""
    try:
        status = (directory / MANIFEST_NAME).stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise _unreadable(directory, error) from error
    return status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size


def read_manifest(directory: Path) -> Manifest:
    """The catalog's state, whatever fingerprint made it; an empty one where there is no catalog yet.

    Raises DamagedCatalogError (also for index files without a manifest), or CatalogError for another format or a
    folder that cannot be read.
    """
    path = directory / MANIFEST_NAME
    try:
        with open_regular(path) as file:
            text = file.read()
    except (FileNotFoundError, NotADirectoryError):
        refuse_lone_segments(directory)
        return Manifest()
    except OSError as error:
        raise _unreadable(directory, error) from error
    return parse_manifest(path, text)


def parse_manifest(path: Path | str, text: bytes) -> Manifest:
    """The manifest that a file holds. Raises DamagedCatalogError, or CatalogError for another format."""
    try:
        body = cast("dict[str, Any]", json.loads(text.decode()))
        crc = body.pop("crc")
        if crc != _crc(body):
            raise _damaged(path)
        if body["format"] not in _READABLE_FORMATS:
            raise CatalogError(
                f"{path} has format {body['format']}; this version of TwitchAudio reads formats up to "
                f"{MANIFEST_FORMAT}. Use the version that made it, or add the music to an empty catalog folder."
            )
        landmarks = str(body["fingerprint"])
        return Manifest(
            catalog=str(body.get("catalog", "")),
            made_by=Identities(landmarks=landmarks, peaks=str(body["peaks"]), frames=str(body["frames"]))
            if "peaks" in body
            else Identities.of_landmarks(landmarks),
            generation=body["generation"],
            next=body["next"],
            segments=_entries(body["segments"]),
            descriptions=_entries(body.get("descriptions", [])),
            excluded=tuple(str(pattern) for pattern in body.get("excluded", [])),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _damaged(path) from error


def require_no_file(directory: Path) -> None:
    """Raises CatalogError when there is something else than a folder where a catalog is to be."""
    for path in (directory, *directory.parents):
        try:
            status = path.stat()
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise _unreadable(directory, error) from error
        if not stat.S_ISDIR(status.st_mode):
            raise CatalogError(f"The catalog folder {directory} cannot be made: {path} is a file.")
        return


def require_catalog(directory: Path) -> None:
    """Raises CatalogError, with what to do, when there is no catalog in a folder."""
    if manifest_stamp(directory) is not None:
        return
    refuse_lone_segments(directory)
    if directory.is_dir():
        reason = f"{directory} is not a catalog: it has no {MANIFEST_NAME}."
    elif directory.exists():
        reason = f"{directory} is not a catalog but a file; a catalog is a folder."
    else:
        reason = f"There is no catalog in {directory}: that folder does not exist."
    raise NoCatalogError(
        f"{reason} Check the name, or begin a catalog with `twitchaudio catalog add PATH --catalog {directory}`."
    )


def refuse_lone_segments(directory: Path) -> None:
    """Raises DamagedCatalogError when a folder holds index files but no manifest, as half a copy does."""
    for name in segment_names(directory):
        raise DamagedCatalogError(
            f"The catalog in {directory} is damaged: it holds index files such as {name.path.name}, but no "
            f"{MANIFEST_NAME}, as after half a copy. Copy it again, as a whole, or restore {MANIFEST_NAME}; to "
            "begin a new catalog, use another folder. Nothing was changed."
        )


def segment_names(directory: Path) -> Iterator[SegmentName]:
    """The index files in a folder, finished or not: those whose names and headers are a catalog's.

    Raises CatalogError for a folder that cannot be read.
    """
    try:
        paths = sorted(directory.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise _unreadable(directory, error) from error
    for path in paths:
        found = read_name(path)
        if found is not None:
            yield found


def manifest_leftovers(directory: Path) -> list[Path]:
    """The temporary manifests that a killed writer left."""
    found: list[Path] = []
    for path in directory.glob("manifest-*.tmp"):
        try:
            if path.is_symlink() or not path.is_file():
                continue
            with path.open("rb") as file:
                if _LEFTOVER.match(file.read(100)):
                    found.append(path)
        except OSError:
            continue
    return found


def manifest_bytes(manifest: Manifest) -> bytes:
    """What the manifest's file holds."""
    made_by = manifest.made_by
    assert made_by is not None, "a catalog knows its fingerprint"
    body: dict[str, Any] = {
        "catalog": manifest.catalog or new_id(),
        "format": MANIFEST_FORMAT,
        "fingerprint": made_by.landmarks,
        "peaks": made_by.peaks,
        "frames": made_by.frames,
        "generation": manifest.generation,
        "next": manifest.next,
        "segments": _entries_to_json(manifest.segments),
        "descriptions": _entries_to_json(manifest.descriptions),
        "excluded": list(manifest.excluded),
    }
    body["crc"] = _crc(body)
    return json.dumps(body, sort_keys=True).encode()


def write_manifest(directory: Path, manifest: Manifest | bytes) -> None:
    """Replace the manifest atomically, synced to disk. Raises OSError, and then the old one is still there."""
    text = manifest if isinstance(manifest, bytes) else manifest_bytes(manifest)
    temporary = directory / f"manifest-{secrets.token_hex(4)}.tmp"
    try:
        with temporary.open("xb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(directory / MANIFEST_NAME)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_directory(directory)


def _entries(body: list[dict[str, Any]]) -> tuple[SegmentEntry, ...]:
    return tuple(
        SegmentEntry(_file_name(entry["file"]), frozenset(entry["removed"]), str(entry.get("id", "")))
        for entry in body
    )


def _entries_to_json(entries: Sequence[SegmentEntry]) -> list[dict[str, object]]:
    return [{"file": entry.file, "id": entry.id, "removed": sorted(entry.removed)} for entry in entries]


def _file_name(name: str) -> str:
    """The name, if it is one of a file in the catalog's own folder. Raises ValueError."""
    if not name or name in (".", "..") or {"/", "\\", "\0"} & set(name):
        raise ValueError(name)
    return name


def _damaged(path: Path | str) -> DamagedCatalogError:
    return DamagedCatalogError(
        f"{path} is damaged: it is not as it was written. Restore it, or the whole folder, from a copy; the index "
        "files beside it are left alone"
    )


def _unreadable(directory: Path, error: OSError) -> CatalogError:
    return CatalogError(f"The catalog in {directory} cannot be read: {error.strerror}.")


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
