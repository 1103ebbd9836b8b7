"""Landmarks: hashed pairs of peaks. One pair is weak evidence; many pairs at one offset identify a track.

After A. Wang (ISMIR 2003). A hash is 22 bits: the anchor's bin, the interval in bins (from its target below or
above) and the lapse in frames. It is then scrambled, one to one, so that a table of hashes fills evenly.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fingerprint.catalog.constellation import Constellation
from fingerprint.catalog.parameters import BIN_BITS, HASH_BITS, INTERVAL_BITS, LAPSE_BITS, Parameters

HASH_MASK: Final = (1 << HASH_BITS) - 1
_SCRAMBLE: Final = 0x2C1B3C6D & HASH_MASK | 1
"""An odd factor: multiplication by it modulo a power of two is a permutation."""

_UNSCRAMBLE: Final = pow(_SCRAMBLE, -1, HASH_MASK + 1)

_STEPS: Final = 16
"""How many of a peak's successors are examined at once."""


def hash_pairs(
    bins: NDArray[np.signedinteger], intervals: NDArray[np.signedinteger], lapses: NDArray[np.signedinteger]
) -> NDArray[np.uint32]:
    """The hashes of pairs. Bins 0..511, intervals -64..63, lapses 0..63; equal pairs only have equal hashes."""
    raw = (bins & ((1 << BIN_BITS) - 1)) << (INTERVAL_BITS + LAPSE_BITS)
    raw |= (intervals + (1 << (INTERVAL_BITS - 1))) << LAPSE_BITS
    raw |= lapses
    return ((raw * _SCRAMBLE) & HASH_MASK).astype(np.uint32)


def unhash(
    hashes: NDArray[np.uint32],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """The bins, intervals and lapses that were hashed: the inverse of `hash_pairs`."""
    raw = (hashes.astype(np.int64) * _UNSCRAMBLE) & HASH_MASK
    bins = raw >> (INTERVAL_BITS + LAPSE_BITS)
    intervals = (raw >> LAPSE_BITS & ((1 << INTERVAL_BITS) - 1)) - (1 << (INTERVAL_BITS - 1))
    return bins, intervals, raw & ((1 << LAPSE_BITS) - 1)


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """The landmarks of a constellation. All arrays have shape (n,).

    `hashes`: uint32. `anchors`: int64, the anchors' frames. `places`: int64, 1 for an anchor's pair with its first
    successor, 2 with the second, and so on. `ranks`: int64, the rank of the quieter of the two peaks.
    """

    hashes: NDArray[np.uint32]
    anchors: NDArray[np.int64]
    places: NDArray[np.int64]
    ranks: NDArray[np.int64]


def pair_peaks(peaks: Constellation, parameters: Parameters, *, fan_out: int, anchors: int | None = None) -> Pairs:
    """Pair each peak, or the first `anchors` of them, with its first `fan_out` successors in reach."""
    frames, bins = peaks.frames, peaks.bins
    anchor, target, places = successors(frames, bins, parameters, fan_out=fan_out, anchors=anchors)
    hashes = hash_pairs(bins[anchor], bins[target] - bins[anchor], frames[target] - frames[anchor])
    return Pairs(hashes, frames[anchor], places, np.maximum(peaks.ranks[anchor], peaks.ranks[target]))


def successors(
    frames: NDArray[np.int64],
    bins: NDArray[np.int64],
    parameters: Parameters,
    *,
    fan_out: int,
    anchors: int | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """The pairs of each peak, or of the first `anchors`, with its first `fan_out` successors in reach.

    Peaks are in order of frame. Returns the anchors, the successors, and which one of its anchor's each is.
    """
    total = len(frames)
    chosen: list[NDArray[np.int64]] = []
    targets: list[NDArray[np.int64]] = []
    places: list[NDArray[np.int64]] = []
    taken = np.zeros(total, np.int64)
    active = np.arange(total if anchors is None else min(anchors, total))
    for first in range(1, total, _STEPS):
        steps = np.arange(first, first + _STEPS)
        followers = np.minimum(active[:, np.newaxis] + steps, total - 1)
        lapses = frames[followers] - frames[active][:, np.newaxis]
        hits = (lapses > 0) & (lapses <= parameters.lapse_frames)
        hits &= np.abs(bins[followers] - bins[active][:, np.newaxis]) <= parameters.interval_bins
        # The last peak pads the end, where there are no more successors.
        hits &= active[:, np.newaxis] + steps < total
        counts = np.cumsum(hits, axis=1, dtype=np.int64)
        counts += taken[active][:, np.newaxis]
        rows, columns = np.nonzero(hits & (counts <= fan_out))
        chosen.append(active[rows])
        targets.append(followers[rows, columns])
        places.append(counts[rows, columns])
        taken[active] = counts[:, -1]
        # Peaks are in order of time, so an anchor whose next peak is too late is done.
        active = active[(counts[:, -1] < fan_out) & (lapses[:, -1] <= parameters.lapse_frames)]
        active = active[active + first + _STEPS < total]
        if not len(active):
            break
    if not chosen:
        none = np.empty(0, np.int64)
        return none, none, none
    return np.concatenate(chosen), np.concatenate(targets), np.concatenate(places)
