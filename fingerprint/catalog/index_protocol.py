"""The format of indexing jobs and their answers, in the frames of `worker_process`.

A job is JSON: `cpu_seconds`, its limit; `start` and `size` of what is to be read of the job's file, in bytes; the
file's `name`; `decode`: false to have it described, true to have it decoded; `cuts`: the songs to decode, by their
starts and ends in seconds, each of which has an answer of its own; empty for the whole; `picture`: EMBEDDED or
ALONE to have the picture that is embedded in the file, or that it is; empty otherwise.

Answers:
    UNREADABLE    UTF-8, one sentence that says why the file cannot be indexed; ends the job
    DESCRIBED     JSON: `sound`, a digest of the encoded sound, `tags`, and `picture`, a digest of the embedded
                  one; ends the job
    PICTURE       a small JPEG picture; ends the job
    FOUND         JSON: `frames` and `duration_seconds`, then in six frames:
    ARRAY         the arrays of `TrackFingerprint` in the order of `ARRAYS`, in the machine's byte order
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from fingerprint.catalog.fingerprint import TrackFingerprint
from fingerprint.catalog.parameters import DEFAULT, HASH_BITS
from fingerprint.catalog.song_tags import Tags

UNREADABLE: Final = 17
FOUND: Final = 18
ARRAY: Final = 19
DESCRIBED: Final = 20
PICTURE: Final = 21

EMBEDDED: Final = "embedded"
ALONE: Final = "alone"

MAX_HEAD_BYTES: Final = 1 << 20
MAX_REASON_BYTES: Final = 2_000
MAX_ARRAY_BYTES: Final = 64 << 20

MAX_SECONDS: Final = 25 * 3600.0
MAX_FRAMES: Final = round(MAX_SECONDS * DEFAULT.frames_per_second)

ARRAYS: Final = {
    "hashes": (np.uint32, 1 << HASH_BITS),
    "anchors": (np.uint32, MAX_FRAMES),
    "peak_frames": (np.uint32, MAX_FRAMES),
    "peak_bins": (np.uint16, DEFAULT.bins),
    "side_frames": (np.uint32, MAX_FRAMES),
    "side_bins": (np.uint16, DEFAULT.bins),
}
"""The arrays of a fingerprint: their types, and the exclusive upper limits of their values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundHead:
    """The content of FOUND: the track's number of frames, and its length in seconds."""

    frames: int
    duration_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FileDescription:
    """The content of DESCRIBED.

    `sound`: a digest of the file's encoded sound, empty if it cannot be read. `picture`: a digest of the embedded
    picture as it is in the file, empty if there is none.
    """

    sound: str
    tags: Tags
    picture: str = ""


def encode_fingerprint(fingerprint: TrackFingerprint) -> Iterator[tuple[int, bytes]]:
    """The frames of an answer: kinds and bytes."""
    head = FoundHead(frames=fingerprint.frames, duration_seconds=fingerprint.duration_seconds)
    yield FOUND, msgspec.json.encode(head)
    for name in ARRAYS:
        yield ARRAY, getattr(fingerprint, name).tobytes()


def decode_description(content: bytes) -> FileDescription:
    """Parses the content of DESCRIBED. Raises ValueError for anything else."""
    return msgspec.json.decode(content, type=FileDescription)


def decode_head(content: bytes) -> FoundHead:
    """Parses the content of FOUND. Raises ValueError for anything else."""
    head = msgspec.json.decode(content, type=FoundHead)
    if not (0 <= head.frames <= MAX_FRAMES and 0 <= head.duration_seconds <= MAX_SECONDS):
        raise ValueError(f"{head.frames} frames and {head.duration_seconds} s are no track's")
    return head


def decode_fingerprint(arrays: Sequence[bytes], *, frames: int, duration_seconds: float) -> TrackFingerprint:
    """The fingerprint in the arrays' bytes, in the order of `ARRAYS`. Raises ValueError for invalid ones."""
    found: dict[str, NDArray[Any]] = {}
    for (name, (dtype, limit)), content in zip(ARRAYS.items(), arrays, strict=True):
        values = found[name] = np.frombuffer(content, dtype)
        if len(values) and values.max() >= (frames if limit == MAX_FRAMES else limit):
            raise ValueError(f"{name} has a value beyond its range")
    for name, other in (("hashes", "anchors"), ("peak_frames", "peak_bins"), ("side_frames", "side_bins")):
        if len(found[name]) != len(found[other]):
            raise ValueError(f"{name} and {other} differ in length")
    for name in ("peak_frames", "side_frames"):
        if np.any(found[name][1:] < found[name][:-1]):
            raise ValueError(f"{name} is not in order of time")
    return TrackFingerprint(frames=frames, duration_seconds=duration_seconds, **found)
