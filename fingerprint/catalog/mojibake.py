"""Repairs tags that another program wrote, or read, in a wrong encoding. A text that may be right stays as it is.

UTF-8 that was read as Latin-1 or Windows-1252 is left to ftfy; texts in an encoding of another country that were
read as such are told by `legacy_encodings`.
"""

# ruff: noqa: RUF001 - signs that look alike are what this is about
import re
from collections.abc import Sequence
from typing import Final

from ftfy import fix_encoding

from fingerprint.catalog.legacy_encodings import reading_of, western

_HIGH: Final = re.compile(r"[^\x00-\x7f]")
_C1: Final = re.compile(r"[\x80-\x9f]")
_UTF_8_AS_LATIN: Final = re.compile(r"[\x80-\x9f]|[\xc2-\xf4][\x80-\xbf€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]")
"""What is in every text that ftfy shall repair; it also knows encodings that tags are never read in."""

_UTF_8_PAIR: Final = re.compile(rb"[\xc2-\xdf][\x80-\xbf]")
_UTF_16_MARKS: Final = {"ÿþ": "utf-16-le", "þÿ": "utf-16-be"}
_SURROGATE: Final = re.compile(r"[\ud800-\udfff]")
_WINDOWS_SIGNS: Final = {
    sign: 0x80 + at for at, sign in enumerate(bytes(range(0x80, 0xA0)).decode("cp1252", "replace"))
}


def repaired(texts: Sequence[str]) -> list[str]:
    """The texts of one file's tags, put right. Bytes that are no UTF-8 are expected as surrogates."""
    plain = [_as_latin_1(text) if _SURROGATE.search(text) else text for text in texts]
    found = {text: _from_utf_16(text) for text in plain}
    # Some were garbled twice.
    for _ in range(2):
        fixed = _repaired_once(list(dict.fromkeys(found.values())))
        if all(fixed[text] == text for text in fixed):
            break
        found = {text: fixed[known] for text, known in found.items()}
    return [found[text] for text in plain]


def _repaired_once(texts: Sequence[str]) -> dict[str, str]:
    # A short title is told by what it is among: an artist and an album in the same letters.
    contents = {text: content for text in texts if (content := _bytes_of(text)) is not None}
    reading = reading_of(list(contents.values()), [text for text in texts if text.isascii()]) if contents else None
    found: dict[str, str] = {}
    if reading is not None and reading.encoding != "utf-8":
        found = {old: new for old, new in zip(contents, reading.texts, strict=True) if new is not None}
    return {text: found.get(text) or _fixed(text, contents.get(text)) for text in texts}


def _fixed(text: str, content: bytes | None) -> str:
    """A text that was UTF-8, or is right in Windows-1252."""
    if content is not None and not _is_utf_8(content):
        # The second byte of an à is often taken for a blank.
        if _UTF_8_PAIR.search(content) and _is_utf_8(content.replace(b"\xc3 ", b"\xc3\xa0")):
            return fix_encoding(text)
        return western(content) if _C1.search(text) else text
    return fix_encoding(text, restore_byte_a0=False) if _UTF_8_AS_LATIN.search(text) else text


def _from_utf_16(text: str) -> str:
    """A text whose bytes are marked as UTF-16, as what that is; a byte that was cut off at its end is a NUL."""
    encoding = _UTF_16_MARKS.get(text[:2])
    if encoding is None:
        return text
    try:
        content = text[2:].encode("latin-1")
        read = (content + b"\0" * (len(content) % 2)).decode(encoding)
    except UnicodeError:
        return text
    return read if read.strip("\0") and read.isprintable() else text


def _is_utf_8(content: bytes) -> bool:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _as_latin_1(text: str) -> str:
    """A text with bytes that are no UTF-8, as if it had been read as Latin-1."""
    try:
        return text.encode("utf-8", "surrogateescape").decode("latin-1")
    except UnicodeEncodeError:  # other surrogates
        return _SURROGATE.sub("\ufffd", text)


def _bytes_of(text: str) -> bytes | None:
    """The bytes of a text that was read as Latin-1 or Windows-1252; None for ASCII and for any other."""
    if not _HIGH.search(text):
        return None
    try:
        return bytes(ord(sign) if sign <= "\xff" else _WINDOWS_SIGNS[sign] for sign in text)
    except KeyError:
        return None
