"""A query's spectrograms, prepared for looking up peaks in them: see `containment`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fingerprint.catalog.constellation import SILENCE, sliding_maximum

STEP_REACH: Final = 2
BIN_REACH: Final = 1
"""How far a peak in the query may be from its place in the catalog, in steps and bins."""

NEIGHBORS: Final = 12
"""How many bins on each side a peak's level is ranked among; the adjacent ones are left out."""

RANKED_STEPS: Final = 4
"""A level is ranked among every fourth step only: steps overlap, so the others carry the same information. Without
alignment (`best_aligned`) it is every fourth of these.
"""

AUDIBLE: Final = 0.5
"""The share of a side that must be above silence for it to be used: equal levels have no ranks."""

_COPIED_STEPS: Final = 16
"""How many steps are copied at a time: as many as a line of the processor's cache has numbers."""


ChannelLevels = tuple[NDArray[np.float32], ...]
"""One channel of each part of `QueryLevels`."""


@dataclass(frozen=True, slots=True, eq=False)
class QueryLevels:
    """A query's spectrograms, mid and side, prepared for looking up peaks.

    `channels`: shape (bins, steps). `relative`: the same less the mean of the neighbors in frequency. `ranked` and
    `ranked_relative`: the times of both that levels are ranked among, shape (bins, steps / RANKED_STEPS). `heard`:
    whether a channel is used; the side is not when it is almost silent, as in mono sound in a stereo file.
    """

    channels: tuple[NDArray[np.float32], ...]
    relative: tuple[NDArray[np.float32], ...]
    ranked: tuple[NDArray[np.float32], ...]
    ranked_relative: tuple[NDArray[np.float32], ...]
    heard: tuple[bool, ...]

    @staticmethod
    def of(levels: Sequence[NDArray[np.float32]]) -> "QueryLevels":
        """Prepares the spectrograms that `channel_levels` returns."""
        return QueryLevels.joined([prepared_channel(channel) for channel in levels])

    @staticmethod
    def joined(prepared: Sequence[ChannelLevels]) -> "QueryLevels":
        """Joins the prepared channels."""
        channels, relative, ranked, ranked_relative = zip(*prepared, strict=True)
        loud = [int(np.count_nonzero(channel > SILENCE)) > AUDIBLE * channel.size for channel in ranked[1:]]
        return QueryLevels(channels, relative, ranked, ranked_relative, (True, *loud))

    def part(self, levels: Sequence[NDArray[np.float32]], first: int, last: int) -> "QueryLevels":
        """Those of the sound between two steps; `levels`: the spectrograms that these are prepared from.

        Hot path; simple form: `QueryLevels.of([channel[first:last] for channel in levels])`, which takes five
        times as long. Only the levels at the edges have other neighbors there.
        """
        if last - first < 2 * STEP_REACH:
            return QueryLevels.of([channel[first:last] for channel in levels])
        edges = np.concatenate([_loudest_at_edges(channel[first:last]) for channel in levels], axis=1)
        changed = edges, edges - neighborhood_means(edges)
        parts: list[ChannelLevels] = []
        for number, whole in enumerate(zip(self.channels, self.relative, strict=True)):
            both = [np.ascontiguousarray(rows[:, first:last]) for rows in whole]
            for rows, columns in zip(both, changed, strict=True):
                own = columns[:, 2 * STEP_REACH * number :]
                rows[:, :STEP_REACH] = own[:, :STEP_REACH]
                rows[:, -STEP_REACH:] = own[:, STEP_REACH : 2 * STEP_REACH]
            parts.append((*both, *some_times(both)))
        return QueryLevels.joined(parts)

    @property
    def bins(self) -> int:
        """The number of frequency bins."""
        return self.channels[0].shape[0]

    @property
    def steps(self) -> int:
        """The query's length in steps."""
        return self.channels[0].shape[1]


def prepared_channel(channel: NDArray[np.float32]) -> ChannelLevels:
    """One channel of each part of `QueryLevels`."""
    loudest = _transposed(sliding_maximum(sliding_maximum(channel, STEP_REACH, 0), BIN_REACH, 1))
    relative = loudest - neighborhood_means(loudest)
    return loudest, relative, *some_times((loudest, relative))


def _loudest_at_edges(channel: NDArray[np.float32]) -> NDArray[np.float32]:
    """What `prepared_channel` has first for the first and the last STEP_REACH steps, shape (bins, steps)."""
    begin = [channel[: STEP_REACH + 1 + step].max(axis=0) for step in range(STEP_REACH)]
    end = [channel[-(STEP_REACH + 1 + step) :].max(axis=0) for step in reversed(range(STEP_REACH))]
    return np.ascontiguousarray(sliding_maximum(np.stack([*begin, *end]), BIN_REACH, 1).T)


def _transposed(levels: NDArray[np.float32]) -> NDArray[np.float32]:
    """A spectrogram with time along its rows.

    Hot path; simple form: `np.ascontiguousarray(levels.T)`, which takes more than twice as long.
    """
    steps, bins = levels.shape
    rows = np.empty((bins, steps), np.float32)
    for first in range(0, steps, _COPIED_STEPS):
        rows[:, first : first + _COPIED_STEPS] = levels[first : first + _COPIED_STEPS].T
    return rows


def some_times(channels: Sequence[NDArray[np.float32]]) -> tuple[NDArray[np.float32], ...]:
    """The times that levels are ranked among."""
    return tuple(np.ascontiguousarray(channel[:, ::RANKED_STEPS]) for channel in channels)


def neighborhood_means(channel: NDArray[np.float32]) -> NDArray[np.float32]:
    """The mean of each bin and its neighbors on both sides, fewer at the edges."""
    bins, steps = channel.shape
    padded = np.zeros((bins + 2 * NEIGHBORS, steps), np.float32)
    padded[NEIGHBORS : NEIGHBORS + bins] = channel
    # The sum of 2 * NEIGHBORS + 1 rows, from sums of 1, 2, 4, 8 and so on.
    means = np.zeros((bins, steps), np.float32)
    begin, width = 0, 1
    while width <= 2 * NEIGHBORS + 1:
        if (2 * NEIGHBORS + 1) & width:
            means += padded[begin : begin + bins]
            begin += width
        padded = padded[:-width] + padded[width:]
        width *= 2
    places: NDArray[np.int64] = np.arange(bins, dtype=np.int64)
    counts = np.minimum(places + (NEIGHBORS + 1), bins) - np.maximum(places - NEIGHBORS, 0)
    means /= counts[:, np.newaxis].astype(np.float32)
    return means
