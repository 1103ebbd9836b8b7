"""Small pieces of music made by code: notes, a bass and a beat, different for each seed."""

import functools

import numpy as np
from numpy.typing import NDArray

from fingerprint.domain.audio import SAMPLE_RATE, Pcm


@functools.cache
def tune(seed: int, seconds: float = 20.0, *, channels: int = 1) -> Pcm:
    """A piece of music. With two channels, the notes are spread between left and right."""
    rng = np.random.default_rng(seed)
    samples: NDArray[np.float64] = np.zeros((2, round(seconds * SAMPLE_RATE)), np.float64)
    scale = np.array([0, 2, 3, 5, 7, 8, 10, 12, 15, 17, 19, 22]) + rng.integers(40, 55)
    beat = rng.uniform(0.22, 0.45)
    at = 0.0
    while at < seconds:
        for _ in range(3):
            note = _tone(440 * 2 ** ((rng.choice(scale) - 45) / 12), beat * rng.uniform(0.6, 2.0), rng)
            _add(samples, at + rng.choice([0, beat / 2]), note * 0.2, rng.uniform(0.1, 0.9))
        _add(samples, at, _tone(55 * 2 ** (rng.integers(0, 12) / 12), beat, rng) * 0.3, 0.5)
        hit = rng.standard_normal(round(0.06 * SAMPLE_RATE)) * np.exp(-np.arange(round(0.06 * SAMPLE_RATE)) / 200)
        _add(samples, at, hit * rng.uniform(0.02, 0.2), 0.5)
        at += beat
    sound = np.empty(samples.shape, np.float32)
    sound[:] = samples / (np.abs(samples).max() * 1.1)
    stereo = Pcm(sound)
    return stereo if channels == 2 else Pcm(stereo.mono[np.newaxis])


def noise(seed: int, seconds: float) -> Pcm:
    """White noise."""
    rng = np.random.default_rng(seed)
    samples = np.empty((1, round(seconds * SAMPLE_RATE)), np.float32)
    samples[0] = rng.normal(0, 0.1, samples.shape[1])
    return Pcm(samples)


def mixed(first: Pcm, second: Pcm, gain: float) -> Pcm:
    """The first with the second over it."""
    length = min(first.samples.shape[1], second.samples.shape[1])
    samples = first.samples[:, :length].copy()
    samples += second.samples[:, :length] * gain
    return Pcm(samples)


def _tone(hertz: float, seconds: float, rng: np.random.Generator) -> NDArray[np.float64]:
    times = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    partials = sum(
        np.sin(2 * np.pi * hertz * harmonic * times + rng.uniform(0, 6)) / harmonic ** rng.uniform(0.7, 1.6)
        for harmonic in range(1, 9)
        if hertz * harmonic < SAMPLE_RATE / 2
    )
    return np.asarray(partials) * np.exp(-times * rng.uniform(2, 6)) * np.minimum(1, times * 200)


def _add(samples: NDArray[np.float64], at: float, sound: NDArray[np.float64], right: float) -> None:
    first = round(at * SAMPLE_RATE)
    part = sound[: max(0, samples.shape[1] - first)]
    samples[0, first : first + len(part)] += part * (1 - right)
    samples[1, first : first + len(part)] += part * right
