"""Examines an offset of a track: what it amounts to as an answer, and how sure that is.

Its music is looked up in the sound, it is compared with the tracks that have nearly as many votes, and its odds
are divided by the number of hypotheses that it is the best of.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from fingerprint.catalog.audio_query import AudioQuery
from fingerprint.catalog.confidence import (
    FAR_CHANCES,
    SPEED_CHANCES,
    TEMPO_CHANCES,
    beside_chances,
    chances_of_length,
    chances_of_tracks,
    confidence,
)
from fingerprint.catalog.containment import Containment, containment, heard_tempo
from fingerprint.catalog.index import Snapshot
from fingerprint.catalog.matching import Candidate, VoteResult
from fingerprint.catalog.parameters import DEFAULT, Parameters
from fingerprint.catalog.rivals import LEAST_OWN, original_first, rivalry
from fingerprint.catalog.tracks import Track

LEAST_PEAKS: Final = 20
"""A track with fewer peaks in the sound, less than half a second of it, is no match: it begins or ends there."""

WORTH_COMPARING: Final = 0.1
"""The confidence from which a candidate is compared with the tracks that have nearly as many votes."""

ALIGNMENT_SECONDS: Final = 0.1
"""The largest error of an offset, in seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A song in a recording.

    `offset_seconds`: how far into the track the recording is at `position_seconds`, where the song begins to be
    heard. `confidence`: the probability that it is this track, 0..1. `speed`: how much faster than the track.
    `pitch`: how much higher, in semitones. `also`: the ids of other releases of the recording in the catalog,
    which cannot be told from it. `landmarks`: points of the sound that tell it, see `domain.landmark_points`.
    """

    track: Track
    confidence: float
    offset_seconds: float
    position_seconds: float
    speed: float
    pitch: float = 0.0
    also: tuple[str, ...] = ()
    landmarks: str = ""


class Examiner:
    """Examines offsets of tracks as answers to one query."""

    def __init__(
        self, snapshot: Snapshot, query: AudioQuery, parameters: Parameters = DEFAULT, *, altered: bool = False
    ) -> None:
        """`altered`: the query is not the sound as it is, but at another speed."""
        self._altered = altered
        self._snapshot = snapshot
        self._query = query
        self._parameters = parameters

    def contained(self, candidate: Candidate) -> Containment:
        """How well a candidate's music shows in the sound."""
        return containment(self._query.prepared_levels, candidate, self._parameters)

    def as_heard(self, candidate: Candidate, contained: Containment, sure: float) -> Containment:
        """A likely candidate's containment with a tempo only where it is heard, see `heard_tempo`."""
        if sure < WORTH_COMPARING or contained.tempo == 1.0:
            return contained
        levels = self._query.prepared_levels
        return replace(contained, tempo=heard_tempo(levels, candidate, contained, self._parameters))

    def chances(self, candidate: Candidate, contained: Containment) -> float:
        """How many hypotheses a candidate is the best of, besides those that its confidence knows of."""
        chances = chances_of_length(self._query.pcm.duration_seconds) if self._query.alone else 1.0
        if contained.tempo != 1.0:
            chances = max(chances, TEMPO_CHANCES)
        far = self._altered or candidate.speed != candidate.pitch_factor
        if far or candidate.altered:
            chances *= FAR_CHANCES if far else SPEED_CHANCES
        return chances * chances_of_tracks(len(self._snapshot))

    def _compared(
        self, result: VoteResult, candidate: Candidate, contained: Containment, sure: float
    ) -> tuple[tuple[Candidate, ...], Containment, float]:
        """The other releases of a candidate's recording, and its containment and confidence beside other tracks.

        Releases of one recording are no rivals. Where other tracks share material with it, what counts is the
        music that is its own.
        """
        beside = rivalry(candidate, result.tracks, self._query.prepared_levels.steps, self._parameters)
        if not beside.same and not beside.sharing and not beside.crowd:
            return (), contained, sure
        if beside.sharing or beside.crowd:
            levels = self._query.prepared_levels
            own = containment(levels, candidate, self._parameters, beside=beside)
            if own.peaks < LEAST_OWN:
                return beside.same, own, 0.0
            contained = replace(own, peaks=contained.peaks)
        votes, rivals = result.without(beside.same).votes_of_track_and_rivals(candidate)
        return (
            beside.same,
            contained,
            confidence(votes, rivals, contained, altered=self._altered or candidate.altered),
        )

    def _at_own_speed(self, candidate: Candidate) -> Candidate:
        """The candidate with its pitch, but the sound's own speed, about the middle of the sound."""
        moved = self._query.prepared_levels.steps / 2 * (candidate.speed - 1)
        return replace(candidate, speed=1.0, pitch=candidate.pitch_factor, offset=round(candidate.offset + moved))

    def finding(
        self, result: VoteResult, candidate: Candidate, *, compare: bool = False
    ) -> tuple[Finding, tuple[Candidate, ...]]:
        """What a candidate amounts to, and the other releases of its recording.

        `compare`: with other tracks, also when it is far from sure.
        """
        parameters = self._parameters
        contained = self.contained(candidate)
        if contained.tempo != 1.0 and candidate.speed != 1.0:
            # A pitch that was changed alone, by up to a semitone or so, looks like another speed at another tempo.
            alone = self._at_own_speed(candidate)
            contained_alone = self.contained(alone)
            if contained_alone.strength > contained.strength:
                candidate, contained = alone, contained_alone
        votes, rivals = result.votes_of_track_and_rivals(candidate)
        altered = self._altered or candidate.altered
        sure = confidence(votes, rivals, contained, altered=altered) if contained.peaks >= LEAST_PEAKS else 0.0
        same: tuple[Candidate, ...] = ()
        if compare or sure >= WORTH_COMPARING:
            same, contained, sure = self._compared(result, candidate, contained, sure)
        sure = beside_chances(sure, self.chances(candidate, contained))
        contained = self.as_heard(candidate, contained, sure)
        return found_at(candidate, contained, sure, same, parameters), same


def found_at(
    candidate: Candidate,
    contained: Containment,
    sure: float,
    same: Sequence[Candidate],
    parameters: Parameters = DEFAULT,
) -> Finding:
    """A candidate as a song in the sound; `same`: the other releases of its recording."""
    offset = candidate.offset / candidate.speed - contained.shift
    seconds = offset * parameters.hop / parameters.phases / parameters.rate
    return Finding(
        track=candidate.live.track(candidate.number),
        confidence=sure,
        also=tuple(each.track_id for each in original_first([candidate, *same]) if each is not candidate),
        # An offset before the track's start means that the track begins within the recording.
        offset_seconds=max(0.0, seconds * candidate.speed),
        position_seconds=-seconds if seconds < -ALIGNMENT_SECONDS else 0.0,
        speed=candidate.speed * contained.tempo,
        pitch=12 * math.log2(candidate.pitch_factor),
    )
