"""The fingerprint of a short sound, some KB, from which it can be searched for again without the sound.

Only peaks of the spectrogram are kept: where they are and how loud. The query that is made of them has a
spectrogram with a bump at each peak over an even, noisy ground, which is enough for the search, though less than
the sound itself: a song under a loud voice may not be found by it.
"""

import struct
import zlib
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.random import default_rng
from numpy.typing import NDArray

from fingerprint.catalog.audio_query import AudioQuery
from fingerprint.catalog.constellation import SILENCE, exact_bins, find_peaks
from fingerprint.catalog.examination import Finding
from fingerprint.catalog.identify import identify
from fingerprint.catalog.index import Snapshot
from fingerprint.catalog.parameters import DEFAULT, FULL, Parameters
from fingerprint.catalog.query import channel_levels
from fingerprint.domain.audio import Pcm

MAX_PRINT_BYTES: Final = 64 << 10
"""The largest fingerprint that is read."""

MAX_PRINT_SECONDS: Final = 12.0
"""The longest sound of one: longer sound has several."""

PRINT_CONFIDENCE: Final = 0.99
"""The least confidence of a song that is found by a fingerprint: less is left to tell it from others, and it is
searched for again with each change of a catalog.
"""

_VERSION: Final = 1
_HEAD: Final = struct.Struct("<BBH")
"""The version, the number of channels, and the length in steps; then, for each channel, its number of peaks."""
_COUNT: Final = struct.Struct("<H")
_PHASES: Final = (0, 2)
_BIN_PARTS: Final = 16
"""Places of peaks are kept to a sixteenth of a bin, and levels to a tenth."""
_LEVEL_PARTS: Final = 10.0
_GROUND: Final = 0.3
"""How far the ground reaches above silence; bumps are above it."""
_BIN_CURVE: Final = 0.7
_STEP_CURVE: Final = 0.06
"""How fast a bump falls off, by the square of the distance in bins and in steps: about as that of a tone."""


def query_print(pcm: Pcm, parameters: Parameters = DEFAULT) -> bytes:
    """The fingerprint of at most `MAX_PRINT_SECONDS` of sound. CPU work, for a thread.

    Raises ValueError for longer sound.
    """
    if pcm.duration_seconds > MAX_PRINT_SECONDS + 0.1:
        raise ValueError(f"{pcm.duration_seconds:.1f} s are too long for one fingerprint")
    channels = channel_levels(pcm, parameters)
    packed = [_HEAD.pack(_VERSION, len(channels), len(channels[0]))]
    for channel in channels:
        steps, places, levels = _peaks_of(channel, parameters)
        packed += [_COUNT.pack(len(steps)), steps.tobytes(), places.tobytes(), levels.tobytes()]
    return zlib.compress(b"".join(packed), 9)


@dataclass(frozen=True, slots=True, eq=False)
class PrintedPeaks:
    """The peaks of one channel of a fingerprint, in order of time. All arrays have shape (n,).

    `steps`: int64, in which step (`hop / phases` samples) each is. `bins`: float64, to a fraction of a bin.
    `levels`: float64, above silence, in the spectrogram's logarithms.
    """

    steps: NDArray[np.int64]
    bins: NDArray[np.float64]
    levels: NDArray[np.float64]


def peaks_of(fingerprint: bytes) -> tuple[int, tuple[PrintedPeaks, ...]]:
    """How many steps a fingerprint's sound is long, and the peaks of its middle and, of stereo sound, its side.

    Raises ValueError when it cannot be read.
    """
    try:
        unpacker = zlib.decompressobj()
        data = unpacker.decompress(fingerprint, MAX_PRINT_BYTES * 4)
        version, count, steps = _HEAD.unpack_from(data)
        if version != _VERSION or count not in (1, 2) or not 0 < steps < 2_000 or not unpacker.eof:
            raise ValueError("another version's fingerprint")
        at = _HEAD.size
        channels: list[PrintedPeaks] = []
        for _ in range(count):
            (peaks,) = _COUNT.unpack_from(data, at)
            at += _COUNT.size
            times = np.frombuffer(data, "<u2", peaks, at)
            places = np.frombuffer(data, "<u2", peaks, at + 2 * peaks)
            heights = np.frombuffer(data, np.uint8, peaks, at + 4 * peaks)
            at += 5 * peaks
            channels.append(
                PrintedPeaks(
                    times.astype(np.int64), places / _BIN_PARTS, heights.astype(np.float64) / _LEVEL_PARTS
                )
            )
    except (struct.error, zlib.error) as error:
        raise ValueError("a fingerprint that cannot be read") from error
    return steps, tuple(channels)


def query_of(fingerprint: bytes, parameters: Parameters = DEFAULT) -> AudioQuery:
    """The query that a fingerprint stands for. Raises ValueError when it cannot be read."""
    steps, channels = peaks_of(fingerprint)
    try:
        levels = [_drawn(peaks, (steps, parameters.bins), seed=number) for number, peaks in enumerate(channels)]
    except IndexError as error:
        raise ValueError("a fingerprint that cannot be read") from error
    samples = (steps - 1) * (parameters.hop // parameters.phases) + parameters.window
    silent = Pcm(np.zeros((len(channels), samples), np.float32), parameters.rate)
    return AudioQuery(silent, parameters, levels=levels)


def identify_print(snapshot: Snapshot, fingerprint: bytes) -> list[Finding]:
    """The songs found by a fingerprint, as `identify` gives them. CPU work, for a thread. Raises ValueError."""
    found = identify(snapshot, query_of(fingerprint))
    return [finding for finding in found if finding.confidence >= PRINT_CONFIDENCE]


def _peaks_of(
    channel: NDArray[np.float32], parameters: Parameters
) -> tuple[NDArray[np.uint16], NDArray[np.uint16], NDArray[np.uint8]]:
    """The steps of a channel's peaks, their places in parts of bins, and their levels above silence in parts."""
    found: list[tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]]] = []
    for phase in _PHASES:
        part = channel[phase :: parameters.phases]
        peaks = find_peaks(part, parameters, quota=FULL.quota)
        found.append((peaks.frames * parameters.phases + phase, exact_bins(part, peaks), peaks.levels))
    steps, bins, levels = (np.concatenate(arrays) for arrays in zip(*found, strict=True))
    heights = np.clip(np.rint((levels - SILENCE) * _LEVEL_PARTS), 0, 255)
    order = np.lexsort((bins, steps))
    return (
        steps[order].astype("<u2"),
        np.rint(bins * _BIN_PARTS).astype("<u2")[order],
        heights.astype(np.uint8)[order],
    )


def _drawn(peaks: PrintedPeaks, shape: tuple[int, int], *, seed: int) -> NDArray[np.float32]:
    """A spectrogram with bumps. Its ground is noise, since levels that are all equal have no ranks."""
    drawn: NDArray[np.float32] = default_rng(seed).random(shape, np.float32)
    drawn *= np.float32(_GROUND)
    centers = peaks.bins
    tops = peaks.levels + _GROUND
    for step in range(-4, 5):
        times = peaks.steps + step
        for shift in range(-2, 3):
            bins = np.rint(centers).astype(np.int64) + shift
            inside = (times >= 0) & (times < shape[0]) & (bins >= 0) & (bins < shape[1])
            height = tops - _BIN_CURVE * (bins - centers) ** 2 - _STEP_CURVE * step**2
            np.maximum.at(drawn, (times[inside], bins[inside]), height[inside].astype(np.float32))
    drawn += np.float32(SILENCE)
    return drawn
