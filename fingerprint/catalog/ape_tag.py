"""Reads an APEv2 tag at the end of a file, which FFmpeg does not look for in MP3 and AAC files.

Layout (https://wiki.hydrogenaud.io/index.php?title=APEv2_specification), integers little-endian: items, then a
footer of 32 bytes: `APETAGEX`, version u32, size u32 of the items and the footer, number of items u32, flags u32,
8 bytes. An item: size u32 of its value, flags u32, its key in ASCII up to a NUL, its value. An ID3v1 tag of
128 bytes may follow the footer.
"""

import os
import struct
from typing import BinaryIO, Final

_FOOTER: Final = struct.Struct("<8sIIII8x")
_ITEM: Final = struct.Struct("<II")
_MARK: Final = b"APETAGEX"
_ID3_V1_BYTES: Final = 128
_KIND_MASK: Final = 0b110
"""Flags of an item; zero for a text in UTF-8."""

MAX_TAG_BYTES: Final = 16 << 20
MAX_ITEMS: Final = 1_000


def read_ape_tag(file: BinaryIO) -> dict[str, list[str]]:
    """The texts of the tag, by their keys in lower case; empty without a tag. Raises OSError.

    Values that are no UTF-8 keep their bytes as surrogates.
    """
    end = file.seek(0, os.SEEK_END)
    for behind in (0, _ID3_V1_BYTES):
        at = end - behind - _FOOTER.size
        if at < 0:
            continue
        file.seek(at)
        mark, _version, size, count, _flags = _FOOTER.unpack(file.read(_FOOTER.size))
        if mark == _MARK and _FOOTER.size <= size <= min(MAX_TAG_BYTES, at + _FOOTER.size):
            file.seek(at + _FOOTER.size - size)
            return _items(file.read(size - _FOOTER.size), min(count, MAX_ITEMS))
    return {}


def _items(content: bytes, count: int) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
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
        if not flags & _KIND_MASK:
            texts = value.decode("utf-8", "surrogateescape").split("\0")
            found.setdefault(key, []).extend(text for text in texts if text)
    return found
