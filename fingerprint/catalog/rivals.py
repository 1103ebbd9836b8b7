"""Tells what is a track's own in a piece of sound from what other tracks of the catalog have, too.

Many tracks may be made on one drum loop, and the loop then matches all of them: it proves the loop, not the song.
Several releases of one recording match alike as well: they cannot be told apart, and need not be. Which of the two
it is shows in how much the tracks share, before and after the piece of sound too: releases share nearly all.

Two tracks on one loop need not look alike, because each one's tune hides another part of the loop. Where many
tracks match nearly as well, each peak is looked up in all of them: chance puts it into a few, the loop into most.
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

COMPARED: Final = 10
"""How many tracks a candidate is compared with one by one."""

LEAST_CROWD: Final = 12
"""With fewer tracks that match nearly as well, it cannot be told which peaks stand in many of them."""

COMMON: Final = 0.3
"""The share of these tracks that have a peak which the catalog's music has in common. Chance gives 0.08, and for a
peak in a hundred 0.25."""

LEAST_COMMON: Final = 0.05
"""The share of a track's peaks that must be common before shared material is believed."""

OWN: Final = 0.12
"""Where there is shared material, a peak is the track's own up to this share of the tracks that have it, too."""

AS_LONG_SECONDS: Final = 2.0
"""Releases that are shorter than the longest by at most this are as long: masters differ in their silence."""

UNDATED: Final = "~"
"""Sorts after every date of release."""

MIX: Final = 2.0
"""Of releases of one recording, those that last so many times as long as the shortest are mixes that hold it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rivalry:
    """A candidate beside those that match as well.

    `same`: other releases of its recording. `sharing`: tracks that share only some of its material. `crowd`: many
    tracks that have material in common, in which each peak is looked up; empty when there is none.
    """

    candidate: Candidate
    same: tuple[Candidate, ...]
    sharing: tuple[Candidate, ...]
    crowd: tuple[Candidate, ...] = ()

    def shared(
        self, between: tuple[float, float], parameters: Parameters = DEFAULT, *, side: bool = False
    ) -> NDArray[np.bool_]:
        """Which of the candidate's peaks between two steps of the sound are not its own; see `shared_peaks`."""
        peaks = _PeaksBeside(self.candidate, between, parameters, side=side)
        shared = peaks.in_how_many(self.sharing) > 0
        if self.crowd:
            shared |= peaks.in_how_many(self.crowd) > OWN * len(self.crowd)
        return shared


def rivalry(
    candidate: Candidate, tracks: Sequence[Candidate], steps: int, parameters: Parameters = DEFAULT
) -> Rivalry:
    """Sort the tracks that have nearly as many votes as the candidate's; `steps` is the length of the sound."""
    reach = AROUND_SECONDS * parameters.rate * parameters.phases / parameters.hop
    same: list[Candidate] = []
    sharing: list[Candidate] = []
    least = CLOSE_VOTES * max([candidate.votes, *(each.votes for each in tracks if each.same_track(candidate))])
    close = [each for each in tracks if each.votes >= least and not each.same_track(candidate)]
    within = _PeaksBeside(candidate, (0, steps), parameters)
    for other in close[:COMPARED]:
        if within.share_in(other) < COINCIDING:
            continue
        around = _PeaksBeside(
            candidate, _both_last(candidate, other, (-reach, steps + reach), parameters), parameters
        )
        alike = len(around) >= LEAST_PEAKS and around.share_in(other) >= ALIKE
        (same if alike else sharing).append(other)
    crowd = [each for each in close if each not in same]
    common = within.in_how_many(crowd) >= COMMON * len(crowd)
    if len(crowd) < LEAST_CROWD or np.count_nonzero(common) < LEAST_COMMON * len(common):
        crowd = []
    return Rivalry(candidate=candidate, same=tuple(same), sharing=tuple(sharing), crowd=tuple(crowd))


