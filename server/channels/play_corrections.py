"""Corrects and hides plays of a channel, and answers about its clips and VODs, and decides what is public."""

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from fingerprint.database import Database
from fingerprint.domain.identification import Identification, Kind, Song
from fingerprint.domain.problems import ProblemCode, TwitchAudioError, invalid_input
from fingerprint.domain.songs import song_id
from fingerprint.domain.text import clean_text
from fingerprint.ports import Clock
from server.audit.changes import ChangeLog
from server.identifications.history import ChannelHistory
from server.owner_choices.choices import (
    ChannelChoices,
    CorrectedTime,
    Correction,
    Visibility,
    corrected_song,
    keys_of,
    longest_gap,
    moment_of,
    recording_of,
)
from server.owner_choices.service import OwnerChoices
from server.owner_choices.store import ChoiceStore, PlayChange
from server.songs.store import SongStore

NAME_LIMIT: Final = 300
MAX_ARTISTS: Final = 20


class PlayCorrections:
    """Changes what is shown of channels. `on_changed` is called with a login whose plays are to be read again.

    Its methods raise TwitchAudioError `busy`. Who may call them is the callers' business.
    """

    def __init__(
        self,
        database: Database,
        history: ChannelHistory,
        choices: OwnerChoices,
        songs: SongStore,
        *,
        clock: Clock,
        on_changed: Callable[[str], None],
    ) -> None:
        self._database = database
        self._history = history
        self._choices = choices
        self._songs = songs
        self._clock = clock
        self._on_changed = on_changed

    async def all(self, login: str) -> Sequence[Correction]:
        """The corrections of a channel, the newest plays first."""
        return (await self._choices.of(login)).corrections

    async def hide(self, login: str, answer_id: str, *, made_by: str, changes: ChangeLog) -> Correction:
        """Hide a play, or what a clip or a moment of a VOD was identified as. `answer_id`: one of its answers.

        Raises TwitchAudioError `not-found`, `invalid-input`.
        """
        answers = await self._answers(login, answer_id)
        return await self._write(login, answers, None, (), made_by=made_by, changes=changes)

    async def correct(
        self,
        login: str,
        answer_id: str,
        *,
        title: str | None,
        artists: Sequence[str] | None,
        made_by: str,
        changes: ChangeLog,
    ) -> Correction:
        """Give a play another title and artists; None leaves one as it is. Raises as `hide` does."""
        answers = await self._answers(login, answer_id)
        shown = await self._choices.shown(answers[0])
        song = shown.song or answers[0].song
        assert song is not None, "only answers with songs are plays"
        new_title = song.title if title is None else _name(title)
        if not new_title:
            raise invalid_input("A song needs a title.")
        cleaned = song.artists if artists is None else [_name(each) for each in artists]
        names = tuple(each for each in cleaned if each)
        if len(names) > MAX_ARTISTS:
            raise invalid_input(f"A song has at most {MAX_ARTISTS} artists.")
        return await self._write(login, answers, new_title, names, made_by=made_by, changes=changes)

    async def undo(self, login: str, number: str, *, changes: ChangeLog) -> None:
        """Show a play again as it was recognized. Raises TwitchAudioError `not-found`."""
        store = ChoiceStore(self._database, changes=changes)
        found = await store.undo(login, await self._choices.id_of(login), number)
        if found.title is not None:
            title, artists = found.title, found.artists
            old = corrected_song(Song(title=found.was_title, artists=found.was_artists), title, artists)
            if song_id(old) not in found.keys:
                await self._songs.forget_between(login, song_id(old), found.time.since, found.time.until)
        self._changed(login)
        if found.time.recording is not None:
            await self._note_again(found.time.recording)

    async def choose(self, login: str, visibility: Visibility, *, made_by: str, changes: ChangeLog) -> None:
        """Decide what of the channel is public."""
        store, now = ChoiceStore(self._database, changes=changes), self._clock.now()
        channel_id = await self._choices.id_of(login)
        await store.choose(login, channel_id, visibility, made_by=made_by, now=now)
        self._changed(login)

    async def _answers(self, login: str, answer_id: str) -> Sequence[Identification]:
        answers: Sequence[Identification] = ()
        if len(answer_id) <= NAME_LIMIT:
            answers = await self._history.answers_of_play(login, answer_id)
            if not answers and (recorded := await self._history.recorded(login, answer_id)) is not None:
                answers = (recorded,)
        if not answers:
            detail = (
                "This channel has no play, and no answer about its clips and videos, with this identification."
            )
            raise TwitchAudioError(ProblemCode.NOT_FOUND, detail)
        return answers

    async def _note_again(self, recording: str) -> None:
        """Note where the songs of a clip or a moment of a VOD were heard, as they are shown now."""
        kind, target, *at = recording.split(":")
        seconds = int(at[0]) if at else None
        for number in await self._songs.answers_about(Kind(kind), target, seconds):
            answer = await self._history.answer(number)
            if answer is not None:
                await self._songs.note(await self._choices.shown(answer))

    async def _write(
        self,
        login: str,
        answers: Sequence[Identification],
        title: str | None,
        artists: tuple[str, ...],
        *,
        made_by: str,
        changes: ChangeLog,
    ) -> Correction:
        now = self._clock.now()
        if answers[0].kind is Kind.STREAM:
            newest = await self._history.newest_answers(login, limit=1)
            newest_id = newest[0].id if newest else None
            times = [
                (
                    song,
                    time_of(
                        mine, goes_on=mine[0].id == newest_id and now - moment_of(mine[0]) <= longest_gap(song)
                    ),
                )
                for song, mine in _by_song(answers)
            ]
        else:
            time = replace(time_of(answers, goes_on=False), recording=recording_of(answers[0]))
            times = [(_first_shown(await self._choices.of(login), answers[0]), time)]
        wanted = [PlayChange(song=song, time=time, title=title, artists=artists) for song, time in times]
        store, channel_id = ChoiceStore(self._database, changes=changes), await self._choices.id_of(login)
        ids = await store.correct(login, channel_id, wanted, made_by=made_by, now=now)
        self._changed(login)
        if title is not None:
            await self._songs.note(await self._choices.shown(answers[0]))
        return next(each for each in await self.all(login) if each.id == ids[0])

    def _changed(self, login: str) -> None:
        self._choices.changed(login)
        self._on_changed(login)


