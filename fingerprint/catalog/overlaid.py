"""Finds the song that plays at the same time as another one: in a mashup, or while one is faded into the next.

A search answers with the song that most of the sound is of. The one that has most votes beside it is examined by
the peaks that are its own: what the first song explains proves nothing about the second.
"""

import math
from dataclasses import replace
from typing import Final

import numpy as np

from fingerprint.catalog.audio_query import AudioQuery
from fingerprint.catalog.confidence import beside_chances, confidence
from fingerprint.catalog.containment import containment
from fingerprint.catalog.examination import Examiner, found_at
from fingerprint.catalog.index import Snapshot
from fingerprint.catalog.parameters import DEFAULT, Parameters
from fingerprint.catalog.rivals import LEAST_OWN, Rivalry, original_first, rivalry
from fingerprint.catalog.search import Examined

SECOND_CONFIDENCE: Final = 0.95
"""The least confidence of a second song, since it is one more question."""

MOST_EXPLAINED: Final = 0.12
"""The share of the second song's peaks that the first may have, too.

On the corpus it is at most 0.10 when two songs are mixed, and 0.13 and more when one song resembles another.
"""

CLEAR_Z: Final = 9.0
MOST_EXPLAINED_OF_CLEAR: Final = 0.16
"""The same for a song whose own peaks stand out by so many standard deviations; those of a resemblance by 8."""

RISEN: Final = 0.45
"""How much louder, as a logarithm, a song becomes against the other when it is faded in. In 9 of 10 mashups of the
corpus it is at most 0.6, and in 19 of 20 crossfades at least 0.5.
"""

CHANCE_RANK: Final = 4
"""The tracks from this one on, beside the first song's, have votes by chance."""

MIN_PROMINENCE: Final = 0.25
"""How far the second song's votes must be above those, as a logarithm, to be examined."""


def song_beneath(
    snapshot: Snapshot, query: AudioQuery, found: Examined, parameters: Parameters = DEFAULT
) -> Examined | None:
    """The other song that is heard together with the one that was found, if there is one."""
    known = {found.finding.track.id, *found.finding.also}
    others = [each for each in found.tracks if each.track_id not in known]
    if not others or others[0].speed != found.candidate.speed:
        return None
    chance = [each.votes for each in others[CHANCE_RANK : 2 * CHANCE_RANK]]
    if chance and math.log(others[0].votes * len(chance) / sum(chance)) < MIN_PROMINENCE:
        return None
    steps = query.prepared_levels.steps
    beside = rivalry(others[0], others, steps, parameters)
    second, *same = original_first([others[0], *beside.same])
    beside = replace(beside, candidate=second, sharing=(*beside.sharing, found.candidate))
    explained = replace(beside, sharing=(found.candidate,), crowd=()).shared((0, steps), parameters)
    if not len(explained) or explained.mean() > MOST_EXPLAINED_OF_CLEAR:
        return None
    contained = containment(query.prepared_levels, second, parameters, beside=beside)
    clear = max(contained.null_z_score) >= CLEAR_Z
    if contained.peaks < LEAST_OWN or (explained.mean() > MOST_EXPLAINED and not clear):
        return None
    rivals = [each.votes for each in others if not any(each.same_track(one) for one in (second, *same))]
    sure = confidence(second.votes, rivals, contained, altered=second.altered)
    examiner = Examiner(snapshot, query, parameters)
    sure = beside_chances(sure, examiner.chances(second, contained))
    finding = found_at(second, examiner.as_heard(second, contained, sure), sure, same, parameters)
    if finding.confidence < SECOND_CONFIDENCE:
        return None
    return Examined(finding=finding, search_pass=found.search_pass, candidate=second, tracks=others)


def faded_in(query: AudioQuery, second: Examined, first: Examined, parameters: Parameters = DEFAULT) -> bool:
    """Whether the second song becomes louder while the first becomes softer."""
    return _rise(query, second, first, parameters) - _rise(query, first, second, parameters) >= RISEN


def _rise(query: AudioQuery, song: Examined, other: Examined, parameters: Parameters) -> float:
    """How much louder the song's own peaks are in the sound's last third than in the first, as a logarithm."""
    levels, candidate = query.prepared_levels, song.candidate
    between = (0, levels.steps)
    beside = Rivalry(candidate=candidate, same=(), sharing=(other.candidate,))
    own = ~beside.shared(between, parameters)
    frames, bins = (values[own] for values in candidate.peaks(between, parameters))
    times = np.rint((frames * parameters.phases - candidate.offset) / candidate.speed).astype(np.int64)
    pitches = np.rint(bins * candidate.pitch_factor).astype(np.int64)
    there = (times >= 0) & (times < levels.steps) & (pitches < levels.bins)
    times, heard = times[there], levels.channels[0][pitches[there], times[there]]
    parts = heard[times < levels.steps / 3], heard[times >= levels.steps * 2 / 3]
    return float(parts[1].mean() - parts[0].mean()) if min(map(len, parts)) else 0.0
