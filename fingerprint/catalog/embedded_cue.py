"""Finds the cue sheet that is embedded in a file of a whole album, without decoding anything.

It is the text in a tag `CUESHEET` (Vorbis comments in FLAC and Ogg, APEv2), else FLAC's own block, which has times
and no titles (RFC 9639, 8.6 and 8.7; RFC 3533, 6; RFC 7845, 5.2).
"""

import math
import os
import struct
from collections.abc import Iterator
from io import BufferedReader
from typing import Final

from fingerprint.catalog.ape_tag import read_ape_tag
from fingerprint.catalog.cue_sheet import MAX_BYTES, CueSong, read_cue

_COMMENTS: Final = 4
_SHEET: Final = 5
_LAST: Final = 0x80
_MAX_BLOCKS: Final = 200
_MAX_COMMENT_BYTES: Final = 16 << 20
_OGG_BYTES: Final = 1 << 18
_OGG_HEAD: Final = 27
_OGG_MARKS: Final = (b"\x03vorbis", b"OpusTags")

_SHEET_HEAD_BYTES: Final = 396
_TRACK: Final = struct.Struct(">QB12sB13xB")
_INDEX: Final = struct.Struct(">QB3x")
_LEAD_OUT: Final = (170, 255)
_NO_AUDIO: Final = 0x80

_NAME: Final = 'FILE "this" WAVE\n'
"""Begins every sheet that is read here: those in tags may name no file, or another one."""


def embedded_songs(file: BufferedReader) -> list[CueSong]:
    """The songs of an album by the sheet in its tags; empty without one, or for less than two. Raises OSError."""
    try:
        text = _sheet_text(file)
    except (struct.error, IndexError, ValueError):
        return []
    if not text or len(text) > MAX_BYTES:
        return []
    by_file = read_cue(_NAME + text, _ignore)
    songs = next(iter(by_file.values())) if len(by_file) == 1 else []
    if len(songs) < 2 or len({song.number for song in songs}) < len(songs):
        return []
    # Programs that split an album leave the whole sheet in each of its songs.
    return songs if songs[-1].start_seconds < _flac_seconds(file) else []


def _ignore(_reason: str) -> None:
    """What is wrong with a sheet in tags cannot be mended by a name of a line."""


def _sheet_text(file: BufferedReader) -> str:
    start = os.pread(file.fileno(), 4, 0)
    if start == b"fLaC":
        text = _of_flac(file)
    elif start == b"OggS":
        text = _of_comments(_ogg_comments(os.pread(file.fileno(), _OGG_BYTES, 0)))
    else:
        text = ""
    if not text:
        said = read_ape_tag(file).get("cuesheet", [])
        text = said[0].encode("utf-8", "surrogateescape").decode("utf-8", "replace") if said else ""
    return text


def _of_flac(file: BufferedReader) -> str:
    rate, block = 0, b""
    for kind, at, size in _flac_blocks(file):
        if kind == 0:
            rate = int.from_bytes(os.pread(file.fileno(), 3, at + 10), "big") >> 4
        elif kind == _COMMENTS and size <= _MAX_COMMENT_BYTES:
            text = _of_comments(os.pread(file.fileno(), size, at))
            if text:
                return text
        elif kind == _SHEET:
            block = os.pread(file.fileno(), min(size, MAX_BYTES), at)
    return _of_block(block, rate) if block and rate else ""


def _flac_seconds(file: BufferedReader) -> float:
    """How long a FLAC file says it is; infinite for others, and where it does not know."""
    head = os.pread(file.fileno(), 42, 0)
    if len(head) < 42 or not head.startswith(b"fLaC"):
        return math.inf
    rate = int.from_bytes(head[18:21], "big") >> 4
    samples = int.from_bytes(head[21:26], "big") & ((1 << 36) - 1)
    return samples / rate if rate and samples else math.inf


def _flac_blocks(file: BufferedReader) -> Iterator[tuple[int, int, int]]:
    """The kinds, places and sizes of the metadata blocks."""
    at = 4
    for _ in range(_MAX_BLOCKS):
        head = os.pread(file.fileno(), 4, at)
        if len(head) < 4:
            return
        size = int.from_bytes(head[1:], "big")
        yield head[0] & ~_LAST, at + 4, size
        if head[0] & _LAST:
            return
        at += 4 + size


def _of_comments(content: bytes) -> str:
    """The sheet in Vorbis comments."""
    (vendor,) = struct.unpack_from("<I", content)
    (count,) = struct.unpack_from("<I", content, 4 + vendor)
    at = 8 + vendor
    for _ in range(min(count, 10_000)):
        (size,) = struct.unpack_from("<I", content, at)
        comment = content[at + 4 : at + 4 + size]
        at += 4 + size
        name, _, value = comment.partition(b"=")
        if name.upper() == b"CUESHEET":
            return value.decode("utf-8", "replace")
    return ""


def _ogg_comments(start: bytes) -> bytes:
    """The comments in the first pages of an Ogg file, as far as these hold them."""
    body = bytearray()
    at = 0
    while start.startswith(b"OggS", at) and at + _OGG_HEAD <= len(start):
        sizes = start[at + _OGG_HEAD : at + _OGG_HEAD + start[at + 26]]
        at += _OGG_HEAD + start[at + 26]
        body += start[at : at + sum(sizes)]
        at += sum(sizes)
    places = [place + len(mark) for mark in _OGG_MARKS if (place := body.find(mark)) >= 0]
    return bytes(body[min(places) :]) if places else bytes(8)


def _of_block(content: bytes, rate: int) -> str:
    """The sheet that FLAC's own block is, as a text."""
    lines: list[str] = []
    at = _SHEET_HEAD_BYTES
    for _ in range(content[at - 1]):
        offset, number, isrc, flags, indexes = _TRACK.unpack_from(content, at)
        at += _TRACK.size
        points = [_INDEX.unpack_from(content, at + _INDEX.size * place) for place in range(indexes)]
        at += _INDEX.size * indexes
        begins = next((offset + point for point, index in points if index == 1), None)
        if number in _LEAD_OUT or flags & _NO_AUDIO or begins is None:
            continue
        frames = round(begins * 75 / rate)
        lines.append(f"TRACK {number:02} AUDIO")
        if isrc.strip(b"\0"):
            lines.append(f"ISRC {isrc.decode('ascii', 'replace')}")
        lines.append(f"INDEX 01 {frames // 4500:02}:{frames // 75 % 60:02}:{frames % 75:02}")
    return "\n".join(lines)
