"""A listener of decoding that remembers what it is told."""

import numpy as np
from numpy.typing import NDArray

from fingerprint.domain.audio import Pcm


class RecordingListener:
    """Keeps the sound that it is fed, and what the end of it was."""

    def __init__(self) -> None:
        self.fed: list[NDArray[np.float32]] = []
        self.finished: list[Pcm] = []
        self.abandoned = False

    @property
    def samples(self) -> NDArray[np.float32]:
        """All that was fed, shape (channels, n)."""
        return np.concatenate(self.fed, axis=1)

    def feed(self, samples: NDArray[np.float32]) -> None:
        if not self.abandoned:  # what is under way still comes
            self.fed.append(samples)

    def finish(self, pcm: Pcm) -> None:
        assert not self.abandoned
        self.finished.append(pcm)

    def abandon(self) -> None:
        self.abandoned = True
