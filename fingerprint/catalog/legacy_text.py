"""Reads text whose encoding is not told: Unicode in its forms, and what older programs write."""

import codecs
import unicodedata
from typing import Final

from fingerprint.catalog.legacy_encodings import reading_of

_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_SAMPLE_BYTES: Final = 4_096


class UnknownEncodingError(ValueError):
    """The text is in no encoding that can be told; `line` is the first that holds such bytes, from 1."""

    def __init__(self, line: int) -> None:
        super().__init__(f"line {line} is neither Unicode nor in a known encoding")
        self.line = line


def decode_text(content: bytes) -> str:
    """A file's text: in UTF-8, UTF-16 or UTF-32, with a mark or without, else in an encoding of Windows.

    Raises UnknownEncodingError.
    """
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            try:
                return content[len(mark) :].decode(encoding)
            except UnicodeDecodeError as error:
                before = content[len(mark) :][: error.start].decode(encoding, "replace")
                raise UnknownEncodingError(before.count("\n") + 1) from error
    if (wide := _unmarked_utf_16(content)) is not None:
        return wide
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        text = decode_legacy(content)
        if text is None:
            raise UnknownEncodingError(content[: error.start].count(b"\n") + 1) from error
        return text


def decode_legacy(content: bytes) -> str | None:
    """Text that is no Unicode, in an encoding of any country; None if it is in none that is known.

    What can be Western is Western.
    """
    lines = list(dict.fromkeys(line for line in content.splitlines() if not line.isascii()))
    sample = b"\n".join(lines)[:_SAMPLE_BYTES].rpartition(b"\n")[0] if len(lines) > 1 else content
    reading = reading_of([sample])
    for encoding in (reading.encoding if reading is not None else "cp1252", "cp1252"):
        try:
            return unicodedata.normalize("NFC", content.decode(encoding))
        except UnicodeDecodeError:
            continue
    return None


def _unmarked_utf_16(content: bytes) -> str | None:
    """UTF-16 without a mark, as far as nearly every second byte is NUL."""
    sample = content[:_SAMPLE_BYTES]
    if len(content) % 2 or len(sample) < 4:
        return None
    even, odd = sample[::2].count(0), sample[1::2].count(0)
    most, least, encoding = (odd, even, "utf-16-le") if odd > even else (even, odd, "utf-16-be")
    if most < 0.7 * len(sample) / 2 or least > 0.05 * len(sample) / 2:
        return None
    try:
        return content.decode(encoding)
    except UnicodeDecodeError:
        return None
