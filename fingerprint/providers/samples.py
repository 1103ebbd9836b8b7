"""The sample that is sent to a provider: a few seconds of a recording, never silent, as samples or a file."""

import io
import wave
from dataclasses import dataclass, field
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fingerprint.domain.audio import SAMPLE_RATE, Pcm, Recording
from fingerprint.media.pcm import no_audio

SAMPLE_SECONDS: Final = 12.0
"""The longest sample: providers use 10 to 12 s, and longer ones cost more."""

SILENCE_RMS: Final = 3e-4
"""Sound quieter than this RMS (-70 dBFS) counts as silence and is not sent."""

NARROW_RATE: Final = 8_000
"""The sample rate in Hz that ACRCloud compares at."""

_TAPS: Final = 63


@dataclass(frozen=True, slots=True)
class Sample:
    """The part of a recording that is sent; it begins `start_seconds` into it."""

    pcm: Pcm
    start_seconds: float


@dataclass(frozen=True, slots=True)
class WaveSample:
    """A WAV file, and the position in the recording at which it begins."""

    wave: bytes = field(repr=False)
    start_seconds: float


def sample_of(recording: Recording, seconds: float = SAMPLE_SECONDS) -> Sample:
    """The whole of a short recording, or the loudest `seconds` of a longer one.

    Raises TwitchAudioError `no-audio` for silence.
    """
    part, start = recording.pcm, 0.0
    if part.duration_seconds > seconds + 1.0:
        start = _loudest(part, seconds)
        part = part.cut(start, seconds)
    if part.samples.size == 0 or float(np.sqrt(np.mean(np.square(part.mono)))) < SILENCE_RMS:
        raise no_audio("it is silent")
    return Sample(part, start)


def wave_sample(recording: Recording) -> WaveSample:
    """The sample of a recording as a mono WAV file at its own rate. Raises `no-audio` for silence."""
    sample = sample_of(recording)
    return WaveSample(wide_wave(sample.pcm), sample.start_seconds)


def _loudest(pcm: Pcm, seconds: float) -> float:
    """The start of the loudest part, in whole seconds."""
    mono = pcm.mono
    whole = len(mono) // pcm.rate
    energy = np.square(mono[: whole * pcm.rate]).reshape(whole, pcm.rate).sum(axis=1)
    totals = np.convolve(energy, np.ones(max(1, int(seconds))), mode="valid")
    return float(np.argmax(totals))


def narrow_samples(pcm: Pcm) -> bytes:
    """Mono, 8000 Hz, signed 16 bits, little-endian. Raises ValueError for sound of another rate than ours."""
    if pcm.rate != SAMPLE_RATE:
        raise ValueError(f"sound at {pcm.rate} Hz is not decoded sound")
    halved = np.convolve(pcm.mono, _half_band(), mode="same")[::2]
    return _as_16_bits(halved)


def narrow_wave(pcm: Pcm) -> bytes:
    """A WAV file, mono at 8000 Hz."""
    return _wave(narrow_samples(pcm), NARROW_RATE)


def wide_wave(pcm: Pcm) -> bytes:
    """A mono WAV file at the sound's own rate."""
    return _wave(_as_16_bits(pcm.mono), pcm.rate)


@cache
def _half_band() -> NDArray[np.float64]:
    """A low-pass FIR filter for halving the rate: a windowed sinc, 46 % of the band, 80 dB stopband."""
    places = np.arange(_TAPS) - (_TAPS - 1) / 2
    taps = np.sinc(places * 0.46) * np.kaiser(_TAPS, 8.0)
    return taps / taps.sum()


def _as_16_bits(samples: NDArray[np.floating]) -> bytes:
    return (np.clip(samples, -1.0, 1.0) * 32_767).round().astype("<i2").tobytes()


def _wave(samples: bytes, rate: int) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes(samples)
    return file.getvalue()
