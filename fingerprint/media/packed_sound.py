"""Writes a short sound again as the AAC that HLS takes: for a worker process, since the input is untrusted.

The form is "packed audio" of RFC 8216: ADTS frames behind an ID3 tag with the first sample's timestamp, which is 0
here. All have one rate and two channels, so that a player decodes one after another.
"""

import io
from typing import Any, Final, cast

import av
from av.audio.resampler import AudioResampler
from av.error import FFmpegError

RATE: Final = 44_100
BIT_RATE: Final = 128_000
FORMATS: Final = {".mp3": "mp3", ".m4a": "mov", ".wav": "wav"}
"""The demuxer of a sound, by the ending of its file."""

_OWNER: Final = b"com.apple.streaming.transportStreamTimestamp\0"


class UndecodableSoundError(Exception):
    """The sound cannot be decoded."""


def packed_sound(content: bytes, ending: str, *, max_seconds: float) -> bytes:
    """A sound of a known format as packed AAC, cut at `max_seconds`. Raises UndecodableSoundError."""
    try:
        return _timestamp() + _encoded(content, FORMATS[ending], max_seconds)
    except (FFmpegError, ValueError, LookupError, ArithmeticError, OSError, MemoryError) as error:
        raise UndecodableSoundError from error


def _encoded(content: bytes, demuxer: str, max_seconds: float) -> bytes:
    made, left = io.BytesIO(), round(max_seconds * RATE)
    with (
        av.open(io.BytesIO(content), "r", format=demuxer) as source,
        cast("Any", av.open(made, "w", format="adts")) as target,
    ):
        stream = target.add_stream("aac", rate=RATE, layout="stereo")
        stream.bit_rate = BIT_RATE
        resampler = AudioResampler(format="fltp", layout="stereo", rate=RATE, frame_size=stream.frame_size or 1024)
        at = 0
        for frame in source.decode(audio=0):
            frame.pts = None
            for piece in resampler.resample(frame):
                if left <= 0:
                    break
                left -= piece.samples
                piece.pts, at = at, at + piece.samples
                target.mux(stream.encode(piece))
            if left <= 0:
                break
        if at == 0:
            raise UndecodableSoundError
        target.mux(stream.encode(None))
    return made.getvalue()


def _timestamp() -> bytes:
    """An ID3 tag that says that the first sample is at 0."""
    frame = b"PRIV" + (len(_OWNER) + 8).to_bytes(4, "big") + b"\0\0" + _OWNER + bytes(8)
    return b"ID3\x04\0\0" + bytes([0, 0, 0, len(frame)]) + frame
