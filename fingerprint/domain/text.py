"""Texts to show: cleaned, when they come from other services, and positions in a recording."""

import re
import unicodedata
from typing import Final

TEXT_LIMIT: Final = 500
"""The default limit of a cleaned text, in characters."""

# Controls, characters that reorder the text around them, and halves of surrogate pairs.
_UNFIT: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff\ufffe\uffff\ud800-\udfff]+")


def clean_text(value: str, limit: int = TEXT_LIMIT) -> str:
    """The text without control characters (a run of them becomes one space), cut to `limit` characters."""
    if len(value) <= limit and value.isascii() and value.isprintable() and value[:1] != " " != value[-1:]:
        # The usual case: nothing to drop and nothing to cut.
        return value
    # Cut first, with room for dropped characters, so that the sender cannot choose the cost.
    return _UNFIT.sub(" ", value[: 4 * limit]).strip()[:limit]


_UNPRINTABLE: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)


def printable(text: str) -> str:
    """The text on one line, without characters that control a terminal, or the direction of what follows.

    Bytes of a file's name that are no UTF-8, which are surrogates in it, are shown as U+FFFD, too.
    """
    return text if text.isprintable() else _UNPRINTABLE.sub("\ufffd", text)


def composed(text: str) -> str:
    """The text with composed accents, to compare it: some systems and programs decompose those in names."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def clock_text(seconds: float) -> str:
    """Seconds as m:ss or h:mm:ss, rounded down."""
    minutes, second = divmod(max(0, int(seconds)), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"