def _name(text: str) -> str:
    """A name without control characters; empty where nothing of it is visible."""
    cleaned = clean_text(text, NAME_LIMIT)
    return cleaned if any(unicodedata.category(sign)[0] not in "CZM" for sign in cleaned) else ""


def _first_shown(choices: ChannelChoices, answer: Identification) -> Song:
    """The song that an answer about a recording shows first, as it was recognized."""
    assert answer.song is not None, "only answers with songs are corrected"
    named = (answer.song, *answer.songs)
    decided = ((song, choices.of_answer(answer, song)) for song in named)
    return next((song for song, found in decided if found is None or not found.hidden), answer.song)


def _by_song(answers: Sequence[Identification]) -> Sequence[tuple[Song, list[Identification]]]:
    """The answers of one play by the songs that they named: several, where these are shown as one."""
    found: list[tuple[Song, list[Identification]]] = []
    for answer in answers:
        assert answer.song is not None, "only answers with songs are plays"
        keys = keys_of(answer.song)
        same = next((mine for song, mine in found if keys & keys_of(song)), None)
        if same is None:
            found.append((answer.song, [answer]))
        else:
            same.append(answer)
    return found


def time_of(answers: Sequence[Identification], *, goes_on: bool) -> CorrectedTime:
    """When the song of some answers was heard. `answers`: newest first."""
    moments = [moment_of(answer) for answer in answers]
    placed = [answer.moment for answer in answers if answer.moment is not None]
    broadcast = next((each.broadcast for each in placed if each.broadcast is not None), None)
    seconds = [each.seconds for each in placed if each.broadcast == broadcast and each.seconds is not None]
    return CorrectedTime(
        since=min(moments),
        until=max(moments),
        going_on=goes_on,
        broadcast=broadcast if seconds else None,
        from_seconds=min(seconds, default=None),
        to_seconds=max(seconds, default=None),
    )
