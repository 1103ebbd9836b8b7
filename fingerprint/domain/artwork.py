"""The pictures of songs that this server gives out: their sizes, and the addresses that stand for them."""

import colorsys
import hashlib
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Final

from msgspec import Meta

PATH: Final = "/api/v1/artwork"
EDGES: Final = (640, 300, 120)
"""The longer edges of the sizes that a picture is given out in, in pixels; a smaller picture has fewer sizes."""

CARD_SIZE: Final = (1200, 630)
"""Width and height of the picture that is shown with a link to a page, in pixels."""

_NAME: Final = re.compile(r"([0-9a-f]{32})-(\d{1,3})\.jpg")
_CARD: Final = re.compile(r"(?:([0-9a-f]{32})|song-([A-Za-z0-9_-]{1,64}))-card\.png")
_DOTS: Final = 36
_REACH: Final = 0.3
"""How far apart two dots that are joined may be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Artwork:
    """A picture of a song in one size."""

    url: Annotated[
        str,
        Meta(
            description="Its address on this server, for ever: another picture has another address.",
            extra_json_schema={"format": "uri-reference"},
        ),
    ]
    width: Annotated[int, Meta(description="In pixels.", ge=1)]
    height: Annotated[int, Meta(description="In pixels.", ge=1)]


def artwork_of(digest: str, width: int, height: int) -> tuple[Artwork, ...]:
    """The sizes of a picture of `width` x `height` pixels, largest first. `digest`: its name, 32 hex digits."""
    longer = max(width, height)
    edges = [min(longer, EDGES[0]), *(edge for edge in EDGES[1:] if edge < longer)]
    return tuple(
        Artwork(
            url=f"{PATH}/{digest}-{edge}.jpg",
            # As `small_pictures` rounds them.
            width=max(1, round(width * (edge / longer))),
            height=max(1, round(height * (edge / longer))),
        )
        for edge in edges
    )


def parse_artwork_name(name: str) -> tuple[str, int] | None:
    """The digest and the longer edge in the last part of an address; None for any other text."""
    found = _NAME.fullmatch(name)
    return None if found is None else (found[1], int(found[2]))


def parse_card_name(name: str) -> tuple[str, str] | None:
    """The digest of the cover, or else the name of the drawing, that a card shows; None for any other text."""
    found = _CARD.fullmatch(name)
    return None if found is None else (found[1] or "", found[2] or "")


def cover_digest(artwork: tuple[Artwork, ...]) -> str:
    """The name of a song's cover, 32 hex digits; empty without one."""
    found = _NAME.fullmatch(artwork[0].url.rpartition("/")[2]) if artwork else None
    return "" if found is None else found[1]


@dataclass(frozen=True, slots=True)
class Drawing:
    """A constellation: colors as RGB; dots as x, y and radius, 0 to 1 of the width; which of them are joined."""

    ground: tuple[int, int, int]
    ink: tuple[int, int, int]
    dots: tuple[tuple[float, float, float], ...]
    pairs: tuple[tuple[int, int], ...] = ()


def drawing_of(name: str, points: Sequence[tuple[float, float]] = ()) -> Drawing:
    """The drawing of a song that has no picture: its landmarks, 0 to 1, else points made up of its name."""
    values = [value / 255 for value in hashlib.shake_128(name.encode()).digest(1 + 2 * _DOTS)]

    def color(lightness: float) -> tuple[int, int, int]:
        red, green, blue = (round(255 * part) for part in colorsys.hls_to_rgb(values[0], lightness, 0.45))
        return red, green, blue

    made_up = ((number + x) / _DOTS for number, x in enumerate(values[1::2]))
    placed = sorted(points or zip(made_up, values[2::2], strict=True))
    dots = tuple(
        (0.05 + 0.9 * when, 0.92 - 0.84 * height, 0.007 + 0.013 * (1.0 - height)) for when, height in placed
    )
    return Drawing(ground=color(0.16), ink=color(0.72), dots=dots, pairs=tuple(_pairs(dots)))


def _pairs(dots: Sequence[tuple[float, float, float]]) -> Iterator[tuple[int, int]]:
    """Each dot with the nearest of those that follow soon, as landmarks are pairs of peaks."""
    for number, (x, y, _) in enumerate(dots):
        near = [
            (math.hypot(other[0] - x, other[1] - y), place)
            for place, other in enumerate(dots[number + 1 : number + 8], number + 1)
            if other[0] > x
        ]
        if near and min(near)[0] <= _REACH:
            yield number, min(near)[1]
