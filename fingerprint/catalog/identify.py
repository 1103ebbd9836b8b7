"""The songs of a recording, by a catalog: one question for a few seconds, several for a clip or a file."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from fingerprint.catalog.confidence import THRESHOLD, confidence
from fingerprint.catalog.fingerprint import SPEEDS, QueryFingerprint, channel_levels, fingerprint_query
from fingerprint.catalog.index import Snapshot
from fingerprint.catalog.matching import find_candidates
from fingerprint.catalog.parameters import DEFAULT, Parameters
from fingerprint.catalog.tracks import Track
from fingerprint.domain.audio import Pcm

SHORT_SECONDS: Final = 12.0
"""A recording up to this long is one question."""

WINDOW_SECONDS: Final = 10.0
STEP_SECONDS: Final = 5.0
MAX_WINDOWS: Final = 240
"""A longer recording is looked at in windows, a step apart; in a very long one the steps are longer."""

LONE_CONFIDENCE: Final = 0.9
"""A song that is found in one window only, of many, must be this sure: many questions make more chance hits."""

RIVALS: Final = 8
"""How many tracks compete for an answer."""


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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Question:
    """A recording prepared for `identify`. `first`: its landmarks where it is short, else None."""

    pcm: Pcm
    first: QueryFingerprint | None


def prepare(pcm: Pcm, parameters: Parameters = DEFAULT) -> Question:
    """Fingerprint a recording. A long one is fingerprinted window by window when it is identified."""
    if pcm.duration_seconds > SHORT_SECONDS:
        return Question(pcm=pcm, first=None)
    return Question(pcm=pcm, first=fingerprint_query(pcm, parameters))


def identify(snapshot: Snapshot, question: Question, parameters: Parameters = DEFAULT) -> list[Finding]:
    """The songs found, surest first, each once; empty when there is none. CPU work, for a thread."""
    if question.first is not None:
        finding = _best(snapshot, question.pcm, question.first, parameters)
        return [finding] if finding else []
    found: list[Finding] = []
    for start in window_starts(question.pcm.duration_seconds):
        pcm = question.pcm.cut(start, WINDOW_SECONDS)
        finding = _best(snapshot, pcm, fingerprint_query(pcm, parameters), parameters)
        if finding is not None:
            found.append(replace(finding, position_seconds=finding.position_seconds + start))
    return merge(found)


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


def _best(snapshot: Snapshot, pcm: Pcm, fingerprint: QueryFingerprint, parameters: Parameters) -> Finding | None:
    """The surest track for a window, if it is sure enough."""
    best: Finding | None = None
    levels = None
    for speed in SPEEDS:
        if speed != 1.0:
            levels = levels or channel_levels(pcm, parameters)
            fingerprint = fingerprint_query(pcm, parameters, speed=speed, levels=levels)
        finding = _judge(snapshot, fingerprint, speed, parameters)
        if finding is not None and (best is None or finding.confidence > best.confidence):
            best = finding
        if best is not None and best.confidence >= THRESHOLD:
            return best
    return None


def _judge(
    snapshot: Snapshot, fingerprint: QueryFingerprint, speed: float, parameters: Parameters
) -> Finding | None:
    candidates = find_candidates(snapshot, fingerprint, limit=RIVALS, parameters=parameters)
    if not candidates:
        return None
    best = candidates[0]
    offset = best.offset * parameters.hop / parameters.phases / parameters.rate
    return Finding(
        track=best.live.segment.track(best.number),
        confidence=confidence(candidates, fingerprint.duration_seconds),
        # Before the track's start there is none of it: then it begins within the recording.
        offset_seconds=max(0.0, offset),
        position_seconds=max(0.0, -offset),
        speed=speed,
    )
