"""A constellation as it is stored in an IndexSegment."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

_PEAK_BIN_BITS: Final = 9
_PEAK_GAP_LIMIT: Final = 127
_NO_BIN: Final = 0
_BLOCK: Final = 512
"""How many gaps are added up at a time to find a place in the track; their sum fits into 16 bits."""


def pack_peaks(frames: NDArray[np.uint32], bins: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """A constellation as u16: frames since the previous peak in the upper 7 bits, the bin in the lower 9.

    Bin 0 is not a peak; it marks a gap longer than 127 frames.
    """
    gaps = np.diff(frames.astype(np.int64), prepend=0)
    fillers = np.maximum(gaps - 1, 0) // _PEAK_GAP_LIMIT
    packed = np.full(len(gaps) + int(fillers.sum()), _PEAK_GAP_LIMIT << _PEAK_BIN_BITS | _NO_BIN, np.int64)
    places = np.arange(len(gaps)) + np.cumsum(fillers)
    packed[places] = (gaps - fillers * _PEAK_GAP_LIMIT) << _PEAK_BIN_BITS | bins
    return packed.astype("<u2")


def unpack_peaks(
    packed: NDArray[np.uint16], between: tuple[float, float] | None = None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The inverse of `pack_peaks`: frames and bins, both of shape (n,).

    With `between`, only those from the first frame up to, but not including, the second.
    """
    before = 0
    if between is not None:
        packed, before = _blocks_between(packed, between)
    frames = np.cumsum(packed >> _PEAK_BIN_BITS, dtype=np.int64)
    frames += before
    if between is not None:
        first, last = np.searchsorted(frames, between)
        frames, packed = frames[first:last], packed[first:last]
    bins = (packed & ((1 << _PEAK_BIN_BITS) - 1)).astype(np.int64)
    real = bins != _NO_BIN
    return frames[real], bins[real]


def _blocks_between(packed: NDArray[np.uint16], between: tuple[float, float]) -> tuple[NDArray[np.uint16], int]:
    """The blocks that hold all peaks between two frames, and the frame of the last peak before them.

    Hot path; simple form: the whole track, of which the frame of each peak is computed. A question reads a few
    seconds of tracks that may last an hour, some hundred times.
    """
    count = len(packed) // _BLOCK
    gaps = packed[: count * _BLOCK].reshape(count, _BLOCK) >> _PEAK_BIN_BITS
    ends = np.cumsum(gaps.sum(axis=1, dtype=np.uint16), dtype=np.int64)
    first, last = np.searchsorted(ends, between)
    return packed[first * _BLOCK : (last + 1) * _BLOCK], int(ends[first - 1]) if first else 0
