"""Computes a whole track's landmarks for the catalog; `query` does so for a few seconds to recognize."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fingerprint.catalog.constellation import Constellation, find_peaks
from fingerprint.catalog.landmarks import pair_peaks
from fingerprint.catalog.packed_peaks import pack_peaks, unpack_peaks
from fingerprint.catalog.parameters import DEFAULT, Parameters
from fingerprint.catalog.spectrogram import spectrogram
from fingerprint.catalog.tracks import track_id
from fingerprint.domain.audio import Pcm

PAIRED_PEAKS: Final = 1 << 14
"""How many peaks, of some minutes of music, are paired at a time."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrackFingerprint:
    """The parts of a track's sound that a catalog stores.

    `hashes`: uint32, and `anchors`: uint32, the frame of each landmark's anchor, both of shape (n,).
    `peak_frames`: uint32 and `peak_bins`: uint16, the constellation in order of time, both of shape (m,).
    `side_frames` and `side_bins`: the same for the side channel (half of left minus right); empty for mono.
    `frames`: how many frames the track has. `duration_seconds`: its length.
    """

    hashes: NDArray[np.uint32]
    anchors: NDArray[np.uint32]
    peak_frames: NDArray[np.uint32]
    peak_bins: NDArray[np.uint16]
    side_frames: NDArray[np.uint32]
    side_bins: NDArray[np.uint16]
    frames: int
    duration_seconds: float

    @property
    def track_id(self) -> str:
        """The identity of the recording, see `tracks.track_id`."""
        return track_id(pack_peaks(self.peak_frames, self.peak_bins), pack_peaks(self.side_frames, self.side_bins))


def _empty(dtype: type[np.generic]) -> NDArray[Any]:
    return np.empty(0, dtype)


NO_FINGERPRINT: Final = TrackFingerprint(
    hashes=_empty(np.uint32),
    anchors=_empty(np.uint32),
    peak_frames=_empty(np.uint32),
    peak_bins=_empty(np.uint16),
    side_frames=_empty(np.uint32),
    side_bins=_empty(np.uint16),
    frames=0,
    duration_seconds=0.0,
)
"""The fingerprint of no sound at all."""


def fingerprint_track(blocks: Iterable[Pcm], parameters: Parameters = DEFAULT) -> TrackFingerprint:
    """The fingerprint of a track, computed block by block, so that an hour takes no more memory than a minute.

    The blocks' lengths do not affect the result, except that channels that cancel each other out are noticed in
    each. Raises ValueError for another sample rate, and for mono blocks among stereo ones, whose side would have a
    gap.
    """
    middle, side = _Channel(parameters), _Channel(parameters)
    samples = 0
    channels: int | None = None
    for block in blocks:
        if block.rate != parameters.rate:
            raise ValueError(f"the fingerprint needs {parameters.rate} samples a second, not {block.rate}")
        if block.samples.shape[0] != (channels := channels or block.samples.shape[0]):
            raise ValueError(f"a block has {block.samples.shape[0]} channels, the one before {channels}")
        samples += block.samples.shape[1]
        middle.take(block.mono)
        if block.side is not None:
            side.take(block.side)
    (peak_frames, peak_bins), (side_frames, side_bins) = middle.finish(), side.finish()
    hashes, anchors = _landmarks(peak_frames, peak_bins, parameters)
    return TrackFingerprint(
        hashes=hashes,
        anchors=anchors,
        peak_frames=peak_frames,
        peak_bins=peak_bins,
        side_frames=side_frames,
        side_bins=side_bins,
        frames=middle.frames,
        duration_seconds=samples / parameters.rate,
    )


