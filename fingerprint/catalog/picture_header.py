"""Tells what kind of picture some bytes are, and how large, by their header alone.

Formats: JPEG (ITU T.81, B.2.2), PNG (ISO/IEC 15948, 11.2.2), WebP (RFC 9649, 2).
"""

import struct
from dataclasses import dataclass
from typing import Final

MAX_PICTURE_BYTES: Final = 16 << 20
MAX_PIXELS: Final = 25_000_000
MAX_EDGE: Final = 12_000

_NO_FRAME: Final = frozenset((0xC4, 0xC8, 0xCC))
"""JPEG markers among those of frames that begin none."""

_BARE: Final = frozenset((0x01, *range(0xD0, 0xD9)))
"""JPEG markers without a length."""


class UnusablePictureError(ValueError):
    """The picture is not used as a cover; the text is a clause that says why, for people."""


@dataclass(frozen=True, slots=True)
class PictureHeader:
    """A picture's media type, and its width and height in pixels."""

    media_type: str
    width: int
    height: int


def picture_header(content: bytes) -> PictureHeader:
    """The header of a JPEG, PNG or WebP picture that is not too large.

    Raises UnusablePictureError for anything else.
    """
    if not content:
        raise UnusablePictureError("it is empty")
    if len(content) > MAX_PICTURE_BYTES:
        raise UnusablePictureError(f"it takes more than {MAX_PICTURE_BYTES >> 20} MB")
    try:
        header = _header(content)
    except (struct.error, IndexError) as error:
        raise UnusablePictureError("it is damaged") from error
    if header is None:
        raise UnusablePictureError("it is no JPEG, PNG or WebP picture")
    if not header.width or not header.height:
        raise UnusablePictureError("it is damaged")
    if header.width * header.height > MAX_PIXELS or max(header.width, header.height) > MAX_EDGE:
        raise UnusablePictureError(f"it has {header.width} x {header.height} pixels, which is too many")
    return header


def _header(content: bytes) -> PictureHeader | None:
    if content.startswith(b"\xff\xd8\xff"):
        return _jpeg(content)
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        kind, width, height = struct.unpack_from(">4sII", content, 12)
        return PictureHeader("image/png", width, height) if kind == b"IHDR" else None
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return _webp(content)
    return None


def _jpeg(content: bytes) -> PictureHeader:
    at = 2
    while True:
        if content[at] != 0xFF:
            raise UnusablePictureError("it is damaged")
        marker = content[at + 1]
        if marker == 0xFF:  # padding
            at += 1
        elif marker in _BARE:
            at += 2
        elif 0xC0 <= marker <= 0xCF and marker not in _NO_FRAME:
            height, width = struct.unpack_from(">HH", content, at + 5)
            return PictureHeader("image/jpeg", width, height)
        else:
            (length,) = struct.unpack_from(">H", content, at + 2)
            at += 2 + max(2, length)


def _webp(content: bytes) -> PictureHeader:
    kind = content[12:16]
    if kind == b"VP8X":
        width, height = (int.from_bytes(content[at : at + 3], "little") + 1 for at in (24, 27))
        if len(content) < 30:
            raise UnusablePictureError("it is damaged")
    elif kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", content, 21)
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    elif kind == b"VP8 ":
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", content, 26))
    else:
        raise UnusablePictureError("it is damaged")
    return PictureHeader("image/webp", width, height)
