"""What captures of one song on different channels prove to be the song's own sound.

A provider said of each capture which song it has, and where in it. Over the music there may be a voice, a game, an
alert: what two captures share at the same place of the song, from channels that have nothing to do with each
other, is the music. Only that is trusted. One capture, or any number from one channel, proves nothing.

Pure functions of fingerprints, without any sound: see `query_print`. Times of a capture and of a song are counted
in *steps* (`hop / phases` samples, 8 ms), those of what is indexed in frames.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fingerprint.catalog.computed_once import computed_once
from fingerprint.catalog.fingerprint import TrackFingerprint, fingerprint_from_peaks
from fingerprint.catalog.packed_peaks import pack_peaks
from fingerprint.catalog.parameters import DEFAULT, Parameters
from fingerprint.catalog.query_print import PrintedPeaks, peaks_of

TOLERANCE_SECONDS: Final = 1.6
EXACT_TOLERANCE_SECONDS: Final = 0.4
"""How far two offsets may be off: by more where one of them is in whole seconds, as AudD tells it.

Wide tolerance is a risk: a short loop that plays under the song on both channels fits somewhere.
"""

MOST_AMBIGUOUS: Final = 0.6
"""A second place at which two captures fit as well, by the share of what coincides at the best: a loop's."""

LEAST_SUPPORT: Final = 1 / 3
"""The share of the other channels' captures of a moment that must show a peak."""

LEAST_OVERLAP_SECONDS: Final = 2.5
"""The least sound that two captures must have in common to be compared."""

LEAST_SHARED: Final = 40
LEAST_SURENESS: Final = 9.0
LEAST_SHARE: Final = 0.12
"""When two captures have the same music: so many peaks coincide, so many standard deviations more than at other
shifts, and so large a share of those that the capture with fewer has there.
"""

SAME_SOURCE_SECONDS: Final = 90.0
"""Captures of a song that began at the same time on two channels may be one broadcast that both relay."""

LEAST_TRUSTED_SECONDS: Final = 3.0
"""A song with less is not indexed."""

MAX_SONG_SECONDS: Final = 1_200.0
"""How far into a song captures are kept; a longer one is a mix."""

_SEAM_STEPS: Final = 16
"""Stretches that are this near to each other meet: a fingerprint ends a window before its sound."""

_STEP_REACH: Final = 1
_BIN_REACH: Final = 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureOrigin:
    """Where a capture is from: what is known of its channel, and when the song began (seconds since 1970)."""

    channel: str | None
    channel_id: str | None = None
    song_began: float | None = None

    def is_independent_of(self, other: "CaptureOrigin") -> bool:
        """Whether two captures are surely from different channels, and not one broadcast that both relay.

        A channel is known by its login, by its number, or by both; with nothing in common, nothing is sure.
        """
        told_apart = False
        for one, another in ((self.channel, other.channel), (self.channel_id, other.channel_id)):
            if one is not None and another is not None:
                if one == another:
                    return False
                told_apart = True
        if not told_apart:
            return False
        if self.song_began is None or other.song_began is None:
            return True
        return abs(self.song_began - other.song_began) > SAME_SOURCE_SECONDS


@dataclass(frozen=True, kw_only=True, eq=False)
class SongCapture:
    """A capture of a song: its fingerprint, how far into the song it begins, and where it is from."""

    fingerprint: bytes
    offset_seconds: float
    origin: CaptureOrigin

    @computed_once
    def peaks(self) -> tuple[int, tuple[PrintedPeaks, ...]]:
        """Its length in steps, and its peaks. Raises ValueError for another version's fingerprint."""
        return peaks_of(self.fingerprint)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LearnedSong:
    """What is trusted of a song. `seconds`: how much of it; `stretches`: from where to where, in seconds.

    `fingerprint` is None when that is too little to be indexed.
    """

    fingerprint: TrackFingerprint | None
    stretches: tuple[tuple[float, float], ...] = ()

    @property
    def seconds(self) -> float:
        return sum(last - first for first, last in self.stretches)


NOTHING_LEARNED: Final = LearnedSong(fingerprint=None)


@dataclass(frozen=True, slots=True, eq=False)
class _Placed:
    """A capture at its place in the song: `start`, in steps, and its peaks by channel."""

    capture: SongCapture
    start: int
    length: int
    channels: tuple[PrintedPeaks, ...]

    @property
    def end(self) -> int:
        return self.start + self.length

    def overlap(self, other: "_Placed") -> tuple[int, int]:
        """From which step of the song to which one both have it."""
        return max(self.start, other.start), min(self.end, other.end)


