"""Reads an APEv2 tag at the end of a file, which FFmpeg does not look for in MP3 and AAC files.

Layout (https://wiki.hydrogenaud.io/index.php?title=APEv2_specification), integers little-endian: items, then a
footer of 32 bytes: `APETAGEX`, version u32, size u32 of the items and the footer, number of items u32, flags u32,
8 bytes. An item: size u32 of its value, flags u32, its key in ASCII up to a NUL, its value. An ID3v1 tag of
128 bytes may follow the footer.
"""

import os
import struct
from collections.abc import Iterator
from typing import BinaryIO, Final

_FOOTER: Final = struct.Struct("<8sIIII8x")
_ITEM: Final = struct.Struct("<II")
_MARK: Final = b"APETAGEX"
_ID3_V1_BYTES: Final = 128
_KIND_MASK: Final = 0b110
"""The flags of an item that tell its kind."""

_TEXT: Final = 0
_BINARY: Final = 0b010
_PICTURE: Final = "cover art"

MAX_TAG_BYTES: Final = 16 << 20
MAX_ITEMS: Final = 1_000


def read_ape_tag(file: BinaryIO) -> dict[str, list[str]]:
    """The texts of the tag, by their keys in lower case; empty without a tag. Raises OSError.

    Values that are no UTF-8 keep their bytes as surrogates.
    """
    found: dict[str, list[str]] = {}
    for key, value, kind in _items(*_tag(file)):
        if kind == _TEXT:
            texts = value.decode("utf-8", "surrogateescape").split("\0")
            found.setdefault(key, []).extend(text for text in texts if text)
    return found


def read_ape_picture(file: BinaryIO) -> bytes:
    """The front cover that the tag holds, or another picture; empty without one. Raises OSError."""
    # The value begins with a file's name and a NUL.
    pictures = {
        key: value.partition(b"\0")[2]
        for key, value, kind in _items(*_tag(file))
        if kind == _BINARY and key.startswith(_PICTURE)
    }
    return pictures.get(f"{_PICTURE} (front)") or next(iter(pictures.values()), b"")


def _tag(file: BinaryIO) -> tuple[bytes, int]:
    """The items' bytes, and how many there are."""
    end = file.seek(0, os.SEEK_END)
    for behind in (0, _ID3_V1_BYTES):
        at = end - behind - _FOOTER.size
        if at < 0:
            continue
        file.seek(at)
        mark, _version, size, count, _flags = _FOOTER.unpack(file.read(_FOOTER.size))
        if mark == _MARK and _FOOTER.size <= size <= min(MAX_TAG_BYTES, at + _FOOTER.size):
            file.seek(at + _FOOTER.size - size)
            return file.read(size - _FOOTER.size), min(count, MAX_ITEMS)
    return b"", 0


def _items(content: bytes, count: int) -> Iterator[tuple[str, bytes, int]]:
    """Keys in lower case, values, and the kinds of these."""
    at = 0
    for _ in range(count):
        if at + _ITEM.size > len(content):
            break
        size, flags = _ITEM.unpack_from(content, at)
        key_end = content.find(b"\0", at + _ITEM.size)
        if key_end < 0:
            break
        key = content[at + _ITEM.size : key_end].decode("ascii", "replace").lower()
        value = content[key_end + 1 : key_end + 1 + size]
        at = key_end + 1 + size
        yield key, value, flags & _KIND_MASK
