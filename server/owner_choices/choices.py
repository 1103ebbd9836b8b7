"""Corrections of plays, and what of a channel is public, as values; how they change what is shown. Pure.

An answer, a play and an entry of a VOD's set list are changed when their song is the corrected one and they are
from the corrected time. A play that went on when it was corrected stays corrected while it goes on. The answer
about a clip, or a moment of a VOD, is corrected by what it is about: that need not tell when it was broadcast.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property
from typing import Final

from fingerprint.domain.identification import Identification, Kind, Song, Status
from fingerprint.domain.songs import plain_isrc, song_id
from fingerprint.domain.tracklist import Tracklist, TracklistEntry

LONGEST_GAP: Final = timedelta(minutes=15)
"""How long a play that goes on may be unheard, or twice its song's length; as in set lists."""

BESIDE: Final = timedelta(seconds=20)
"""Questions about earlier moments and VODs may be about a play a little before it was heard first, or after."""


class Visibility(StrEnum):
    """What of a channel is public: the set list, only the song that plays now, or nothing."""

    SET_LIST = "set-list"
    NOW = "now"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrectedTime:
    """When a play was heard: first, last, whether it goes on, and where in which broadcast, if that is known.

    `recording`: the clip, or the moment of a VOD, whose answer is corrected instead of a play; see `recording_of`.
    """

    since: datetime
    until: datetime
    going_on: bool = False
    broadcast: str | None = None
    from_seconds: float | None = None
    to_seconds: float | None = None
    recording: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """A play that is shown otherwise than it was recognized: under another title, or not at all.

    `title`: None for a hidden one. `keys`: what its song is known by, see `keys_of`.
    """

    id: str
    keys: frozenset[str]
    time: CorrectedTime
    title: str | None
    artists: tuple[str, ...]
    was_title: str
    was_artists: tuple[str, ...]
    made_by: str
    changed_at: datetime

    @property
    def hidden(self) -> bool:
        """Whether the play is not shown at all."""
        return self.title is None

    def of(self, song: Song) -> Song | None:
        """The song as it is shown; None for a hidden one. Links and ids of another song are left out."""
        if self.title is None:
            return None
        return corrected_song(song, self.title, self.artists)

    def covers(self, answer: Identification, song: Song) -> bool:
        """Whether an answer that names the song is from the corrected time."""
        time, moment = self.time, answer.moment
        if time.recording is not None and _is_of(time.recording, answer):
            return True
        is_play = answer.kind is Kind.STREAM and answer.asked_at is None
        before = timedelta(0) if is_play else BESIDE
        after = longest_gap(song) if time.going_on else before
        if not is_play and moment is not None and moment.broadcast is not None and moment.seconds is not None:
            if time.broadcast is not None:
                return self._covers_seconds(moment.broadcast, moment.seconds, moment.seconds, before, after)
            if answer.kind is not Kind.STREAM:
                return False
        elif answer.kind is not Kind.STREAM:
            return False
        if time.recording is not None:
            return False
        return time.since - before <= moment_of(answer) <= time.until + after

    def covers_entry(self, broadcast: str | None, entry: TracklistEntry, video: str | None = None) -> bool:
        """Whether an entry of the set list of a broadcast's VOD is from the corrected time."""
        at = None if self.time.recording is None else _seconds_of(self.time.recording, video)
        if at is not None:
            beside = BESIDE.total_seconds()
            return entry.start - beside <= at <= entry.end + beside
        if broadcast is None:
            return False
        after = longest_gap(entry.song) if self.time.going_on else BESIDE
        return self._covers_seconds(broadcast, entry.start, entry.end, BESIDE, after)

    def _covers_seconds(
        self, broadcast: str, start: float, end: float, before: timedelta, after: timedelta
    ) -> bool:
        time = self.time
        if time.broadcast != broadcast or time.from_seconds is None or time.to_seconds is None:
            return False
        return (
            end >= time.from_seconds - before.total_seconds() and start <= time.to_seconds + after.total_seconds()
        )


def recording_of(answer: Identification) -> str | None:
    """What an answer about a clip or a moment of a VOD is about; None for others."""
    match answer.kind:
        case Kind.CLIP:
            return f"clip:{answer.target}"
        case Kind.VIDEO:
            return f"video:{answer.target}:{int(answer.at_seconds or 0)}"
        case _:
            return None


