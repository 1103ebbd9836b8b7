"""Makes small JPEG pictures of others: for a worker process, since the input is untrusted."""

from fractions import Fraction
from typing import Any, Final, cast

import av
import numpy as np
from av.codec import CodecContext
from av.error import FFmpegError
from av.video.frame import VideoFrame
from numpy.typing import NDArray

DECODERS: Final = {"image/jpeg": "mjpeg", "image/png": "png", "image/webp": "webp"}

_QUALITY: Final = "4"
"""The quantizer of the JPEG encoder, 2 (best) to 31."""

_WHITE: Final = 255


class UndecodablePictureError(Exception):
    """The picture cannot be decoded."""


def small_jpeg(content: bytes, media_type: str, *, max_edge: int) -> bytes:
    """A picture of a known type as JPEG, no edge longer than `max_edge` pixels; what is transparent becomes white.

    The same input gives the same bytes. Raises UndecodablePictureError.
    """
    try:
        frame = _decoded(content, DECODERS[media_type])
        scale = min(1.0, max_edge / max(frame.width, frame.height))
        width, height = max(1, round(frame.width * scale)), max(1, round(frame.height * scale))
        if media_type != "image/jpeg":
            frame = _on_white(frame.reformat(width, height, "rgba", interpolation="AREA"))
        return _encoded(frame.reformat(width, height, "yuvj420p", interpolation="AREA"))
    except (FFmpegError, ValueError, LookupError, ArithmeticError, OSError, MemoryError) as error:
        raise UndecodablePictureError from error


def decoded_picture(content: bytes, media_type: str) -> VideoFrame:
    """A picture of a known type, decoded. Raises UndecodablePictureError, FFmpegError, LookupError."""
    return _decoded(content, DECODERS[media_type])


def _decoded(content: bytes, decoder: str) -> VideoFrame:
    context = cast("Any", CodecContext.create(decoder, "r"))
    context.thread_count = 1
    frames: list[VideoFrame] = [*context.decode(av.Packet(content)), *context.decode(None)]
    if not frames:
        raise UndecodablePictureError
    return frames[0]


def _on_white(frame: VideoFrame) -> VideoFrame:
    """An RGBA picture without transparency."""
    pixels = cast("NDArray[np.uint8]", frame.to_ndarray())
    alpha = pixels[..., 3:].astype(np.uint16)
    blended = (pixels[..., :3] * alpha + _WHITE * (_WHITE - alpha)) // _WHITE
    return VideoFrame.from_ndarray(blended.astype(np.uint8), format="rgb24")


def _encoded(frame: VideoFrame) -> bytes:
    context = cast("Any", CodecContext.create("mjpeg", "w"))
    context.width, context.height, context.pix_fmt = frame.width, frame.height, "yuvj420p"
    context.time_base = Fraction(1, 1)
    context.thread_count = 1
    context.options = {"qmin": _QUALITY, "qmax": _QUALITY, "flags": "+bitexact", "strict": "unofficial"}
    frame.pts = 0
    return b"".join(bytes(packet) for packet in [*context.encode(frame), *context.encode(None)])
