"""Decodes sound while it is still being fetched, so that most of it is decoded when its last piece arrives."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from fingerprint.domain.audio import Pcm
from fingerprint.media.decoder_protocol import Mark
from fingerprint.media.pcm import Block, Decoded, no_audio, pcm_of
from fingerprint.worker_pool import Worker, WorkerError
from fingerprint.worker_process import CONTENT

Answer = tuple[Sequence[Block], tuple[Mark, ...]]
"""What a worker answers: blocks of sound, and the marks of its clock."""

Running = tuple[Worker, asyncio.Task[Answer]]

TOO_COSTLY: Final = "decoding it takes more time than any real sound would"


class SoundListener(Protocol):
    """Takes sound while it is being decoded, for work that can begin with it."""

    def feed(self, samples: NDArray[np.float32]) -> None:
        """The next samples, shape (channels, n)."""
        ...

    def finish(self, pcm: Pcm) -> None:
        """The whole sound, which may differ from what was fed: gaps are filled."""
        ...

    def abandon(self) -> None:
        """The sound is no longer needed. Called in the end in any case."""
        ...


class DecodingAhead:
    """The decoding of one recording while it is being fetched; created by `DecoderPool.begin` and `begin_long`.

    `feed` it in order, then `finish` or `abandon` it. `start` takes a worker with the first piece, if one is
    idle; otherwise `finish` returns None, and the caller decodes the whole recording at once. With `running` it
    has a worker from the beginning. `listener` is fed with the sound as it is decoded; who has finished the
    decoding finishes it, too.
    """

    def __init__(
        self,
        start: Callable[[str], Running | None] | None = None,
        *,
        running: Running | None = None,
        wall_seconds: float,
        on_failure: Callable[[Exception], None],
        listener: SoundListener | None = None,
    ) -> None:
        self.listener = listener
        self._start = start
        self._wall_seconds = wall_seconds
        self._on_failure = on_failure
        self._running = running

    def feed(self, content: bytes, *, container: str) -> None:
        """Pass on the next piece of media in FFmpeg's format `container`, the same for all pieces."""
        if self._start is not None:
            start, self._start = self._start, None
            self._running = start(container)
        if self._running is not None and content:
            self._running[0].send(CONTENT, content)

    async def drain(self) -> None:
        """Wait until the worker has read most of what was fed."""
        if self._running is not None:
            await self._running[0].drain()

    async def finish(self) -> Decoded | None:
        """The sound of all pieces; None when no worker was idle or the worker crashed.

        Raises TwitchAudioError `no-audio` with the reason.
        """
        if self._running is None:
            return None
        (worker, task), self._running = self._running, None
        worker.send(CONTENT)
        try:
            async with asyncio.timeout(self._wall_seconds):
                blocks, marks = await task
                return Decoded(pcm_of(blocks), marks)
        except TimeoutError:
            self._on_failure(WorkerError("it did not answer in time"))
        except WorkerError as error:
            self._on_failure(error)
            if error.cpu_ran_out:
                raise no_audio(TOO_COSTLY) from error
        return None

    def abandon(self) -> None:
        """Discard the sound, also from its listener; the worker ends the job by itself."""
        if self.listener is not None:
            self.listener.abandon()
        if self._running is not None:
            self._running[0].send(CONTENT)
            self._running = None
