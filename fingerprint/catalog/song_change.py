"""Finds the other song in a few seconds in which one song ends and the next begins.

A search answers with the song that most of the sound is of. When that song is not heard at the sound's end, the
end is searched by itself: the newest song is what is playing. Likewise for its beginning, where the song before
may be. When it is heard throughout, another one may be heard together with it, see `overlaid`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from fingerprint.catalog.audio_query import AudioQuery
from fingerprint.catalog.containment import stands_out
from fingerprint.catalog.examination import Finding
from fingerprint.catalog.index import Snapshot
from fingerprint.catalog.overlaid import faded_in, song_beneath
from fingerprint.catalog.parameters import DEFAULT, Parameters
from fingerprint.catalog.search import Examined, examine

PART_SECONDS: Final = (2.0, 3.0)
"""The parts at an end of the sound that are searched by themselves, in this order."""

MIN_SECONDS: Final = 4.0
"""Shorter sound is one song's."""

HEARD_Z: Final = 2.5
"""A song whose peaks stand out by fewer standard deviations in a part of the sound may not be heard there."""

PART_CONFIDENCE: Final = 0.95
"""The least confidence of a song in a part, since it is one more question, and a short one."""


def newest_first(
    snapshot: Snapshot, query: AudioQuery, found: Examined, parameters: Parameters = DEFAULT
) -> list[Finding]:
    """The song that was found, with one before, after or together with it in the sound; the newest first.

    Of two songs that are heard together throughout, the one that most of the sound is of is first, unless the
    other one is faded in.
    """
    seconds = query.pcm.duration_seconds
    if seconds < MIN_SECONDS:
        together = song_beneath(snapshot, query, found, parameters)
        return [found.finding] if together is None else [found.finding, together.finding]

    def other(parts: Iterator[_Part]) -> Finding | None:
        """The song of the first part that has another one."""
        for part in parts:
            if part.has(found, parameters):
                return None
            best = examine(snapshot, part.query, parameters, speeds=())
            if best is not None and best.finding.confidence >= PART_CONFIDENCE:
                known = {found.finding.track.id, *found.finding.also}
                return None if best.finding.track.id in known else part.placed(best.finding)
        return None

    ends = [min(length, seconds / 2) for length in PART_SECONDS]
    cut = _cutter(query, parameters)
    newer = other(cut(seconds - length, length) for length in ends)
    if newer is not None:
        return [newer, found.finding]
    older = other(cut(0.0, length) for length in ends)
    if older is None:
        together = song_beneath(snapshot, query, found, parameters)
        if together is None:
            return [found.finding]
        songs = [found.finding, together.finding]
        return songs[::-1] if faded_in(query, together, found, parameters) else songs
    return [_begun_after(found.finding, older, ends[0]), older]


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """A part of the sound: where it begins, in seconds and in steps, and its query."""

    start_seconds: float
    first_step: int
    query: AudioQuery

    def has(self, found: Examined, parameters: Parameters) -> bool:
        """Whether the song's peaks stand out in this part, where it would play on, in one of the channels."""
        offset = round(found.candidate.offset + self.first_step * found.candidate.speed)
        there = replace(found.candidate, offset=offset)
        return stands_out(self.query.prepared_levels, there, parameters, enough=HEARD_Z)

    def placed(self, finding: Finding) -> Finding:
        """A finding in this part with its place in the whole sound, also when the track begins before the part."""
        position = self.start_seconds + finding.position_seconds
        before = finding.offset_seconds / finding.speed
        if before < position:
            return replace(finding, position_seconds=position - before, offset_seconds=0.0)
        return replace(finding, position_seconds=position)


def _cutter(query: AudioQuery, parameters: Parameters) -> Callable[[float, float], _Part]:
    """Cuts parts out of a query, on the edge of a step, so that their spectrograms are parts of the query's."""
    hop = parameters.hop // parameters.phases

    def cut(start: float, seconds: float) -> _Part:
        first = round(start * query.pcm.rate) // hop
        return _Part(first * hop / query.pcm.rate, first, query.part(first, seconds))

    return cut


def _begun_after(finding: Finding, older: Finding, seconds: float) -> Finding:
    """The newer of two songs; unless its beginning is in the sound, it begins where the older one's part ends."""
    if finding.position_seconds > older.position_seconds:
        return finding
    return replace(
        finding, position_seconds=seconds, offset_seconds=finding.offset_seconds + seconds * finding.speed
    )
