"""The points of a sound that told a song: what an answer's picture is drawn of."""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fingerprint.catalog.audio_query import AudioQuery
from fingerprint.catalog.constellation import find_peaks
from fingerprint.catalog.examination import Finding
from fingerprint.catalog.index import Snapshot
from fingerprint.catalog.parameters import DEFAULT, Parameters
from fingerprint.catalog.spectrogram import spectrogram
from fingerprint.domain.audio import Pcm
from fingerprint.domain.landmark_points import MAX_POINTS, Points, points_to_text

SOUND_SECONDS: Final = 12.0
"""As much of a longer sound is drawn."""

LEAST_FOUND: Final = 8
"""With fewer of the song's own peaks in the sound, as far from its speed, its loudest ones are drawn."""

_STEPS: Final = 2
_BINS: Final = 1
"""How far beside the song's peak one in the sound may be: half a frame, and a bin."""

_SPREAD: Final = (math.sqrt(5) - 1) / 2
"""The golden ratio: its multiples are spread evenly, so that the points of a track are high and low in turn."""


def landmarks_of_finding(
    snapshot: Snapshot, query: AudioQuery, finding: Finding, parameters: Parameters = DEFAULT
) -> str:
    """The peaks of a short sound that are the found track's, too, as text. Takes about a millisecond."""
    peaks = query.quick_peaks
    peaks = peaks.only((0,))  # the other phase has mostly the same
    steps = peaks.frames * parameters.phases + peaks.phases[peaks.parts]
    theirs = _track_peaks(snapshot, finding, peaks.steps, parameters)
    found = np.zeros(len(steps), np.bool_)
    if theirs is not None:
        near = np.abs(steps[:, np.newaxis] - theirs[0]) <= _STEPS
        near &= np.abs(peaks.bins[:, np.newaxis] - theirs[1]) <= _BINS
        found = near.any(axis=1)
    if np.count_nonzero(found) < LEAST_FOUND:
        found = peaks.ranks == 0
    return points_to_text(_placed(steps[found], peaks.bins[found], peaks.steps, parameters))


def landmarks_of_sound(pcm: Pcm, parameters: Parameters = DEFAULT) -> str:
    """The loudest peaks of a sound, as text: for songs that another recognizer named. CPU work, a few ms."""
    levels = spectrogram(pcm.cut(0.0, SOUND_SECONDS).mono, parameters, hop=parameters.hop)
    peaks = find_peaks(levels, parameters, quota=1)
    return points_to_text(_placed(peaks.frames, peaks.bins, len(levels), parameters))


def points_of_track(snapshot: Snapshot, track_id: str, parameters: Parameters = DEFAULT) -> Points:
    """Points of a whole track, the same each time; none when there is no such track."""
    for live, number in snapshot.places(track_id):
        frames, bins = live.segment.peaks(number)
        chosen: list[int] = []
        parts = np.array_split(np.arange(len(frames)), MAX_POINTS) if len(frames) else []
        for place, part in enumerate(parts):
            if len(part):
                order = part[np.argsort(bins[part], kind="stable")]
                chosen.append(int(order[int(len(order) * (place * _SPREAD % 1.0))]))
        total = int(live.segment.tracks[number]["frames"])
        return tuple(_placed(frames[chosen], bins[chosen], total, parameters))
    return ()


def _track_peaks(
    snapshot: Snapshot, finding: Finding, steps: int, parameters: Parameters
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """The steps and bins at which the sound should have the peaks of the track that was found; None without it."""
    for live, number in snapshot.places(finding.track.id):
        per_second = parameters.frames_per_second
        begin = (finding.offset_seconds - finding.position_seconds * finding.speed) * per_second
        end = begin + (steps / parameters.phases + 1) * finding.speed
        frames, bins = live.segment.peaks(number, (begin, end))
        places = (frames.astype(np.float64) - begin) / finding.speed * parameters.phases
        return places, bins.astype(np.float64) * 2 ** (finding.pitch / 12)
    return None


def _placed(
    times: NDArray[np.int64],
    bins: NDArray[np.signedinteger] | NDArray[np.floating],
    length: int,
    parameters: Parameters,
) -> list[tuple[float, float]]:
    """At most `MAX_POINTS` of the peaks, evenly chosen in time, as shares of the length and of the scale."""
    lowest, highest = parameters.band_edges[0], parameters.band_edges[-1]
    order = np.argsort(times, kind="stable")
    if len(order) > MAX_POINTS:
        order = order[np.rint(np.linspace(0, len(order) - 1, MAX_POINTS)).astype(np.int64)]
    heights = np.log(np.maximum(bins[order], lowest) / lowest) / math.log(highest / lowest)
    return list(zip((times[order] / max(1, length)).tolist(), heights.tolist(), strict=True))
