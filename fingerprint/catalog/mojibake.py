"""Repairs tags that another program wrote, or read, in a wrong encoding. A text that may be right stays as it is.

UTF-8 that was read as Latin-1 or Windows-1252 is left to ftfy; Cyrillic (Windows-1251, KOI8-R), Japanese
(Shift-JIS), Chinese (GBK, Big5) and Korean (EUC-KR) that were read as Latin-1 are told by what they would be:
whole words, all of one script.
"""

# ruff: noqa: RUF001 - signs that look alike are what this is about
import re
from collections.abc import Sequence
from typing import Final

from ftfy import fix_encoding

from fingerprint.catalog.asian_text import chinese_or_korean
from fingerprint.catalog.legacy_text import decode_cyrillic, is_japanese

_HIGH: Final = re.compile(r"[^\x00-\x7f]")
_C1: Final = re.compile(r"[\x80-\x9f]")
_UTF_8_AS_LATIN: Final = re.compile(r"[\x80-\x9f]|[\xc2-\xf4][\x80-\xbf€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]")
"""What is in every text that ftfy shall repair; it also knows encodings that tags are never read in."""

_SURROGATE: Final = re.compile(r"[\ud800-\udfff]")


def repaired(texts: Sequence[str]) -> list[str]:
    """The texts of one file's tags, put right. Bytes that are no UTF-8 are expected as surrogates."""
    plain = [_as_latin_1(text) if _SURROGATE.search(text) else text for text in texts]
    odd = list(dict.fromkeys(text for text in plain if _HIGH.search(text)))
    # A short title is told by what it is among: an artist and an album in the same letters.
    together = _misread("\n".join(odd)) if odd else None
    if together is not None and together.count("\n") == len(odd) - 1:
        found = dict(zip(odd, together.split("\n"), strict=True))
    else:
        found = {text: _misread(text) or _fixed(text) for text in odd}
    return [found.get(text, text) for text in plain]


def _fixed(text: str) -> str:
    return fix_encoding(text) if _UTF_8_AS_LATIN.search(text) else text


def _as_latin_1(text: str) -> str:
    """A text with bytes that are no UTF-8, as if it had been read as Latin-1."""
    try:
        return text.encode("utf-8", "surrogateescape").decode("latin-1")
    except UnicodeEncodeError:  # other surrogates
        return _SURROGATE.sub("\ufffd", text)


def _misread(text: str) -> str | None:
    """Cyrillic or East Asian text that was read as Latin-1; None for any other."""
    try:
        content = text.encode("latin-1")
    except UnicodeEncodeError:
        return None
    if _decoded(content, "utf-8") is not None:
        return None
    cyrillic = decode_cyrillic(content)
    if cyrillic is not None:
        return cyrillic
    # Every Japanese text has such bytes, and no right Latin-1 text has.
    japanese = _decoded(content, "cp932") if _C1.search(text) else None
    if japanese is not None and is_japanese(japanese):
        return japanese
    return chinese_or_korean(content)


def _decoded(content: bytes, encoding: str) -> str | None:
    try:
        return content.decode(encoding)
    except UnicodeDecodeError:
        return None
