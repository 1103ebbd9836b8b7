"""A constellation as it is stored in an IndexSegment."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

_PEAK_BIN_BITS: Final = 9
_PEAK_GAP_LIMIT: Final = 127
_NO_BIN: Final = 0


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
    frames = np.cumsum(packed >> _PEAK_BIN_BITS, dtype=np.int64)
    if between is not None:
        first, last = np.searchsorted(frames, between)
        frames, packed = frames[first:last], packed[first:last]
    bins = (packed & ((1 << _PEAK_BIN_BITS) - 1)).astype(np.int64)
    real = bins != _NO_BIN
    return frames[real], bins[real]
