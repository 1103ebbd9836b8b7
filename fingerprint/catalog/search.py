"""Search a catalog for the track that sounds in a few seconds of audio.

The search takes passes that cost more and more, until an answer is sure: a few landmarks; many, also of the side
signal; then at changed speeds. Each pass's best offsets are examined by `containment`. Where all of them find
nothing, a last attempt tries much higher and lower speeds, and other pitches at the same speed.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from fingerprint.catalog.audio_query import AudioQuery
from fingerprint.catalog.computed_once import computed_once
from fingerprint.catalog.confidence import THRESHOLD, WHOLE_THRESHOLD, prominence
from fingerprint.catalog.containment import best_aligned
from fingerprint.catalog.examination import Examiner, Finding
from fingerprint.catalog.index import Snapshot
from fingerprint.catalog.matching import Candidate, VoteResult, find_candidates, votes_of
from fingerprint.catalog.parameters import DEFAULT, Parameters
from fingerprint.catalog.postings import Landmarks, Lookup, postings_of
from fingerprint.catalog.query import QueryFingerprint
from fingerprint.catalog.rivals import original_first
from fingerprint.catalog.scouting import Hypothesis, standing_out

RIVALS: Final = 10
CROWD: Final = 64
"""How many tracks the vote histogram returns: to judge a speed by, and to compare a candidate with."""

OFFSETS: Final = 64
FEW_OFFSETS: Final = 12
"""How many offsets, of any tracks, get a containment score without alignment: a track that repeats itself has
votes for several. FEW_OFFSETS: in the first pass, at other speeds and in windows of a long recording.
"""

MAX_EXAMINED: Final = 6
"""How many offsets get a containment score at their best alignment."""

CERTAIN: Final = 0.999
"""When the offset with most votes has this confidence, the others are not examined."""

SURE: Final = 0.95
"""The confidence from which an answer at the sound's own speed ends the query."""

SPEEDS: Final = tuple(1 + percent / 100 for n in (2, 1, 3, 4, 5, 6, 7, 8) for percent in (n, -n))
"""The speeds that are tried besides the sound's own; any speed between them is near enough to one."""

FAR_SPEEDS: Final = tuple(round(1.015**step, 3) for step in (*range(-20, -6), *range(6, 19)))
"""The speeds of the last attempt, 0.74 to 1.31: what is sold as "nightcore" or "slowed", for example."""

SEMITONES: Final = (1, -1, 2, -2, 3, -3)
"""The pitches of the last attempt, at the sound's own speed, in semitones."""

FAR_FAN_OUT: Final = 3
"""The pairs of each peak that they are judged by: as many as tell 36 of 36 clips of music at far speeds."""

MAX_FAR: Final = 2
"""How many of them are searched with all landmarks."""

MIN_FAR_PROMINENCE: Final = 0.4
"""The prominence of one track, by a part of the landmarks, from which they are."""

QUICK_HITS: Final = 250_000
FULL_HITS: Final = 1_000_000
LIKELY_HITS: Final = 4_000_000
DEEP_HITS: Final = 12_000_000
"""How many postings the passes read. In a small catalog the landmarks have fewer anyway; in one of 10,000 tracks
they have tens of millions, and LIKELY_HITS are read before other speeds are tried.
"""

QUICK_PROMINENCE: Final = 0.5
"""The prominence of one track without which the first pass examines nothing: the second looks harder anyway."""

LARGE: Final = 8 * FULL_HITS
"""When a query's landmarks have more postings than this, the last passes read DEEP_HITS of them."""

FULL_PROMINENCE: Final = 0.1
"""The prominence of one track without which the passes before then examine nothing: they do it anyway."""

MAX_SPEEDS: Final = 2
"""How many of SPEEDS are searched with all landmarks."""

MIN_PROMINENCE: Final = 0.3
"""The prominence of one track, by a part of the landmarks, from which a speed is searched with all of them."""

DEEP_SPEEDS: Final = 1
"""How many speeds are searched in the last pass."""

LEAST_SCOUTED: Final = 8
"""With fewer speeds, they are not told apart by how far each stands out among them."""

MAX_OUTSTANDING: Final = 3
MAX_FAR_OUTSTANDING: Final = 4
"""How many of those that stand out are judged one by one; the second, in the last attempt."""

MIN_OUTSTANDING: Final = 1.7
"""How far a hypothesis must stand out for that, in standard deviations. Of the corpus's clips, at speeds of 0.8 to
1.25 and with voice and game over them, all that are named in the end have 1.8 and more.
"""

GLANCE_HITS: Final = 10_000
"""How many postings are read for each hypothesis to see which stand out."""

