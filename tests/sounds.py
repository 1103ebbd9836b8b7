"""Sounds for tests: tones, encoded by FFmpeg into any container, and what is heard in decoded ones."""

from io import BytesIO

import av
import numpy as np
from av.audio.stream import AudioStream

from fingerprint.domain.audio import Pcm

FORMATS = {
    # FFmpeg's name for reading: (for writing, codec, rate)
    "mpegts": ("mpegts", "aac", 48_000),
    "mp4": ("mp4", "aac", 44_100),
    "aac": ("adts", "aac", 48_000),
    "mp3": ("mp3", "mp3", 44_100),
    "wav": ("wav", "pcm_s16le", 22_050),
    "flac": ("flac", "flac", 96_000),
    "ogg": ("ogg", "libopus", 48_000),
    "matroska": ("matroska", "libopus", 48_000),
}


def tone(
    container: str = "mpegts",
    *,
    hertz: float = 440.0,
    seconds: float = 6.0,
    channels: int = 2,
    codec: str | None = None,
    fragmented: bool = False,
    silent: bool = False,
) -> bytes:
    """A sine, encoded; of two channels the right one is half as loud."""
    written, usual_codec, rate = FORMATS[container]
    layout = {1: "mono", 2: "stereo", 6: "5.1"}[channels]
    wave = np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate) * (0.0 if silent else 0.4)
    sound = np.stack([wave / (channel + 1) for channel in range(channels)]).astype(np.float32)
    file = BytesIO()
    options = {"movflags": "frag_keyframe+empty_moov+default_base_moof"} if fragmented else {}
    with av.open(file, "w", format=written, options=options) as out:
        stream = out.add_stream(codec or usual_codec, rate=rate, layout=layout)  # pyright: ignore[reportUnknownMemberType] - PyAV leaves its options open
        assert isinstance(stream, AudioStream)
        for first in range(0, sound.shape[1], 1024):
            piece = np.ascontiguousarray(sound[:, first : first + 1024])
            frame = av.AudioFrame.from_ndarray(piece, format="fltp", layout=layout)
            frame.sample_rate = rate
            frame.pts = first
            out.mux(stream.encode(frame))  # pyright: ignore[reportUnknownMemberType] - PyAV leaves a packet's stream open
        out.mux(stream.encode(None))  # pyright: ignore[reportUnknownMemberType] - likewise
    return file.getvalue()


def loudest_hertz(pcm: Pcm) -> float:
    """The frequency of a tone, to a few hertz."""
    mono = pcm.mono[: 1 << 17]
    spectrum = np.abs(np.fft.rfft(mono * np.hanning(len(mono)), n=1 << 17))
    return float(np.argmax(spectrum)) * pcm.rate / (1 << 17)
