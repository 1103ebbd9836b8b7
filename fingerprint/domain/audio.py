"""Sound as values: decoded samples, and a recording captured from a stream, a clip or a file."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import numpy as np
from numpy.fft import irfft, rfft
from numpy.typing import NDArray

from fingerprint.domain.broadcasts import Broadcast

SAMPLE_RATE: Final = 16_000
"""Samples a second of all decoded audio: keeps music up to 8 kHz, where speech masks it least."""

CANCELLED: Final = 0.01
"""Channels cancel each other out when their mean has less than this share of their difference's energy."""


PART: Final = 0
"""The `take` of a part of a long recording, which is listened to from its start to its end."""


@dataclass(frozen=True, slots=True, eq=False)
class Pcm:
    """Decoded sound.

    `samples`: float32, shape (channels, n) with 1 or 2 channels, nominal range -1..1, contiguous.
    `rate`: samples a second.
    """

    samples: NDArray[np.float32] = field(repr=False)
    rate: int = SAMPLE_RATE

    def __post_init__(self) -> None:
        if self.samples.dtype != np.float32 or self.samples.ndim != 2 or self.samples.shape[0] not in (1, 2):
            raise ValueError(
                f"samples must be float32 of shape (1 or 2, n), not {self.samples.dtype} {self.samples.shape}"
            )
        if self.rate <= 0:
            raise ValueError(f"rate must be positive, not {self.rate}")

    @property
    def duration_seconds(self) -> float:
        return self.samples.shape[1] / self.rate

    @property
    def mono(self) -> NDArray[np.float32]:
        """The mean of the channels, shape (n,); half of left minus right where they cancel each other out."""
        return self.middle_and_side[0]

    @property
    def side(self) -> NDArray[np.float32] | None:
        """What `mono` lacks, shape (n,): half of left minus right, or the mean where they cancel each other out.

        None for mono sound.
        """
        return None if self.samples.shape[0] == 1 else self.middle_and_side[1]

    @property
    def middle_and_side(self) -> tuple[NDArray[np.float32], ...]:
        """`mono`, and for stereo sound `side`."""
        both = halves(self.samples)
        return both[::-1] if cancel_out(both) else both

    def slowed(self, factor: float) -> "Pcm":
        """The same sound played `factor` times slower, and as much lower, at the same rate."""
        length = self.samples.shape[1]
        wanted = round(length * factor)
        spectrum = rfft(self.samples, axis=1)
        played = irfft(spectrum[:, : wanted // 2 + 1], wanted, axis=1) * (wanted / max(1, length))
        return Pcm(np.ascontiguousarray(played, np.float32), self.rate)

    def cut(self, start_seconds: float, duration_seconds: float) -> "Pcm":
        """The part that starts at `start_seconds`; shorter when the sound ends before."""
        first = max(0, round(start_seconds * self.rate))
        last = max(first, first + round(duration_seconds * self.rate))
        return Pcm(np.ascontiguousarray(self.samples[:, first:last]), self.rate)


def halves(samples: NDArray[np.float32]) -> tuple[NDArray[np.float32], ...]:
    """Half of the sum and of the difference of two channels, shape (n,) each; mono sound as it is."""
    if len(samples) == 1:
        return (samples[0],)
    left, right = samples
    return (left + right) * np.float32(0.5), (left - right) * np.float32(0.5)


def cancel_out(both: tuple[NDArray[np.float32], ...]) -> bool:
    """Whether channels cancel each other out, by the halves of their sum and of their difference."""
    if len(both) == 1:
        return False
    middle, side = both
    return float(middle @ middle) < CANCELLED * float(side @ side)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Recording:
    """A piece of sound to recognize: decoded samples, and the encoded bytes where a recognizer can use them.

    `encoded` holds the container's bytes (providers fingerprint or upload them), `container` its FFmpeg name
    such as `mpegts` or `mp4`. `started_at` is the wall-clock time of the first sample where it is known; of a
    video, clip or file `from_seconds` is how far into it the first sample is. `channel_id`: of a live
    stream, the id of the channel that it was captured from, and `broadcast` its broadcast, where known. `take`:
    which take of one question it is, counted from 1, or `PART`: less is tried, since there are further parts.
    `place_uncertain`: `from_seconds` may be wrong, because nothing confirms the durations that it follows from.
    `after_break`: of a VOD, some of the broadcast may be missing before it, so that its seconds are other ones.
    """

    pcm: Pcm
    encoded: bytes | None = field(default=None, repr=False)
    container: str | None = None
    started_at: datetime | None = None
    from_seconds: float | None = None
    channel_id: str | None = None
    take: int = 1
    broadcast: Broadcast | None = None
    after_break: bool = False
    place_uncertain: bool = False
