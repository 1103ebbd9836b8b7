"""Tells in which encoding texts are that were read as Windows-1252, by how usual their letters are then.

Each reading has a cost in bits: that of its words in the language that the encoding is for. It is compared with
the cost of the text as it is, in any Western language, or as a name in none. Only where another reading is much
cheaper, and no third one nearly as cheap, it is believed. The letters of all texts of a file count together.
"""

# ruff: noqa: RUF001 - signs that look alike are what this is about
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from fingerprint.catalog.letter_models import WESTERN, CharacterModel, LetterModels, letter_models

MIN_GAIN: Final = 12.0
"""How many bits a reading has to save; of 800 right Western texts, none is cheaper by half of that in another."""

MIN_LEAD: Final = 5.0
"""How many bits fewer it has to take than any reading with other letters."""

MAX_LOSS: Final = 4.0
"""By how many bits a text may be dearer that comes with others which are certain."""

MAX_SAMPLE: Final = 4_000
"""How much of a text is weighed, in bytes."""

_LANGUAGES: Final = {
    "el": ("cp1253", "iso8859_7", "cp737"),
    "pl": ("cp1250", "iso8859_2"),
    "cs": ("cp1250", "iso8859_2"),
    "sk": ("cp1250", "iso8859_2"),
    "hu": ("cp1250", "iso8859_2"),
    "ro": ("cp1250", "iso8859_2"),
    "sh": ("cp1250", "iso8859_2"),
    "sl": ("cp1250", "iso8859_2"),
    "tr": ("cp1254",),
    "he": ("cp1255", "cp862"),
    "ar": ("cp1256", "iso8859_6"),
    "fa": ("cp1256",),
    "th": ("cp874",),
    "lt": ("cp1257",),
    "lv": ("cp1257",),
    "vi": ("cp1258",),
    "ru": ("cp1251", "koi8_r", "cp866", "iso8859_5"),
    "uk": ("cp1251", "koi8_u"),
    "bg": ("cp1251",),
    "mk": ("cp1251",),
    "zh": ("gb18030",),
    "tw": ("big5hkscs",),
    "ja": ("cp932", "euc_jp"),
    "ko": ("cp949",),
    **dict.fromkeys(("fr", "de", "es", "pt", "sv", "da", "is", "it"), ("mac_roman", "cp850", "cp437")),
}
_RARENESS: Final = {
    "koi8_r": 2,
    "koi8_u": 3,
    "cp866": 6,
    "iso8859_5": 8,
    "iso8859_6": 12,
    "iso8859_2": 2,
    "iso8859_7": 1,
    "cp737": 10,
    "cp862": 10,
    "mac_roman": 16,
    "cp850": 18,
    "cp437": 20,
    "cp1258": 6,
    "cp1257": 2,
    "euc_jp": 3,
}
"""The bits that a reading in a rarer encoding takes, too."""

_PAIRS: Final = frozenset(("gb18030", "big5hkscs", "cp932", "cp949"))
_PAIR_WITH_LETTER: Final = re.compile(rb"[\x80-\xff][A-Za-z]")
_SYMBOLS: Final = re.compile(rb"[\xa1-\xbf\xd7\xf7]")
_PAIR_BITS: Final = 4.0

_CASED: Final = frozenset(("el", "ru", "uk", "bg", "mk"))
_NO_CAPITALS_BITS: Final = 5.0

_LATIN: Final = frozenset(("pl", "cs", "sk", "hu", "ro", "sh", "sl", "tr", "lt", "lv", "vi", *WESTERN))
_UTF_8_BONUS: Final = 10.0
_MAX_BONUS: Final = 6.0
_MIN_LETTERS: Final = 3
"""How many letters a word with accents has to have, at least one in a text."""