def learn(captures: Sequence[SongCapture], parameters: Parameters = DEFAULT) -> LearnedSong:
    """What captures of one song, in the order in which they were made, prove of it. CPU work, for a thread.

    Captures that agree with no other one change nothing. The result is the same for the same captures in the same
    order.
    """
    step = step_seconds(parameters)
    placed: list[_Placed] = []
    agreeing: list[tuple[int, int]] = []
    for capture in captures:
        length, channels = capture.peaks
        new = _Placed(capture, round(capture.offset_seconds / step), length, channels)
        found = [
            (strength, number, shift)
            for number, other in enumerate(placed)
            if (agreed := _agreement(other, new, parameters)) is not None
            for shift, strength in (agreed,)
        ]
        if found:
            # Where the best of them has it: providers' offsets are not exact.
            _, _, best = max(found)
            new = replace(new, start=new.start - best)
            agreeing += [
                (number, len(placed)) for _, number, shift in found if abs(shift - best) <= _STEP_REACH + 1
            ]
        placed.append(new)
    proving = [
        (one, other)
        for one, other in agreeing
        if placed[one].capture.origin.is_independent_of(placed[other].capture.origin)
    ]
    if not proving:
        return NOTHING_LEARNED
    return _trusted(placed, proving, parameters)


def step_seconds(parameters: Parameters = DEFAULT) -> float:
    """The length of a step."""
    return parameters.hop / parameters.phases / parameters.rate


def _agreement(one: _Placed, other: _Placed, parameters: Parameters) -> tuple[int, float] | None:
    """How many steps later the other has the same music than told, and how sure that is; None when it has not."""
    step = step_seconds(parameters)
    reach, least = round(TOLERANCE_SECONDS / step), round(LEAST_OVERLAP_SECONDS / step)
    rounded = any(float(each.capture.offset_seconds).is_integer() for each in (one, other))
    allowed = reach if rounded else round(EXACT_TOLERANCE_SECONDS / step)
    first, last = one.overlap(other)
    if last - first < least:
        return None
    counts = np.zeros(2 * reach + 1)
    possible = 0
    for mine, theirs in zip(one.channels, other.channels, strict=False):
        counts += _coincidences(mine, one.start, theirs, other.start, reach)
        possible += min(
            int(np.count_nonzero((peaks.steps >= first - start) & (peaks.steps < last - start)))
            for peaks, start in ((mine, one.start), (theirs, other.start))
        )
    window = np.ones(2 * _STEP_REACH + 1)
    near = np.convolve(counts, window, mode="same")
    best = int(np.argmax(near))
    apart = np.abs(np.arange(len(near)) - best) > 12
    usual = float(np.median(near[apart]))
    spread = max(float(np.std(near[apart])), usual**0.5, 1.0)
    sureness = (float(near[best]) - usual) / spread
    shared = float(near[best]) - usual
    if shared < LEAST_SHARED or sureness < LEAST_SURENESS or shared < LEAST_SHARE * possible:
        return None
    if abs(best - reach) > allowed or float(near[apart].max()) - usual > MOST_AMBIGUOUS * shared:
        return None
    return best - reach, sureness


def _coincidences(
    mine: PrintedPeaks, my_start: int, theirs: PrintedPeaks, their_start: int, reach: int
) -> NDArray[np.float64]:
    """How many peaks of mine have one of theirs at their frequency, by how much later it is: -reach to reach."""
    owners, lags = _pairs(mine, my_start, theirs, their_start, reach)
    if not len(owners):
        return np.zeros(2 * reach + 1)
    # Several of theirs at one lag, which is one of mine, count once.
    found = np.unique(owners * (2 * reach + 1) + lags + reach)
    return np.bincount(found % (2 * reach + 1), minlength=2 * reach + 1).astype(np.float64)


