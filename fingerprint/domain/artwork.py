"""The pictures of songs that this server gives out: their sizes, and the addresses that stand for them."""

import re
from dataclasses import dataclass
from typing import Annotated, Final

from msgspec import Meta

PATH: Final = "/api/v1/artwork"
EDGES: Final = (640, 300, 120)
"""The longer edges of the sizes that a picture is given out in, in pixels; a smaller picture has fewer sizes."""

_NAME: Final = re.compile(r"([0-9a-f]{32})-(\d{1,3})\.jpg")


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
