"""A piece of sound that is searched for: its spectrograms, peaks and landmarks, each computed once when needed."""

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from functools import partial
from typing import Final

from fingerprint.catalog.computed_once import computed_once
from fingerprint.catalog.parameters import DEFAULT, FULL, QUICK, Parameters
from fingerprint.catalog.query import QueryFingerprint, QueryPeaks, query_landmarks, query_peaks, transforms
from fingerprint.catalog.query_channels import Levels, QueryChannels
from fingerprint.catalog.query_levels import QueryLevels
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
        levels: Sequence[Levels] | None = None,
        channels: Sequence[Callable[[], Levels]] | None = None,
        prepared: Callable[[], QueryLevels] | None = None,
        helper: Executor | None = None,
        alone: bool = True,
    ) -> None:
        """`levels` may hold `channel_levels(pcm)` where they are known already, or `channels` what returns each of
        them; `prepared` returns them as they are prepared for looking up peaks. `helper`: see `QueryChannels`.

        `alone`: whether this is all there is of the sound; a window of a long recording has neighbors, which may
        give a better answer, so less is tried. `take` is which one of a question's takes it is.
        """
        self.pcm = pcm
        self.alone = alone
        self.take = 1
        self._parameters = parameters
        self._levels = levels
        self._begun = channels
        self._prepared = prepared
        self._helper = helper

    @computed_once
    def _channels(self) -> QueryChannels:
        channels = self._levels or self._begun or transforms(self.pcm, self._parameters)
        samples = self.pcm.samples.shape[1]
        return QueryChannels(channels, samples=samples, prepare=self._prepared, helper=self._helper)

    @property
    def levels(self) -> list[Levels]:
        """The spectrograms of middle and side, see `channel_levels`."""
        return self._channels.levels()

    @property
    def middle(self) -> Levels:
        """The first of them, which is known before the others."""
        return self._channels.middle

    def prepare(self) -> None:
        """Compute what each search of a short sound needs first, while another thread goes on with the side."""
        self._channels.begin()
        _ = self.quick
        self._channels.prepare_middle()

    @property
    def prepared_levels(self) -> QueryLevels:
        """The same spectrograms, prepared for looking up peaks."""
        return self._channels.prepared()

    @computed_once
    def quick_peaks(self) -> QueryPeaks:
        """The peaks of the first pass."""
        # Where they are given, they may differ in length, as in a sound that is drawn of a fingerprint.
        levels = [self.middle] if self._levels is None else self._levels
        return query_peaks(levels, self._parameters, effort=QUICK)

    @computed_once
    def quick(self) -> QueryFingerprint:
        """The landmarks of the first pass."""
        return query_landmarks(self.quick_peaks, self._parameters, fan_out=QUICK.fan_out)

    @computed_once
    def full_peaks(self) -> QueryPeaks:
        """The peaks of the second pass."""
        return query_peaks(self.levels, self._parameters, effort=FULL)

    @computed_once
    def scout_peaks(self) -> QueryPeaks:
        """The peaks of the middle in two phases, to judge speeds by."""
        return self.full_peaks.only((0, self._parameters.phases // 2))

    def scout(self, speed: float, pitch: float | None = None, *, fan_out: int = SCOUT_FAN_OUT) -> QueryFingerprint:
        """A fourth of all landmarks, to judge whether another speed or pitch is worth searching."""
        return query_landmarks(self.scout_peaks, self._parameters, fan_out=fan_out, speed=speed, pitch=pitch)

    @computed_once
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
        whole, last_step = self.prepared_levels, first_step + len(levels[0])
        prepared = partial(whole.part, self.levels, first_step, last_step)
        return AudioQuery(pcm, self._parameters, levels=levels, prepared=prepared)

    def slowed(self, speed: float) -> "AudioQuery":
        """The sound as if it were played `speed` times slower, transformed again."""
        return AudioQuery(self.pcm.slowed(speed), self._parameters, alone=False)
