"""Decoding in this process: for worker processes, and for tests. See `decoder` for decoding in the server."""

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Final

from fingerprint.domain.audio import Pcm
from fingerprint.media.pcm import no_audio, pcm_of
from fingerprint.media.planes import UndecodableError, iter_planes

MAX_FILE_SECONDS: Final = 24 * 3600.0
"""Sound beyond this length is not decoded."""


def decode_bytes(data: bytes, *, container: str, max_seconds: float) -> Pcm:
    """The first `max_seconds` of a container's first audio stream, at 16 kHz, mono or stereo.

    `container` is FFmpeg's name of the format, such as `mpegts` or `mp4`. Truncated or damaged input gives the
    part that could be decoded.

    Raises TwitchAudioError `no-audio`, with the reason, when nothing could be decoded.
    """
    try:
        blocks = list(
            iter_planes(BytesIO(data), container=container, max_seconds=max_seconds, block_seconds=max_seconds)
        )
    except UndecodableError as error:
        raise no_audio(str(error)) from error
    return pcm_of(blocks)


def decode_blocks(path: Path, *, block_seconds: float = 60.0) -> Iterator[Pcm]:
    """A sound or video file in blocks, as `decode_open_file` gives them. Raises TwitchAudioError `no-audio`."""
    try:
        with path.open("rb") as file:
            yield from decode_open_file(file, block_seconds=block_seconds)
    except OSError as error:
        raise no_audio(error.strerror or "it cannot be read") from error


def decode_open_file(file: BinaryIO, *, block_seconds: float = 60.0) -> Iterator[Pcm]:
    """A sound or video file in blocks of `block_seconds` (the last one is shorter), at 16 kHz, mono or stereo.

    The format is recognized from the content. Memory does not grow with the file's length. A damaged
    file gives the sound before the damage, and what can be decoded after it.

    Raises TwitchAudioError `no-audio`, with the reason, before the first block: the file has no sound.
    """
    try:
        for planes in iter_planes(file, container=None, max_seconds=MAX_FILE_SECONDS, block_seconds=block_seconds):
            yield pcm_of([planes])
    except UndecodableError as error:
        raise no_audio(str(error)) from error
