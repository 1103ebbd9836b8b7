"""Receives a clip's file: a usual one is kept and decoded as a whole, a long one is decoded while it arrives."""

from typing import Final

from fingerprint.domain.problems import ProblemCode, TwitchAudioError, UpstreamError
from fingerprint.media.ahead import DecodingAhead
from fingerprint.media.containers import is_streamable, is_text
from fingerprint.media.joined_sound import Decoder
from fingerprint.media.late_clips import STEP, ClipTooLongError
from fingerprint.media.pcm import Decoded
from fingerprint.media.sound_table import behind_media

CONTAINER: Final = "mp4"
KEPT_BYTES: Final = 8 << 20
"""The longest file that is kept: a minute of 1 Mbit/s, about twice what a clip's smallest rendition has."""

MAX_KEPT_BYTES: Final = 64 << 20
"""The longest file whose description comes last that is kept whole to be decoded."""


class DescriptionLastError(ClipTooLongError):
    """A file that is too long to be kept, whose description comes last: it is looked for from byte `at` on."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.at = at


class ClipBody:
    """Takes the pieces of a clip's file as a `BodyFilter`: keeps them, or decodes them while they arrive."""

    def __init__(self, decoder: Decoder, *, max_seconds: float) -> None:
        self._decoder = decoder
        self._max_seconds = max_seconds
        self._pieces: list[bytes] = []
        self._bytes = 0
        self._begins_late: bool | None = None
        self._behind_media: int | None = None
        self._decoding: DecodingAhead | None = None

    async def feed(self, piece: bytes) -> bytes:
        self._bytes += len(piece)
        if self._decoding is not None:
            self._decoding.feed(piece, container=CONTAINER)
            await self._decoding.drain()
            return b""
        if self._begins_late is None:
            self._pieces.append(piece)
            if self._bytes > KEPT_BYTES:
                await self._decide()
        elif self._bytes > MAX_KEPT_BYTES:
            raise self._too_long()
        return piece if self._decoding is None else b""

    def finish(self) -> bytes:
        return b""

    async def _decide(self) -> None:
        pieces, self._pieces = self._pieces, []
        beginning = b"".join(pieces)
        self._begins_late = not is_streamable(beginning)
        if self._begins_late:
            self._behind_media = behind_media(beginning)
            if (self._behind_media or 0) > MAX_KEPT_BYTES:
                raise self._too_long()
        else:
            self._decoding = await self._decoder.begin_long(container=CONTAINER, max_seconds=self._max_seconds)
            for piece in pieces:
                self._decoding.feed(piece, container=CONTAINER)
                await self._decoding.drain()

    def _too_long(self) -> ClipTooLongError:
        return ClipTooLongError() if self._behind_media is None else DescriptionLastError(self._behind_media)

    async def decoded(self, kept: bytes) -> tuple[Decoded, bytes | None]:
        """The sound, and the file if it was `kept` whole.

        Raises TwitchAudioError: `no-audio`, `busy`, `internal`; UpstreamError for what is no media at all.
        """
        if self._decoding is None:
            if is_text(kept):
                raise UpstreamError(STEP, "Twitch sends no sound for this clip. Try again in a moment.")
            return await self._decoder.decode(kept, container=CONTAINER, max_seconds=self._max_seconds), kept
        found = await self._decoding.finish()
        if found is None:
            detail = "The decoder broke down on this clip. This is a fault of ours."
            raise TwitchAudioError(ProblemCode.INTERNAL, detail)
        return found, None

    def abandon(self) -> None:
        """Discard the sound of a file that is not received any further."""
        if self._decoding is not None:
            self._decoding.abandon()
