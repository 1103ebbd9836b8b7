"""The spectrograms of a sound that is still being decoded, computed as it comes."""

from collections import deque
from concurrent.futures import Executor, wait
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fingerprint.catalog.audio_query import AudioQuery
from fingerprint.catalog.parameters import DEFAULT, Parameters
from fingerprint.catalog.spectrogram import frame_count, spectrogram
from fingerprint.domain.audio import Pcm, cancel_out, halves

_FIRST_FRAMES: Final = 1_100
"""For how many frames there is room at first: 8.9 s at 16 kHz, longer than most questions."""


class LevelsAhead:
    """Collects a sound piece by piece; what it finds is, bit for bit, what the whole sound has.

    Each frame of a spectrogram depends on its own samples only, so it is computed as soon as these are there: of
    the middle at once, and of the side, which a search needs last, by `catch_up`. What is left of the side in the
    end is done by the query's other thread, on the core that decoding has left.
    """

    def __init__(self, channels: int, parameters: Parameters = DEFAULT, *, helper: Executor | None = None) -> None:
        self._parameters = parameters
        self._helper = helper
        self._samples: list[NDArray[np.float32]] = [np.empty((channels, 0), np.float32)]
        self._channels = [_Channel(parameters) for _ in range(channels)]

    def add(self, samples: NDArray[np.float32]) -> None:
        """Add the next samples, shape (channels, n)."""
        self._samples.append(samples)
        for channel, more in zip(self._channels, halves(samples), strict=True):
            channel.waiting.append(more)
        self._channels[0].catch_up()

    def catch_up(self) -> bool:
        """Transform a piece of the side, for while there is nothing else to do; False when none is left."""
        return any(channel.catch_up() for channel in self._channels)

    def query(self) -> AudioQuery:
        """The whole sound as a query, whose levels are known."""
        side = None
        if self._helper is not None:
            side = [self._helper.submit(channel.levels) for channel in self._channels[1:]]
        pcm = Pcm(np.concatenate(self._samples, axis=1), self._parameters.rate)
        channels = [channel.levels for channel in self._channels]
        if cancel_out(halves(pcm.samples)):
            channels.reverse()
            wait(side or ())
        return AudioQuery(pcm, self._parameters, channels=channels, helper=self._helper)


class _Channel:
    """The spectrogram of the middle or of the side so far."""

    def __init__(self, parameters: Parameters) -> None:
        self._parameters = parameters
        self._hop = parameters.hop // parameters.phases
        self.waiting: deque[NDArray[np.float32]] = deque()
        self._rest = np.empty(0, np.float32)
        # The first `_known` frames are computed. To join pieces in the end would take a millisecond.
        self._levels = np.empty((_FIRST_FRAMES, parameters.bins), np.float32)
        self._known = 0

    def catch_up(self) -> bool:
        """Transform the next piece that is waiting; False when there is none."""
        if not self.waiting:
            return False
        self._rest = np.concatenate([self._rest, self.waiting.popleft()])
        count = frame_count(len(self._rest), self._parameters, hop=self._hop)
        end = self._known + count
        while end > len(self._levels):
            self._levels = np.concatenate([self._levels, np.empty_like(self._levels)])
        spectrogram(self._rest, self._parameters, hop=self._hop, out=self._levels[self._known : end])
        self._rest = self._rest[count * self._hop :]
        self._known = end
        return True

    def levels(self) -> NDArray[np.float32]:
        """The spectrogram of all pieces."""
        while self.catch_up():
            pass
        return self._levels[: self._known]
