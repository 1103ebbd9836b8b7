"""How usual letters are beside each other in many languages, so that texts can be weighed against each other.

`letters.xz` holds the models: a line of JSON that names the languages, then their tables, one byte for each two or
three letters, the cost in bits. They were counted by `scripts/count_letters.py` in public word lists (wordfreq,
simplemma, PyThaiNLP's list from the Thai National Corpus). For Chinese, Japanese and Korean, single characters are
counted.
"""

import json
import lzma
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Final

UNKNOWN: Final = 16
"""The cost of a letter that a language does not have, in bits."""

UNKNOWN_CHARACTER: Final = 22
"""Likewise a character that is written with two bytes."""

_WESTERN_LETTERS: Final = frozenset("àáâãäåæçèéêëìíîïðñòóôõöøùúûüýþÿßœšž")
_ASCII_BITS: Final = 4.7
_WESTERN_BITS: Final = 8.5
_OTHER_BITS: Final = 14.0
WESTERN: Final = (
    "en",
    "fr",
    "de",
    "es",
    "pt",
    "it",
    "ca",
    "nl",
    "sv",
    "da",
    "nb",
    "is",
    "fi",
    "et",
    "ga",
    "gd",
    "cy",
    "gl",
)
"""The languages whose letters Windows-1252 has."""


@dataclass(frozen=True, slots=True)
class LetterModel:
    """The costs of a language's words. `order`: how many letters each place of the table is for."""

    places: Mapping[str, int]
    order: int
    table: bytes

    def cost(self, word: str) -> float:
        """The bits that a word in lower case takes; the less, the more usual it is."""
        bits, before, last, size = 0, 0, 0, len(self.places) + 1
        for letter in word:
            place = self.places.get(letter)
            if place is None:
                bits += UNKNOWN
                before = last = 0
                continue
            bits += self.table[((before * size if self.order == 3 else 0) + last) * size + place]
            before, last = last, place
        return bits + self.table[((before * size if self.order == 3 else 0) + last) * size]


@dataclass(frozen=True, slots=True)
class CharacterModel:
    """The costs of characters that are words of their own, or nearly so."""

    costs: Mapping[str, int]

    def cost(self, word: str) -> float:
        """The bits that some characters take."""
        return 2 + sum(self.costs.get(character, UNKNOWN_CHARACTER) for character in word)


@dataclass(frozen=True, slots=True)
class LetterModels:
    """The models by their languages' codes; `tw` is Chinese in traditional characters, `sh` Serbo-Croatian."""

    by_language: Mapping[str, LetterModel | CharacterModel]

    def western(self, word: str) -> float:
        """The bits of a word as what it is most likely of the Western languages, or a name of no language."""
        flat = _ASCII_BITS
        for letter in word:
            flat += (
                _ASCII_BITS if letter.isascii() else _WESTERN_BITS if letter in _WESTERN_LETTERS else _OTHER_BITS
            )
        return min(flat, *(self.by_language[language].cost(word) for language in WESTERN))


@lru_cache(maxsize=1)
def letter_models() -> LetterModels:
    """The models, read once: 2 MB of memory."""
    packed = files("fingerprint.catalog").joinpath("letters.xz").read_bytes()
    head, tables = lzma.decompress(packed).split(b"\n", 1)
    described = json.loads(head)
    models: dict[str, LetterModel | CharacterModel] = {}
    at = 0
    for language, (letters, order) in described["languages"].items():
        size = (len(letters) + 1) ** order
        places = {letter: place for place, letter in enumerate(letters, 1)}
        models[language] = LetterModel(places, order, tables[at : at + size])
        at += size
    for language, by_cost in described["characters"].items():
        costs = {character: int(cost) for cost, characters in by_cost.items() for character in characters}
        models[language] = CharacterModel(costs)
    return LetterModels(models)