def _is_of(recording: str, answer: Identification) -> bool:
    """Whether an answer is about the clip, or about a moment of the VOD that is near."""
    at = _seconds_of(recording, answer.target) if answer.kind is Kind.VIDEO else None
    if at is not None:
        return abs(at - (answer.at_seconds or 0)) <= BESIDE.total_seconds()
    return recording == recording_of(answer)


def _seconds_of(recording: str, video: str | None) -> float | None:
    """The second of a VOD that is meant; None for another one, and for clips."""
    start, _, at = recording.rpartition(":")
    return float(at) if video is not None and start == f"video:{video}" else None


def keys_of(song: Song) -> frozenset[str]:
    """What a song is known by: its ISRC, its tracks in the catalog, and a digest of its title and artists."""
    text = song_id(Song(title=song.title, artists=song.artists))
    track = () if song.catalog is None else (song.catalog.track_id,)
    return frozenset(filter(None, (text, plain_isrc(song.isrc), *track, *song.also)))


def corrected_song(song: Song, title: str, artists: tuple[str, ...]) -> Song:
    """The song with another title and artists, and without what only the recognized one has.

    Another spelling of the same names leaves everything else.
    """
    named = Song(title=title, artists=artists, position_seconds=song.position_seconds, corrected=True)
    if song_id(named) == song_id(Song(title=song.title, artists=song.artists)):
        return replace(song, title=title, artists=artists, corrected=True)
    return named


def longest_gap(song: Song) -> timedelta:
    """How long a song that goes on may be unheard."""
    return max(LONGEST_GAP, timedelta(seconds=2 * (song.duration_seconds or 0.0)))


def moment_of(answer: Identification) -> datetime:
    """When the sound of an answer about a channel was broadcast, or else asked for."""
    return answer.captured_at or answer.asked_at or answer.created_at


@dataclass(frozen=True, kw_only=True)
class ChannelChoices:
    """All that is decided about one channel. `version` differs whenever something in it does."""

    corrections: tuple[Correction, ...] = ()
    visibility: Visibility = Visibility.SET_LIST
    version: str = ""

    @cached_property
    def _by_key(self) -> dict[str, list[Correction]]:
        found: dict[str, list[Correction]] = {}
        for correction in self.corrections:
            for key in correction.keys:
                found.setdefault(key, []).append(correction)
        return found

    def _of_song(self, song: Song) -> Sequence[Correction]:
        found = {each.id: each for key in keys_of(song) for each in self._by_key.get(key, ())}
        return list(found.values())

    def of_answer(self, answer: Identification, song: Song) -> Correction | None:
        """The correction of what an answer names; None without one."""
        return next((each for each in self._of_song(song) if each.covers(answer, song)), None)

    def shown(self, answer: Identification) -> Identification:
        """The answer as it is shown. One whose song is hidden has found none."""
        if not self.corrections or answer.song is None:
            return answer
        song = self._shown(answer, answer.song)
        songs = [self._shown(answer, each) for each in answer.songs]
        if song is answer.song and all(after is before for after, before in zip(songs, answer.songs, strict=True)):
            return answer
        left = tuple(each for each in songs if each is not None)
        if song is None and answer.kind is not Kind.STREAM:
            song = next(iter(left), None)
        if song is None:
            return replace(
                answer, status=Status.NO_MATCH, song=None, songs=(), score=None, recognizer=None, disputed=False
            )
        # How sure we were says nothing about the name that was given.
        return replace(answer, song=song, songs=left, score=None if song.corrected else answer.score)

    def _shown(self, answer: Identification, song: Song) -> Song | None:
        correction = self.of_answer(answer, song)
        return song if correction is None else correction.of(song)

    def shown_tracklist(self, tracklist: Tracklist, video: str | None = None) -> Tracklist:
        """The set list of a VOD as it is shown. `video`: its number."""
        broadcast = tracklist.broadcast
        if not self.corrections:
            return tracklist
        entries: list[TracklistEntry] = []
        for entry in tracklist.entries:
            mine = (each for each in self._of_song(entry.song) if each.covers_entry(broadcast, entry, video))
            correction = next(mine, None)
            song = entry.song if correction is None else correction.of(entry.song)
            if song is not None:
                entries.append(entry if song is entry.song else replace(entry, song=song))
        return replace(tracklist, entries=tuple(entries))


NOTHING_CHOSEN: Final = ChannelChoices()
"""What holds for a channel whose owner has decided nothing."""
