"""Text in the order in which it is drawn, from left to right, for what draws letters one after the other.

A short form of the Unicode Bidirectional Algorithm (UAX 9), without embeddings and isolates: enough for names and
titles on one line. Arabic letters get the forms that they have beside their neighbors.
"""

import unicodedata
from functools import cache
from itertools import groupby
from typing import Final

_MIRRORED: Final = dict(zip("()[]{}<>\u00ab\u00bb", ")(][}{><\u00bb\u00ab", strict=True))
_RIGHT_TO_LEFT: Final = frozenset({"R", "AL"})
_NUMBERS: Final = frozenset({"EN", "AN"})
_LAM: Final = "\u0644"


def is_right_to_left(text: str) -> bool:
    """Whether a text begins from the right: by its first letter that has a direction."""
    kinds = map(unicodedata.bidirectional, text)
    return next((kind in _RIGHT_TO_LEFT for kind in kinds if kind in _RIGHT_TO_LEFT or kind == "L"), False)


def visual_order(text: str) -> str:
    """A line of text as it is drawn from left to right."""
    if not any(unicodedata.bidirectional(letter) in _RIGHT_TO_LEFT for letter in text):
        return text
    letters = _joined(text)
    base = int(is_right_to_left(letters))
    levels = _levels(letters, base)
    shown = [
        _MIRRORED.get(letter, letter) if level % 2 else letter
        for letter, level in zip(letters, levels, strict=True)
    ]
    for level in range(max(levels), 0, -1):
        runs = groupby(range(len(shown)), key=lambda at, least=level: levels[at] >= least)
        for _, run in [(key, list(run)) for key, run in runs if key]:
            part = slice(run[0], run[-1] + 1)
            shown[part], levels[part] = shown[part][::-1], levels[part][::-1]
    return "".join(shown)


def _levels(letters: str, base: int) -> list[int]:
    """The embedding level of each letter: even from left to right, odd from right to left."""
    kinds = [unicodedata.bidirectional(letter) for letter in letters]
    # A number that follows letters from the left belongs to them.
    strong, directions = ("R" if base else "L"), list[str]()
    for kind in kinds:
        if kind in _RIGHT_TO_LEFT:
            strong = "R"
        elif kind == "L":
            strong = "L"
        number = kind in _NUMBERS and strong == "R"
        directions.append("R" if kind in _RIGHT_TO_LEFT else "N" if number else "L" if kind in ("L", "EN") else "")
    for at, direction in enumerate(directions):
        if (
            not direction
            and kinds[at] in ("CS", "ES")
            and directions[at - 1 : at] == ["N"] == directions[at + 1 :][:1]
        ):
            directions[at] = "N"  # 3.5 and 12:30 are one number
    resolved = [direction or _neutral(directions, at, base) for at, direction in enumerate(directions)]
    opened = list[int]()
    for at, letter in enumerate(letters):
        if letter in "([{":
            opened.append(at)
        elif letter in ")]}" and opened:
            resolved[at] = resolved[opened.pop()]  # the two of a pair go together
    level = {"L": base + base % 2, "R": 1, "N": 2}
    return [level[direction] for direction in resolved]


def _neutral(directions: list[str], at: int, base: int) -> str:
    """The direction of a space or a sign: that of both neighbors, else the line's.

    Numbers count as from the right.
    """
    around = [
        next((each for each in side if each), "R" if base else "L")
        for side in (reversed(directions[:at]), directions[at + 1 :])
    ]
    before, after = ("R" if each == "N" else each for each in around)
    return before if before == after else "R" if base else "L"


def _joined(text: str) -> str:
    """Arabic letters in the forms that stand for their place in a word; without vowel points, which overlap."""
    forms = _forms()
    letters = [each for each in text if unicodedata.category(each) != "Mn"]
    found = list[str]()
    joins = False  # whether the letter before reaches to this one
    at = 0
    while at < len(letters):
        letter = letters[at]
        if letter == _LAM and (pair := "".join(letters[at : at + 2])) in forms:
            letter, at = pair, at + 1
        shapes = forms.get(letter, {})
        following = forms.get(letters[at + 1], {}) if at + 1 < len(letters) else {}
        reaches = "initial" in shapes and "final" in following
        joins = joins and "final" in shapes
        name = {(True, True): "medial", (True, False): "final", (False, True): "initial"}.get((joins, reaches), "")
        found.append(shapes.get(name) or shapes.get("isolated") or letter)
        joins = reaches
        at += 1
    return "".join(found)


@cache
def _forms() -> dict[str, dict[str, str]]:
    """The presentation forms of each Arabic letter, and of Lam with Alef, as Unicode lists them."""
    found: dict[str, dict[str, str]] = {}
    for code in (*range(0xFB50, 0xFBB2), *range(0xFBD3, 0xFC00), *range(0xFE80, 0xFEFD)):
        kind, *letters = unicodedata.decomposition(chr(code)).split()[:4] or [""]
        base = "".join(chr(int(each, 16)) for each in letters)
        if len(base) == 1 or (len(base) == 2 and base[0] == _LAM and code >= 0xFEF5):
            found.setdefault(base, {}).setdefault(kind.strip("<>"), chr(code))
    return found
