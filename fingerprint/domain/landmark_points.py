"""Some points of a sound that tell it from others, as short text, and the address of the picture drawn of them.

The text is base64url without padding, two bytes for each point: when it is in the sound, and how high on a
logarithmic scale from the lowest frequency of a fingerprint to its highest, both from 0 to 255.
"""

import base64
import binascii
import re
from collections.abc import Iterable
from typing import Final

from fingerprint.domain.identification import Song
from fingerprint.domain.songs import song_id

MAX_POINTS: Final = 64
"""The most points of a sound that are kept: 171 letters."""

MAX_LETTERS: Final = -(-MAX_POINTS * 2 * 4 // 3)
HEARD: Final = "heard."
"""What the name of a picture begins with that is drawn of points; the points follow."""

_LETTERS: Final = re.compile(r"[A-Za-z0-9_-]*")

Points = tuple[tuple[float, float], ...]
"""Times and heights, 0 to 1."""


def points_to_text(points: Iterable[tuple[float, float]]) -> str:
    """The first `MAX_POINTS` points as text; empty for none."""
    scaled = (min(255, max(0, round(255 * value))) for point in tuple(points)[:MAX_POINTS] for value in point)
    return base64.urlsafe_b64encode(bytes(scaled)).decode().rstrip("=")


def points_of_text(text: str | None) -> Points:
    """The inverse of `points_to_text`; no points for any other text."""
    if not text or len(text) > MAX_LETTERS or not _LETTERS.fullmatch(text):
        return ()
    try:
        values = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error:
        return ()
    return tuple((when / 255, height / 255) for when, height in zip(values[::2], values[1::2], strict=False))


def drawing_name(song: Song) -> str:
    """What stands for a song's drawing: its id in the catalog, else the points that were heard, else its id."""
    if song.catalog is None and points_of_text(song.landmarks):
        return f"{HEARD}{song.landmarks}"
    return song_id(song)


def drawing_path(song: Song) -> str:
    """The path of a picture drawn for a song, for where it has no artwork."""
    return f"/covers/{drawing_name(song)}.svg"
