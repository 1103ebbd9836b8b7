"""The time line of a broadcast: what was heard at which second of it, and which questions that answers.

Live streams, VODs and clips are mapped to seconds since the broadcast began. Each mapping says how exact it is,
and an answer is given again only for sound that it surely covers.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from fingerprint.domain.broadcasts import (
    CLIP_EXACT_SECONDS,
    LIVE_EXACT_SECONDS,
    VIDEO_EXACT_SECONDS,
    Broadcast,
    BroadcastPlace,
)
from fingerprint.domain.identification import Heard, Identification, IdentificationId, Kind, Song, Status, song_key

AGREEMENT_SECONDS: Final = 1.0
"""How far a song's offset may be from where an earlier one puts it, inexact mappings aside, in one play of it."""

MAX_SPAN_SECONDS: Final = 120.0
"""No answer is about more sound than this; of a longer one, the time line has the first part."""

REACH_SECONDS: Final = 1_200.0
"""Answers about one song this far apart can still enclose what is asked for; few songs are longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """What was heard at a place: a song, or that none was found; with the evidence for it.

    The song's `offset_seconds` is how far into it the first sound of the span is.
    """

    place: BroadcastPlace
    song: Song | None
    score: float | None
    recognizer: str | None
    heard: Heard
    heard_at: datetime
    identification: IdentificationId

    @property
    def song_began(self) -> float | None:
        """The second of the broadcast at which the song would have begun; None when its offset is unknown."""
        if self.song is None or self.song.offset_seconds is None:
            return None
        return self.place.start - self.song.offset_seconds / speed_of(self.song)

    def surely_from(self, seconds: float) -> bool:
        """Whether the span begins at or before a second, however inexact its place is."""
        return self.place.start + self.place.exact <= seconds

    def surely_to(self, seconds: float) -> bool:
        """Whether the span ends at or after a second, likewise."""
        return self.place.end - self.place.exact >= seconds

    def touches(self, start: float, end: float) -> bool:
        """Whether the span may have sound between two seconds."""
        return self.place.start - self.place.exact < end and start < self.place.end + self.place.exact


_EXACT: Final = {
    Heard.NOW: LIVE_EXACT_SECONDS,
    Heard.LIVE: LIVE_EXACT_SECONDS,
    Heard.VIDEO: VIDEO_EXACT_SECONDS,
    Heard.CLIP: CLIP_EXACT_SECONDS,
}

BEGINS_INSIDE_SECONDS: Final = 0.5
"""A song that is heard from its very start may have begun anywhere in the sound: its span is not known."""

CLIP_SONG_SECONDS: Final = 12.0
"""How long a song in a clip is believed to go on from where it was first heard."""


def span_of(answer: Identification) -> Span | None:
    """The span that an answer adds to its broadcast's time line; None when it adds none.

    It needs a mapped moment and sound of its own: an answer that comes from a time line adds nothing to it. Nor
    does one whose place is uncertain.
    """
    moment, heard, seconds = answer.moment, answer.heard, answer.captured_seconds
    if moment is None or moment.broadcast is None or moment.seconds is None or heard is None:
        return None
    if answer.place_uncertain:
        return None
    if answer.finished_at is None or not seconds or answer.status not in (Status.SUCCESSFUL, Status.NO_MATCH):
        return None
    start, end = moment.seconds, moment.seconds + min(seconds, MAX_SPAN_SECONDS)
    song = answer.song
    if song is not None:
        later = [
            other.position_seconds for other in answer.songs if other.position_seconds > song.position_seconds
        ]
        # Positions in a clip count from its start, in other sound from where that begins.
        first = moment.seconds - ((answer.captured_from_seconds or 0.0) if answer.kind is Kind.CLIP else 0.0)
        start = first + song.position_seconds
        end = min([end, *(first + position for position in later)])
        if answer.kind is Kind.CLIP:
            end = min(end, start + CLIP_SONG_SECONDS)
        if song.offset_seconds is not None:
            from_its_start = song.offset_seconds < BEGINS_INSIDE_SECONDS and not song.position_seconds
            if from_its_start and not later and answer.kind is not Kind.CLIP:
                return None
            if song.duration_seconds is not None:
                end = min(end, start + (song.duration_seconds - song.offset_seconds) / speed_of(song))
    if not start < end:
        return None
    began = answer.captured_at if heard in (Heard.NOW, Heard.LIVE) else None
    began = began and began - timedelta(seconds=moment.seconds)
    return Span(
        place=BroadcastPlace(broadcast=moment.broadcast, start=start, end=end, exact=_EXACT[heard], began=began),
        song=song,
        score=answer.score,
        recognizer=answer.recognizer,
        heard=heard,
        heard_at=answer.finished_at,
        identification=answer.id,
    )


def broadcast_of(answer: Identification) -> Broadcast | None:
    """The broadcast that was live when an answer was heard; None for other answers, and where that is unknown."""
    moment = answer.moment
    if moment is None or moment.broadcast is None or moment.seconds is None or answer.captured_at is None:
        return None
    return Broadcast(id=moment.broadcast, started_at=answer.captured_at - timedelta(seconds=moment.seconds))


def speed_of(song: Song) -> float:
    """How fast a song is played; as it is, where that is unknown."""
    return song.speed or 1.0


class TimeLine:
    """All spans of one broadcast that are known. The order in which they were added makes no difference."""

    def __init__(self, spans: Iterable[Span]) -> None:
        self._spans = sorted(
            set(spans), key=lambda span: (span.place.start, span.place.end, span.heard_at, span.identification)
        )

    def answer(self, asked: BroadcastPlace) -> Span | None:
        """The span that answers for a piece of sound, with the song's offset at its start; None: nothing is sure.

        Both ends lie inside one span of a song, or between two spans of the same song whose offsets agree, and
        nothing else was recognized there. "No song found" answers nothing: another attempt may find one. Nor does
        a span whose seconds are counted from another start.
        """
        start, end = asked.start - asked.exact, asked.end + asked.exact
        songs = [span for span in self._spans if span.song is not None and span.place.counts_as(asked)]
        before = [span for span in songs if span.surely_from(start)]
        after = [span for span in songs if span.surely_to(end)]
        both = [span for span in before if span.surely_to(end)]
        for first in sorted(both, key=_quality, reverse=True):
            if not self._contradicted(first, start, end):
                return _moved(first, asked)
        for first in reversed(before):
            # The nearest one that agrees: what contradicts it contradicts those after it, too.
            last = next((span for span in after if _agree(first, span)), None)
            if last is not None and not self._contradicted(first, first.place.start, last.place.end):
                return _moved(first, asked)
        return None

    def _contradicted(self, known: Span, start: float, end: float) -> bool:
        """Whether another song was heard between two seconds."""
        assert known.song is not None, "only songs are answers"
        key = song_key(known.song)
        return any(
            span.song is not None and song_key(span.song) != key and span.touches(start, end)
            for span in self._spans
        )


def _quality(span: Span) -> tuple[float, datetime, str]:
    return (span.score or 0.0, span.heard_at, span.identification)


def _agree(first: Span, last: Span) -> bool:
    """Whether two spans are of one play of a song: its offset in one follows from that in the other."""
    if first.song is None or last.song is None or song_key(first.song) != song_key(last.song):
        return False
    if last.place.end - first.place.start > REACH_SECONDS:
        return False
    offsets = first.song.offset_seconds, last.song.offset_seconds
    if offsets[0] is None or offsets[1] is None:
        return False
    speed = speed_of(first.song)
    expected = offsets[0] + (last.place.start - first.place.start) * speed
    return abs(expected - offsets[1]) <= (AGREEMENT_SECONDS + first.place.exact + last.place.exact) * speed


def _moved(span: Span, asked: BroadcastPlace) -> Span:
    """The span, cut to what was asked for."""
    began = span.song_began
    assert span.song is not None, "only songs are answers"
    offset = None if began is None else round(max(0.0, (asked.start - began) * speed_of(span.song)), 3)
    song = replace(span.song, offset_seconds=offset, position_seconds=0.0)
    return replace(span, place=asked, song=song)