SCOUT_HITS: Final = (60_000, 250_000)
"""How many postings are read to judge a speed; the second, when a query has more than LARGE."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SearchPass:
    """One pass of a search: its landmarks, and how many of their postings and offsets to examine.

    A confidence of `enough` ends the query. Where no track has at least this `prominence`, nothing is examined.
    """

    fingerprint: QueryFingerprint
    max_hits: int
    offsets: int
    enough: float
    prominence: float = -math.inf


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Examined:
    """A finding and its evidence: the pass, its offset, and the tracks with most votes, best first."""

    finding: Finding
    search_pass: SearchPass
    candidate: Candidate
    tracks: Sequence[Candidate]


def examine(
    snapshot: Snapshot,
    query: AudioQuery,
    parameters: Parameters = DEFAULT,
    *,
    as_it_is: bool = True,
    speeds: Sequence[float] = SPEEDS,
) -> Examined | None:
    """The likeliest track at any confidence, with its evidence; None when no track shares a landmark."""
    return Search(snapshot, query, parameters).run(as_it_is=as_it_is, speeds=speeds)


class Search:
    """The passes of one search, and the best answer so far."""

    def __init__(
        self, snapshot: Snapshot, query: AudioQuery, parameters: Parameters = DEFAULT, *, altered: bool = False
    ) -> None:
        """`altered`: the query is not the sound as it is, but at another speed."""
        self._altered = altered
        self._snapshot = snapshot
        self._query = query
        self._parameters = parameters
        self._examiner = Examiner(snapshot, query, parameters, altered=altered)
        self._enough = WHOLE_THRESHOLD if query.alone else THRESHOLD
        self._best: Examined | None = None
        self._scouted: dict[Hypothesis, float] = {}
        self._known: tuple[QueryFingerprint, Lookup] | None = None

    def run(self, *, as_it_is: bool, speeds: Sequence[float]) -> Examined | None:
        """Run the passes until an answer is sure."""
        if not len(self._snapshot) or not len(self._query.middle):
            return None
        for search_pass in self.passes(as_it_is=as_it_is, speeds=speeds):
            self._examine(search_pass)
            if self._sure(search_pass.enough):
                break
        if as_it_is and speeds and not self._sure(self._enough):
            self._last_attempt()
        return self._best

    def passes(self, *, as_it_is: bool, speeds: Sequence[float]) -> Iterator[SearchPass]:
        """The passes of the search, in order of cost."""
        query = self._query
        offsets = OFFSETS if query.alone else FEW_OFFSETS
        if as_it_is:
            yield SearchPass(
                fingerprint=query.quick,
                max_hits=QUICK_HITS,
                offsets=FEW_OFFSETS,
                enough=SURE,
                prominence=QUICK_PROMINENCE,
            )
        large = postings_of(self._snapshot, query.full) > LARGE
        for hits in (FULL_HITS, *([LIKELY_HITS] if large else [])) if as_it_is else ():
            yield SearchPass(
                fingerprint=query.full,
                max_hits=hits,
                offsets=offsets,
                enough=SURE,
                prominence=FULL_PROMINENCE if large else -math.inf,
            )
        promising = self._promising(speeds, SCOUT_HITS[large])
        for speed in promising:
            yield SearchPass(
                fingerprint=query.full_at(speed), max_hits=FULL_HITS, offsets=FEW_OFFSETS, enough=self._enough
            )
        for speed in [*([1.0] if as_it_is else []), *promising[:DEEP_SPEEDS]] if large else []:
            yield SearchPass(
                fingerprint=query.full if speed == 1.0 else query.full_at(speed),
                max_hits=DEEP_HITS,
                offsets=offsets,
                enough=self._enough,
            )

    def count_votes(self, search_pass: SearchPass) -> VoteResult:
        """The vote histogram of a pass's landmarks."""
        return votes_of(
            self._snapshot,
            self._looked_up(search_pass.fingerprint, search_pass.max_hits),
            search_pass.fingerprint,
            tracks=CROWD,
            offsets=search_pass.offsets,
            parameters=self._parameters,
        )

    def _looked_up(self, query: QueryFingerprint, max_hits: int) -> Lookup:
        """The postings of a pass's landmarks; what an earlier pass has read of them is not read again."""
        known = self._known[1] if self._known is not None and self._known[0] is query else None
        lookup = Lookup(self._snapshot, Landmarks.of(query, self._parameters), max_hits, known=known)
        if query.speed == query.pitch == 1.0:
            self._known = query, lookup
        return lookup

    def offsets_to_examine(self, votes: VoteResult) -> Iterator[Candidate]:
        """The offset with most votes; then those with the best containment score without alignment."""
        yield from votes.offsets[:1]
        levels, others = self._query.prepared_levels, votes.offsets[1:]
        yield from best_aligned(levels, others, self._parameters, limit=MAX_EXAMINED - 1)

    def _sure(self, enough: float) -> bool:
        return self._best is not None and self._best.finding.confidence >= enough

    @computed_once
    def _last_hypotheses(self) -> tuple[Hypothesis, ...]:
        """The speeds and pitches of the last attempt, where one may follow."""
        if self._altered or not self._query.alone or self._query.take > 1:
            return ()
        pitches = [2 ** (semitones / 12) for semitones in SEMITONES]
        return (
            *(Hypothesis(speed=speed, pitch=speed) for speed in FAR_SPEEDS),
            *(Hypothesis(speed=1.0, pitch=pitch) for pitch in pitches),
        )

    def _outstanding(self, hypotheses: Sequence[Hypothesis], *, limit: int) -> list[Hypothesis]:
        """Those that stand out among all that are tried, best first; all when too few are known to tell."""
        known = [(self._scouted[each], each) for each in hypotheses if each in self._scouted]
        if len(self._scouted) < LEAST_SCOUTED:
            return list(hypotheses)
        known.sort(key=lambda each: -each[0])
        return [each for height, each in known[:limit] if height >= MIN_OUTSTANDING]

    def _scout(self, hypotheses: Sequence[Hypothesis]) -> None:
        """Judge hypotheses by a few landmarks, all of them in one go, see `scouting`."""
        heights = standing_out(
            self._snapshot, self._query.scout_peaks, hypotheses, max_hits=GLANCE_HITS, parameters=self._parameters
        )
        self._scouted = dict(zip(hypotheses, heights.tolist(), strict=True))

    def _promising(self, speeds: Sequence[float], max_hits: int) -> list[float]:
        """The speeds worth a closer look: those at which a part of the landmarks favors one track the most."""
        hypotheses = [Hypothesis(speed=speed, pitch=speed) for speed in speeds]
        if len(hypotheses) >= LEAST_SCOUTED:
            self._scout([*hypotheses, *self._last_hypotheses])
        found = sorted(
            (
                (self._favored(self._query.scout(each.speed), max_hits), each.speed)
                for each in self._outstanding(hypotheses, limit=MAX_OUTSTANDING)
            ),
            reverse=True,
        )
        return [speed for favored, speed in found[:MAX_SPEEDS] if favored >= MIN_PROMINENCE]

    def _favored(self, scout: QueryFingerprint, max_hits: int) -> float:
        """How far one track stands out by a part of the landmarks."""
        found = find_candidates(
            self._snapshot, scout, limit=RIVALS, parameters=self._parameters, max_hits=max_hits
        )
        return _prominence(found)

    def _last_attempt(self) -> None:
        """Search at the far speeds and the pitches at which one track stands out most.

        At a far speed the peaks of the sound are not where the track has them: the sound itself is slowed down.
        """
        query = self._query
        scouted = [
            (
                self._favored(query.scout(each.speed, each.pitch, fan_out=FAR_FAN_OUT), SCOUT_HITS[0]),
                each.speed,
                each.pitch,
            )
            for each in self._outstanding(self._last_hypotheses, limit=MAX_FAR_OUTSTANDING)
        ]
        for favored, speed, pitch in sorted(scouted, reverse=True)[:MAX_FAR]:
            if favored < MIN_FAR_PROMINENCE or self._sure(self._enough):
                break
            if speed == pitch:
                self._search_slowed(speed)
            else:
                fingerprint = query.full_at(speed, pitch)
                self._examine(
                    SearchPass(
                        fingerprint=fingerprint, max_hits=FULL_HITS, offsets=FEW_OFFSETS, enough=self._enough
                    )
                )

    def _search_slowed(self, speed: float) -> None:
        """Search with the sound slowed down, and take what is found there, with its places in the original."""
        slowed = Search(self._snapshot, self._query.slowed(speed), self._parameters, altered=True)
        best = slowed.run(as_it_is=True, speeds=())
        if best is None or (self._best and best.finding.confidence <= self._best.finding.confidence):
            return
        finding = replace(
            best.finding,
            position_seconds=best.finding.position_seconds / speed,
            speed=best.finding.speed * speed,
            pitch=12 * math.log2(speed),
        )
        self._best = Examined(
            finding=finding,
            search_pass=replace(best.search_pass, fingerprint=self._query.full_at(speed)),
            candidate=replace(best.candidate, speed=speed, pitch=speed),
            tracks=best.tracks,
        )

    def _examine(self, search_pass: SearchPass) -> None:
        votes = self.count_votes(search_pass)
        if _prominence(votes.tracks) < search_pass.prominence:
            return
        for candidate in self.offsets_to_examine(votes):
            finding, same = self._examiner.finding(votes, candidate)
            if same and (chosen := original_first([candidate, *same])[0]) is not candidate:
                other, _ = self._examiner.finding(votes, chosen, compare=True)
                if other.confidence >= min(THRESHOLD, finding.confidence):
                    finding, candidate = other, chosen  # noqa: PLW2901 - another release of the same recording
            if self._best is None or finding.confidence > self._best.finding.confidence:
                self._best = Examined(
                    finding=finding, search_pass=search_pass, candidate=candidate, tracks=votes.tracks
                )
            if self._sure(CERTAIN):
                break


def _prominence(tracks: Sequence[Candidate]) -> float:
    """How far the first of some tracks stands out by its votes."""
    votes = [candidate.votes for candidate in tracks]
    return prominence(votes[0], votes[1:]) if votes else -math.inf