_OWN_SCRIPT: Final = re.compile(r"[\u0370-\u052f\u0590-\u06ff\u0e01-\u0e4e]{3}")
_ASIAN_RUN: Final = re.compile(r"[々ぁ-ヿ㐀-鿿가-힣]{2}")
_CONTROL: Final = re.compile(r"[\x80-\x9f\ue000-\uf8ff]")
_BLANKS: Final = re.compile(r"[ \t\r\n]+")
_APOSTROPHES: Final = "'’"
_TYPOGRAPHIC: Final = frozenset("’‘“”„…–—«»‹›¿¡°½¼¾×·•®©™№§\xa0、。，：；・「」『』！？（）～　ー")
_SIGN_BITS: Final = 5.0
_ODD_SIGN_BITS: Final = 13.0
_ALONE_SIGN_BITS: Final = 9.0
_PROGRAMMERS: Final = frozenset("{|}~^`\\@[]<>")
_PROGRAMMERS_BITS: Final = 6.0
_ODDEST_SIGN_BITS: Final = 17.0


def western(content: bytes) -> str:
    """Bytes as Windows-1252 has them; those that it does not have stay control characters."""
    return "".join(chr(byte) if byte in _UNDEFINED else _WESTERN_SIGNS[byte] for byte in content)


_UNDEFINED: Final = frozenset(b"\x81\x8d\x8f\x90\x9d")
_WESTERN_SIGNS: Final = bytes(range(256)).decode("cp1252", "replace")


@dataclass(frozen=True, slots=True)
class Reading:
    """What texts are in an encoding, None for those that are right as they are. `gain`: the bits that it saves."""

    encoding: str
    texts: tuple[str | None, ...]
    gain: float


def reading_of(contents: Sequence[bytes], others: Sequence[str] = ()) -> Reading | None:
    """The reading of some texts' bytes that is certain; None if they are right in Windows-1252, or may be.

    `others`: texts without such letters that come with them, which tell the language.
    """
    weighing = _Weighing(letter_models(), {}, {})
    samples = [content[:MAX_SAMPLE] for content in contents]
    as_read = [weighing.western(western(sample)) for sample in samples]
    plain = [*others, *(western(sample) for sample in samples)]
    found: list[Reading] = []
    for language, encodings in _LANGUAGES.items():
        bonus = weighing.bonus(plain, language) if language in _LATIN else 0.0
        for encoding in encodings:
            texts: list[str | None] = []
            gain = bonus - _RARENESS.get(encoding, 0)
            for content, sample, before in zip(contents, samples, as_read, strict=True):
                text = _decoded(content, encoding)
                if text is None or not weighing.is_of(text, language) or text == western(content):
                    texts.append(None)
                    continue
                shown = text if sample is content else text[:MAX_SAMPLE]
                saved = before - weighing.cost(shown, language)
                if encoding in _PAIRS:
                    saved -= _pairs_with_letters(sample)
                texts.append(text if saved > -MAX_LOSS else None)
                gain += max(0.0, saved)
            if any(text is not None for text in texts):
                found.append(Reading(encoding, tuple(texts), gain))
    if (utf_8 := _in_utf_8(contents, as_read, weighing)) is not None:
        found.append(utf_8)
    found.sort(key=lambda reading: -reading.gain)
    if not found or found[0].gain < MIN_GAIN:
        return None
    best = found[0]
    rival = next((other for other in found if other.texts != best.texts), None)
    return None if rival is not None and best.gain - rival.gain < MIN_LEAD else best


def _in_utf_8(contents: Sequence[bytes], as_read: Sequence[float], weighing: "_Weighing") -> Reading | None:
    """The reading as UTF-8, if all of them are; in whatever language is likeliest."""
    texts = [_decoded(content, "utf-8") for content in contents]
    known = [text for text in texts if text is not None]
    if len(known) < len(texts):
        return None
    gain = sum(
        before - min(weighing.cost(text[:MAX_SAMPLE], language) for language in ("en", *_LANGUAGES))
        for text, before in zip(known, as_read, strict=True)
    )
    return Reading("utf-8", tuple(known), gain + _UTF_8_BONUS)


def _pairs_with_letters(content: bytes) -> float:
    """The bits of characters whose second byte is a letter of ASCII, as accented words have such pairs.

    Where there are many signs as well, it can be no words.
    """
    signs = len(_SYMBOLS.findall(content))
    letters = sum(byte > 0x7F for byte in content) - signs
    return (0.0 if 2 * signs >= letters else _PAIR_BITS) * len(_PAIR_WITH_LETTER.findall(content))


