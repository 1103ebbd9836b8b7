"""Text in the order in which it is drawn, from left to right, for what draws letters one after the other.

By the Unicode Bidirectional Algorithm (UAX 9, python-bidi), with Arabic letters in the forms that they have beside
their neighbors (arabic-reshaper).
"""

import re
import unicodedata
from functools import cache
from typing import Any, Final, cast

from arabic_reshaper import ArabicReshaper  # pyright: ignore[reportMissingTypeStubs]
from bidi import get_base_level, get_display  # pyright: ignore[reportMissingTypeStubs]
from bidi.mirror import MIRRORED  # pyright: ignore[reportMissingTypeStubs]

_RIGHT_TO_LEFT: Final = frozenset({"R", "AL"})

_MARK: Final = "\u034f"
"""A combining sign without a look, which is in no text here: it goes where the letter before it goes."""

_MIRRORED: Final[dict[str, str]] = MIRRORED
_BRACKETS: Final = f"[{re.escape(''.join(_MIRRORED))}]"
_MARKED: Final = re.compile(f"{_MARK}({_BRACKETS})|({_BRACKETS}){_MARK}")


def is_right_to_left(text: str) -> bool:
    """Whether a text begins from the right: by its first letter that has a direction."""
    return bool(text) and get_base_level(text) == 1


def visual_order(text: str) -> str:
    """A line of text as it is drawn from left to right.

    In text from the right, vowel points are left out: drawn one by one, they would stand beside their letters.
    """
    if not any(unicodedata.bidirectional(letter) in _RIGHT_TO_LEFT for letter in text):
        return text
    letters = "".join(letter for letter in text if unicodedata.category(letter) != "Mn")
    # The library orders letters, but turns no brackets: one whose mark comes before it is to be turned.
    marked = "".join(letter + _MARK if letter in _MIRRORED else letter for letter in _shaper().reshape(letters))
    ordered = cast("str", get_display(marked))
    return _MARKED.sub(lambda found: _MIRRORED[found[1]] if found[1] else found[2], ordered)


@cache
def _shaper() -> Any:
    """The shaper, which reads its tables once.

    Without the sign that the font of the cards lacks.
    """
    return ArabicReshaper(configuration={"ARABIC LIGATURE ALLAH": False})
