"""Decodes joined segments to sound that is placed in time."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Final, Protocol

from fingerprint.domain.audio import Pcm
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.hls.timing import Origin
from fingerprint.media.ahead import DecodingAhead, SoundListener
from fingerprint.media.joined import Joined
from fingerprint.media.pcm import Decoded, no_audio
from fingerprint.media.placing import PlacedSound, longest_seconds, placed_segments

MIN_TAKE_SECONDS: Final = 3.0
"""The shortest capture of a stream that is sent to recognizers, in seconds."""


class Decoder(Protocol):
    """Decodes media to sound; implemented by `DecoderPool`."""

    async def decode(self, encoded: bytes, *, container: str, max_seconds: float) -> Decoded:
        """The sound of a container's bytes."""
        ...

    def begin(self, *, max_seconds: float, listener: SoundListener | None = None) -> DecodingAhead | None:
        """Begin decoding media that is still being fetched; None when no worker can be spared.

        `listener` is fed with the sound as it is decoded, if it is decoded so.
        """
        ...

    async def begin_long(self, *, container: str, max_seconds: float) -> DecodingAhead:
        """Begin decoding media that is too long to be kept, when a worker is idle."""
        ...

    async def decode_file(self, path: Path, *, max_seconds: float) -> Decoded: ...

    def file_blocks(self, path: Path) -> AsyncGenerator[Pcm]:
        """The sound of a file of any length, in blocks from its start to its end."""
        ...


async def sound_of(decoder: Decoder, joined: Joined, origin: Origin | None = None) -> PlacedSound:
    """The sound of segments, which a listener of their decoding learns as well.

    Raises TwitchAudioError `no-audio` when too little could be decoded, and `busy`.
    """
    try:
        sound = await _placed_sound(decoder, joined, origin)
    except BaseException:
        joined.abandon()
        raise
    if joined.decoding is not None and joined.decoding.listener is not None:
        joined.decoding.listener.finish(sound.pcm)
    return sound


async def _placed_sound(decoder: Decoder, joined: Joined, origin: Origin | None) -> PlacedSound:
    decoded = None if joined.decoding is None else await joined.decoding.finish()
    sounds = await _decoded_parts(decoder, joined) if decoded is None else [decoded]
    sound = placed_segments(joined, sounds, origin=origin)
    if sound.heard_seconds < min(MIN_TAKE_SECONDS, joined.duration_seconds) - 0.1:
        raise no_audio(f"only {sound.heard_seconds:.1f} s of it could be decoded")
    return sound


async def _decoded_parts(decoder: Decoder, joined: Joined) -> list[Decoded | None]:
    """The sound of each part, None for one that has none. Raises the first error when no part has any."""
    sounds: list[Decoded | None] = []
    failure: TwitchAudioError | None = None
    for part in joined.parts:
        extra = joined.extra_seconds if part is joined.parts[-1] else 0.0
        most = longest_seconds(part.duration_seconds) + extra
        try:
            sounds.append(await decoder.decode(part.encoded, container=part.container, max_seconds=most))
        except TwitchAudioError as error:
            if error.code is not ProblemCode.NO_AUDIO:
                raise
            sounds.append(None)
            failure = failure or error
    if failure is not None and not any(sounds):
        raise failure
    return sounds