def _decoded(content: bytes, encoding: str) -> str | None:
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        return None
    return unicodedata.normalize("NFC", text) if encoding == "cp1258" else text


@dataclass(frozen=True, slots=True)
class _Weighing:
    """The costs of words, each counted once."""

    models: LetterModels
    western_words: dict[str, float]
    words: dict[tuple[str, str], float]

    def is_of(self, text: str, language: str) -> bool:
        """Whether a text can be of a language at all."""
        if _CONTROL.search(text):
            return False
        if language in _LATIN:
            return any(len(word) >= _MIN_LETTERS and not word.isascii() for word in _words(text))
        if isinstance(self.models.by_language[language], CharacterModel):
            return _ASIAN_RUN.search(text) is not None
        return _OWN_SCRIPT.search(text) is not None

    def western(self, text: str) -> float:
        """The bits of a text as it is."""
        return sum(
            sum(self._western_word(word) for word in _words(token)) + _signs(token) for token in _odd_tokens(text)
        )

    def cost(self, text: str, language: str) -> float:
        """The bits of a text in a language. Words in ASCII alone may be in another one."""

        def of_word(word: str) -> float:
            own = self._word(word, language)
            return min(own, self._western_word(word)) if word.isascii() else own

        bits = sum(sum(map(of_word, _words(token))) + _signs(token) for token in _odd_tokens(text))
        return bits + (_NO_CAPITALS_BITS if language in _CASED and text == text.lower() else 0.0)

    def bonus(self, texts: Sequence[str], language: str) -> float:
        """What the words without other letters say for a language, in bits."""
        words = [
            word for text in texts for token in _BLANKS.split(text) if token.isascii() for word in _words(token)
        ]
        saved = sum(self._western_word(word) - self._word(word, language) for word in words)
        return min(_MAX_BONUS, max(0.0, saved))

    def _western_word(self, word: str) -> float:
        found = self.western_words.get(word)
        if found is None:
            found = self.western_words[word] = self.models.western(word.lower()) + _odd_case(word)
        return found

    def _word(self, word: str, language: str) -> float:
        found = self.words.get((word, language))
        if found is None:
            model = self.models.by_language[language]
            found = model.cost(word.lower())
            if not isinstance(model, CharacterModel):
                found += _odd_case(word)
            self.words[word, language] = found
        return found


def _odd_tokens(text: str) -> list[str]:
    return [token for token in dict.fromkeys(_BLANKS.split(text)) if not token.isascii()]


def _is_letter(sign: str) -> bool:
    return sign.isalpha() or unicodedata.category(sign) in ("Mn", "Mc")


def _words(token: str) -> list[str]:
    words: list[str] = []
    word = ""
    for sign in (*token, " "):
        if _is_letter(sign):
            word += sign
        elif word and sign in _APOSTROPHES:
            word += "'"
        elif word:
            words.append(word.rstrip("'"))
            word = ""
    return words


def _odd_case(word: str) -> float:
    """The bits of capitals within a word."""
    if word.islower() or word.isupper() or word[1:].islower():
        return 0.0
    inside = sum(one.islower() and other.isupper() for one, other in pairwise(word))
    return 5.0 * inside + (2.0 if word[:2].isupper() else 0.0)


def _signs(token: str) -> float:
    """The bits of what is no letter in a word that is not in ASCII; in the middle of it most signs are odd."""
    bits = 0.0
    odd = _ODD_SIGN_BITS if any(map(_is_letter, token)) else _ALONE_SIGN_BITS
    for place, sign in enumerate(token):
        if _is_letter(sign):
            continue
        beside = sum(map(_is_letter, token[max(0, place - 1) : place])) + sum(
            map(_is_letter, token[place + 1 : place + 2])
        )
        if sign.isascii():
            bits += _PROGRAMMERS_BITS if sign in _PROGRAMMERS else 0.0
        elif sign in "’‘":
            bits += 3.0
        elif sign in _TYPOGRAPHIC:
            bits += odd if beside == 2 or (beside and sign in "–—") else _SIGN_BITS
        else:
            bits += odd if sign < "\u2500" else _ODDEST_SIGN_BITS
    return bits
