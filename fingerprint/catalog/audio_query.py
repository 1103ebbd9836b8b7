"""A piece of sound that is searched for: its spectrograms, peaks and landmarks, each computed once when needed."""

from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fingerprint.catalog.containment import QueryLevels
from fingerprint.catalog.parameters import DEFAULT, FULL, QUICK, Parameters
from fingerprint.catalog.query import QueryFingerprint, QueryPeaks, channel_levels, query_landmarks, query_peaks
from fingerprint.domain.audio import Pcm

SCOUT_FAN_OUT: Final = 5
"""The pairs of each peak that speeds are judged by."""


class AudioQuery:
    """A piece of sound to search for, with everything that is computed from it once."""

    def __init__(
        self,
        pcm: Pcm,
        parameters: Parameters = DEFAULT,
        *,
        levels: list[NDArray[np.float32]] | None = None,
        alone: bool = True,
    ) -> None:
        """`levels` may hold `channel_levels(pcm)` where they are known already.

        `alone`: whether this is all there is of the sound; a window of a long recording has neighbors, which may
        give a better answer, so less is tried. `take` is which one of a question's takes it is.
        """
        self.pcm = pcm
        self.alone = alone
        self.take = 1
        self._parameters = parameters
        self._levels = levels
        self._part_of: tuple[AudioQuery, int, int] | None = None

    @cached_property
    def levels(self) -> list[NDArray[np.float32]]:
        """The spectrograms of middle and side, see `channel_levels`."""
        return channel_levels(self.pcm, self._parameters) if self._levels is None else self._levels

    @cached_property
    def prepared_levels(self) -> QueryLevels:
        """The same spectrograms, prepared for looking up peaks."""
        if self._part_of is None:
            return QueryLevels.of(self.levels)
        whole, first, last = self._part_of
        return whole.prepared_levels.part(whole.levels, first, last)

    @cached_property
    def quick_peaks(self) -> QueryPeaks:
        """The peaks of the first pass."""
        return query_peaks(self.levels, self._parameters, effort=QUICK)

    @cached_property
    def quick(self) -> QueryFingerprint:
        """The landmarks of the first pass."""
        return query_landmarks(self.quick_peaks, self._parameters, fan_out=QUICK.fan_out)

    @cached_property
    def full_peaks(self) -> QueryPeaks:
        """The peaks of the second pass."""
        return query_peaks(self.levels, self._parameters, effort=FULL)

    @cached_property
    def scout_peaks(self) -> QueryPeaks:
        """The peaks of the middle in two phases, to judge speeds by."""
        return self.full_peaks.only((0, self._parameters.phases // 2))

    def scout(self, speed: float, pitch: float | None = None, *, fan_out: int = SCOUT_FAN_OUT) -> QueryFingerprint:
        """A fourth of all landmarks, to judge whether another speed or pitch is worth searching."""
        return query_landmarks(self.scout_peaks, self._parameters, fan_out=fan_out, speed=speed, pitch=pitch)

    @cached_property
    def full(self) -> QueryFingerprint:
        """The landmarks of the second pass."""
        return self.full_at(1.0)

    def full_at(self, speed: float, pitch: float | None = None) -> QueryFingerprint:
        """As many landmarks, at a speed or pitch that is worth searching."""
        return query_landmarks(self.full_peaks, self._parameters, fan_out=FULL.fan_out, speed=speed, pitch=pitch)

    def part(self, first_step: int, seconds: float) -> "AudioQuery":
        """The sound from a step on, whose spectrograms are parts of these."""
        hop = self._parameters.hop // self._parameters.phases
        pcm = self.pcm.cut(first_step * hop / self.pcm.rate, seconds)
        last_step = first_step + (pcm.samples.shape[1] - self._parameters.window) // hop + 1
        levels = [channel[first_step:last_step] for channel in self.levels]
        part = AudioQuery(pcm, self._parameters, levels=levels)
        part._part_of = self, first_step, first_step + len(levels[0])
        return part

    def slowed(self, speed: float) -> "AudioQuery":
        """The sound as if it were played `speed` times slower, transformed again."""
        return AudioQuery(self.pcm.slowed(speed), self._parameters, alone=False)
