"""The bytes of an IndexSegment: header, records and sections."""

import mmap
import zlib
from pathlib import Path
from typing import Final

import numpy as np

from fingerprint.catalog.problems import CatalogError, DamagedCatalogError, OtherFingerprintError

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
        raise DamagedCatalogError(f"{path} was cut: it has {len(mapped)} bytes instead of {int(header['size'])}")
    made_by = header["identity"].decode()
    if made_by != identity:
        raise other_fingerprint(path.parent, made_by, identity)
    return header


def other_fingerprint(directory: Path, made_by: str, ours: str) -> OtherFingerprintError:
    """The error for a catalog that was made by another fingerprint."""
    return OtherFingerprintError(
        f"The catalog in {directory} was made by the fingerprint {made_by}, and this version of TwitchAudio makes "
        f"{ours}: they cannot be compared. `twitchaudio catalog rebuild` makes it again, from the music where it "
        "has to; `list`, `search`, `stats` and `export` read it as it is."
    )
