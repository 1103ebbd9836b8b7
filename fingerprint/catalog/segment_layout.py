"""The bytes of an IndexSegment.

All numbers are little-endian. The file is

    offset  size
         0     8  magic "TWAINDEX"
         8     4  u32 format version (3)
        12     4  u32 CRC-32 of the header, bytes 16 to 4096
        16     8  u64 size of the whole file
        24    40  the fingerprint's identity, ASCII, padded with NUL
        64     4  u32 bits of a hash
        68     4  u32 bits of the directory, b
        72     8  u64 number of postings
        80     8  u64 frames that the positions span
        88     8  u64 number of tracks
        96   144  one entry for each section, in this order: u64 offset, u64 size, u32 CRC-32, u32 0
       240    32  the file's random identity, ASCII hex
       272    32  the identity of the catalog that it was written for
      4096        the sections, each at a multiple of 64:

    tracks     one record for each track (TRACK_RECORD), in order of their first frames
    texts      the tracks' tags, JSON, one after another
    peaks      the tracks' constellations, u16 each: see `pack_peaks`; of each track the middle's, then the side's
    directory  u32[2^b + 1]: where in `postings` each bucket starts; the bucket of a hash is its upper b bits
    remainders u8 or u16[postings]: the lower bits of each posting's hash; empty when b is all of them
    postings   u32[postings]: positions, in order of hash, then position

A position is a frame: the track's first frame plus the landmark's anchor in the track. Tracks are GAP frames
apart, so that offsets of neighboring tracks cannot be mixed up. The directory's size follows the number of
postings: a small file has coarse buckets and remainders, a large one has a bucket for each hash.

Version 2 had no identities; it is read as well. While a file is written, its header has the magic, the version and
the identities, and no checksum.
"""

import mmap
import os
import zlib
from pathlib import Path
from typing import Final

import numpy as np

from fingerprint.catalog.problems import CatalogError, DamagedCatalogError, OtherFingerprintError
from fingerprint.catalog.regular_file import open_regular

MAGIC: Final = b"TWAINDEX"
FORMAT_VERSION: Final = 3
READABLE_VERSIONS: Final = (2, FORMAT_VERSION)
HEADER_BYTES: Final = 4096
GAP: Final = 512
"""Frames between tracks; longer than any window that is matched."""

POSITION_LIMIT: Final = 2**32 - 1
"""The most frames, and the most postings, in one file."""

SECTIONS: Final = ("tracks", "texts", "peaks", "directory", "remainders", "postings")
ALIGNMENT: Final = 64

TRACK_RECORD: Final = np.dtype(
    [
        ("id", "S12"),
        ("frames", "<u4"),
        ("first_frame", "<u4"),
        ("landmarks", "<u4"),
        ("text_size", "<u4"),
        ("peaks_size", "<u4"),
        ("side_peaks_size", "<u4"),
        ("text_start", "<u8"),
        ("peaks_start", "<u8"),
    ]
)
HEADER: Final = np.dtype(
    [
        ("magic", "S8"),
        ("version", "<u4"),
        ("crc", "<u4"),
        ("size", "<u8"),
        ("identity", "S40"),
        ("hash_bits", "<u4"),
        ("directory_bits", "<u4"),
        ("postings", "<u8"),
        ("frames", "<u8"),
        ("tracks", "<u8"),
        ("sections", [("offset", "<u8"), ("size", "<u8"), ("crc", "<u4"), ("zero", "<u4")], (len(SECTIONS),)),
        ("id", "S32"),
        ("catalog", "S32"),
    ]
)
CRC_START: Final = 16


def directory_bits(postings: int, hash_bits: int) -> int:
    """The directory's size: 2^8 to 2^hash_bits buckets, so that directory and remainders are small together.

    About sixteen postings share a bucket; from so many postings on that their remainders would take more than a
    directory without any, each hash has one of its own.
    """
    if postings >= 3 << hash_bits:
        return hash_bits
    return min(hash_bits, max(8, hash_bits - 16, postings.bit_length() - 4))


def remainder_type(bits: int) -> np.dtype[np.uint8] | np.dtype[np.uint16]:
    """The type that holds the lower `bits` bits of a hash."""
    return np.dtype(np.uint8) if bits <= 8 else np.dtype("<u2")


def read_header(path: Path, mapped: mmap.mmap, identity: str) -> np.void:
    """The header of a mapped file. Raises the errors of `IndexSegment.open`."""
    raw = mapped[:HEADER_BYTES]
    if raw[: len(MAGIC)] != MAGIC:
        raise DamagedCatalogError(f"{path} is not a part of a catalog, or its start was overwritten")
    if len(raw) < HEADER_BYTES:
        raise DamagedCatalogError(f"{path} was cut: its header is not whole")
    header: np.void = np.frombuffer(raw, HEADER, 1)[0]
    version = int(header["version"])
    if version not in READABLE_VERSIONS:
        raise CatalogError(
            f"{path} has format {version}; this version of TwitchAudio reads formats up to {FORMAT_VERSION}. Use "
            "the version that made it, or add the music to an empty catalog folder."
        )
    if zlib.crc32(raw[CRC_START:]) != int(header["crc"]):
        raise DamagedCatalogError(f"{path} is damaged: its header is not as it was written")
    if int(header["size"]) != len(mapped):
        raise _cut(path, len(mapped), int(header["size"]))
    made_by = header["identity"].decode()
    if made_by != identity:
        raise other_fingerprint(path.parent, made_by, identity)
    return header


def check_length(path: Path) -> None:
    """A file is as long as its header says. Maps nothing: a process that reads what was cut off dies.

    Raises FileNotFoundError, DamagedCatalogError.
    """
    with open_regular(path) as file:
        raw, length = file.read(HEADER_BYTES), os.fstat(file.fileno()).st_size
    if len(raw) < HEADER_BYTES:
        raise DamagedCatalogError(f"{path} was cut: its header is not whole")
    size = int(np.frombuffer(raw, HEADER, 1)[0]["size"])
    if size != length:
        raise _cut(path, length, size)


def _cut(path: Path, length: int, size: int) -> DamagedCatalogError:
    return DamagedCatalogError(f"{path} was cut: it has {length} bytes instead of {size}")


def other_fingerprint(directory: Path, made_by: str, ours: str) -> OtherFingerprintError:
    """The error for a catalog that was made by another fingerprint."""
    return OtherFingerprintError(
        f"The catalog in {directory} was made by the fingerprint {made_by}, and this version of TwitchAudio makes "
        f"{ours}: they cannot be compared. `twitchaudio catalog rebuild` makes it again, from the music where it "
        "has to; `list`, `search`, `stats` and `export` read it as it is."
    )
