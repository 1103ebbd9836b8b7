"""Pictures, and music files that hold them, made by code."""

import base64
import struct
from fractions import Fraction
from io import BytesIO
from typing import Any, cast

import av
import numpy as np
from av.codec import CodecContext
from av.stream import Disposition

from tests.odd_shapes import encode, id3, mp3, sound


def picture(kind: str = "mjpeg", *, seed: int = 0, width: int = 48, height: int = 32, pixels: str = "") -> bytes:
    """A picture with some structure; `kind` is FFmpeg's name of an encoder, `pixels` of a pixel format."""
    context = cast("Any", CodecContext.create(kind, "w"))
    context.width, context.height, context.time_base = width, height, Fraction(1, 1)
    context.pix_fmt = pixels or {"mjpeg": "yuvj420p", "libwebp": "yuv420p", "gif": "rgb8"}.get(kind, "rgb24")
    context.options = {"strict": "unofficial"}
    across, down = np.meshgrid(np.arange(width), np.arange(height))
    values = np.stack([across * 3 + 40 * seed, down * 5, across + down + 90 * seed, across * 0 + 255], axis=-1)
    alpha = "a" in pixels
    pixel_array = (values[..., : 4 if alpha else 3] % 256).astype(np.uint8)
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixel_array), format="rgba" if alpha else "rgb24")
    frame = frame.reformat(format=context.pix_fmt)
    frame.pts = 0
    return b"".join(bytes(packet) for packet in [*context.encode(frame), *context.encode(None)])


def apic(content: bytes, *, kind: int = 3, media_type: bytes = b"image/jpeg") -> tuple[bytes, bytes]:
    """An ID3 frame with a picture."""
    return b"APIC", b"\0" + media_type + b"\0" + bytes([kind]) + b"\0" + content


def mp3_with(seed: int, *pictures: bytes, title: bytes = b"Paper Boats") -> bytes:
    """An MP3 file with pictures in its ID3 tag: the last one is the front cover, others are of the band."""
    frames = [apic(content, kind=3 if content is pictures[-1] else 10) for content in pictures]
    return id3((b"TIT2", b"\0" + title), *frames) + mp3(seed)


def flac_picture(content: bytes) -> bytes:
    """The content of FLAC's PICTURE block."""
    kind, media_type = struct.pack(">I", 3), b"image/jpeg"
    return (
        kind
        + struct.pack(">I", len(media_type))
        + media_type
        + struct.pack(">I", 0)
        + bytes(16)
        + struct.pack(">I", len(content))
        + content
    )


def container_with(muxer: str, codec: str, seed: int, content: bytes) -> bytes:
    """A file of some container with a picture: attached to Matroska, a cover in MP4, a comment in Ogg."""
    if muxer == "ogg":
        block = base64.b64encode(flac_picture(content)).decode()
        tags = {"METADATA_BLOCK_PICTURE": block}
        return encode(muxer, codec, sound(seed, rate=48_000), tags=tags, rate=48_000)
    out = BytesIO()
    with av.open(out, "w", format=muxer) as opened:
        output = cast("Any", opened)
        stream = output.add_stream(codec, rate=48_000, layout="stereo")
        cover: Any = None
        if muxer == "matroska":
            output.add_attachment("cover.jpg", "image/jpeg", content)
        else:
            cover = output.add_stream("mjpeg", rate=1)
            cover.width, cover.height, cover.pix_fmt = 48, 32, "yuvj420p"
            cover.disposition = Disposition.attached_pic
        samples = sound(seed, rate=48_000)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), format="fltp", layout="stereo")
        frame.rate = 48_000
        packets = stream.encode(frame) + stream.encode(None)
        if cover is not None:
            packet = av.Packet(content)
            packet.stream, packet.pts, packet.dts = cover, 0, 0
            output.mux(packet)
        output.mux(packets)
    return out.getvalue()
