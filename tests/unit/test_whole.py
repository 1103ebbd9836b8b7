"""Listening to whole recordings: where songs begin, what is not listened to again, and going on after a stop."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from fingerprint.domain.audio import SAMPLE_RATE, Pcm, Recording
from fingerprint.domain.broadcasts import Broadcast
from fingerprint.domain.identification import BroadcastMoment, Heard, Identification, Kind, Song, Status
from fingerprint.domain.targets import Target
from fingerprint.domain.time_line import Span, span_of
from fingerprint.domain.tracklist import Tracklist
from fingerprint.ports import Match, OnStage, Recognition, SoundPart
from fingerprint.whole import WholeListener
from tests.builders import identification

NOW = datetime(2026, 3, 1, tzinfo=UTC)


class LevelSound:
    """A recording whose samples are numbers: of which song, or 0 for talk. `muted`: from and to."""

    def __init__(
        self, songs: Mapping[tuple[float, float], float], seconds: float, muted: tuple[float, float]
    ) -> None:
        self.samples = np.full((1, round(seconds * SAMPLE_RATE)), 0.001, np.float32)
        for (start, end), level in songs.items():
            self.samples[0, round(start * SAMPLE_RATE) : round(end * SAMPLE_RATE)] = level
        self.muted = muted
        self.asked: list[float] = []

    @property
    def duration_seconds(self) -> float | None:
        return self.samples.shape[1] / SAMPLE_RATE

    @property
    def continuous(self) -> bool:
        return True

    @property
    def growing(self) -> bool:
        return False

    async def part(self, start: float, seconds: float) -> SoundPart:
        self.asked.append(start)
        if self.muted[0] <= start < self.muted[1]:
            return SoundPart(seconds=self.muted[1] - start, muted=True)
        end = min(start + seconds, self.muted[0] if start < self.muted[0] else 1e9)
        pcm = Pcm(self.samples).cut(start, end - start)
        return SoundPart(pcm=pcm, seconds=pcm.duration_seconds)


class LevelRecognizers:
    """Names the level that most of the sound has, without an offset."""

    def __init__(self, *levels: float) -> None:
        self.levels = levels

    async def unavailable_reason(self) -> str | None:
        return None

    async def identify(self, recording: Recording, on_stage: OnStage) -> Recognition:
        levels, counts = np.unique(recording.pcm.samples[0], return_counts=True)
        matches: Sequence[Match] = ()
        level = round(float(levels[counts.argmax()]), 2)
        if level in self.levels:
            first = int((np.abs(recording.pcm.samples[0] - level) < 1e-3).argmax()) / SAMPLE_RATE
            song = Song(title=f"Song {level}", position_seconds=first, duration_seconds=500.0)
            matches = [Match(song=song, score=0.99)]
        return Recognition(matches=matches, recognizer="levels", fingerprint_ms=0.0, recognize_ms=0.0)


async def listened(
    sound: LevelSound,
    so_far: Tracklist | None = None,
    before: "Answers | None" = None,
    *,
    blocks: int = 10_000,
    recognizers: LevelRecognizers | None = None,
) -> Tracklist:
    listener = WholeListener(recognizers or LevelRecognizers(0.2, 0.5))
    broadcast = None if before is None else Broadcast(id="7", started_at=NOW)
    found = so_far or Tracklist()
    listening = listener.listen(sound, so_far, heard_before=before, broadcast=broadcast)
    async for newest in listening:
        found = newest
        blocks -= 1
        if not blocks:
            break
    await listening.aclose()
    return found


def outline(found: Tracklist) -> list[tuple[str, float, float]]:
    return [(entry.song.title, round(entry.start), round(entry.end)) for entry in found.songs]


SONGS: dict[tuple[float, float], float] = {(10.0, 70.0): 0.2, (80.0, 130.0): 0.5}
NOWHERE = (1e8, 1e8)


async def test_songs_begin_where_they_are_heard_first() -> None:
    found = await listened(LevelSound(SONGS, 150, NOWHERE))
    assert outline(found) == [("Song 0.2", 10, 72), ("Song 0.5", 80, 132)]
    assert found.position == found.duration == 150


class LateRecognizers(LevelRecognizers):
    """Finds no start in a sound: its songs are heard from wherever the sound begins."""

    async def identify(self, recording: Recording, on_stage: OnStage) -> Recognition:
        found = await super().identify(recording, on_stage)
        matches = [replace(each, song=replace(each.song, position_seconds=0.0)) for each in found.matches]
        return replace(found, matches=matches)


async def test_a_song_that_begins_in_its_middle_is_looked_for_in_the_seconds_in_which_it_was_found() -> None:
    # It is 8 of the 12 seconds from 24 on.
    found = await listened(LevelSound({(28.0, 90.0): 0.2}, 150, NOWHERE), recognizers=LateRecognizers(0.2))
    assert outline(found) == [("Song 0.2", 26, 84)]


class PlayedRecognizers(LevelRecognizers):
    """Hears a song where two seconds of it are in the sound, and how far into it. `own_start`: its second 0.

    The one before it, without an offset, is heard where most of the sound is of it.
    """

    def __init__(self, sound: LevelSound, own_start: float) -> None:
        super().__init__(0.5)
        self.sound = sound
        self.own_start = own_start

    async def identify(self, recording: Recording, on_stage: OnStage) -> Recognition:
        heard = float((np.abs(recording.pcm.samples[0] - 0.2) < 1e-3).sum()) / SAMPLE_RATE
        matches: Sequence[Match] = ()
        if heard >= 2.0:
            into = self.sound.asked[-1] - self.own_start
            song = Song(title="Played", position_seconds=max(0.0, -into), offset_seconds=max(0.0, into))
            matches = [Match(song=replace(song, duration_seconds=500.0), score=0.99)]
        before = await super().identify(recording, on_stage)
        matches = [*matches, *before.matches]
        return Recognition(matches=matches, recognizer="played", fingerprint_ms=0.0, recognize_ms=0.0)


@pytest.mark.parametrize("cut", [0.0, 2.0, 3.0, 4.0, 5.0, 6.5, 8.0, 9.5, 11.0, 12.0])
@pytest.mark.parametrize("own_start", [24.0, 29.0, 35.0])
async def test_a_song_that_is_cut_in_late_begins_there_and_not_at_its_start(own_start: float, cut: float) -> None:
    sound = LevelSound({(own_start + cut, 120.0): 0.2}, 150, NOWHERE)
    found = await listened(sound, recognizers=PlayedRecognizers(sound, own_start))
    [entry] = found.songs
    assert abs(entry.start - (own_start + cut)) <= (3.0 if cut else 0.0)
    assert entry.song.offset_seconds == pytest.approx(entry.start - own_start), "its offset is that of its start"


@pytest.mark.parametrize(("heard_after", "begins_after"), [(2.0, 0.0), (5.0, 0.0), (7.0, 0.0), (11.0, 11.0)])
async def test_a_song_that_fades_in_under_another_one_begins_at_its_own_start(
    heard_after: float, begins_after: float
) -> None:
    sound = LevelSound({(0.0, 35.0 + heard_after): 0.5, (35.0 + heard_after, 120.0): 0.2}, 150, NOWHERE)
    found = await listened(sound, recognizers=PlayedRecognizers(sound, 35.0))
    [start] = [entry.start for entry in found.songs if entry.song.title == "Played"]
    assert abs(start - (35.0 + begins_after)) <= (3.0 if begins_after else 0.0)


async def test_a_song_whose_start_was_muted_is_taken_to_have_begun_there() -> None:
    sound = LevelSound({(36.0, 120.0): 0.2}, 150, (20.0, 36.0))
    found = await listened(sound, recognizers=PlayedRecognizers(sound, 30.0))
    assert [entry.start for entry in found.songs] == [30.0]


async def test_muted_parts_are_named_and_not_listened_to() -> None:
    found = await listened(LevelSound(SONGS, 150, (30, 60)))
    assert found.muted == ((30, 60),)
    assert [title for title, *_ in outline(found)] == ["Song 0.2", "Song 0.5"]


@pytest.mark.parametrize("seconds", [0.0, 2.0, 150.0])
async def test_a_recording_that_is_muted_throughout_has_an_end_and_no_songs(seconds: float) -> None:
    found = await listened(LevelSound({}, seconds, (0, seconds)))
    assert (found.position, found.duration, found.songs) == (seconds, seconds, [])
    assert found.muted == (((0, seconds),) if seconds else ())


async def test_it_goes_on_where_it_was_and_comes_to_the_same_end() -> None:
    begun = await listened(LevelSound(SONGS, 150, NOWHERE), blocks=4)
    assert 0 < begun.position < 150
    sound = LevelSound(SONGS, 150, NOWHERE)
    whole = await listened(sound, begun)
    assert min(sound.asked) >= begun.position - 12
    assert outline(whole) == outline(await listened(LevelSound(SONGS, 150, NOWHERE)))


class Answers:
    """What was heard live: one song from a second of the broadcast to another."""

    def __init__(self, start: float, end: float) -> None:
        self.answers = [
            answer_at(second, Song(title="Live", offset_seconds=second - start, duration_seconds=300.0))
            for second in (start + 1, end - 6)
        ]

    async def spans(self, broadcast: str, start: float, end: float) -> Sequence[Span]:
        return [span for span in map(span_of, self.answers) if span is not None]

    async def broadcast_at(self, login: str, at: datetime) -> Broadcast | None:
        return None

    async def answer(self, target: Target) -> Identification | None:
        return None


def answer_at(second: float, song: Song) -> Identification:
    return identification(
        id=f"at-{second:g}",
        kind=Kind.STREAM,
        status=Status.SUCCESSFUL,
        song=song,
        songs=(song,),
        score=0.99,
        finished_at=NOW,
        captured_seconds=6.0,
        moment=BroadcastMoment(broadcast="7", seconds=second),
        heard=Heard.NOW,
    )


@pytest.mark.parametrize("muted", [NOWHERE, (100.0, 150.0)])
async def test_what_was_heard_live_is_not_listened_to_again(muted: tuple[float, float]) -> None:
    sound = LevelSound(SONGS, 150, muted)
    found = await listened(sound, None, Answers(60, 150))
    live = [entry for entry in found.songs if entry.song.title == "Live"]
    assert [round(entry.start) for entry in live] == [60]
    assert live[0].live
    assert not [start for start in sound.asked if 72 <= start < 120]
