"""The composed songs: the same every time, unlike each other, never repeating themselves exactly, well tagged."""

import dataclasses
import re
from pathlib import Path

import av
import numpy as np
import pytest
import tinytag

from simulator import content as casting
from simulator.composer import Composer
from simulator.library import AUDIO_SUFFIXES, NoMusicError, SongFile, composed_songs, own_songs
from simulator.program import Item
from simulator.songs import SCORES, Score, Section
from simulator.synth import RATE
from simulator.voice import talk


def short(score: Score, bars: int = 2) -> Score:
    """The song's fullest section, cut to a few bars: quick to play."""
    fullest = max(score.sections, key=lambda section: (len(section.parts), section.energy))
    section = Section(bars=bars, chords=fullest.chords, energy=fullest.energy, parts=fullest.parts)
    return dataclasses.replace(score, sections=(section,))


def test_there_are_ten_songs_of_a_minute_or_more_with_distinct_tags() -> None:
    assert len(SCORES) == 10
    for score in SCORES:
        assert 60 <= Composer(score).seconds <= 90
        assert re.fullmatch(r"ZZTWA26\d{5}", score.tags.isrc)
    assert len({score.tags.title for score in SCORES}) == len({score.tags.isrc for score in SCORES}) == 10
    assert len({score.tags.genre for score in SCORES}) == 10
    assert len({(score.bpm, score.key) for score in SCORES}) == 10


def test_a_seed_always_plays_the_same() -> None:
    score = short(SCORES[3])
    assert np.array_equal(Composer(score).play(), Composer(score).play())


@pytest.mark.parametrize("score", SCORES, ids=lambda score: score.tags.title)
def test_songs_are_in_stereo_loud_enough_and_unclipped(score: Score) -> None:
    sound = Composer(short(score)).play()
    assert sound.dtype == np.float32
    assert sound.shape[0] == 2
    assert 0.85 < float(np.abs(sound).max()) <= 0.9
    assert float(np.sqrt(np.mean(sound**2))) > 0.02
    assert not np.array_equal(sound[0], sound[1])


def test_no_bar_comes_back_as_it_was() -> None:
    """Even where a pattern repeats, people are never on time twice in the same way."""
    for score in (SCORES[1], SCORES[3]):
        few = short(score, bars=8)
        sound = Composer(few).play()
        bar = round(few.beats * 60 / few.bpm * RATE)
        start = round(0.15 * RATE)
        bars = [sound[0, start + n * bar : start + (n + 1) * bar] for n in range(8)]
        for number, first in enumerate(bars):
            for other in bars[number + 1 :]:
                likeness = np.dot(first, other) / np.linalg.norm(first) / np.linalg.norm(other)
                assert likeness < 0.9


def test_files_carry_their_tags_and_are_made_once(tmp_path: Path) -> None:
    scores = (short(SCORES[2]), short(SCORES[8]))
    made = composed_songs(tmp_path, scores)
    times = [song.path.stat().st_mtime_ns for song in made]
    assert [song.path.stat().st_mtime_ns for song in composed_songs(tmp_path, scores)] == times
    tags = tinytag.TinyTag.get(made[0].path)
    assert tags.title == "Tuesday at the Blue Kettle"
    assert tags.artist == "Odell Marsh Trio & Ines Calder"
    assert tags.album == "Low Ceilings"
    assert tags.other["isrc"] == ["ZZTWA2600003"]
    assert tags.duration == pytest.approx(made[0].seconds, abs=0.001)
    with av.open(str(made[0].path)) as container:
        assert container.streams.audio[0].rate == RATE
    assert not [path for path in tmp_path.rglob("*") if path.suffix == ".part"]


def test_a_file_that_is_missing_is_made_again(tmp_path: Path) -> None:
    scores = (short(SCORES[9], bars=1),)
    (song,) = composed_songs(tmp_path, scores)
    content = song.path.read_bytes()
    song.path.unlink()
    composed_songs(tmp_path, scores)
    assert song.path.read_bytes() == content


def test_own_music_is_found_and_what_is_no_music_is_left_out(tmp_path: Path) -> None:
    (song,) = composed_songs(tmp_path / "made", (short(SCORES[6], bars=8),))
    folder = tmp_path / "mine" / "deep"
    folder.mkdir(parents=True)
    (folder / "one.flac").write_bytes(song.path.read_bytes())
    (folder / "broken.mp3").write_bytes(b"no music at all" * 100)
    (folder / "notes.txt").write_text("no music either")
    found = own_songs(tmp_path / "mine")
    assert [each.title for each in found] == ["Marionette Waltz"]
    (folder / "one.flac").unlink()
    with pytest.raises(NoMusicError, match="no music file"):
        own_songs(tmp_path / "mine")
    assert ".flac" in AUDIO_SUFFIXES


def test_the_voice_sounds_like_talk() -> None:
    """Energy between 100 Hz and 4 kHz, with pauses."""
    sound = talk(8.0)[0]
    power = np.abs(np.fft.rfft(sound)) ** 2
    hertz = np.fft.rfftfreq(sound.size, 1 / RATE)
    assert power[(hertz > 90) & (hertz < 4200)].sum() > 0.9 * power.sum()
    loud = np.sqrt(np.mean(np.square(sound[: 8 * RATE].reshape(-1, RATE // 20)), axis=1))
    assert np.mean(loud < 0.01) > 0.03


@pytest.mark.parametrize("count", [1, 3, 10])
def test_any_number_of_songs_makes_a_cast(count: int) -> None:
    songs = [
        SongFile(path=Path(f"{n}.mp3"), tags=score.tags, seconds=60.0) for n, score in enumerate(SCORES[:count])
    ]
    content = casting.demo_content(songs)
    assert sum(plan.live for plan in content.channels) >= 3
    assert not all(plan.live for plan in content.channels)
    assert len(content.clips) >= 3
    assert any(clip.slug.endswith("-") for clip in content.clips)
    assert len(content.videos) == 2
    for plan in (*content.channels, *content.clips, *content.videos):
        assert all(item.length > 0 for item in plan.playlist.items)
    with pytest.raises(ValueError, match="at least one song"):
        casting.demo_content([])


def test_an_item_never_outlasts_its_song() -> None:
    song = SongFile(path=Path("a.mp3"), tags=SCORES[0].tags, seconds=20.0)
    assert Item(song=song, start_seconds=15, seconds=30).length == 5 * RATE
