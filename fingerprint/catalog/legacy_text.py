"""Reads text whose encoding is not told: Unicode in its forms, and what Windows programs write."""

# ruff: noqa: RUF001 - Cyrillic letters are what this is about
import codecs
import contextlib
import re
from typing import Final

from fingerprint.catalog.asian_text import chinese_or_korean

MIN_CYRILLIC: Final = 4
"""The fewest letters that tell Cyrillic from a few accented Latin letters."""

_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_SAMPLE_BYTES: Final = 4_096

_HIGH: Final = re.compile(r"[^\x00-\x7f]")
_CYRILLIC_WORD: Final = re.compile(r"[^\W\d_]+")
_CYRILLIC: Final = re.compile(r"[\u0400-\u045f\u0490\u0491]")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_VOWELS: Final = frozenset("аеёиоуыэюяіїє")
_USUAL_PAIRS: Final = _words(
    "ст но то на ен ов ни ра во ко ро ал ли по ре не пр ос ол ка та ер от ва го од ть ес ом ло ет ти ве ел ль ин "
    "ит ла ор де ми ри мо ся да ле до ак ат за об ам ог ав ви ск ки ис те ил па ас мы ме ей ый ой ны ан ем нн ая "
    "из им ег ди си ря сь лю уб бл ив ар ма му уж зы ик ек ок ук сл со се са ту ду ад ед ид уд ур ир тр др кр гр "
    "бр вр ня мя ба бо бе би ца це ча че чт ши ша же жи ян яр яс ят ия ие ии ью ют уш ул ун ус ух ах ох ех их фа "
    "пе пл пу пи ру рт рн рк ля лн вс вн ще хо ха зе зд зн зв ге ги га ія їн ій ів ід єм ює ві ні ті мі рі лі ін "
)
"""Pairs of letters that are usual in Russian, Ukrainian or Bulgarian words."""
_NO_HEBREW: Final = re.compile(rb"[\x80-\xdf\xfb-\xff]|[\xea\xed\xef\xf3\xf5][\xe0-\xfa]")
_HEBREW_END: Final = re.compile(rb"[\xea\xed\xef\xf3\xf5](?![\xe0-\xfa])")
_IMPOSSIBLE: Final = re.compile(
    r"[бвгджзклмнпрстфхцчшщ]й|\b[ьы]|[аеёиоуыэюяіїє][ьъ]|[жшщчцкгх]ы|[ьъ][ыэйьъ]|й[аеиоуыэьъ]|[аеёиоуыэюяіїє]{4}|[бвгджзклмнпрстфхцчшщ]{5}"
)
_WORD_PAIRS: Final = re.compile(r"(?=([а-яёіїєґ]{2}))")
_JAPANESE: Final = re.compile(r"[\u3000-\u30ff\u3400-\u9fff\uff01-\uff5e]")
_JAPANESE_RUN: Final = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff々ー]{2}")


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
    """Text that is no Unicode, in an encoding of Windows or KOI8-R; None if it is in none that is known.

    Cyrillic, Japanese, Chinese and Korean are told by what they would be; everything else is Western.
    """
    cyrillic = decode_cyrillic(content)
    if cyrillic is not None:
        return cyrillic
    with contextlib.suppress(UnicodeDecodeError):
        text = content.decode("cp932")
        if is_japanese(text):
            return text
    asian = chinese_or_korean(content, of_file=True)
    if asian is not None:
        return asian
    try:
        return content.decode("cp1252")
    except UnicodeDecodeError:
        return None


def decode_cyrillic(content: bytes) -> str | None:
    """Text that can only be Cyrillic, in Windows-1251 or KOI8-R; None for any other."""
    for encoding in ("cp1251", "koi8-r"):
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if is_cyrillic(text) and not _is_rather_hebrew(content, text):
            return text
    return None


def _is_rather_hebrew(content: bytes, text: str) -> bool:
    """Whether what would be Cyrillic of one case may as well be Hebrew (Windows-1255), in the same bytes.

    Hebrew has letters that are written at the ends of words alone; they are usual within Cyrillic words.
    """
    if _NO_HEBREW.search(content) is not None:
        return False
    pairs = _WORD_PAIRS.findall(text.lower())
    usual = sum(pair in _USUAL_PAIRS for pair in pairs)
    return _HEBREW_END.search(content) is not None or usual < 0.7 * len(pairs)


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


def is_cyrillic(text: str) -> bool:
    """Whether everything that is no ASCII is in Cyrillic words of usual case, with vowels among other letters."""
    letters = 0
    vowels = 0
    longest = 0
    for word in _CYRILLIC_WORD.findall(text):
        cyrillic = len(_CYRILLIC.findall(word))
        if not cyrillic:
            if not word.isascii():
                return False
            continue
        if cyrillic < len(word) or not (word.islower() or word.isupper() or word[1:].islower()):
            return False
        letters += cyrillic
        longest = max(longest, cyrillic)
        vowels += sum(letter in _VOWELS for letter in word.lower())
    pairs = _WORD_PAIRS.findall(text.lower())
    distinct = len({letter for letter in text.lower() if _CYRILLIC.match(letter)})
    return (
        letters >= MIN_CYRILLIC
        and longest >= 4
        and distinct >= 3
        and 0.2 * letters <= vowels <= 0.8 * letters
        and _IMPOSSIBLE.search(text.lower()) is None
        and 2 * sum(pair in _USUAL_PAIRS for pair in pairs) >= len(pairs)
        and all(sign in "«»№–—“”„’…•©®™ \xa0" for sign in _HIGH.findall(_CYRILLIC.sub("", text)))
    )


def is_japanese(text: str) -> bool:
    """Whether nearly everything that is no ASCII is Japanese, and some of it in one piece."""
    high = _HIGH.findall(text)
    japanese = len(_JAPANESE.findall(text))
    return _JAPANESE_RUN.search(text) is not None and japanese >= 0.9 * len(high)
