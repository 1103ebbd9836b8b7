"""Peaks of a spectrogram: the points that survive noise, codecs and a voice on top.

After A. Wang, "An Industrial-Strength Audio Search Algorithm" (ISMIR 2003). Ours differs in that each band has
a quota of its own, so that the upper bands, where speech masks least, are always represented.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fingerprint.catalog.parameters import Parameters
from fingerprint.catalog.spectrogram import FLOOR

SILENCE: Final = float(np.log(FLOOR * 10))
"""Peaks below this level are rounding noise."""


@dataclass(frozen=True, slots=True, eq=False)
class Constellation:
    """Peaks in order of frame, then bin. All arrays have shape (n,).

    `frames`: int64, `bins`: int64, `levels`: float32, the spectrogram's value there. `ranks`: int64, how many
    peaks of the same band and block are louder.
    """

    frames: NDArray[np.int64]
    bins: NDArray[np.int64]
    levels: NDArray[np.float32]
    ranks: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.frames)


def sliding_maximum(values: NDArray[np.float32], reach: int, axis: int) -> NDArray[np.float32]:
    """The largest value within `reach` places on each side along an axis, fewer at the edges.

    Doubles the width of the maximum until it covers 2 * reach + 1, so it takes log2 of that many passes.
    """
    if reach == 0 or not values.size:
        return values.copy()
    # The axes are not swapped, so that each pass reads memory in order.
    before: tuple[slice, ...] = (slice(None),) * axis
    padded_shape = list(values.shape)
    padded_shape[axis] += 2 * reach
    padded = np.full(padded_shape, -np.inf, np.float32)
    padded[*before, reach : reach + values.shape[axis]] = values
    width, wanted = 1, 2 * reach + 1
    while width < wanted:
        step = min(width, wanted - width)
        padded = np.maximum(padded[*before, : padded.shape[axis] - step], padded[*before, step:])
        width += step
    return padded


def find_peaks(levels: NDArray[np.float32], parameters: Parameters, *, quota: int) -> Constellation:
    """The loudest local maxima of each band and block of frames, `quota` of each at most.

    `levels`: a spectrogram, shape (frames, bins). Blocks are counted from frame 0.
    """
    edges = np.asarray(parameters.band_edges)
    first, last = int(edges[0]), int(edges[-1])
    loudest = sliding_maximum(levels, parameters.peak_frames, 0)
    loudest = sliding_maximum(loudest, parameters.peak_bins, 1)
    inner = levels[:, first:last]
    found = np.flatnonzero((inner == loudest[:, first:last]) & (inner > SILENCE))
    frames, bins = np.divmod(found, last - first)
    bins += first
    strengths = levels[frames, bins]
    bands = np.searchsorted(edges, bins, side="right") - 1
    groups = (frames // parameters.block_frames) * len(edges) + bands
    kept, ranks = _loudest_of_each(groups, strengths, quota)
    return Constellation(frames[kept], bins[kept], strengths[kept], ranks)


def exact_bins(levels: NDArray[np.float32], peaks: Constellation) -> NDArray[np.float32]:
    """Each peak's fractional bin, float32 of shape (n,): the top of a parabola through three levels.

    At most half a bin from the peak's own bin.
    """
    lower = np.maximum(peaks.bins - 1, 0)
    upper = np.minimum(peaks.bins + 1, levels.shape[1] - 1)
    below, above = levels[peaks.frames, lower], levels[peaks.frames, upper]
    curvature = np.maximum(2 * peaks.levels - below - above, np.float32(1e-6))
    moved = np.clip((above - below) / (2 * curvature), np.float32(-0.49), np.float32(0.49))
    exact: NDArray[np.float32] = peaks.bins.astype(np.float32)
    exact += moved
    return exact


def _loudest_of_each(
    groups: NDArray[np.int64], strengths: NDArray[np.float32], quota: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices, in rising order, of the `quota` largest strengths of each group, and how many are larger there."""
    if not len(groups):
        return np.empty(0, np.int64), np.empty(0, np.int64)
    order = np.lexsort((-strengths, groups))
    ordered = groups[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    sizes = np.diff(np.r_[starts, len(ordered)])
    ranks = np.empty(len(ordered), np.int64)
    ranks[order] = np.arange(len(ordered)) - np.repeat(starts, sizes)
    kept = np.flatnonzero(ranks < quota)
    return kept, ranks[kept]
