"""The tracklist of a whole VOD or file: which songs it holds, and from where to where.

It grows piece by piece as the recording is listened to, in order of time. One piece alone may be a chance match:
a song counts once a second piece agrees with it, or if the recognizer is nearly certain.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from fingerprint.domain.broadcasts import VIDEO_EXACT_SECONDS, BroadcastPlace
from fingerprint.domain.identification import Heard, IdentificationId, Song, song_key
from fingerprint.domain.time_line import Span, speed_of

LONE_SCORE: Final = 0.97
"""The least score of a song that was heard in one piece alone: thousands of questions have some chance matches."""

SURE_ALONE_SECONDS: Final = 8.0
"""A song that was heard alone for less counts only if it begins there: it may be part of another one."""

AGREEMENT_SECONDS: Final = 2.0
"""How far the offset of a song may be from where the piece before puts it, while it plays on."""

MAX_PAUSE_SECONDS: Final = 90.0
"""A song goes on after talk up to this long, if its offset agrees."""

MAX_PAUSE_WITHOUT_OFFSET_SECONDS: Final = 30.0
"""Likewise where the recognizer names no offset."""

FADED_SECONDS: Final = 12.0
"""A song that would end by itself so soon after it was last heard is taken to have done so."""

SURE_AFTER_SECONDS: Final = 1.0
"""A song that was heard from its start surely plays so long after it."""

SURE_BEFORE_SECONDS: Final = 9.0
"""A song may have ended so long before the end of the last piece in which it was heard."""

MAX_ENTRIES: Final = 4_000
"""The most songs of one recording."""

_LAST: Final = 4
"""How many of the newest entries a piece may belong to: two in a crossfade, and what chance found between."""

Stretch = tuple[float, float]
"""A part of a recording: from and to, in seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeardPiece:
    """A song that was heard from `start` to `end`, in seconds. Its offset is that at `start`.

    `began`: where the song itself begins, if that is known better than by this piece alone.
    `live`: it was heard in the live broadcast, and not in this recording.
    """

    start: float
    end: float
    song: Song
    score: float
    recognizer: str | None
    began: float | None = None
    live: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TracklistEntry:
    """One song of a tracklist, from `start` to `end`, in seconds. Its offset is that at `start`."""

    start: float
    end: float
    song: Song
    score: float
    recognizer: str | None
    pieces: int = 1
    live: bool = False

    @property
    def shown_score(self) -> float | None:
        """How sure we are of the song as it is shown; None for one that was named by its channel."""
        return None if self.song.corrected else self.score

    @property
    def counts(self) -> bool:
        """Whether it is more than a possible chance match."""
        if self.pieces > 1:
            return True
        long = self.end - self.start >= SURE_ALONE_SECONDS
        return self.score >= LONE_SCORE and (long or (self.song.offset_seconds or 0.0) < SURE_ALONE_SECONDS)

    def offset_at(self, seconds: float) -> float | None:
        """The song's offset at a moment, if it plays on until then; None where its offset is unknown."""
        offset = self.song.offset_seconds
        return None if offset is None else offset + (seconds - self.start) * speed_of(self.song)

    def goes_on(self, piece: HeardPiece) -> bool:
        """Whether a piece is of the same play of the song."""
        if song_key(piece.song) != song_key(self.song):
            return False
        pause = piece.start - self.end
        expected, offset = self.offset_at(piece.start), piece.song.offset_seconds
        if expected is None or offset is None:
            return pause <= MAX_PAUSE_WITHOUT_OFFSET_SECONDS
        slack = AGREEMENT_SECONDS + 0.01 * (piece.start - self.start)  # a speed is known to one percent
        return pause <= MAX_PAUSE_SECONDS and abs(expected - offset) <= slack * speed_of(self.song)

    @property
    def natural_end(self) -> float | None:
        """Where the song would end if it played on; None where that is unknown."""
        if self.song.offset_seconds is None or not self.song.duration_seconds:
            return None
        return self.start + max(0.0, self.song.duration_seconds - self.song.offset_seconds) / speed_of(self.song)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracklist:
    """What is known of a recording after listening up to `position`, in seconds.

    `duration`: the recording's length; None while it is unknown. `entries`: in order of their start, with those
    that do not count yet. `muted` and `missing`: parts without sound, by Twitch's decision, and because it could
    not be fetched. `captured_seconds`: how much was listened to; with `earlier_seconds`, how much of it counts of
    the day: more for a list that this one takes the place of, less what was heard on other days. `questions`: how
    often providers were asked.
    `broadcast`, `channel`: of a VOD, Twitch's number of its broadcast and its channel's login, where they are
    known. `growing`: it is a VOD that was still being recorded.
    """

    position: float = 0.0
    duration: float | None = None
    entries: tuple[TracklistEntry, ...] = ()
    muted: tuple[Stretch, ...] = ()
    missing: tuple[Stretch, ...] = ()
    captured_seconds: float = 0.0
    earlier_seconds: float = 0.0
    questions: int = 0
    broadcast: str | None = None
    channel: str | None = None
    growing: bool = False

    @property
    def songs(self) -> Sequence[TracklistEntry]:
        """The songs that count, in order of their start."""
        found = [entry for entry in self.entries if entry.counts]
        shown: list[TracklistEntry] = []
        for number, entry in enumerate(found):
            after = found[number + 1].start if number + 1 < len(found) else None
            shown.append(replace(entry, end=_shown_end(entry, after, self.duration)))
        return shown

    def after(
        self,
        position: float,
        pieces: Iterable[HeardPiece] = (),
        *,
        captured_seconds: float = 0.0,
        questions: int = 0,
    ) -> "Tracklist":
        """The tracklist after listening on, up to `position`, with the pieces that were heard there."""
        entries = list(self.entries)
        for piece in sorted(pieces, key=lambda each: each.start):
            _add(entries, piece)
        return replace(
            self,
            position=max(self.position, position),
            entries=tuple(entries[:MAX_ENTRIES]),
            captured_seconds=self.captured_seconds + captured_seconds,
            questions=self.questions + questions,
        )

    def without_sound(self, until: float, *, muted: bool) -> "Tracklist":
        """The tracklist after a part without sound, from the position to `until`."""
        stretch = (self.position, until)
        if muted:
            return replace(self, position=until, muted=_joined(self.muted, stretch))
        return replace(self, position=until, missing=_joined(self.missing, stretch))


