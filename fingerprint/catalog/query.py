"""A few seconds of sound to landmarks, as they would be at any speed: what a catalog is asked with."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fingerprint.catalog.constellation import Constellation, exact_bins, find_peaks
from fingerprint.catalog.landmarks import pair_peaks
from fingerprint.catalog.parameters import DEFAULT, FULL, Effort, Parameters
from fingerprint.catalog.spectrogram import spectrogram
from fingerprint.domain.audio import Pcm


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class QueryPeaks:
    """The peaks of a piece of sound in several phases and channels, which follow each other.

    All arrays have shape (n,). `parts`: int64, which of them a peak is in, in rising order; `phases` has the phase
    of each part. `frames`: int64, counted in that phase, in rising order within a part. `bins`: float32, exact
    to a fraction of a bin. `steps`: how many steps (`hop / phases` samples) the sound is long.
    """

    parts: NDArray[np.int64]
    phases: NDArray[np.int64]
    frames: NDArray[np.int64]
    bins: NDArray[np.float32]
    steps: int

    def only(self, parts: Sequence[int]) -> "QueryPeaks":
        """The peaks of some parts."""
        chosen = np.isin(self.parts, parts)
        return replace(self, parts=self.parts[chosen], frames=self.frames[chosen], bins=self.bins[chosen])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class QueryFingerprint:
    """Landmarks of a piece of sound.

    `hashes`: uint32, and `times`: int64, where each anchor is in the sound, in steps of `hop / phases`
    samples, both of shape (n,), in order of hash, without duplicates. `steps`: how many steps the
    sound is long. `speed`: how many times slower it was taken.
    """

    hashes: NDArray[np.uint32]
    times: NDArray[np.int64]
    steps: int
    speed: float


def channel_levels(pcm: Pcm, parameters: Parameters = DEFAULT) -> list[NDArray[np.float32]]:
    """The spectrograms of the middle and, in stereo sound, of the side (where a centered voice is gone).

    Raises ValueError for another sample rate than the parameters'.
    """
    if pcm.rate != parameters.rate:
        raise ValueError(f"the fingerprint needs {parameters.rate} samples a second, not {pcm.rate}")
    hop = parameters.hop // parameters.phases
    levels = [spectrogram(pcm.mono, parameters, hop=hop)]
    side = pcm.side
    if side is not None:
        levels.append(spectrogram(side, parameters, hop=hop))
    return levels


def query_peaks(
    levels: Sequence[NDArray[np.float32]], parameters: Parameters = DEFAULT, *, effort: Effort = FULL
) -> QueryPeaks:
    """The peaks in `levels` (see `channel_levels`), as thoroughly as `effort` says."""
    parts: list[Constellation] = []
    bins: list[NDArray[np.float32]] = []
    phases: list[int] = []
    for channel in levels if effort.side else levels[:1]:
        for phase in effort.phases:
            part = channel[phase :: parameters.phases]
            peaks = find_peaks(part, parameters, quota=effort.quota)
            parts.append(peaks)
            bins.append(exact_bins(part, peaks))
            phases.append(phase)
    return QueryPeaks(
        parts=np.repeat(np.arange(len(parts)), [len(part) for part in parts]),
        phases=np.array(phases, np.int64),
        frames=np.concatenate([part.frames for part in parts]),
        bins=np.concatenate(bins),
        steps=max(len(channel) for channel in levels),
    )


def query_landmarks(
    peaks: QueryPeaks, parameters: Parameters = DEFAULT, *, fan_out: int, speed: float = 1.0
) -> QueryFingerprint:
    """The landmarks of a piece of sound as if it were played `speed` times slower.

    The peaks are moved, not sought again: all frequencies are lower by as much and all times later. That the
    window and the bands stay as they are does not show at a few percent.
    """
    steps = int(peaks.steps * speed)
    # All parts are paired in one go, as if they followed each other at a distance.
    distance = steps // parameters.phases + parameters.lapse_frames + 2
    bins = np.rint(peaks.bins / np.float32(speed)).astype(np.int64)
    heard = bins < parameters.band_edges[-1]
    frames = peaks.frames if speed == 1.0 else np.rint(peaks.frames * speed).astype(np.int64)
    frames = (frames + peaks.parts * distance)[heard]
    moved = Constellation(frames, bins[heard], np.zeros(len(frames), np.float32))
    hashes, anchors = pair_peaks(moved, parameters, fan_out=fan_out)
    times = anchors % distance * parameters.phases + peaks.phases[anchors // distance]
    unique = np.sort(hashes.astype(np.int64) << 32 | times)
    unique = unique[np.r_[True, unique[1:] != unique[:-1]][: len(unique)]]
    return QueryFingerprint(
        hashes=(unique >> 32).astype(np.uint32),
        times=unique & 0xFFFFFFFF,
        steps=steps,
        speed=speed,
    )


def fingerprint_query(
    pcm: Pcm, parameters: Parameters = DEFAULT, *, effort: Effort = FULL, speed: float = 1.0
) -> QueryFingerprint:
    """The landmarks of a piece of sound as if it were played `speed` times slower, in one step.

    Raises ValueError for another sample rate than the parameters'.
    """
    peaks = query_peaks(channel_levels(pcm, parameters), parameters, effort=effort)
    return query_landmarks(peaks, parameters, fan_out=effort.fan_out, speed=speed)
