"""Decoding sound that is still coming, so that most of it is decoded when its last piece arrives."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final

from fingerprint.domain.audio import Pcm
from fingerprint.media.pcm import no_audio, pcm_of
from fingerprint.media.workers import Job, Worker, WorkerError, piece

Blocks = Sequence[tuple[bytes, ...]]
Begun = tuple[Worker, asyncio.Task[Blocks]]

TOO_COSTLY: Final = "decoding it takes more time than any real sound would"

_log = logging.getLogger(__name__)


class DecodingAhead:
    """One recording that is decoded as it comes; `DecoderPool.begin` makes it.

    `feed` it in order, then `finish` or `abandon` it. A worker is taken for it with the first piece, if one can be
    spared; otherwise `finish` gives None, and all is to be decoded in one go.
    """

    def __init__(self, begin: Callable[[Job], Begun | None], *, max_seconds: float, wall_seconds: float) -> None:
        self._begin = begin
        self._max_seconds = max_seconds
        self._wall_seconds = wall_seconds
        self._asked = False
        self._begun: Begun | None = None

    def feed(self, content: bytes, *, container: str) -> None:
        """The next piece of media in FFmpeg's format `container`, which is the first piece's."""
        if not self._asked:
            self._asked = True
            self._begun = self._begin(Job(container=container, max_seconds=self._max_seconds))
        if self._begun is not None and content:
            self._begun[0].send(*piece(content))

    async def finish(self) -> Pcm | None:
        """The sound of all that was fed; None when it was not decoded, or the worker broke.

        Raises TwitchAudioError `no-audio` with the reason.
        """
        if self._begun is None:
            return None
        (worker, task), self._begun = self._begun, None
        worker.send(*piece(b""))
        try:
            async with asyncio.timeout(self._wall_seconds):
                return pcm_of(await task)
        except TimeoutError:
            _log.warning("decoder_worker_failed", extra={"reason": "it did not answer in time"})
        except WorkerError as error:
            _log.warning("decoder_worker_failed", extra={"reason": str(error)})
            if error.cpu_ran_out:
                raise no_audio(TOO_COSTLY) from error
        return None

    def abandon(self) -> None:
        """Nobody wants the sound any more. The worker ends the job by itself."""
        if self._begun is not None:
            self._begun[0].send(*piece(b""))
            self._begun = None
