"""Converts planes of samples to the domain's Pcm."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fingerprint.domain.audio import SAMPLE_RATE, Pcm
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.media.decoder_protocol import Mark

Block = tuple[bytes | memoryview, ...]
"""Some sound: for each of 1 or 2 channels as many float32 samples, in the machine's byte order."""


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """Decoded sound, joined end to end, and where the media's own clock puts it: at least one mark."""

    pcm: Pcm
    marks: tuple[Mark, ...]


_MAX_MAGNITUDE: Final = 4.0
"""Samples beyond this magnitude come from damaged input and are cut."""


def pcm_of(blocks: Sequence[Block]) -> Pcm:
    """Joins consecutive blocks of the same sound, see `believable`.

    Raises ValueError when there are no blocks or their channel counts differ.
    """
    counts = {len(block) for block in blocks}
    if len(counts) != 1:
        raise ValueError(f"blocks of {sorted(counts)} channels are no sound")
    samples = np.stack(
        [
            np.frombuffer(b"".join(block[channel] for block in blocks), dtype=np.float32)
            for channel in range(counts.pop())
        ]
    )
    return Pcm(believable(samples), SAMPLE_RATE)


def samples_of(block: Block) -> NDArray[np.float32]:
    """The samples of one block, shape (channels, n), see `believable`."""
    return believable(np.stack([np.frombuffer(plane, dtype=np.float32) for plane in block]))


def believable(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """The samples, changed in place where damaged input decodes to nonsense.

    NaN becomes 0, and infinite or absurdly loud samples are clipped.
    """
    in_range = samples.min(initial=0.0) >= -_MAX_MAGNITUDE and samples.max(initial=0.0) <= _MAX_MAGNITUDE
    if not in_range:  # as it is with NaN
        np.nan_to_num(samples, copy=False, nan=0.0, posinf=_MAX_MAGNITUDE, neginf=-_MAX_MAGNITUDE)
        np.clip(samples, -_MAX_MAGNITUDE, _MAX_MAGNITUDE, out=samples)
    return samples


def no_audio(reason: str) -> TwitchAudioError:
    """The error for input without sound; `reason` is a clause that says why."""
    return TwitchAudioError(ProblemCode.NO_AUDIO, f"There is no audio to identify: {reason}.")
