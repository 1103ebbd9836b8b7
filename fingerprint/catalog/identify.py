"""The songs of a recording, by a catalog: one question for a few seconds, several for a clip or a file.

A question is asked in steps that cost more and more, until an answer is sure: a few landmarks; many, of the side
signal too; then as many for each changed speed. Each step's candidates are examined by `containment`.
"""

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fingerprint.catalog.confidence import THRESHOLD, confidence
from fingerprint.catalog.containment import QueryLevels, containment
from fingerprint.catalog.fingerprint import QueryFingerprint, channel_levels, fingerprint_query
from fingerprint.catalog.index import Snapshot
from fingerprint.catalog.matching import Candidate, find_candidates
from fingerprint.catalog.parameters import DEFAULT, FULL, QUICK, Effort, Parameters
from fingerprint.catalog.tracks import Track
from fingerprint.domain.audio import Pcm

SHORT_SECONDS: Final = 12.0
"""A recording up to this long is one question."""

WINDOW_SECONDS: Final = 10.0
STEP_SECONDS: Final = 5.0
MAX_WINDOWS: Final = 240
"""A longer recording is looked at in windows, a step apart; in a very long one the steps are longer."""

LONE_CONFIDENCE: Final = 0.95
"""A song that is found in one window only, of many, must be this sure: many questions make more chance hits."""

RIVALS: Final = 10
"""How many tracks are told apart by votes."""

EXAMINED: Final = 4
"""How many of them are examined closely."""


CERTAIN: Final = 0.999
"""A candidate as sure as this is not compared with the others, which have fewer votes."""