def fingerprint_from_peaks(
    packed: NDArray[np.uint16],
    packed_side: NDArray[np.uint16],
    *,
    frames: int,
    duration_seconds: float,
    parameters: Parameters = DEFAULT,
) -> TrackFingerprint:
    """The fingerprint that a track's stored peaks give, as `pack_peaks` packs them, without its sound."""
    (peak_frames, peak_bins), (side_frames, side_bins) = unpack_peaks(packed), unpack_peaks(packed_side)
    hashes, anchors = _landmarks(peak_frames, peak_bins, parameters)
    return TrackFingerprint(
        hashes=hashes,
        anchors=anchors,
        peak_frames=peak_frames.astype(np.uint32),
        peak_bins=peak_bins.astype(np.uint16),
        side_frames=side_frames.astype(np.uint32),
        side_bins=side_bins.astype(np.uint16),
        frames=frames,
        duration_seconds=duration_seconds,
    )


def _landmarks(
    frames: NDArray[Any], bins: NDArray[Any], parameters: Parameters
) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """The hashes and anchors of a track's peaks, some minutes of it at a time: pairing needs much memory."""
    hashes: list[NDArray[np.uint32]] = [_empty(np.uint32)]
    anchors: list[NDArray[np.uint32]] = [_empty(np.uint32)]
    for first in range(0, len(frames), PAIRED_PEAKS):
        following = first + PAIRED_PEAKS
        if following < len(frames):
            # Of the peaks after these, those that one of these can be paired with.
            reach = int(frames[following - 1]) + parameters.lapse_frames
            end = int(np.searchsorted(frames, reach, side="right"))
        else:
            end = len(frames)
        near_frames, near_bins = frames[first:end].astype(np.int64), bins[first:end].astype(np.int64)
        nothing = np.zeros(len(near_frames), np.int64)
        peaks = Constellation(near_frames, near_bins, nothing.astype(np.float32), nothing)
        pairs = pair_peaks(peaks, parameters, fan_out=parameters.fan_out, anchors=following - first)
        hashes.append(pairs.hashes)
        anchors.append(pairs.anchors.astype(np.uint32))
    return np.concatenate(hashes), np.concatenate(anchors)


class _Channel:
    """Collects the constellation of one channel as its samples arrive."""

    def __init__(self, parameters: Parameters) -> None:
        self._parameters = parameters
        self._frames: list[NDArray[np.uint32]] = [_empty(np.uint32)]
        self._bins: list[NDArray[np.uint16]] = [_empty(np.uint16)]
        self._levels = np.empty((0, parameters.bins), np.float32)
        self._rest = np.empty(0, np.float32)
        # Frames: the first of `_levels`, and the first whose peaks are not final.
        self._start = self._settled = 0

    @property
    def frames(self) -> int:
        """The number of frames so far."""
        return self._start + len(self._levels)

    def take(self, samples: NDArray[np.float32]) -> None:
        parameters = self._parameters
        self._rest = np.concatenate([self._rest, samples])
        new = spectrogram(self._rest, parameters, hop=parameters.hop)
        self._rest = self._rest[len(new) * parameters.hop :]
        self._levels = np.concatenate([self._levels, new])
        # Each chunk of frames is processed with a block before and after it, so that its edges have neighbors.
        margin = parameters.block_frames
        until = self.frames // margin * margin - margin
        if until > self._settled:
            self._settle(until)
            dropped = until - margin - self._start
            if dropped > 0:
                self._levels = self._levels[dropped:]
                self._start += dropped
            self._settled = until

    def finish(self) -> tuple[NDArray[np.uint32], NDArray[np.uint16]]:
        """The frames and bins of all peaks."""
        self._settle(self.frames)
        return np.concatenate(self._frames), np.concatenate(self._bins)

    def _settle(self, until: int) -> None:
        """Store the final peaks of the frames up to `until`."""
        peaks = find_peaks(self._levels, self._parameters, quota=self._parameters.quota)
        frames = peaks.frames + self._start
        kept = (frames >= self._settled) & (frames < until)
        self._frames.append(frames[kept].astype(np.uint32))
        self._bins.append(peaks.bins[kept].astype(np.uint16))
