"""Sounds that are not songs: a voice (formants on a buzzing source), and an advertisement.

The voice speaks no words: syllables are vowels drawn at random, with the pitch contour, pauses and hisses of
speech. It covers the band that speech covers in a real stream, which is what a recognizer must cope with.
"""

from typing import Final

import numpy as np
from numpy.random import Generator, default_rng

from simulator.composer import Composer
from simulator.songs import LYDIAN, Score, Section, SongTags
from simulator.synth import RATE, Instrument, Sound, high_passed

_VOICE_RATE: Final = 16_000
_VOWELS: Final = (
    (730, 1090, 2440),
    (270, 2290, 3010),
    (300, 870, 2240),
    (530, 1840, 2480),
    (570, 840, 2410),
    (660, 1720, 2410),
    (490, 1350, 1690),
)


def talk(seconds: float, *, seed: int = 7, pitch_hz: float = 118.0) -> Sound:
    """Speech-like sound of some length, shape (2, n), peak about 0.8, in the middle of the stereo image."""
    rng = default_rng(seed)
    total = round(seconds * _VOICE_RATE)
    out = np.zeros(total, dtype=np.float32)
    at = int(0.1 * _VOICE_RATE)
    left_in_sentence = int(rng.integers(6, 16))
    while at < total:
        syllable = _syllable(rng, pitch_hz * (1 + 0.02 * left_in_sentence) * rng.normal(1, 0.05))
        fitting = syllable[: total - at]
        out[at : at + fitting.size] += fitting
        at += int(syllable.size * 0.86)
        left_in_sentence -= 1
        if left_in_sentence == 0:
            at += int(rng.uniform(0.15, 0.6) * _VOICE_RATE)
            left_in_sentence = int(rng.integers(6, 16))
    out *= np.float32(0.8 / max(1e-6, float(np.abs(out).max())))
    samples = round(seconds * RATE)
    fine = np.interp(np.arange(samples) * (_VOICE_RATE / RATE), np.arange(total), out).astype(np.float32)
    return np.stack([fine, fine])


def _syllable(rng: Generator, pitch_hz: float) -> Sound:
    length = float(rng.uniform(0.11, 0.27))
    seconds = np.arange(round(length * _VOICE_RATE), dtype=np.float32) / np.float32(_VOICE_RATE)
    glide = pitch_hz * (1 + rng.normal(0, 0.06) * seconds / np.float32(length))
    phase = np.cumsum(2 * np.pi * glide / _VOICE_RATE).astype(np.float32)
    formants = np.asarray(_VOWELS[int(rng.integers(len(_VOWELS)))]) * rng.normal(1, 0.04)
    k = np.arange(1, int(4_000 / pitch_hz), dtype=np.float32)
    frequency = k * np.float32(pitch_hz)
    shape = sum(
        gain / (1 + ((frequency - center) / width) ** 2)
        for center, width, gain in zip(formants, (80, 100, 140), (1.0, 0.6, 0.3), strict=True)
    )
    voiced = np.asarray(shape / np.sqrt(k), dtype=np.float32) @ np.sin(k[:, None] * phase[None, :])
    envelope = np.minimum(1, seconds / 0.025) * np.clip((length - seconds) / 0.05, 0, 1)
    sound = voiced * envelope
    if rng.random() < 0.35:
        hiss = high_passed(rng.standard_normal(seconds.size).astype(np.float32), 2)
        sound += 0.12 * hiss * np.exp(-((seconds - 0.02) ** 2) / 0.0012)
    return (sound * rng.uniform(0.6, 1.0)).astype(np.float32)


_JINGLE: Final = Score(
    tags=SongTags(
        title="Fizzlewick Sparkling Tonic (advertisement)",
        artists=("Fizzlewick",),
        album="Advertisements",
        label="Fizzlewick",
        isrc="ZZTWA2699999",
        date="2026-01-01",
    ),
    seed=99991,
    bpm=156,
    key=65,
    scale=LYDIAN,
    sections=(
        Section(bars=8, chords=(0, 4, 1, 0), energy=0.9, parts="pbmda"),
        Section(bars=8, chords=(0, 1), energy=1.0, parts="pbmda"),
    ),
    lead=Instrument(wave="bell", gain=0.3, decay=0.3, sustain=0.2, release=0.2, echo=0.3),
    pad=Instrument(wave="organ", gain=0.08, decay=0.1, sustain=0.4),
    bass=Instrument(wave="square", gain=0.25, decay=0.1, sustain=0.4),
    drums="house",
    bass_style="octaves",
    pad_style="stabs",
    density=0.8,
    lead_octave=6,
)


def advertisement() -> Sound:
    """A made-up advertisement of about half a minute: a jingle with a voice over it."""
    jingle = Composer(_JINGLE).play()
    seller = talk(jingle.shape[1] / RATE, seed=23, pitch_hz=205.0)
    return (0.45 * jingle + 0.6 * seller[:, : jingle.shape[1]]).astype(np.float32)
