"""Writes an IndexSegment, whose layout `segment_layout` describes."""

import os
import zlib
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from fingerprint.catalog.segment_layout import (
    ALIGNMENT,
    CRC_START,
    FORMAT_VERSION,
    HEADER,
    HEADER_BYTES,
    MAGIC,
    SECTIONS,
)
from fingerprint.catalog.segment_name import new_id


class SegmentWriter:
    """Writes an IndexSegment section by section to a temporary file, and renames it when it is complete.

    `id`: the new file's identity. `catalog`: that of its catalog. No file that is there already is written to.
    """

    def __init__(self, path: Path, *, identity: str, hash_bits: int, catalog: str = "") -> None:
        self.id: Final = new_id()
        self._path = path
        self._temporary = path.with_name(f"{path.stem}-{self.id[:8]}.tmp")
        self._header = np.zeros((), HEADER)
        self._header["magic"], self._header["version"] = MAGIC, FORMAT_VERSION
        self._header["identity"], self._header["hash_bits"] = identity.encode(), hash_bits
        self._header["id"], self._header["catalog"] = self.id.encode(), catalog.encode()
        self._end = HEADER_BYTES
        self._file = self._temporary.open("xb+", buffering=0)
        try:
            # Tells whose file it is, if this process is killed while it writes.
            self._file.write(self._header.tobytes())
        except BaseException:
            self.__exit__(None, None, None)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        self._temporary.unlink(missing_ok=True)

    def reserve(self, name: str, size: int) -> None:
        """Reserve space for a section; sections are reserved in the order of SECTIONS."""
        entry = self._header["sections"][SECTIONS.index(name)]
        entry["offset"], entry["size"] = self._end, size
        self._end += -(-size // ALIGNMENT) * ALIGNMENT

    def write(self, name: str, part: NDArray[np.generic] | bytes, at: int) -> int:
        """Write a part of a section at `at` bytes from its start; parts come in order. Returns where it ends."""
        entry = self._header["sections"][SECTIONS.index(name)]
        raw = part if isinstance(part, bytes) else np.ascontiguousarray(part).tobytes()
        self._file.seek(int(entry["offset"]) + at)
        self._write(raw)
        entry["crc"] = zlib.crc32(raw, int(entry["crc"]))
        return at + len(raw)

    def finish(self, *, directory_bits: int, postings: int, frames: int, tracks: int) -> None:
        """Write the header, sync the file to disk, and rename it to its final name."""
        header = self._header
        header["directory_bits"], header["postings"] = directory_bits, postings
        header["frames"], header["tracks"], header["size"] = frames, tracks, self._end
        raw = bytearray(header.tobytes().ljust(HEADER_BYTES, b"\0"))
        crc = zlib.crc32(bytes(raw[CRC_START:]))
        raw[CRC_START - 4 : CRC_START] = crc.to_bytes(4, "little")
        self._file.seek(0)
        self._write(bytes(raw))
        self._file.truncate(self._end)
        os.fsync(self._file.fileno())
        self._file.close()
        self._temporary.replace(self._path)

    def _write(self, raw: bytes) -> None:
        left = memoryview(raw)
        while left:
            left = left[self._file.write(left) :]
