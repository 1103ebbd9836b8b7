"""A small SVG picture to draw on, for the charts of `explain` and of the benchmarks.

The format: https://www.w3.org/TR/SVG11/. x goes to the right and y down, in pixels.
"""

from collections.abc import Iterable
from typing import Final, Literal
from xml.sax.saxutils import escape, quoteattr

BLACK: Final = "#101218"
WHITE: Final = "#eceef2"
GRAY: Final = "#808692"
ORANGE: Final = "#ffa62b"
BLUE: Final = "#569ce6"

Point = tuple[float, float]
Anchor = Literal["start", "middle", "end"]

CHARACTER_WIDTH: Final = 0.55
"""About how wide a character is, as a multiple of the font's size."""


class Svg:
    """A picture of `width` by `height` pixels."""

    def __init__(self, width: int, height: int, background: str = BLACK) -> None:
        self._parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'viewBox="0 0 {width} {height}" font-family="DejaVu Sans, Verdana, sans-serif" font-size="14">'
        ]
        self.rectangle(0, 0, width, height, background)

    def rectangle(self, x: float, y: float, width: float, height: float, color: str) -> None:
        """Fill a rectangle whose upper left corner is at x, y."""
        self._add("rect", x=x, y=y, width=width, height=height, fill=color)

    def outline(self, x: float, y: float, width: float, height: float, color: str) -> None:
        """The outline of a rectangle."""
        self._add("rect", x=x, y=y, width=width, height=height, fill="none", stroke=color)

    def lines(
        self, lines: Iterable[tuple[Point, Point]], color: str, *, width: float = 1.0, opacity: float = 1.0
    ) -> None:
        """Lines of one color, as one path."""
        path = "".join(f"M{_number(x0)} {_number(y0)}L{_number(x1)} {_number(y1)}" for (x0, y0), (x1, y1) in lines)
        self._add("path", d=path, stroke=color, stroke_width=width, opacity=opacity, fill="none")

    def dots(self, points: Iterable[Point], radius: float, color: str) -> None:
        """Squares around points, as one path."""
        side = _number(2 * radius)
        path = "".join(f"M{_number(x - radius)} {_number(y - radius)}h{side}v{side}h-{side}z" for x, y in points)
        self._add("path", d=path, fill=color)

    def text(
        self, x: float, y: float, text: str, color: str = WHITE, *, size: int = 14, anchor: Anchor = "start"
    ) -> None:
        """One line of text; y is its base line."""
        self._add("text", text, x=x, y=y, fill=color, font_size=size, text_anchor=anchor)

    def document(self) -> str:
        """The picture as an SVG document."""
        return "\n".join([*self._parts, "</svg>", ""])

    def _add(self, name: str, content: str | None = None, **attributes: str | float) -> None:
        written = " ".join(
            f"{key.replace('_', '-')}={quoteattr(value if isinstance(value, str) else _number(value))}"
            for key, value in attributes.items()
        )
        end = "/>" if content is None else f">{escape(printable(content))}</{name}>"
        self._parts.append(f"<{name} {written}{end}")


def shortened(text: str, pixels: float, size: int = 14) -> str:
    """The text, cut with dots when it is about wider than that."""
    fitting = int(pixels / (CHARACTER_WIDTH * size))
    return text if len(text) <= fitting else text[: max(0, fitting - 1)].rstrip() + "…"


def text_width(text: str, size: int = 14) -> float:
    """About how many pixels wide a text is."""
    return len(text) * CHARACTER_WIDTH * size


def printable(text: str) -> str:
    """The text without characters that XML cannot hold."""
    return "".join(character if character.isprintable() else "?" for character in text)


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
