"""Makes cards: the pictures that chats and networks show beside a link. For a worker process.

A card shows a cover on a blurred ground of its own colors, or a song's drawing, and beside or above it the words
that it is given.
"""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any, Final, cast

import numpy as np
from av.codec import CodecContext
from av.error import FFmpegError
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from fingerprint.domain.artwork import CARD_SIZE, Drawing
from fingerprint.media.card_text import text_layer
from fingerprint.media.small_pictures import UndecodablePictureError, decoded_picture

_COVER_EDGE: Final = 510
_BLURRED: Final = (24, 13)
_SHADE: Final = 0.42
_DIMMED: Final = 0.35
"""How much is left of a drawing behind words."""
_COMPRESSION: Final = "4"
_EDGE: Final = 60
"""What stays free at the sides, in pixels."""

Pixels = NDArray[np.uint8]
"""Of shape (height, width, 3)."""


def card_of_cover(content: bytes, media_type: str, texts: Sequence[str] = ()) -> bytes:
    """A card with a cover, as PNG, with words on its right. Raises UndecodablePictureError.

    `texts`: the title, the artists, and where it was heard, or as many of them as there are.
    """
    width, height = CARD_SIZE
    try:
        cover = decoded_picture(content, media_type)
        ground = VideoFrame.from_ndarray(_scaled(cover, *_BLURRED), format="rgb24")
        card = (_scaled(ground, width, height, "BICUBIC") * _SHADE).astype(np.uint8)
        scale = _COVER_EDGE / max(cover.width, cover.height)
        shown = _scaled(cover, max(2, round(cover.width * scale)), max(2, round(cover.height * scale)))
        words = text_layer(texts, width - _COVER_EDGE - 3 * _EDGE, height - 2 * _EDGE)
        middle = width // 2 if words is None else _EDGE + _COVER_EDGE // 2
        top, left = (height - shown.shape[0]) // 2, middle - shown.shape[1] // 2
        card[top : top + shown.shape[0], left : left + shown.shape[1]] = shown
        if words is not None:
            _lay_over(card, words, 2 * _EDGE + _COVER_EDGE)
        return _png(card)
    except (FFmpegError, ValueError, LookupError, ArithmeticError, OSError, MemoryError) as error:
        raise UndecodablePictureError from error


def card_of_drawing(drawing: Drawing, texts: Sequence[str] = ()) -> bytes:
    """A card with what is drawn for a song, as PNG, and words over it, as `card_of_cover` takes them."""
    width, height = CARD_SIZE
    words = text_layer(texts, width - 4 * _EDGE, height - 2 * _EDGE)
    card = np.empty((height, width, 3), np.uint8)
    card[:] = drawing.ground
    ink = np.array(drawing.ink)
    if words is not None:
        ink = ink * _DIMMED + np.array(drawing.ground) * (1.0 - _DIMMED)
    for x, y, radius in drawing.dots:
        middle, center, edge = y * height, x * width, radius * width
        top, left = max(0, int(middle - edge)), max(0, int(center - edge))
        part = card[top : int(middle + edge) + 2, left : int(center + edge) + 2]
        down, across = np.ogrid[top : top + part.shape[0], left : left + part.shape[1]]
        share = np.clip(edge - np.hypot(across - center, down - middle), 0.0, 1.0)[..., None]
        part[:] = part * (1.0 - share) + ink * share
    if words is not None:
        _lay_over(card, words, 2 * _EDGE)
    return _png(card)


def _lay_over(card: Pixels, layer: Pixels, left: int) -> None:
    """Lay pixels with opacity over a card, from `left` and `_EDGE` from the top."""
    part = card[_EDGE : _EDGE + layer.shape[0], left : left + layer.shape[1]]
    share = layer[..., 3:].astype(np.uint16)
    part[:] = (part * (255 - share) + layer[..., :3] * share) // 255


def _scaled(frame: VideoFrame, width: int, height: int, how: str = "AREA") -> Pixels:
    return cast("Pixels", frame.reformat(width, height, "rgb24", interpolation=how).to_ndarray())


def _png(pixels: Pixels) -> bytes:
    context = cast("Any", CodecContext.create("png", "w"))
    context.width, context.height, context.pix_fmt = pixels.shape[1], pixels.shape[0], "rgb24"
    context.time_base = Fraction(1, 1)
    context.thread_count = 1
    context.options = {"compression_level": _COMPRESSION, "pred": "paeth", "flags": "+bitexact"}
    frame = VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
    frame.pts = 0
    return b"".join(bytes(packet) for packet in [*context.encode(frame), *context.encode(None)])
