"""The spectrograms of a sound that is still being decoded, computed as it comes."""

import numpy as np
from numpy.typing import NDArray

from fingerprint.catalog.audio_query import AudioQuery
from fingerprint.catalog.parameters import DEFAULT, Parameters
from fingerprint.catalog.spectrogram import spectrogram
from fingerprint.domain.audio import Pcm, cancel_out, halves


class LevelsAhead:
    """Collects a sound piece by piece; what it finds is, bit for bit, what the whole sound has.

    Each frame of a spectrogram depends on its own samples only, so it is computed as soon as these are there. Both
    channels are done by one thread: the other cores decode meanwhile.
    """

    def __init__(self, channels: int, parameters: Parameters = DEFAULT) -> None:
        self._parameters = parameters
        self._samples: list[NDArray[np.float32]] = [np.empty((channels, 0), np.float32)]
        self._channels = [_Channel(parameters) for _ in range(channels)]

    def add(self, samples: NDArray[np.float32]) -> None:
        """Add the next samples, shape (channels, n)."""
        self._samples.append(samples)
        for channel, more in zip(self._channels, halves(samples), strict=True):
            channel.add(more)

    def query(self) -> AudioQuery:
        """The whole sound as a query, whose levels are known."""
        pcm = Pcm(np.concatenate(self._samples, axis=1), self._parameters.rate)
        levels = [channel.levels() for channel in self._channels]
        if cancel_out(halves(pcm.samples)):
            levels.reverse()
        return AudioQuery(pcm, self._parameters, levels=levels)


class _Channel:
    """The spectrogram of the middle or of the side so far."""

    def __init__(self, parameters: Parameters) -> None:
        self._parameters = parameters
        self._hop = parameters.hop // parameters.phases
        self._rest = np.empty(0, np.float32)
        self._levels: list[NDArray[np.float32]] = [np.empty((0, parameters.bins), np.float32)]

    def add(self, samples: NDArray[np.float32]) -> None:
        self._rest = np.concatenate([self._rest, samples])
        new = spectrogram(self._rest, self._parameters, hop=self._hop)
        self._rest = self._rest[len(new) * self._hop :]
        self._levels.append(new)

    def levels(self) -> NDArray[np.float32]:
        return np.concatenate(self._levels)
