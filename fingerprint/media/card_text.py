"""The words on a card, drawn with DejaVu Sans, which has the letters of Europe, Arabic and Hebrew.

What the font cannot draw is left out, a line of which that is more than half as a whole: names in Japanese, say,
stand beside the picture anyway, in the page's metadata.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from fingerprint.media.visual_order import is_right_to_left, visual_order

MAX_LETTERS: Final = 200
"""What is drawn of a text at most; more does not fit."""

_FONTS: Final = Path(__file__).parent / "fonts"
_MISSING: Final = "\uffff"
"""No font has it, so it looks as whatever a font does not have."""
_LEAST_SHARE: Final = 0.5
_GAP: Final = 22


@dataclass(frozen=True, slots=True)
class _Style:
    file: str
    size: int
    max_lines: int
    color: tuple[int, int, int]


_STYLES: Final = (
    _Style("DejaVuSansCondensed-Bold.ttf", 62, 3, (255, 255, 255)),
    _Style("DejaVuSansCondensed.ttf", 44, 2, (255, 255, 255)),
    _Style("DejaVuSansCondensed.ttf", 32, 2, (205, 214, 220)),
)
"""Of the title, the artists, and where it was heard."""


def load_fonts() -> None:
    """Read the fonts' files: a process that may open no files afterwards can draw all the same."""
    for style in _STYLES:
        _font(style.file, style.size)


def text_layer(texts: Sequence[str], width: int, height: int) -> NDArray[np.uint8] | None:
    """The title, the artists and where it was heard, as pixels with opacity, of shape (height, width, 4).

    They stand in the middle of the height, cut with an ellipsis. None when nothing of them can be drawn.
    """
    parts = [
        (style, lines)
        for style, text in zip(_STYLES, texts, strict=False)
        if (lines := _fitted(_drawable(text, style), style, width))
    ]
    if not parts:
        return None
    layer = Image.new("RGBA", (width, height), (0, 0, 0, 0))
    draw = ImageDraw.Draw(layer)
    steps = [round(style.size * 1.22) for style, _ in parts]
    total = sum(step * len(lines) for step, (_, lines) in zip(steps, parts, strict=True)) + _GAP * (len(parts) - 1)
    top = (height - total) // 2
    from_right = is_right_to_left(" ".join(parts[0][1]))
    for step, (style, lines) in zip(steps, parts, strict=True):
        font = _font(style.file, style.size)
        for line in lines:
            shown = visual_order(line)
            left = width - font.getlength(shown) if from_right else 0
            draw.text((left, top), shown, font=font, fill=(*style.color, 255))
            top += step
        top += _GAP
    return np.asarray(layer)


def _drawable(text: str, style: _Style) -> str:
    """A text without what the font lacks; empty when that is more than half of its letters."""
    clean = " ".join(unicodedata.normalize("NFC", text[:MAX_LETTERS]).split())
    clean = "".join(letter for letter in clean if unicodedata.category(letter) not in ("Cf", "Cc", "Cs", "Co"))
    kept = [letter for letter in clean if letter == " " or _has(style.file, visual_order(letter))]
    wanted = sum(letter.isalnum() for letter in clean)
    enough = sum(letter.isalnum() for letter in kept) > _LEAST_SHARE * wanted or not wanted
    return " ".join("".join(kept).split()) if enough else ""


def _fitted(text: str, style: _Style, width: int) -> list[str]:
    """The text in lines that fit, the last one with an ellipsis if there is more."""
    font = _font(style.file, style.size)
    lines = list[str]()
    rest = text
    while rest and len(lines) < style.max_lines:
        line = _prefix(rest, font, width)
        rest = rest[len(line) :].lstrip()
        lines.append(line.rstrip())
    if rest:
        line = lines[-1]
        while line and font.getlength(f"{visual_order(line)}…") > width:
            line = line[:-1]
        lines[-1] = f"{line.rstrip()}…"
    return lines


def _prefix(text: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    """As much of a text's beginning as fits: whole words, or a part of the first one."""
    words = text.split(" ")
    for count in range(len(words), 0, -1):
        line = " ".join(words[:count])
        if font.getlength(visual_order(line)) <= width:
            return line
    first = words[0]
    while len(first) > 1 and font.getlength(visual_order(first)) > width:
        first = first[:-1]
    return first


@cache
def _font(file: str, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(BytesIO((_FONTS / file).read_bytes()), size, layout_engine=ImageFont.Layout.BASIC)


def _has(file: str, letter: str) -> bool:
    """Whether a font can draw a letter: it looks different from one that no font has."""
    font = _font(file, 44)
    # Their bytes can be read, which their type does not say.
    shown, missing = (bytes(cast("Any", font.getmask(each))) for each in (letter, _MISSING))
    return shown != missing
