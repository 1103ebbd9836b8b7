"""Sound to landmarks: of a whole track for the catalog, and of a few seconds to be recognized."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fingerprint.catalog.constellation import Constellation, find_peaks, joined
from fingerprint.catalog.landmarks import pair_peaks
from fingerprint.catalog.parameters import DEFAULT, FULL, Effort, Parameters
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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class QueryFingerprint:
    """Landmarks of a piece of sound.

    `hashes`: uint32, and `times`: int64, where each anchor is in the sound, in steps of `hop / phases`
    samples, both of shape (n,), in order of hash, without duplicates. `steps`: how many steps the
    sound is long. `speed`: how many times slower it was taken.
    """

    hashes: NDArray[np.uint32]
    times: NDArray[np.int64]
    steps: int
    speed: float


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
        found.append(Constellation(frames[kept], peaks.bins[kept], peaks.levels[kept]))

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
    hashes, anchors = pair_peaks(peaks, parameters, fan_out=parameters.fan_out)
    return TrackFingerprint(
        hashes=hashes,
        anchors=anchors.astype(np.uint32),
        peak_frames=peaks.frames.astype(np.uint32),
        peak_bins=peaks.bins.astype(np.uint16),
        frames=end,
        duration_seconds=samples / parameters.rate,
    )


def channel_levels(pcm: Pcm, parameters: Parameters = DEFAULT) -> list[NDArray[np.float32]]:
    """The spectrograms of the middle and, in stereo sound, of the side (where a centered voice is gone)."""
    hop = parameters.hop // parameters.phases
    levels = [spectrogram(pcm.mono, parameters, hop=hop)]
    side = pcm.side
    if side is not None:
        levels.append(spectrogram(side, parameters, hop=hop))
    return levels


def fingerprint_query(
    pcm: Pcm,
    parameters: Parameters = DEFAULT,
    *,
    effort: Effort = FULL,
    speed: float = 1.0,
    levels: Sequence[NDArray[np.float32]] | None = None,
) -> QueryFingerprint:
    """The landmarks of a piece of sound as if it were played `speed` times slower.

    `levels` may hold `channel_levels(pcm)` where they are known already. Raises ValueError for another sample
    rate.
    """
    if pcm.rate != parameters.rate:
        raise ValueError(f"the fingerprint needs {parameters.rate} samples a second, not {pcm.rate}")
    channels = channel_levels(pcm, parameters) if levels is None else levels
    chosen = channels if effort.side else channels[:1]
    slowed = [channel if speed == 1.0 else slow_down(channel, speed) for channel in chosen]
    steps = max(len(channel) for channel in slowed)
    # All phases and channels are paired in one go, as if they followed each other at a distance.
    distance = steps // parameters.phases + parameters.lapse_frames + 2
    parts: list[Constellation] = []
    phases: list[int] = []
    for channel in slowed:
        for phase in effort.phases:
            peaks = find_peaks(channel[phase :: parameters.phases], parameters, quota=effort.quota)
            parts.append(Constellation(peaks.frames + len(parts) * distance, peaks.bins, peaks.levels))
            phases.append(phase)
    hashes, anchors = pair_peaks(joined(parts), parameters, fan_out=effort.fan_out)
    times = anchors % distance * parameters.phases + np.array(phases)[anchors // distance]
    unique = np.sort(hashes.astype(np.int64) << 32 | times)
    unique = unique[np.r_[True, unique[1:] != unique[:-1]][: len(unique)]]
    return QueryFingerprint(
        hashes=(unique >> 32).astype(np.uint32),
        times=unique & 0xFFFFFFFF,
        steps=steps,
        speed=speed,
    )


def slow_down(levels: NDArray[np.float32], speed: float) -> NDArray[np.float32]:
    """The spectrogram of the same sound played `speed` times slower, so all frequencies are lower by as much.

    Takes the nearest frame and interpolates between bins; the window's own length stays, which a few
    percent do not show.
    """
    frames, bins = levels.shape
    nearest = np.arange(int(frames * speed), dtype=np.float64) / speed + 0.5
    rows = np.minimum(nearest.astype(np.int64), frames - 1)
    places = np.minimum(np.arange(bins, dtype=np.float64) * speed, bins - 1)
    low = places.astype(np.int64)
    high = np.minimum(low + 1, bins - 1)
    share = (places - low).astype(np.float32)
    taken = levels[rows]
    slowed = taken[:, low]
    slowed += (taken[:, high] - slowed) * share
    return slowed
