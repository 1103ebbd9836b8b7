"""A small synthesizer on NumPy: wavetable notes, drums and effects, at 48 kHz in stereo.

Sound is float32 of shape (2, n), nominal range -1..1. Everything random comes from the generator passed in, so
the same seed always gives the same samples.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.fft import irfft
from numpy.random import Generator
from numpy.typing import NDArray

RATE: Final = 48_000
"""Samples a second of all sound in the demo."""

_TABLE_BITS: Final = 12
_TABLE: Final = 1 << _TABLE_BITS

Sound = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """How a note sounds.

    `wave`: saw, square, pulse, triangle, sine, organ, bell or reed. `bright` 0..1: how many harmonics remain when
    the note has decayed. Times in seconds; `detune` in cents between two voices (0: one voice).
    """

    wave: str
    gain: float = 0.2
    attack: float = 0.005
    decay: float = 0.3
    sustain: float = 0.6
    release: float = 0.08
    bright: float = 0.4
    detune: float = 0.0
    vibrato: float = 0.0
    width: float = 0.0
    pan: float = 0.0
    drive: float = 0.0
    echo: float = 0.0


@dataclass(frozen=True, slots=True)
class Note:
    """A note of a score: start and length in seconds, pitch as a MIDI number, loudness 0..1."""

    start: float
    length: float
    pitch: float
    loudness: float


def _harmonics(wave: str, count: int) -> NDArray[np.float64]:
    k = np.arange(1, count + 1, dtype=np.float64)
    odd = k % 2 == 1
    shapes = {
        "saw": 1.0 / k,
        "square": np.where(odd, 1.0 / k, 0.0),
        "pulse": np.sin(np.pi * k * 0.22) / k,
        "triangle": np.where(odd, 1.0 / k**2, 0.0) * np.where(k % 4 == 3, -1.0, 1.0),
        "reed": np.where(odd, 1.0, 0.35) * np.exp(-0.28 * k),
        "sine": np.where(k == 1, 1.0, 0.0),
        "organ": _strengths(count, 1.0, 0.8, 0.55, 0.45, 0.1, 0.25, 0.05, 0.2),
        "bell": _strengths(count, 1.0, 0.1, 0.05, 0.6, 0.02, 0.01, 0.25, 0.0, 0.02, 0.12),
    }
    return shapes[wave]


def _strengths(count: int, *first: float) -> NDArray[np.float64]:
    return np.pad(np.array(first), (0, max(0, count - len(first))))[:count]


@dataclass(slots=True)
class Synth:
    """Renders notes; keeps the wavetables that it made."""

    rng: Generator
    _tables: dict[tuple[str, int], Sound] = field(default_factory=dict[tuple[str, int], Sound])

    def _table(self, wave: str, count: int) -> Sound:
        bucket = 1 << max(0, int(np.log2(max(1, count))))
        key = (wave, bucket)
        if key not in self._tables:
            spectrum = np.zeros(_TABLE // 2 + 1, dtype=np.complex128)
            spectrum[1 : bucket + 1] = -0.5j * _TABLE * _harmonics(wave, bucket)
            table = irfft(spectrum, _TABLE)
            self._tables[key] = (table / np.abs(table).max()).astype(np.float32)
        return self._tables[key]

    def render(self, notes: Sequence[Note], instrument: Instrument, samples: int) -> Sound:
        """All notes of one part, mixed."""
        out = np.zeros((2, samples), dtype=np.float32)
        for note in notes:
            first = round(note.start * RATE)
            voice = self._note(note, instrument)
            last = min(samples, first + voice.shape[1])
            if 0 <= first < last:
                out[:, first:last] += voice[:, : last - first]
        if instrument.drive:
            out = np.tanh(out * np.float32(1 + instrument.drive)) * np.float32(0.6)
        if instrument.echo:
            out = echo(out, instrument.echo)
        return out

    def _note(self, note: Note, instrument: Instrument) -> Sound:
        frequency = 440.0 * 2.0 ** ((note.pitch - 69.0) / 12.0)
        held = max(1, round(note.length * RATE))
        samples = held + round(instrument.release * RATE)
        seconds = np.arange(samples, dtype=np.float32) / np.float32(RATE)
        envelope = _envelope(seconds, held / RATE, instrument) * np.float32(note.loudness * instrument.gain)
        limit = int(min(64, 0.42 * RATE / frequency))
        bright = self._table(instrument.wave, limit)
        dark = self._table(instrument.wave, max(1, int(limit * instrument.bright**2)))
        opening = np.exp(-seconds * np.float32(3.5 / max(instrument.decay, 0.01)))
        voices = (-0.5, 0.5) if instrument.detune else (0.0,)
        mixed = np.zeros((2, samples), dtype=np.float32)
        for side in voices:
            step = frequency * 2.0 ** (side * instrument.detune / 1200.0) / RATE
            phase = np.arange(samples, dtype=np.uint32)
            phase *= np.uint32(step * 2**32)  # a round is 2**32, so that it wraps by itself
            phase += np.uint32(self.rng.random() * 2**32)
            if instrument.vibrato:
                rate = 2 * np.pi * 5.2
                depth = np.float32(instrument.vibrato * frequency * 2**32 / rate)
                swing = np.sin(np.float32(rate) * seconds) * np.minimum(np.float32(1), seconds * np.float32(3))
                phase += (depth * swing).astype(np.int64).astype(np.uint32)
            index = (phase >> np.uint32(32 - _TABLE_BITS)).astype(np.intp)
            tone = dark[index]
            tone += (bright[index] - tone) * opening
            tone *= envelope
            left, right = pan_gains(instrument.pan + side * 2 * instrument.width)
            mixed[0] += tone * left
            mixed[1] += tone * right
        return mixed / np.float32(len(voices) ** 0.5)


def _envelope(seconds: Sound, held: float, instrument: Instrument) -> Sound:
    attack = np.minimum(1.0, seconds / np.float32(max(instrument.attack, 0.001)))
    body = np.float32(instrument.sustain) + np.float32(1 - instrument.sustain) * np.exp(
        -seconds / np.float32(max(instrument.decay, 0.01))
    )
    ending = np.clip(1 - (seconds - np.float32(held)) / np.float32(max(instrument.release, 0.002)), 0, 1)
    return (attack * body * ending).astype(np.float32)


def pan_gains(position: float) -> tuple[np.float32, np.float32]:
    """Left and right gain of a place between -1 (left) and 1 (right), at constant power."""
    angle = (min(1.0, max(-1.0, position)) + 1) * np.pi / 4
    return np.float32(np.cos(angle) * np.sqrt(2)), np.float32(np.sin(angle) * np.sqrt(2))


def echo(sound: Sound, amount: float) -> Sound:
    """A few cross-fed echoes that fade: room and width."""
    out = sound.copy()
    for taps, gain in ((3511, 0.5), (7877, 0.38), (14423, 0.3), (21851, 0.2), (33107, 0.12)):
        out[0, taps:] += sound[1, :-taps] * np.float32(amount * gain)
        out[1, taps:] += sound[0, :-taps] * np.float32(amount * gain)
    return out


def high_passed(noise: Sound, times: int) -> Sound:
    """Noise with its low part taken away by repeated differences."""
    for _ in range(times):
        noise = np.diff(noise, prepend=np.float32(0))
    return noise


def drum(kind: str, rng: Generator) -> Sound:
    """One stroke of a drum, mono, shape (n,); no two strokes are the same."""
    length = {"kick": 0.28, "snare": 0.24, "hat": 0.07, "open": 0.3, "ride": 0.5, "tom": 0.3, "crash": 1.6}
    seconds = np.arange(round(length.get(kind, 0.12) * RATE), dtype=np.float32) / np.float32(RATE)
    noise = rng.standard_normal(seconds.size).astype(np.float32)
    match kind:
        case "kick":
            bend = 46.0 + rng.uniform(-2, 2)
            sweep = 2 * np.pi * (bend * seconds + 3.4 * (1 - np.exp(-seconds * 32)))
            stroke = np.sin(sweep) * np.exp(-seconds * 13) + 0.15 * noise * np.exp(-seconds * 220)
        case "snare":
            body = np.sin(2 * np.pi * (186 + rng.uniform(-8, 8)) * seconds) * np.exp(-seconds * 24)
            stroke = 0.5 * body + 0.32 * high_passed(noise, 1) * np.exp(-seconds * 17)
        case "hat":
            stroke = 0.1 * high_passed(noise, 3) * np.exp(-seconds * 70)
        case "open":
            stroke = 0.09 * high_passed(noise, 3) * np.exp(-seconds * 12)
        case "ride":
            ring = np.sin(2 * np.pi * 5230 * seconds) + np.sin(2 * np.pi * 7411 * seconds)
            stroke = 0.05 * (ring + high_passed(noise, 3)) * np.exp(-seconds * 9)
        case "tom":
            low = 92.0 + rng.uniform(-12, 30)
            stroke = 0.7 * np.sin(2 * np.pi * low * seconds * (1 - 0.25 * seconds)) * np.exp(-seconds * 11)
        case "crash":
            stroke = 0.11 * high_passed(noise, 2) * np.exp(-seconds * 2.6)
        case _:
            stroke = 0.3 * np.sin(2 * np.pi * 1810 * seconds) * np.exp(-seconds * 60)
    return stroke.astype(np.float32)


def finish(mix: Sound, *, fade_in: float = 0.02, fade_out: float = 2.5, peak: float = 0.89) -> Sound:
    """The mix, gently limited, brought to a peak, with faded ends (seconds)."""
    mix = np.tanh(mix * np.float32(1.15))
    start, end = round(fade_in * RATE), round(fade_out * RATE)
    mix[:, :start] *= np.linspace(0, 1, start, dtype=np.float32)
    mix[:, -end:] *= np.linspace(1, 0, end, dtype=np.float32) ** 2
    return (mix * np.float32(peak / max(1e-6, float(np.abs(mix).max())))).astype(np.float32)
