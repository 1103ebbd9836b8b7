"""Receives a clip's file: a usual one is kept and decoded as a whole, a long one is decoded while it arrives."""

from typing import Final

from fingerprint.domain.problems import ProblemCode, TwitchAudioError, UpstreamError
from fingerprint.media.ahead import DecodingAhead
from fingerprint.media.containers import is_streamable
from fingerprint.media.joined_sound import Decoder
from fingerprint.media.pcm import Decoded

CONTAINER: Final = "mp4"
KEPT_BYTES: Final = 8 << 20
"""The longest file that is kept: a minute of 1 Mbit/s, about twice what a clip's smallest rendition has."""

MAX_KEPT_BYTES: Final = 64 << 20
"""The longest file whose description comes last, which must be kept whole to be decoded."""


class ClipBody:
    """Takes the pieces of a clip's file as a `BodyFilter`: keeps them, or decodes them while they arrive."""

    def __init__(self, decoder: Decoder, *, max_seconds: float) -> None:
        self._decoder = decoder
        self._max_seconds = max_seconds
        self._pieces: list[bytes] = []
        self._bytes = 0
        self._begins_late: bool | None = None
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
            raise UpstreamError("clip", "Twitch's file of this clip is too long.", retry_after_seconds=None)
        return piece if self._decoding is None else b""

    def finish(self) -> bytes:
        return b""

    async def _decide(self) -> None:
        pieces, self._pieces = self._pieces, []
        self._begins_late = not is_streamable(b"".join(pieces))
        if not self._begins_late:
            self._decoding = await self._decoder.begin_long(container=CONTAINER, max_seconds=self._max_seconds)
            for piece in pieces:
                self._decoding.feed(piece, container=CONTAINER)
                await self._decoding.drain()

    async def decoded(self, kept: bytes) -> tuple[Decoded, bytes | None]:
        """The sound, and the file if it was `kept` whole.

        Raises TwitchAudioError: `no-audio`, `busy`, `internal`.
        """
        if self._decoding is None:
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
