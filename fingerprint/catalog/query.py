"""Computes the landmarks of a few seconds of sound, at any speed, to search a catalog for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fingerprint.catalog.constellation import Constellation, exact_bins, find_peaks
from fingerprint.catalog.landmarks import pair_peaks
from fingerprint.catalog.parameters import DEFAULT, FULL, Effort, Parameters
from fingerprint.catalog.query_channels import Levels, QueryChannels
from fingerprint.catalog.spectrogram import spectrogram
from fingerprint.domain.audio import Pcm

PLACE_TRUST: Final = (1.0, 0.8, 0.55, 0.36, 0.22, 0.14)
RANK_TRUST: Final = (1.0, 0.8, 0.54, 0.33, 0.22)
"""Relative prior that a query landmark belongs to the music, by successor index and by the quieter peak's rank.

Measured on the corpus: 3 % of first pairs of the loudest peaks do, 0.1 % of the last.
"""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class QueryPeaks:
    """The peaks of a piece of sound in several phases and channels, which follow each other.

    All arrays have shape (n,). `parts`: int64, which of them a peak is in, in rising order; `phases` has the phase
    of each part. `frames`: int64, counted in that phase, in rising order within a part. `bins`: float32, exact
    to a fraction of a bin. `ranks`: int64, how many are louder in the same band and block. `steps`: how many steps
    (`hop / phases` samples) the sound is long.
    """

    parts: NDArray[np.int64]
    phases: NDArray[np.int64]
    frames: NDArray[np.int64]
    bins: NDArray[np.float32]
    ranks: NDArray[np.int64]
    steps: int

    def only(self, parts: Sequence[int]) -> "QueryPeaks":
        """The peaks of the given parts only."""
        return self._chosen(np.isin(self.parts, parts))

    def loudest(self, quota: int) -> "QueryPeaks":
        """Only as many peaks of each band and block."""
        return self._chosen(self.ranks < quota)

    def _chosen(self, chosen: NDArray[np.bool_]) -> "QueryPeaks":
        return replace(
            self,
            parts=self.parts[chosen],
            frames=self.frames[chosen],
            bins=self.bins[chosen],
            ranks=self.ranks[chosen],
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class QueryFingerprint:
    """The landmarks of a query's sound.

    `hashes`: uint32, and `times`: int64, where each anchor is in the sound, in steps of `hop / phases`
    samples, both of shape (n,), in order of hash, then time, without duplicates. `trusts`: float32 of shape (n,),
    how likely each is the music's, on an arbitrary scale. `steps`: how many steps the sound is long. `speed`: by
    which factor it was slowed down. `pitch`: by which factor its frequencies were lowered.
    """

    hashes: NDArray[np.uint32]
    times: NDArray[np.int64]
    trusts: NDArray[np.float32]
    steps: int
    speed: float
    pitch: float


def channel_levels(pcm: Pcm, parameters: Parameters = DEFAULT) -> list[NDArray[np.float32]]:
    """The spectrograms of the middle and, in stereo sound, of the side (where a centered voice is gone).

    Raises ValueError for another sample rate than the parameters'.
    """
    return QueryChannels(transforms(pcm, parameters), samples=pcm.samples.shape[1]).levels()


def transforms(pcm: Pcm, parameters: Parameters = DEFAULT) -> list[Callable[[], Levels]]:
    """What computes the spectrograms of the middle and the side, see `channel_levels`."""
    if pcm.rate != parameters.rate:
        raise ValueError(f"the fingerprint needs {parameters.rate} samples a second, not {pcm.rate}")
    hop = parameters.hop // parameters.phases
    return [partial(spectrogram, channel, parameters, hop=hop) for channel in pcm.middle_and_side]


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
        ranks=np.concatenate([part.ranks for part in parts]),
        steps=max(len(channel) for channel in levels),
    )


def query_landmarks(
    peaks: QueryPeaks,
    parameters: Parameters = DEFAULT,
    *,
    fan_out: int,
    speed: float = 1.0,
    pitch: float | None = None,
) -> QueryFingerprint:
    """The landmarks of a piece of sound as if it were played `speed` times slower, and `pitch` times lower.

    Without `pitch`, it becomes as much lower as slower. The peaks are moved, not searched again. That window and
    bands stay the same has no visible effect at a few percent.
    """
    pitch = speed if pitch is None else pitch
    steps = int(peaks.steps * speed)
    # All parts are paired at once, as if they followed each other at a distance.
    distance = steps // parameters.phases + parameters.lapse_frames + 2
    bins = np.rint(peaks.bins / np.float32(pitch)).astype(np.int64)
    heard = bins < parameters.band_edges[-1]
    frames = peaks.frames if speed == 1.0 else np.rint(peaks.frames * speed).astype(np.int64)
    frames = (frames + peaks.parts * distance)[heard]
    moved = Constellation(frames, bins[heard], np.zeros(len(frames), np.float32), peaks.ranks[heard])
    pairs = pair_peaks(moved, parameters, fan_out=fan_out)
    times = pairs.anchors % distance * parameters.phases + peaks.phases[pairs.anchors // distance]
    keys = pairs.hashes.astype(np.int64) << 32 | times
    order = np.argsort(keys)
    keys = keys[order]
    first = np.flatnonzero(np.r_[True, keys[1:] != keys[:-1]][: len(keys)])
    trusts: NDArray[np.float32] = (trust(PLACE_TRUST, pairs.places - 1) * trust(RANK_TRUST, pairs.ranks))[order]
    return QueryFingerprint(
        hashes=(keys[first] >> 32).astype(np.uint32),
        times=keys[first] & 0xFFFFFFFF,
        trusts=np.add.reduceat(trusts, first) if len(first) else trusts,
        steps=steps,
        speed=speed,
        pitch=pitch,
    )


def trust(table: tuple[float, ...], at: NDArray[np.int64]) -> NDArray[np.float32]:
    """The entries of a table; its last one also applies to higher indexes."""
    return np.array(table, np.float32)[np.minimum(at, len(table) - 1)]


def fingerprint_query(
    pcm: Pcm, parameters: Parameters = DEFAULT, *, effort: Effort = FULL, speed: float = 1.0
) -> QueryFingerprint:
    """The landmarks of a piece of sound as if it were played `speed` times slower, in one step.

    Raises ValueError for another sample rate than the parameters'.
    """
    peaks = query_peaks(channel_levels(pcm, parameters), parameters, effort=effort)
    return query_landmarks(peaks, parameters, fan_out=effort.fan_out, speed=speed)
