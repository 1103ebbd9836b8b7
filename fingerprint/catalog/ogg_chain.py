"""Finds the links of a chained Ogg file: whole Ogg files one after the other, such as the songs of a radio stream.

RFC 3533: a page is `OggS`, version u8, flags u8 (2: the first page of a stream), 20 bytes, the number of segments
u8, and the length of each, u8. A link begins with first pages that follow pages of another kind.
"""

import os
from io import BufferedReader
from typing import Final

MAX_LINKS: Final = 999

_MARK: Final = b"OggS"
_HEAD_BYTES: Final = 27
_FIRST: Final = 2
_READ_BYTES: Final = _HEAD_BYTES + 255


def ogg_links(file: BufferedReader) -> list[tuple[int, int]]:
    """Where each link begins and ends, in bytes; empty for a file with less than two. Raises OSError."""
    size = os.fstat(file.fileno()).st_size
    starts: list[int] = []
    at, in_heads = 0, False
    while at < size and len(starts) < MAX_LINKS:
        head = os.pread(file.fileno(), _READ_BYTES, at)
        if len(head) < _HEAD_BYTES or not head.startswith(_MARK):
            break  # damaged from here on: FFmpeg finds what follows
        is_first = bool(head[5] & _FIRST)
        if is_first and not in_heads:
            starts.append(at)
        in_heads = is_first
        segments = head[_HEAD_BYTES : _HEAD_BYTES + head[26]]
        at += _HEAD_BYTES + head[26] + sum(segments)
    return list(zip(starts, [*starts[1:], size], strict=True)) if len(starts) > 1 else []