def _pairs(
    mine: PrintedPeaks, my_start: int, theirs: PrintedPeaks, their_start: int, reach: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The pairs of a peak of mine and one of theirs at its frequency, at most `reach` steps apart.

    Returns the numbers of my peaks, and how much later theirs are.
    """
    times, their_times = mine.steps + my_start, theirs.steps + their_start
    stride = int(max(times.max(initial=0), their_times.max(initial=0))) + 4 * reach + 1
    bins = np.rint(theirs.bins).astype(np.int64)
    keys = bins * stride + their_times
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    owners: list[NDArray[np.int64]] = []
    lags: list[NDArray[np.int64]] = []
    my_bins = np.rint(mine.bins).astype(np.int64)
    for beside in (-1, 0, 1):
        base = (my_bins + beside) * stride + times
        first = np.searchsorted(ordered, base - reach)
        last = np.searchsorted(ordered, base + reach, side="right")
        counts = last - first
        owner = np.repeat(np.arange(len(times)), counts)
        within = np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
        other = order[first[owner] + within]
        near = np.abs(theirs.bins[other] - mine.bins[owner]) <= _BIN_REACH
        owners.append(owner[near])
        lags.append(their_times[other[near]] - times[owner[near]])
    return np.concatenate(owners), np.concatenate(lags)


def _trusted(placed: Sequence[_Placed], proving: Sequence[tuple[int, int]], parameters: Parameters) -> LearnedSong:
    """The peaks that captures from different channels share, as the fingerprint of a song with gaps."""
    stretches = _joined([placed[one].overlap(placed[other]) for one, other in proving])
    kept: list[tuple[NDArray[np.uint32], NDArray[np.uint16]]] = []
    for channel in range(2):
        found: list[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]] = []
        partners: dict[int, set[int]] = {}
        for one, other in proving:
            partners.setdefault(one, set()).add(other)
            partners.setdefault(other, set()).add(one)
        for number, others in partners.items():
            if len(placed[number].channels) > channel:
                found.append(_shared_peaks(placed, number, others, channel, parameters))
        kept.append(_strongest(found, parameters))
    step = step_seconds(parameters)
    seconds = tuple((first * step, last * step) for first, last in stretches)
    (frames, bins), (side_frames, side_bins) = kept
    length = max(last for _, last in stretches)
    fingerprint = None
    if sum(last - first for first, last in seconds) >= LEAST_TRUSTED_SECONDS and len(frames):
        fingerprint = fingerprint_from_peaks(
            pack_peaks(frames, bins),
            pack_peaks(side_frames, side_bins),
            frames=max(length // parameters.phases, int(frames[-1]), int(side_frames.max(initial=0))) + 1,
            duration_seconds=length * step,
            parameters=parameters,
        )
    return LearnedSong(fingerprint=fingerprint, stretches=seconds)


def _shared_peaks(
    placed: Sequence[_Placed], number: int, others: Collection[int], channel: int, parameters: Parameters
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """The peaks of a capture that others have, too: their frames in the song, their bins, and how good they are.

    Of the phases that a fingerprint has, the one whose frames lie where the song's do.
    """
    own = placed[number]
    peaks = own.channels[channel]
    phase = min((0, parameters.phases // 2), key=lambda each: (own.start + each) % parameters.phases)
    mine = np.flatnonzero(peaks.steps % parameters.phases == phase)
    chosen = PrintedPeaks(peaks.steps[mine], peaks.bins[mine], peaks.levels[mine])
    times, covering = np.zeros(len(mine)), np.zeros(len(mine))
    at = chosen.steps + own.start
    for each, other in enumerate(placed):
        independent = other.capture.origin.is_independent_of(own.capture.origin)
        if each == number or len(other.channels) <= channel or not independent:
            continue
        covering += (at >= other.start) & (at < other.end)
        if each in others:
            owners, _ = _pairs(chosen, own.start, other.channels[channel], other.start, _STEP_REACH + 1)
            times[np.unique(owners)] += 1
    shared = (times > 0) & (times >= LEAST_SUPPORT * covering) & (at >= 0)
    frames = (chosen.steps[shared] + own.start) // parameters.phases
    return frames, np.rint(chosen.bins[shared]).astype(np.int64), times[shared] + chosen.levels[shared] / 100.0


def _strongest(
    found: Sequence[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]], parameters: Parameters
) -> tuple[NDArray[np.uint32], NDArray[np.uint16]]:
    """The peaks of all captures in order of time, each once; of each band and block as many as a catalog keeps."""
    if not found:
        return np.empty(0, np.uint32), np.empty(0, np.uint16)
    frames, bins, weights = (np.concatenate(arrays) for arrays in zip(*found, strict=True))
    taken: set[tuple[int, int]] = set()
    room: dict[tuple[int, int], int] = {}
    edges = np.asarray(parameters.band_edges)
    bands = np.searchsorted(edges, bins, side="right") - 1
    kept: list[tuple[int, int]] = []
    for place in np.lexsort((bins, frames, -weights)).tolist():
        frame, pitch, band = int(frames[place]), int(bins[place]), int(bands[place])
        block = (frame // parameters.block_frames, band)
        if room.get(block, 0) >= parameters.quota or (frame, pitch) in taken:
            continue
        room[block] = room.get(block, 0) + 1
        kept.append((frame, pitch))
        # The same peak, as another capture has it.
        taken.update((frame + later, pitch + higher) for later in (-1, 0, 1) for higher in (-1, 0, 1))
    kept.sort()
    return np.array([frame for frame, _ in kept], np.uint32), np.array([pitch for _, pitch in kept], np.uint16)


def _joined(stretches: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Stretches as one where they meet or overlap, in order."""
    joined: list[tuple[int, int]] = []
    for first, last in sorted(stretches):
        if joined and first <= joined[-1][1] + _SEAM_STEPS:
            joined[-1] = (joined[-1][0], max(last, joined[-1][1]))
        else:
            joined.append((first, last))
    return joined
