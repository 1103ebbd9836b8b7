"""Makes `fingerprint/catalog/letters.xz`: how usual letters are beside each other in public word lists.

Run it in an environment of its own: `pip install wordfreq simplemma pythainlp numpy`, then
`python scripts/count_letters.py OUT`. Word lists: wordfreq (Apache-2.0; its data CC BY-SA 4.0, from Wikipedia,
subtitles, news, books and the web), simplemma's word forms for languages that it lacks (MIT), for Thai those of
the Thai National Corpus in PyThaiNLP (CC0). Kept are costs of two or three letters, no words.
"""

# pyright: basic, reportMissingImports=false
import json
import lzma
import math
import sys
import unicodedata
from collections import Counter
from importlib.resources import files
from pathlib import Path

import numpy as np

LATIN = [
    *("en", "fr", "de", "es", "pt", "it", "ca", "nl", "sv", "da", "nb", "is", "fi", "et", "ga", "gd", "cy", "gl"),
    *("pl", "cs", "sk", "hu", "ro", "sh", "sl", "lt", "lv", "tr", "vi"),
]
OTHERS = ["el", "he", "ar", "fa", "ru", "uk", "bg", "mk", "th"]
MORE_FORMS = {"et", "ga", "gd", "cy", "gl", "is"}
WORDS, MORE_WORDS, THAI_WORDS = 20_000, 25_000, 80_000
FEWEST = 2e-5
"""Letters that are rarer are none of the language's."""

MAX_BITS = 14
MAX_LETTERS_OF_THREE = 44
"""Languages with more letters have tables of two, since those of three would be large."""

CHARACTERS = {"zh": 6_000, "ja": 3_500, "ko": 2_000}


def words_of(language: str) -> dict[str, float]:
    """Words with weights: the root of how frequent each is, so that rare ones count, too."""
    import wordfreq  # noqa: PLC0415

    found: dict[str, float] = {}
    if language == "th":
        return thai_words()
    try:
        frequencies = wordfreq.get_frequency_dict(language, "best")
        for word, frequency in sorted(frequencies.items(), key=lambda item: -item[1])[:WORDS]:
            found[word] = frequency**0.5
    except LookupError:
        pass
    least = min(found.values(), default=1e-3)
    if language in MORE_FORMS:
        from simplemma.strategies.dictionaries.dictionary_factory import (  # noqa: PLC0415
            _load_dictionary_from_disk,
        )

        forms = {text.decode() for pair in _load_dictionary_from_disk(language).items() for text in pair}
        more = sorted({form.lower() for form in forms if not form.isascii()})
        for word in more[:: max(1, len(more) // MORE_WORDS)]:
            found.setdefault(word, least)
    return found


def thai_words() -> dict[str, float]:
    """Words of Thai in fours, since it is written without blanks."""
    lines = files("pythainlp").joinpath("corpus/tnc_freq.txt").read_text("utf-8").splitlines()
    counted = [line.split("\t") for line in lines if line.count("\t") == 1]
    words = [word for word, _ in counted]
    weights = np.array([float(count) ** 0.5 for _, count in counted])
    chosen = np.random.default_rng(1).choice(len(words), THAI_WORDS, p=weights / weights.sum())
    texts = ("".join(words[at] for at in chosen[first : first + 4]) for first in range(0, len(chosen), 4))
    return {text: float(count) for text, count in Counter(texts).items()}


def parts_of(language: str, word: str) -> list[str]:
    """A word's parts in lower case; none for a word in another script."""
    text = unicodedata.normalize("NFC", word.lower()).replace("\u2019", "'").replace("ș", "ş").replace("ț", "ţ")
    text = "".join(letter for letter in text if not "\u064b" <= letter <= "\u0652")
    if language in LATIN:
        fits = all(letter in "'-" or unicodedata.name(letter, "").startswith("LATIN") for letter in text)
    else:
        fits = not text.isascii()
    return text.replace("-", " ").split() if fits and not any(map(str.isdigit, text)) else []


def table_of(language: str) -> tuple[str, int, bytes]:
    """A language's letters, how many of them a place of its table is for, and the table."""
    parts = [(part, weight) for word, weight in words_of(language).items() for part in parts_of(language, word)]
    counts: Counter[str] = Counter()
    for part, weight in parts:
        for letter in part:
            counts[letter] += weight  # type: ignore[assignment]
    usual = {letter for letter, count in counts.items() if count / sum(counts.values()) > FEWEST}
    if language in LATIN:
        usual |= set("abcdefghijklmnopqrstuvwxyz'")
    else:
        usual = {letter for letter in usual if not letter.isascii() or letter == "'"}
    letters = "".join(sorted(usual))
    place = {letter: at for at, letter in enumerate(letters, 1)}
    three = np.zeros((len(letters) + 1,) * 3)
    for part, weight in parts:
        if all(letter in place for letter in part):
            before = last = 0
            for at in (*(place[letter] for letter in part), 0):
                three[before, last, at] += weight
                before, last = last, at
    three /= np.median([weight for _, weight in parts])
    two = three.sum(0)
    one = (two.sum(0) + 0.5) / (two.sum() + 0.5 * len(two))
    of_two = (two + 20 * one) / (two.sum(1, keepdims=True) + 20)
    of_three = (three + 20 * of_two) / (three.sum(2, keepdims=True) + 20)
    order = 3 if len(letters) <= MAX_LETTERS_OF_THREE else 2
    bits = -np.log2(of_three if order == 3 else of_two)
    return letters, order, np.minimum(MAX_BITS, np.round(bits)).astype(np.uint8).tobytes()


def characters_of(language: str, most: int) -> dict[str, float]:
    """The bits of a language's most frequent characters."""
    import wordfreq  # noqa: PLC0415

    counts: Counter[str] = Counter()
    for word, frequency in wordfreq.get_frequency_dict(language, "best").items():
        for letter in word:
            if "\u3040" <= letter <= "\ud7a3" or letter == "々":
                counts[letter] += frequency**0.55  # type: ignore[assignment]
    total = sum(counts.values())
    return {letter: -math.log2(count / total) for letter, count in counts.most_common(most)}


def traditional(simplified: dict[str, float]) -> dict[str, float]:
    """The same for traditional characters, and for those that were never simplified."""
    from wordfreq.chinese import simplify_chinese  # noqa: PLC0415

    found: dict[str, float] = {}
    for code in range(0x4E00, 0xA000):
        simple = simplify_chinese(chr(code))
        if simple != chr(code) and simple in simplified:
            found[chr(code)] = simplified[simple] + 0.3
    replaced = {simplify_chinese(letter) for letter in found}
    for letter, bits in simplified.items():
        found.setdefault(letter, bits + 3 if letter in replaced else bits)
    return found


def main(out: Path) -> None:
    """Write the file."""
    languages: dict[str, tuple[str, int]] = {}
    tables = b""
    for language in (*LATIN, *OTHERS):
        letters, order, table = table_of(language)
        languages[language] = (letters, order)
        tables += table
    costs = {language: characters_of(language, most) for language, most in CHARACTERS.items()}
    costs["tw"] = traditional(costs["zh"])
    characters: dict[str, dict[int, str]] = {}
    for language, bits in costs.items():
        by_cost = characters.setdefault(language, {})
        for letter in sorted(bits):
            by_cost[round(bits[letter])] = by_cost.get(round(bits[letter]), "") + letter
    head = json.dumps({"languages": languages, "characters": characters}, ensure_ascii=False).encode()
    out.write_bytes(lzma.compress(head + b"\n" + tables, preset=9 | lzma.PRESET_EXTREME))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