def original_first(releases: Sequence[Candidate], parameters: Parameters = DEFAULT) -> list[Candidate]:
    """Releases of one recording in the same order each time, the one to answer with first.

    The longest is first, and those that are mixes last. Of those as long as the longest, the original is first:
    one whose title does not say that it is remastered, that was released first, and that was added first.
    """
    if len(releases) == 1:
        return list(releases)

    def frames(release: Candidate) -> int:
        return int(release.live.segment.tracks[release.number]["frames"])

    mix = MIX * min(frames(each) for each in releases)
    longest = max((frames(each) for each in releases if frames(each) < mix), default=0)
    as_long = longest - AS_LONG_SECONDS * parameters.frames_per_second

    def rank(release: Candidate) -> tuple[bool, int, bool, str, int, str]:
        length = frames(release)
        track = release.live.track(release.number)
        return (
            length >= mix,
            -longest if as_long <= length < mix else -length,
            "remaster" in track.title.casefold(),
            track.release_date or UNDATED,
            release.added,
            release.track_id,
        )

    return sorted(releases, key=rank)


def _both_last(
    one: Candidate, other: Candidate, between: tuple[float, float], parameters: Parameters
) -> tuple[float, float]:
    """The part of a range of steps in which both tracks last."""
    begins, ends = zip(*(each.lasts(parameters.phases) for each in (one, other)), strict=True)
    return max(between[0], *begins), min(between[1], *ends)


class _PeaksBeside:
    """A candidate's peaks between two steps of the sound, to be looked up in other tracks at their offsets.

    All tracks are laid over the sound. `between`, `side`: as in `Candidate.peaks`.
    """

    def __init__(
        self,
        candidate: Candidate,
        between: tuple[float, float],
        parameters: Parameters = DEFAULT,
        *,
        side: bool = False,
    ) -> None:
        self._between = between
        self._parameters = parameters
        self._side = side
        frames, bins = self._laid_over(candidate)
        # A table of all places, with a margin of one around it.
        self._first = int(frames.min(initial=0)) - 1
        self._height = parameters.bins + 2
        self._places = (frames - self._first) * self._height + bins + 1
        self._table = np.zeros((int(frames.max(initial=0)) - self._first + 2) * self._height, np.bool_)
        around = np.add.outer(np.array([-1, 0, 1]) * self._height, np.array([-1, 0, 1])).reshape(-1, 1)
        self._near = self._places + around
        self._known: dict[Candidate, NDArray[np.bool_]] = {}

    def __len__(self) -> int:
        return len(self._places)

    def share_in(self, other: Candidate) -> float:
        """The share of the peaks that another track has, too; 0 when there are none."""
        return float(self._shared(other).mean()) if len(self) else 0.0

    def in_how_many(self, others: Sequence[Candidate]) -> NDArray[np.int64]:
        """How many of the other tracks have each peak, too; shape (peaks,)."""
        counts = np.zeros(len(self), np.int64)
        for other in others:
            counts += self._shared(other)
        return counts

    def _shared(self, other: Candidate) -> NDArray[np.bool_]:
        """Which of the peaks another track has, too; looked up once for each."""
        if other not in self._known:
            self._known[other] = self._looked_up(other)
        return self._known[other]

    def _looked_up(self, other: Candidate) -> NDArray[np.bool_]:
        frames, bins = self._laid_over(other)
        places = (frames - self._first) * self._height + bins + 1
        places = places[(places >= 0) & (places < len(self._table))]
        self._table[places] = True
        found: NDArray[np.bool_] = np.logical_or.reduce(self._table[self._near], axis=0)
        self._table[places] = False
        return found

    def _laid_over(self, candidate: Candidate) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The track's peaks as frames from the beginning of the sound, at the track's own speed, and bins."""
        frames, bins = candidate.peaks(self._between, self._parameters, side=self._side)
        return frames - round(candidate.offset / self._parameters.phases), bins
