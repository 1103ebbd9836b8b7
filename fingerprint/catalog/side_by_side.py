"""Does the same work for both channels of a sound at once."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

MIN_SIZES: Final = (1 << 16, 1 << 18)
"""Samples and spectrograms with fewer numbers than this, of about 4 s, are not worth a thread."""

Item = TypeVar("Item", bound=NDArray[np.float32])
Result = TypeVar("Result")


def side_by_side(work: Callable[[Item], Result], channels: Sequence[Item]) -> list[Result]:
    """The result for each channel; the second one has a thread of its own, and so another core if one is idle.

    For work that NumPy does without the interpreter's lock.
    """
    if len(channels) < 2 or channels[0].size < MIN_SIZES[channels[0].ndim - 1]:
        return [work(channel) for channel in channels]
    with ThreadPoolExecutor(len(channels) - 1, thread_name_prefix="channel") as pool:
        others = [pool.submit(work, channel) for channel in channels[1:]]
        return [work(channels[0]), *(other.result() for other in others)]
