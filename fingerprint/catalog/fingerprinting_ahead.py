"""Fingerprints sound while it is still being decoded, so that little of it is left when its last piece arrives."""

import asyncio
from collections.abc import Callable
from itertools import accumulate
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fingerprint.catalog.examination import Finding
from fingerprint.catalog.recognition_protocol import ABANDONED
from fingerprint.domain.audio import Pcm
from fingerprint.worker_pool import Worker
from fingerprint.worker_process import CONTENT

Running = tuple[Worker, asyncio.Task[list[Finding]]]

MAX_AHEAD_SAMPLES: Final = 15 << 14
"""Longer sound is searched window by window, which needs nothing of what is computed here. 15 s at 16 kHz."""


class FingerprintingAhead:
    """The fingerprinting of one sound while it is being decoded; created by `RecognitionPool.hear_ahead`.

    `feed` it in order, then `finish` it; `abandon` it in the end in any case. `start` takes a worker with the
    first samples, if one is idle; otherwise the whole sound is fingerprinted when it is there. `end` is called
    when it is abandoned.
    """

    def __init__(
        self,
        start: Callable[["FingerprintingAhead", int], Running | None],
        end: Callable[["FingerprintingAhead"], None],
    ) -> None:
        self.prepared = asyncio.Event()
        """Set when the sound is fingerprinted, or cannot be."""
        self._start: Callable[[FingerprintingAhead, int], Running | None] | None = start
        self._end = end
        self._running: Running | None = None
        self._fed: list[NDArray[np.float32]] = []
        self._fed_samples = 0
        self._whole: Pcm | None = None

    def feed(self, samples: NDArray[np.float32]) -> None:
        """Pass on the next samples, shape (channels, n)."""
        if self._start is not None:
            start, self._start = self._start, None
            self._running = start(self, len(samples))
        if self._running is None:
            return
        self._fed.append(samples)
        self._fed_samples += samples.shape[1]
        if self._fed_samples > MAX_AHEAD_SAMPLES:
            self.abandon()
        else:
            self._running[0].send(CONTENT, np.ascontiguousarray(samples).data.cast("B"))

    def finish(self, pcm: Pcm) -> None:
        """Begin the search if `pcm` is what was fed, sample by sample; otherwise discard what was fed."""
        if self._running is None or self._whole is not None:
            return
        ends = list(accumulate(piece.shape[1] for piece in self._fed))
        parts = np.split(pcm.samples, ends[:-1], axis=1)
        if ends[-1:] == [pcm.samples.shape[1]] and all(map(np.array_equal, self._fed, parts)):
            self._whole, self._fed = pcm, []
            self._running[0].send(CONTENT)
        else:
            self.abandon()

    def abandon(self) -> None:
        """Discard what was fed, and do not remember the sound any more; the worker ends the job by itself."""
        running, self._running, self._start, self._fed = self._running, None, None, []
        if running is not None and self._whole is None:
            running[0].send(ABANDONED)
        self._end(self)

    def search_of(self, pcm: Pcm) -> asyncio.Task[list[Finding]] | None:
        """The search that has begun for this very sound, if there is one."""
        return None if self._running is None or self._whole is not pcm else self._running[1]
