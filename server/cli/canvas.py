"""A small image to draw on, and its PNG encoder: no more than the charts of `explain` and of the benchmarks need.

The format: https://www.w3.org/TR/png-3/ (8 bits a channel, RGB, one IDAT chunk, no filter).
"""

import struct
import unicodedata
import zlib
from typing import Final

import numpy as np
from numpy.typing import NDArray

Color = tuple[int, int, int]

BLACK: Final[Color] = (16, 18, 24)
WHITE: Final[Color] = (236, 238, 242)
GRAY: Final[Color] = (128, 134, 146)
ORANGE: Final[Color] = (255, 166, 43)
BLUE: Final[Color] = (86, 156, 230)

GLYPH_WIDTH: Final = 6
GLYPH_HEIGHT: Final = 7
"""Pixels of a character at scale 1, with the gap on its right."""

# Seven rows of five bits for each character, in hexadecimal.
_GLYPHS: Final = {
    character: tuple(bytes.fromhex(rows))
    for character, rows in {
        "A": "0e11111f111111", "B": "1e11111e11111e", "C": "0e11101010110e", "D": "1e11111111111e",
        "E": "1f10101e10101f", "F": "1f10101e101010", "G": "0e11101711110f", "H": "1111111f111111",
        "I": "0e04040404040e", "J": "0702020202120c", "K": "11121418141211", "L": "1010101010101f",
        "M": "111b1515111111", "N": "11111915131111", "O": "0e11111111110e", "P": "1e11111e101010",
        "Q": "0e11111115120d", "R": "1e11111e141211", "S": "0f10100e01011e", "T": "1f040404040404",
        "U": "1111111111110e", "V": "11111111110a04", "W": "11111115151b11", "X": "11110a040a1111",
        "Y": "11110a04040404", "Z": "1f01020408101f", "0": "0e11131519110e", "1": "040c040404040e",
        "2": "0e11010204081f", "3": "1f02040201110e", "4": "02060a121f0202", "5": "1f101e0101110e",
        "6": "0608101e11110e", "7": "1f010204080808", "8": "0e11110e11110e", "9": "0e11110f01020c",
        ".": "00000000000c0c", ",": "000000000c0408", ":": "000c0c000c0c00", "-": "0000001f000000",
        "+": "0004041f040400", "/": "01010204081010", "%": "18190204081303", "(": "02040808080402",
        ")": "08040202020408", "'": "04040800000000", "!": "04040404040004", "?": "0e110102040004",
        "&": "0c12140815120d", "_": "0000000000001f", "=": "00001f001f0000", "<": "02040810080402",
        ">": "08040201020408", "#": "0a0a1f0a1f0a0a", '"': "0a0a0000000000", "*": "0004150e150400",
    }.items()
}  # fmt: skip


class Canvas:
    """A picture of `width` by `height` pixels. x goes to the right and y down; what lies outside is left out."""

    def __init__(self, width: int, height: int, background: Color = BLACK) -> None:
        self.pixels: NDArray[np.uint8] = np.empty((height, width, 3), np.uint8)
        self.pixels[:] = background

    def image(self, x: int, y: int, colors: NDArray[np.uint8]) -> None:
        """Put another picture, shape (height, width, 3), with its upper left corner at x, y."""
        height, width, _ = self.pixels[y : y + colors.shape[0], x : x + colors.shape[1]].shape
        self.pixels[y : y + height, x : x + width] = colors[:height, :width]

    def rectangle(self, x: float, y: float, width: float, height: float, color: Color) -> None:
        """Fill a rectangle, at least a pixel wide and high."""
        left, top = max(0, round(x)), max(0, round(y))
        right, bottom = max(round(x) + 1, round(x + width)), max(round(y) + 1, round(y + height))
        self.pixels[top : max(0, bottom), left : max(0, right)] = color

    def frame(self, x: float, y: float, width: float, height: float, color: Color) -> None:
        """The outline of a rectangle."""
        for left, top, wide, high in ((x, y, width, 0), (x, y + height, width, 0), (x, y, 0, height)):
            self.rectangle(left, top, wide, high, color)
        self.rectangle(x + width, y, 0, height + 1, color)

    def line(
        self, start: tuple[float, float], end: tuple[float, float], color: Color, opacity: float = 1.0
    ) -> None:
        """A line of one pixel's width, the pixels at `start` and `end` included."""
        (x0, y0), (x1, y1) = start, end
        count = int(max(abs(x1 - x0), abs(y1 - y0))) + 1
        xs = np.rint(np.linspace(x0, x1, count)).astype(np.int64)
        ys = np.rint(np.linspace(y0, y1, count)).astype(np.int64)
        height, width, _ = self.pixels.shape
        inside = (xs >= 0) & (xs < width) & (ys >= 0) & (ys < height)
        xs, ys = xs[inside], ys[inside]
        mixed = self.pixels[ys, xs] * (1 - opacity) + np.array(color) * opacity
        self.pixels[ys, xs] = np.rint(mixed).astype(np.uint8)

    def dot(self, x: float, y: float, radius: float, color: Color) -> None:
        """A filled square around a point; at radius 0 a pixel."""
        self.rectangle(round(x) - radius, round(y) - radius, 2 * radius + 1, 2 * radius + 1, color)

    def text(self, x: float, y: float, text: str, color: Color = WHITE, scale: int = 2) -> None:
        """Text in capitals, its upper left corner at x, y. Accents are dropped; unknown signs become `?`."""
        left, top = round(x), round(y)
        for character in plain(text):
            rows = _GLYPHS.get(character, () if character == " " else _GLYPHS["?"])
            for row, bits in enumerate(rows):
                for column in range(5):
                    if bits >> (4 - column) & 1:
                        self.rectangle(left + column * scale, top + row * scale, scale, scale, color)
            left += GLYPH_WIDTH * scale

    def png(self) -> bytes:
        """The picture as a PNG file."""
        height, width, _ = self.pixels.shape
        # Each row is preceded by the number of its filter: none.
        rows = np.zeros((height, 1 + 3 * width), np.uint8)
        rows[:, 1:] = self.pixels.reshape(height, -1)
        return b"".join(
            (
                b"\x89PNG\r\n\x1a\n",
                _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
                _chunk(b"IDAT", zlib.compress(rows.tobytes(), 6)),
                _chunk(b"IEND", b""),
            )
        )


def plain(text: str) -> str:
    """The text in capitals and without accents, as it is drawn."""
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(character for character in decomposed if not unicodedata.combining(character)).upper()


def text_width(text: str, scale: int = 2) -> int:
    """How many pixels wide a text is."""
    return len(plain(text)) * GLYPH_WIDTH * scale


def shortened(text: str, pixels: float, scale: int = 2) -> str:
    """The text in capitals, cut with three dots when it is wider than `pixels`."""
    fitting = int(pixels / (GLYPH_WIDTH * scale))
    flat = plain(text)
    return flat if len(flat) <= fitting else flat[: max(0, fitting - 3)].rstrip() + "..."


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
