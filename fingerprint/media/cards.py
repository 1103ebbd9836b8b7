"""Makes cards: the pictures that chats and networks show beside a link. For a worker process.

A card shows a cover on a blurred ground of its own colors, or a song's drawing. It has no text, and so needs no
fonts: titles are in the page's metadata, which is shown with it.
"""

from fractions import Fraction
from typing import Any, Final, cast

import numpy as np
from av.codec import CodecContext
from av.error import FFmpegError
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from fingerprint.domain.artwork import CARD_SIZE, Drawing
from fingerprint.media.small_pictures import UndecodablePictureError, decoded_picture

_COVER_EDGE: Final = 510
_BLURRED: Final = (24, 13)
_SHADE: Final = 0.42
_COMPRESSION: Final = "4"

Pixels = NDArray[np.uint8]
"""Of shape (height, width, 3)."""


def card_of_cover(content: bytes, media_type: str) -> bytes:
    """A card with a cover, as PNG. Raises UndecodablePictureError."""
    width, height = CARD_SIZE
    try:
        cover = decoded_picture(content, media_type)
        ground = VideoFrame.from_ndarray(_scaled(cover, *_BLURRED), format="rgb24")
        card = (_scaled(ground, width, height, "BICUBIC") * _SHADE).astype(np.uint8)
        scale = _COVER_EDGE / max(cover.width, cover.height)
        shown = _scaled(cover, max(2, round(cover.width * scale)), max(2, round(cover.height * scale)))
        top, left = (height - shown.shape[0]) // 2, (width - shown.shape[1]) // 2
        card[top : top + shown.shape[0], left : left + shown.shape[1]] = shown
        return _png(card)
    except (FFmpegError, ValueError, LookupError, ArithmeticError, OSError, MemoryError) as error:
        raise UndecodablePictureError from error


def card_of_drawing(drawing: Drawing) -> bytes:
    """A card with what is drawn for a song, as PNG."""
    width, height = CARD_SIZE
    card = np.empty((height, width, 3), np.uint8)
    card[:] = drawing.ground
    for x, y, radius in drawing.dots:
        middle, center, edge = y * height, x * width, radius * width
        top, left = max(0, int(middle - edge)), max(0, int(center - edge))
        part = card[top : int(middle + edge) + 2, left : int(center + edge) + 2]
        down, across = np.ogrid[top : top + part.shape[0], left : left + part.shape[1]]
        share = np.clip(edge - np.hypot(across - center, down - middle), 0.0, 1.0)[..., None]
        part[:] = part * (1.0 - share) + np.array(drawing.ink) * share
    return _png(card)


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
