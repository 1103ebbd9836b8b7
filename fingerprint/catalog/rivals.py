"""Tells what is a track's own in a piece of sound from what other tracks of the catalog have, too.

Many tracks may be made on one drum loop, and the loop then matches all of them: it proves the loop, not the song.
Several releases of one recording match alike as well: they cannot be told apart, and need not be. Which of the two
it is shows in how much the tracks share, before and after the piece of sound too: releases share nearly all.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fingerprint.catalog.matching import Candidate
from fingerprint.catalog.parameters import DEFAULT, Parameters

CLOSE_VOTES: Final = 0.4
"""The share of a track's votes from which another one is looked at."""

COINCIDING: Final = 0.15
"""The share of a track's peaks in the sound from which another one shares material with it; chance gives 0.08."""

ALIKE: Final = 0.6
"""The share of a track's peaks around the sound from which another one is the same recording.

Releases of one recording have 0.8 to 0.9, tracks on one drum loop 0.2 to 0.4.
"""

AROUND_SECONDS: Final = 15.0
"""How far around the sound tracks are compared, on both sides."""

LEAST_PEAKS: Final = 100
"""With fewer peaks around the sound, tracks are not told to be alike."""

LEAST_OWN: Final = 25
"""With fewer peaks of its own in the sound, a track that shares material with others cannot be told from them."""

MIX: Final = 2.0
"""Of releases of one recording, those that last so many times as long as the shortest are mixes that hold it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rivalry:
    """A candidate beside those that match as well.

    `same`: other releases of its recording. `sharing`: tracks that share only some of its material.
    """

    same: tuple[Candidate, ...]
    sharing: tuple[Candidate, ...]


def rivalry(
    candidate: Candidate, tracks: Sequence[Candidate], steps: int, parameters: Parameters = DEFAULT
) -> Rivalry:
    """Sort the tracks that have nearly as many votes as the candidate's; `steps` is the length of the sound."""
    reach = AROUND_SECONDS * parameters.rate * parameters.phases / parameters.hop
    same: list[Candidate] = []
    sharing: list[Candidate] = []
    least = CLOSE_VOTES * max([candidate.votes, *(each.votes for each in tracks if each.same_track(candidate))])
    for other in tracks:
        if other.votes < least or other.same_track(candidate):
            continue
        shared = shared_peaks(candidate, other, (0, steps), parameters)
        if not len(shared) or shared.mean() < COINCIDING:
            continue
        around = shared_peaks(
            candidate, other, _both_last(candidate, other, (-reach, steps + reach), parameters), parameters
        )
        alike = len(around) >= LEAST_PEAKS and around.mean() >= ALIKE
        (same if alike else sharing).append(other)
    return Rivalry(same=tuple(same), sharing=tuple(sharing))


def original(releases: Sequence[Candidate]) -> Candidate:
    """The release to answer with: the longest that is no mix, and the same each time when several are as long."""

    def frames(release: Candidate) -> int:
        return int(release.live.segment.tracks[release.number]["frames"])

    limit = MIX * min(frames(each) for each in releases)
    return max((each for each in releases if frames(each) < limit), key=lambda each: (frames(each), each.track_id))


def _both_last(
    one: Candidate, other: Candidate, between: tuple[float, float], parameters: Parameters
) -> tuple[float, float]:
    """The part of a range of steps in which both tracks last."""
    begins, ends = zip(*(each.lasts(parameters.phases) for each in (one, other)), strict=True)
    return max(between[0], *begins), min(between[1], *ends)


def shared_peaks(
    candidate: Candidate,
    other: Candidate,
    between: tuple[float, float],
    parameters: Parameters = DEFAULT,
    *,
    side: bool = False,
) -> NDArray[np.bool_]:
    """Which of the candidate's peaks between two steps of the sound another track has too; shape (peaks,).

    Both tracks are laid over the sound at their offsets. `side`: the peaks of the side, not of the middle.
    """
    frames, bins = _laid_over(candidate, between, parameters, side=side)
    other_frames, other_bins = _laid_over(other, between, parameters, side=side)
    there = other_frames * parameters.bins + other_bins
    near = [there + frame * parameters.bins + height for frame in (-1, 0, 1) for height in (-1, 0, 1)]
    return np.isin(frames * parameters.bins + bins, np.concatenate(near))


def _laid_over(
    candidate: Candidate, between: tuple[float, float], parameters: Parameters, *, side: bool
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The track's peaks as frames from the beginning of the sound, at the track's own speed, and bins."""
    frames, bins = candidate.peaks(between, parameters, side=side)
    return frames.astype(np.int64) - round(candidate.offset / parameters.phases), bins.astype(np.int64)