def spans_of_video(
    video: str, found: Tracklist, *, heard_at: datetime, near: Stretch = (-math.inf, math.inf)
) -> Sequence[Span]:
    """What the tracklist of a VOD adds to the time line of its broadcast: where each song was surely heard.

    `near`: only songs that touch this part of it. None for highlights and uploads. Songs without a known offset
    add nothing, nor what is known from elsewhere.
    """
    if found.broadcast is None:
        return []
    spans: list[Span] = []
    for number, entry in enumerate(found.entries):
        if entry.end + VIDEO_EXACT_SECONDS < near[0] or near[1] < entry.start - VIDEO_EXACT_SECONDS:
            continue
        start, end = entry.start + SURE_AFTER_SECONDS, entry.end - SURE_BEFORE_SECONDS
        if entry.natural_end is not None:
            end = min(end, entry.natural_end)
        if entry.live or not entry.counts or entry.song.offset_seconds is None or not start < end:
            continue
        place = BroadcastPlace(broadcast=found.broadcast, start=start, end=end, exact=VIDEO_EXACT_SECONDS)
        spans.append(
            Span(
                place=place,
                song=replace(entry.song, offset_seconds=entry.offset_at(start), position_seconds=0.0),
                score=entry.score,
                recognizer=entry.recognizer,
                heard=Heard.VIDEO,
                heard_at=heard_at,
                identification=IdentificationId(f"video-{video}-{number}"),
            )
        )
    return spans


def _joined(known: tuple[Stretch, ...], more: Stretch) -> tuple[Stretch, ...]:
    if known and more[0] - known[-1][1] < 0.5:
        return (*known[:-1], (known[-1][0], more[1]))
    return (*known, more)


def _shown_end(entry: TracklistEntry, after: float | None, duration: float | None) -> float:
    """Where a song ends: by itself, if that is soon after it was last heard, else there."""
    end, natural = entry.end, entry.natural_end
    if natural is not None and (natural < end or natural - end <= FADED_SECONDS):
        # What follows it was not heard together with it, so it ended before.
        end = natural if after is None or after < entry.end else max(entry.end, min(natural, after))
    if duration is not None:
        end = min(end, duration)
    return max(end, entry.start)


def _add(entries: list[TracklistEntry], piece: HeardPiece) -> None:
    for number in range(len(entries) - 1, max(-1, len(entries) - 1 - _LAST), -1):
        entry = entries[number]
        if not entry.goes_on(piece):
            continue
        entries[number] = replace(
            entry,
            end=max(entry.end, piece.end),
            score=max(entry.score, piece.score),
            pieces=entry.pieces + 1,
            live=entry.live and piece.live,
        )
        # What was heard once, in the middle of a song that plays on, was chance, or its own repetition.
        entries[number + 1 :] = [
            other
            for other in entries[number + 1 :]
            if other.pieces > 1
            or (other.score >= LONE_SCORE and song_key(other.song) != song_key(entry.song))
            or other.end > piece.end
        ]
        return
    start, song = piece.start, piece.song
    if piece.began is not None:
        start = max(0.0, piece.began)
        if song.offset_seconds is not None:
            offset = max(0.0, song.offset_seconds - (piece.start - start) * speed_of(song))
            song = replace(song, offset_seconds=round(offset, 3))
    entry = TracklistEntry(
        start=start,
        end=max(start, piece.end),
        song=replace(song, position_seconds=round(start, 3)),
        score=piece.score,
        recognizer=piece.recognizer,
        live=piece.live,
    )
    place = len(entries)
    while place and entries[place - 1].start > start:
        place -= 1
    entries.insert(place, entry)