ALIGNMENT_SECONDS: Final = 0.1
"""How exact an offset is at worst."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """A step of a question, and the confidence from which no further step is taken."""

    effort: Effort
    speed: float
    enough: float


PLAN: Final = (
    Attempt(QUICK, 1.0, 0.95),
    Attempt(FULL, 1.0, THRESHOLD),
    *(Attempt(FULL, speed, THRESHOLD) for speed in (1.02, 0.98, 1.01, 0.99, 1.03, 0.97, 1.04, 0.96)),
)


AS_IT_IS: Final = PLAN[:2]
OTHER_SPEEDS: Final = PLAN[2:]
SPEED_PROBES: Final = 3
"""Of a long recording's windows without a song, at least so many (a fourth, if more) are tried at other speeds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A song in a recording.

    `offset_seconds`: how far into the track the recording is at `position_seconds`, where the song begins to be
    heard. `confidence`: the probability that it is this track, 0..1. `speed`: how much faster than the track.
    """

    track: Track
    confidence: float
    offset_seconds: float
    position_seconds: float
    speed: float


class Question:
    """A piece of sound, and what is computed of it once."""

    def __init__(
        self, pcm: Pcm, parameters: Parameters = DEFAULT, *, levels: list[NDArray[np.float32]] | None = None
    ) -> None:
        """`levels` may hold `channel_levels(pcm)` where they are known already."""
        self.pcm = pcm
        self._parameters = parameters
        self._levels = levels

    @cached_property
    def levels(self) -> list[NDArray[np.float32]]:
        """The spectrograms of middle and side."""
        return channel_levels(self.pcm, self._parameters) if self._levels is None else self._levels

    @cached_property
    def prepared_levels(self) -> QueryLevels:
        """The same, to look up peaks in."""
        return QueryLevels.of(self.levels)

    @cached_property
    def quick(self) -> QueryFingerprint:
        """The landmarks of the first attempt."""
        return self._fingerprint(PLAN[0])

    def fingerprint(self, attempt: Attempt) -> QueryFingerprint:
        """The landmarks of an attempt."""
        return self.quick if attempt is PLAN[0] else self._fingerprint(attempt)

    def _fingerprint(self, attempt: Attempt) -> QueryFingerprint:
        return fingerprint_query(
            self.pcm, self._parameters, effort=attempt.effort, speed=attempt.speed, levels=self.levels
        )


def prepare(pcm: Pcm, parameters: Parameters = DEFAULT) -> Question:
    """Fingerprint a recording. A long one is fingerprinted window by window when it is identified."""
    question = Question(pcm, parameters)
    if pcm.duration_seconds <= SHORT_SECONDS:
        _ = question.quick, question.prepared_levels
    return question


def identify(snapshot: Snapshot, question: Question, parameters: Parameters = DEFAULT) -> list[Finding]:
    """The songs found, surest first, each once; empty when there is none. CPU work, for a thread."""
    if question.pcm.duration_seconds <= SHORT_SECONDS:
        best = likeliest(snapshot, question, parameters)
        return [best] if best is not None and best.confidence >= THRESHOLD else []
    return _identify_long(snapshot, question.pcm, parameters)


def _identify_long(snapshot: Snapshot, pcm: Pcm, parameters: Parameters) -> list[Finding]:
    """All windows as they are; then, where nothing was found, some at other speeds; then all at a speed that fits.

    Most windows in which nothing is found hold no song that is known, and the other speeds cost five times as much
    as the rest: whoever plays a song faster does so for longer than a window.
    """
    found: dict[int, Finding] = {}
    count = len(list(window_starts(pcm.duration_seconds)))

    def look(chosen: Collection[int], plan: Sequence[Attempt]) -> None:
        if not chosen:
            return
        for number, (start, window) in enumerate(windows(pcm, parameters)):
            if number not in chosen:
                continue
            best = likeliest(snapshot, window, parameters, plan=plan)
            if best is not None and best.confidence >= THRESHOLD:
                found[number] = replace(best, position_seconds=best.position_seconds + start)

    look(range(count), AS_IT_IS)
    silent = [number for number in range(count) if number not in found]
    probes = max(SPEED_PROBES, count // 4)
    look(silent[:: max(1, math.ceil(len(silent) / probes))], OTHER_SPEEDS)
    speeds = [found[number].speed for number in silent if number in found]
    fitting = {min(OTHER_SPEEDS, key=lambda attempt, speed=speed: abs(attempt.speed - speed)) for speed in speeds}
    look(
        [number for number in silent if number not in found] if fitting else (),
        [a for a in OTHER_SPEEDS if a in fitting],
    )
    return merge([found[number] for number in sorted(found)])


def windows(pcm: Pcm, parameters: Parameters = DEFAULT) -> Iterator[tuple[float, Question]]:
    """The windows of a long recording and where they begin; what they have in common is transformed once."""
    hop = parameters.hop // parameters.phases
    length = (round(WINDOW_SECONDS * pcm.rate) - parameters.window) // hop + 1
    known: list[NDArray[np.float32]] = []
    known_from = known_to = 0
    for seconds in window_starts(pcm.duration_seconds):
        # On a step's edge, so that the steps of one window are steps of the next.
        first = int(seconds * pcm.rate) // hop
        new_from = min(max(known_to, first), first + length)
        end = (first + length - 1) * hop + parameters.window
        new = Pcm(np.ascontiguousarray(pcm.samples[:, new_from * hop : end]), pcm.rate)
        levels = channel_levels(new, parameters)
        if new_from > first:
            levels = [
                np.concatenate([old[first - known_from :], more]) for old, more in zip(known, levels, strict=True)
            ]
        known, known_from, known_to = levels, first, first + length
        start = first * hop / pcm.rate
        yield start, Question(pcm.cut(start, WINDOW_SECONDS), parameters, levels=levels)


def window_starts(duration_seconds: float) -> Iterator[float]:
    """Where the windows of a long recording begin; the last one ends with the recording."""
    last = duration_seconds - WINDOW_SECONDS
    step = max(STEP_SECONDS, last / (MAX_WINDOWS - 1))
    count = int(last / step) + 1
    for index in range(count):
        yield index * step
    if last - (count - 1) * step > 0.5:
        yield last


def merge(findings: Sequence[Finding]) -> list[Finding]:
    """One finding for each track: where it is first heard, with its best confidence; surest first."""
    tracks: dict[str, list[Finding]] = {}
    for finding in findings:
        tracks.setdefault(finding.track.id, []).append(finding)
    merged = [
        replace(group[0], confidence=max(finding.confidence for finding in group))
        for group in tracks.values()
        if len(group) > 1 or group[0].confidence >= LONE_CONFIDENCE
    ]
    return sorted(merged, key=lambda finding: -finding.confidence)


def likeliest(
    snapshot: Snapshot, question: Question, parameters: Parameters = DEFAULT, *, plan: Sequence[Attempt] = PLAN
) -> Finding | None:
    """The track that is the likeliest, however unlikely; None when no landmark is shared with any track."""
    best: Finding | None = None
    if not len(snapshot) or not len(question.levels[0]):
        return None
    for attempt in plan:
        fingerprint = question.fingerprint(attempt)
        candidates = find_candidates(snapshot, fingerprint, limit=RIVALS, parameters=parameters)
        for place in range(min(EXAMINED, len(candidates))):
            finding = _examine(question, candidates, place, parameters)
            if best is None or finding.confidence > best.confidence:
                best = finding
            if best.confidence >= CERTAIN:
                break
        if best is not None and best.confidence >= attempt.enough:
            break
    return best


def _examine(question: Question, candidates: Sequence[Candidate], place: int, parameters: Parameters) -> Finding:
    candidate = candidates[place]
    contained = containment(question.prepared_levels, candidate, parameters)
    rivals = [other.votes for index, other in enumerate(candidates) if index != place]
    offset = candidate.offset / candidate.speed - contained.shift
    seconds = offset * parameters.hop / parameters.phases / parameters.rate
    return Finding(
        track=candidate.live.segment.track(candidate.number),
        confidence=confidence(candidate.votes, rivals, contained, speed=candidate.speed),
        # Before the track's start there is none of it: then it begins within the recording.
        offset_seconds=max(0.0, seconds * candidate.speed),
        position_seconds=-seconds if seconds < -ALIGNMENT_SECONDS else 0.0,
        speed=candidate.speed * contained.tempo,
    )
