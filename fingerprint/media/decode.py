"""Decoding in this process, for input that is trusted: the operator's own files. See `decoder` for all other."""

from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path
from typing import Final

import numpy as np

from fingerprint.domain.audio import SAMPLE_RATE, Pcm
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.media.planes import Planes, UndecodableError, iter_planes

MAX_FILE_SECONDS: Final = 24 * 3600.0
"""Sound beyond this length is not decoded."""

_LOUDEST: Final = 4.0
"""Samples beyond this magnitude come from damaged input and are cut."""


def decode_bytes(data: bytes, *, container: str, max_seconds: float) -> Pcm:
    """The first `max_seconds` of a container's first audio stream, at 16 kHz, mono or stereo.

    `container` is FFmpeg's name of the format, such as `mpegts` or `mp4`. Truncated or damaged input gives what
    could be decoded.

    Raises TwitchAudioError `no-audio`, with the reason, when that is nothing.
    """
    try:
        blocks = list(
            iter_planes(BytesIO(data), container=container, max_seconds=max_seconds, block_seconds=max_seconds)
        )
    except UndecodableError as error:
        raise no_audio(str(error)) from error
    return pcm_of(blocks)


def decode_blocks(path: Path, *, block_seconds: float = 60.0) -> Iterator[Pcm]:
    """A sound or video file in blocks of `block_seconds` (the last one is shorter), at 16 kHz, mono or stereo.

    The format is recognized from the content. Memory does not grow with the file's length. A file that is
    damaged somewhere gives what comes before, and what can be decoded behind.

    Raises TwitchAudioError `no-audio`, with the reason, before the first block: the file has no sound or cannot
    be read.
    """
    try:
        with path.open("rb") as file:
            for planes in iter_planes(
                file, container=None, max_seconds=MAX_FILE_SECONDS, block_seconds=block_seconds
            ):
                yield pcm_of([planes])
    except UndecodableError as error:
        raise no_audio(str(error)) from error
    except OSError as error:
        raise no_audio(error.strerror or "it cannot be read") from error


def pcm_of(blocks: Sequence[Planes]) -> Pcm:
    """Blocks of the same sound in order, as one. Raises ValueError when there are none or they do not fit."""
    channels = {len(block.channels) for block in blocks}
    if len(channels) != 1:
        raise ValueError(f"blocks of {sorted(channels)} channels are no sound")
    samples = np.stack(
        [
            np.frombuffer(b"".join(block.channels[channel] for block in blocks), dtype=np.float32)
            for channel in range(channels.pop())
        ]
    )
    return Pcm(tame(samples), SAMPLE_RATE)


def tame(
    samples: "np.ndarray[tuple[int, int], np.dtype[np.float32]]",
) -> "np.ndarray[tuple[int, int], np.dtype[np.float32]]":
    """The samples without NaN, infinity and absurd loudness, which damaged input may decode to. In place."""
    np.nan_to_num(samples, copy=False, nan=0.0, posinf=_LOUDEST, neginf=-_LOUDEST)
    np.clip(samples, -_LOUDEST, _LOUDEST, out=samples)
    return samples


def no_audio(reason: str) -> TwitchAudioError:
    """The error for input without sound; `reason` is a clause."""
    return TwitchAudioError(ProblemCode.NO_AUDIO, f"There is nothing to listen to: {reason}.")
