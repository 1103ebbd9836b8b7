"""Makes pictures, and sounds for playlists, in a sandboxed worker process: see `picture_worker`."""

import json
from collections.abc import Sequence
from typing import Final, Self

from fingerprint.domain.landmark_points import Points
from fingerprint.media.picture_replies import FAILED, MADE
from fingerprint.media.small_pictures import UndecodablePictureError
from fingerprint.worker_pool import Worker, WorkerError, WorkerPool, worker_program
from fingerprint.worker_process import CONTENT, JOB

SECONDS: Final = 20.0
"""The time limit for one picture."""

ADDRESS_SPACE_BYTES: Final = 1 << 30
MAX_PICTURE_BYTES: Final = 3 << 20
"""The longest answer."""

_ENVIRONMENT: Final = {"OPENBLAS_NUM_THREADS": "1"}


class PicturePool(WorkerPool):
    """One worker, started with the first picture. An async context manager; leaving it ends the worker."""

    def __init__(self) -> None:
        program = worker_program("fingerprint.media.picture_worker", ADDRESS_SPACE_BYTES)
        super().__init__(program, work="drawn", workers=1, environment=_ENVIRONMENT)
        self._started_workers = False

    async def __aenter__(self) -> Self:
        return self

    async def small_jpeg(self, content: bytes, media_type: str, *, max_edge: int) -> bytes:
        """A picture as JPEG, no edge longer than `max_edge` pixels.

        Raises UndecodablePictureError; TwitchAudioError `busy` when too many wait.
        """
        return await self._made(content, media_type=media_type, max_edge=max_edge)

    async def card(
        self,
        *,
        cover: bytes = b"",
        media_type: str = "",
        drawing: str = "",
        points: Points = (),
        texts: Sequence[str] = (),
    ) -> bytes:
        """A card as PNG, with a cover, or with what is drawn for a song, and words. `drawing`: its name.

        Raises as `small_jpeg` does.
        """
        return await self._made(
            cover, media_type=media_type, max_edge=0, drawing=drawing, points=points, texts=list(texts)
        )

    async def packed_sound(self, content: bytes, ending: str, *, max_seconds: float) -> bytes:
        """A sound as AAC that HLS takes, cut at `max_seconds`. `ending`: its file's, of `packed_sound.FORMATS`.

        Raises as `small_jpeg` does.
        """
        return await self._made(content, sound=ending, max_seconds=max_seconds)

    async def _made(self, content: bytes, **job: object) -> bytes:
        if not self._started_workers:
            self._started_workers = True
            self.start_workers()

        async def serve(worker: Worker) -> tuple[int, bytes]:
            worker.send(JOB, json.dumps(job).encode())
            worker.send(CONTENT, content)
            kind, made = await worker.receive(max_bytes=MAX_PICTURE_BYTES)
            if kind not in (MADE, FAILED):
                raise WorkerError("it answered nonsense")
            return kind, made

        try:
            kind, made = await self.run(serve, wall_seconds=SECONDS)
        except WorkerError as error:
            raise UndecodablePictureError from error
        if kind == FAILED:
            raise UndecodablePictureError
        return made
