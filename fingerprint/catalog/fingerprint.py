"""A whole track to landmarks, for the catalog. `query` does it for a few seconds to be recognized."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fingerprint.catalog.constellation import Constellation, find_peaks, joined
from fingerprint.catalog.landmarks import pair_peaks
from fingerprint.catalog.parameters import DEFAULT, Parameters
from fingerprint.catalog.spectrogram import spectrogram
from fingerprint.domain.audio import Pcm


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrackFingerprint:
    """What a catalog keeps of a track's sound.

    `hashes`: uint32, and `anchors`: uint32, the frame of each landmark's anchor, both of shape (n,).
    `peak_frames`: uint32 and `peak_bins`: uint16, the constellation in order of time, both of shape (m,).
    `frames`: how many frames the track has. `duration_seconds`: its length.
    """

    hashes: NDArray[np.uint32]
    anchors: NDArray[np.uint32]
    peak_frames: NDArray[np.uint32]
    peak_bins: NDArray[np.uint16]
    frames: int
    duration_seconds: float


def fingerprint_track(blocks: Iterable[Pcm], parameters: Parameters = DEFAULT) -> TrackFingerprint:
    """The fingerprint of a track, read block by block, so that an hour takes no more memory than a minute.

    The blocks' lengths do not matter for the outcome. Raises ValueError for another sample rate.
    """
    # A chunk of frames is looked at with a block before and after it, so its edges see their neighbors.
    margin = parameters.block_frames
    found: list[Constellation] = []
    levels = np.empty((0, parameters.bins), np.float32)
    rest = np.empty(0, np.float32)
    start, settled, samples = 0, 0, 0

    def settle(until: int) -> None:
        """Keep the peaks of the frames from `settled` to `until`."""
        peaks = find_peaks(levels, parameters, quota=parameters.quota)
        frames = peaks.frames + start
        kept = (frames >= settled) & (frames < until)
        found.append(Constellation(frames[kept], peaks.bins[kept], peaks.levels[kept], peaks.ranks[kept]))

    for block in blocks:
        if block.rate != parameters.rate:
            raise ValueError(f"the fingerprint needs {parameters.rate} samples a second, not {block.rate}")
        samples += block.samples.shape[1]
        rest = np.concatenate([rest, block.mono])
        new = spectrogram(rest, parameters, hop=parameters.hop)
        rest = rest[len(new) * parameters.hop :]
        levels = np.concatenate([levels, new])
        until = (start + len(levels)) // margin * margin - margin
        if until > settled:
            settle(until)
            dropped = until - margin - start
            if dropped > 0:
                levels = levels[dropped:]
                start += dropped
            settled = until
    end = start + len(levels)
    settle(end)
    peaks = joined(found)
    pairs = pair_peaks(peaks, parameters, fan_out=parameters.fan_out)
    return TrackFingerprint(
        hashes=pairs.hashes,
        anchors=pairs.anchors.astype(np.uint32),
        peak_frames=peaks.frames.astype(np.uint32),
        peak_bins=peaks.bins.astype(np.uint16),
        frames=end,
        duration_seconds=samples / parameters.rate,
    )
