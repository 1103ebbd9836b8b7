"""Explains a query's answer: all data that a picture of it shows."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fingerprint.catalog.audio_query import AudioQuery
from fingerprint.catalog.index import Snapshot
from fingerprint.catalog.landmarks import unhash
from fingerprint.catalog.matching import Agreement, Candidate, agreement
from fingerprint.catalog.parameters import DEFAULT, Parameters
from fingerprint.catalog.search import RIVALS, Examined, examine
from fingerprint.catalog.tracks import Track
from fingerprint.domain.audio import Pcm


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lines:
    """Landmarks as lines from anchor to target, in seconds of the query and hertz; shape (n,) each."""

    from_seconds: NDArray[np.floating]
    from_hertz: NDArray[np.floating]
    to_seconds: NDArray[np.floating]
    to_hertz: NDArray[np.floating]

    def __len__(self) -> int:
        return len(self.from_seconds)

    def __getitem__(self, chosen: NDArray[np.integer]) -> "Lines":
        return Lines(
            from_seconds=self.from_seconds[chosen],
            from_hertz=self.from_hertz[chosen],
            to_seconds=self.to_seconds[chosen],
            to_hertz=self.to_hertz[chosen],
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Votes:
    """A candidate's votes, and whether the answer is this candidate."""

    track: Track
    votes: float
    chosen: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Explanation:
    """The data that led to an answer.

    `levels`: the query's spectrogram of the middle, shape (steps, bins), a step every `step_seconds` and a bin
    every `bin_hertz`. `peaks`: seconds and hertz of the query's peaks, shape (n, 2). `landmarks`: all of the
    query's, `matching`: which of them the track has at the offset. `offsets_seconds` and `votes`: the offset
    histogram of the track, shape (m,) each, `offset_seconds` the offset of the answer. `examined` is
    None when nothing was found at all.
    """

    levels: NDArray[np.float32]
    step_seconds: float
    bin_hertz: float
    peaks: NDArray[np.floating]
    landmarks: Lines
    matching: NDArray[np.int64]
    examined: Examined | None
    offset_seconds: float
    offsets_seconds: NDArray[np.floating]
    votes: NDArray[np.float64]
    candidates: tuple[Votes, ...]


def _with_answer(answer: Candidate, tracks: Sequence[Candidate]) -> list[Candidate]:
    """The tracks with most votes, and the answer's track even when it has fewer."""
    if any(each.same_track(answer) for each in tracks):
        return list(tracks)
    return [*tracks[:-1], answer]


def explain(snapshot: Snapshot, pcm: Pcm, parameters: Parameters = DEFAULT) -> Explanation:
    """Search the catalog for a piece of sound, and collect the data used. Raises ValueError for empty sound."""
    query = AudioQuery(pcm, parameters)
    if not len(query.levels[0]):
        raise ValueError("it is too short: not one frame fits into it")
    step = parameters.hop / parameters.phases / parameters.rate
    bin_hertz = parameters.rate / parameters.window
    found = examine(snapshot, query, parameters)
    fingerprint = query.quick if found is None else found.search_pass.fingerprint
    bins, intervals, lapses = unhash(fingerprint.hashes)
    # The landmarks were computed as if the sound were slower: convert them to its own speed.
    speed = fingerprint.speed
    landmarks = Lines(
        from_seconds=fingerprint.times / speed * step,
        from_hertz=bins * speed * bin_hertz,
        to_seconds=(fingerprint.times + lapses * parameters.phases) / speed * step,
        to_hertz=(bins + intervals) * speed * bin_hertz,
    )
    if found is None:
        agreed = Agreement(offsets=np.empty(0, np.int64), votes=np.empty(0), landmarks=np.empty(0, np.int64))
        offset = 0.0
        candidates: tuple[Votes, ...] = ()
    else:
        agreed = agreement(snapshot, fingerprint, found.candidate, parameters, max_hits=found.search_pass.max_hits)
        offset = found.candidate.offset * step
        candidates = tuple(
            Votes(
                track=candidate.live.track(candidate.number),
                votes=candidate.votes,
                chosen=candidate.same_track(found.candidate),
            )
            for candidate in _with_answer(found.candidate, found.tracks[:RIVALS])
        )
    peaks = query.quick_peaks if found is None or fingerprint is query.quick else query.full_peaks
    times = (peaks.frames * parameters.phases + peaks.phases[peaks.parts]) * step
    return Explanation(
        levels=query.levels[0],
        step_seconds=step,
        bin_hertz=bin_hertz,
        peaks=np.stack([times, peaks.bins * bin_hertz], axis=1),
        landmarks=landmarks,
        matching=agreed.landmarks,
        examined=found,
        offset_seconds=offset,
        offsets_seconds=agreed.offsets * step,
        votes=agreed.votes,
        candidates=candidates,
    )
