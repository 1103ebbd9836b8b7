from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fingerprint.catalog.audio_query import AudioQuery
from fingerprint.catalog.examination import Finding
from fingerprint.catalog.identify import (
    STEP_SECONDS,
    WINDOW_SECONDS,
    Window,
    continues,
    identify,
    merge,
    prepare,
    window_starts,
    windows,
    windows_to_ask,
)
from fingerprint.catalog.index import Catalog, Snapshot
from fingerprint.catalog.matching import VoteResult
from fingerprint.catalog.query import channel_levels
from fingerprint.catalog.search import MAX_EXAMINED, Search, SearchPass
from fingerprint.catalog.writer import CatalogWriter
from fingerprint.domain.audio import SAMPLE_RATE, Pcm
from tests.unit.catalog.music import mixed, noise, tune
from tests.unit.catalog.shelf import entry, fill


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    folder = tmp_path_factory.mktemp("catalog")
    fill(folder, range(8))
    return Catalog(folder).snapshot()


def joined(*parts: Pcm) -> Pcm:
    """The parts, one after the other."""
    return Pcm(np.ascontiguousarray(np.concatenate([part.samples for part in parts], axis=1)))


def titles(snapshot: Snapshot, pcm: Pcm) -> list[str]:
    return [finding.track.title for finding in identify(snapshot, prepare(pcm))]


@pytest.mark.parametrize("number", range(8))
@pytest.mark.parametrize("seconds", [3.0, 6.0, 10.0])
def test_a_cut_is_named_with_its_place(snapshot: Snapshot, number: int, seconds: float) -> None:
    (finding,) = identify(snapshot, prepare(tune(number).cut(5.4, seconds)))
    assert finding.track.title == f"Song {number}"
    assert finding.offset_seconds == pytest.approx(5.4, abs=0.05)
    assert finding.position_seconds == 0
    assert finding.confidence > 0.9


@pytest.mark.parametrize("gain", [0.02, 0.5])
def test_loudness_does_not_matter(snapshot: Snapshot, gain: float) -> None:
    pcm = tune(3).cut(2, 10)
    assert titles(snapshot, Pcm(pcm.samples * np.float32(gain))) == ["Song 3"]


def test_noise_on_top_is_borne(snapshot: Snapshot) -> None:
    assert titles(snapshot, mixed(tune(5).cut(8, 6), noise(1, 6), 1.0)) == ["Song 5"]


WIDE = {"opposite": (1, -1), "nearly opposite": (1, -0.95), "left only": (1, 0), "right only": (0, 1)}


@pytest.mark.parametrize("gains", WIDE.values(), ids=WIDE)
def test_music_is_heard_whatever_the_phase_of_its_channels(tmp_path: Path, gains: tuple[float, float]) -> None:
    sound = np.concatenate([tune(21).samples * np.float32(gain) for gain in gains])
    with CatalogWriter(tmp_path) as writer:
        writer.add([entry(21, Pcm(sound)), *(entry(number) for number in range(3))])
    wide = Catalog(tmp_path).snapshot()
    assert titles(wide, Pcm(sound).cut(4, 6)) == ["Song 21"]
    spoken_over = Pcm(sound + noise(2, 20).samples)
    assert titles(wide, spoken_over.cut(4, 6)) == ["Song 21"]
    assert titles(wide, spoken_over.cut(2, 17)) == ["Song 21"]


def test_a_place_with_fewer_votes_is_found_by_its_music(
    snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = Search(snapshot, prepare(mixed(tune(3).cut(4, 6), noise(1, 6), 1.0)))
    votes = search.count_votes(next(search.passes(as_it_is=True, speeds=())))
    right = votes.offsets[0]
    # As if other passages of the track shared more of the clip's landmarks.
    misleading = [replace(right, offset=right.offset + 40 * n, votes=right.votes + 9 - n) for n in range(1, 9)]
    misled = VoteResult(tracks=(misleading[0], *votes.tracks[1:]), offsets=(*misleading, right))
    examined = list(search.offsets_to_examine(misled))
    assert examined[:2] == [misleading[0], right]
    assert len(examined) == MAX_EXAMINED

    def counted(_search: Search, _search_pass: SearchPass) -> VoteResult:
        return misled

    monkeypatch.setattr(Search, "count_votes", counted)
    found = search.run(as_it_is=True, speeds=())
    assert found is not None
    assert found.candidate is right
    assert found.finding.offset_seconds == pytest.approx(4.0, abs=0.05)


@pytest.mark.parametrize(
    ("older", "newer", "seconds_ago", "offset"), [(1, 2, 2, 0.0), (3, 4, 2, 7.3), (5, 6, 4, 0.0), (7, 0, 3, 5.0)]
)
def test_after_a_change_the_newest_song_is_the_answer_and_the_older_one_follows(
    snapshot: Snapshot, older: int, newer: int, seconds_ago: float, offset: float
) -> None:
    pcm = joined(tune(older).cut(10, 6 - seconds_ago), tune(newer).cut(offset, seconds_ago))
    now, before = identify(snapshot, prepare(pcm))
    assert (now.track.title, before.track.title) == (f"Song {newer}", f"Song {older}")
    # A song that begins in the sound is placed exactly, one that is cut in within a second.
    accuracy = 0.1 if offset == 0 else 1.1
    assert now.position_seconds == pytest.approx(6 - seconds_ago, abs=accuracy)
    assert now.offset_seconds - now.position_seconds == pytest.approx(offset - 6 + seconds_ago, abs=0.1)
    assert (before.position_seconds, before.offset_seconds) == (0, pytest.approx(10, abs=0.3))


@pytest.mark.parametrize("seconds", [3, 6, 10])
@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.6, 0.8])
def test_no_speed_is_said_of_songs_as_they_are_wherever_one_follows_the_other(
    snapshot: Snapshot, seconds: int, share: float
) -> None:
    pcm = joined(tune(4).cut(7.3, seconds * share), tune(3).cut(3.8, seconds * (1 - share)))
    found = identify(snapshot, prepare(pcm))
    assert {finding.track.title for finding in found} <= {"Song 3", "Song 4"}
    assert found
    assert {(finding.speed, finding.pitch) for finding in found} == {(1.0, 0.0)}


def test_another_tempo_of_a_whole_clip_is_said(snapshot: Snapshot) -> None:
    stretched = shifted(tune(6).cut(4, 6), -12 * np.log2(1.03)).slowed(1 / 1.03)
    (finding,) = identify(snapshot, prepare(stretched))
    # The crude stretching of the test smears it by a step of the tempos that are tried.
    assert finding.speed == pytest.approx(1.03, abs=0.016)
    assert finding.pitch == pytest.approx(0, abs=0.4)


def test_a_song_that_plays_on_under_noise_is_the_only_one(snapshot: Snapshot) -> None:
    pcm = joined(tune(5).cut(4, 4), mixed(tune(5).cut(8, 2), noise(1, 2), 3.0))
    assert titles(snapshot, pcm) == ["Song 5"]


@pytest.mark.parametrize("number", range(100, 105))
def test_other_music_is_no_match(snapshot: Snapshot, number: int) -> None:
    assert titles(snapshot, tune(number).cut(3, 6)) == []


@pytest.mark.parametrize("pcm", [noise(3, 6.0), Pcm(np.zeros((2, 96_000), np.float32)), noise(3, 0.01)])
def test_what_is_no_music_is_no_match(snapshot: Snapshot, pcm: Pcm) -> None:
    assert titles(snapshot, pcm) == []


CHORDS = [(220.0, 277.2, 329.6, 440.0), (261.6, 329.6, 392.0, 523.2)]


def chord(hertz: Sequence[float], seconds: float) -> Pcm:
    """Sine tones that are held."""
    times = np.arange(round(seconds * SAMPLE_RATE), dtype=np.float64) / SAMPLE_RATE
    samples = np.zeros((1, len(times)), np.float32)
    for each in hertz:
        samples[0] += 0.2 * np.sin(2 * np.pi * each * times)
    return Pcm(samples)


def test_tones_are_not_taken_for_the_fade_out_that_holds_them(tmp_path: Path) -> None:
    fade = np.empty(8 * SAMPLE_RATE, np.float32)
    fade[:] = np.exp(-np.linspace(0, 8 / 1.5, len(fade)))
    endings = [mixed(Pcm(chord(each, 8).samples * fade), noise(1, 8), 0.005) for each in CHORDS]
    with CatalogWriter(tmp_path) as writer:
        writer.add([entry(number, joined(tune(number), endings[number % 2])) for number in range(4)])
    faded = Catalog(tmp_path).snapshot()
    assert [titles(faded, chord(each, seconds)) for each in CHORDS for seconds in (3, 6, 10)] == [[]] * 6


def shifted(pcm: Pcm, semitones: float) -> Pcm:
    """The first channel at another pitch, as fast as it was: resampled grains that overlap by half."""
    factor, size = 2 ** (semitones / 12), 2048
    sound, window = pcm.samples[0], np.hanning(size)
    out = np.zeros((1, len(sound)), np.float64)
    for at in range(0, len(sound) - 2 * size, size // 2):
        places = np.arange(size, dtype=np.float64) * factor
        out[0, at : at + size] += window * np.interp(
            places, np.arange(2 * size, dtype=np.float64), sound[at : at + 2 * size]
        )
    return Pcm(out.astype(np.float32))


def faster(pcm: Pcm, speed: float) -> Pcm:
    """The first channel, played faster."""
    original = pcm.samples[0]
    places = np.arange(int(len(original) / speed), dtype=np.float64) * speed
    played = np.empty((1, len(places)), np.float32)
    played[0] = np.interp(places, np.arange(len(original), dtype=np.float64), original)
    return Pcm(played)


@pytest.mark.parametrize("speed", [1.02, 0.97, 1.055, 0.92, 1.25, 1.3, 0.85, 0.75])
def test_a_changed_speed_is_found(snapshot: Snapshot, speed: float) -> None:
    (finding,) = identify(snapshot, prepare(tune(6).cut(4, 6 * speed).slowed(1 / speed)))
    assert finding.track.title == "Song 6"
    assert finding.speed == pytest.approx(speed, abs=0.011)
    assert finding.pitch == pytest.approx(12 * np.log2(speed), abs=0.36)
    assert finding.offset_seconds == pytest.approx(4, abs=0.1)


@pytest.mark.parametrize("semitones", [1, -2, 3])
def test_a_pitch_that_was_changed_alone_is_found(snapshot: Snapshot, semitones: int) -> None:
    (finding,) = identify(snapshot, prepare(shifted(tune(6).cut(4, 6), semitones)))
    assert finding.track.title == "Song 6"
    assert finding.speed == pytest.approx(1.0, abs=0.031)
    assert finding.pitch == pytest.approx(semitones, abs=0.2)


def test_a_whole_recording_at_a_far_speed_is_found(snapshot: Snapshot) -> None:
    (finding,) = identify(snapshot, prepare(tune(6).slowed(1 / 1.25)))
    assert finding.track.title == "Song 6"
    assert finding.speed == pytest.approx(1.25, abs=0.011)


def test_a_changed_speed_is_found_in_a_long_recording_beside_a_song_as_it_is(snapshot: Snapshot) -> None:
    parts = [noise(2, 8.0), tune(3).cut(0, 20), faster(tune(6), 1.02)]
    mix = joined(*parts)
    findings = {finding.track.title: finding for finding in identify(snapshot, prepare(mix))}
    assert findings["Song 3"].speed == 1.0
    assert findings["Song 6"].speed == pytest.approx(1.02, abs=0.011)
    assert findings["Song 6"].position_seconds == pytest.approx(28, abs=STEP_SECONDS + 1)


def test_a_mix_gives_each_song_once_with_its_position(snapshot: Snapshot) -> None:
    parts = [tune(1).cut(0, 20), noise(1, 10), tune(4).cut(2, 18), tune(7).cut(0, 20)]
    mix = joined(*parts)
    findings = {finding.track.title: finding for finding in identify(snapshot, prepare(mix))}
    assert set(findings) == {"Song 1", "Song 4", "Song 7"}
    assert findings["Song 1"].position_seconds == 0
    assert findings["Song 4"].position_seconds == pytest.approx(30, abs=STEP_SECONDS + 1)
    assert findings["Song 7"].position_seconds == pytest.approx(48, abs=STEP_SECONDS + 1)
    for title, starts in (("Song 4", 30 - 2), ("Song 7", 48)):
        finding = findings[title]
        assert finding.offset_seconds == pytest.approx(finding.position_seconds - starts, abs=0.1)


def test_a_song_that_begins_within_the_recording_has_its_position(snapshot: Snapshot) -> None:
    quiet = np.zeros((1, 2 * SAMPLE_RATE), np.float32)
    pcm = Pcm(np.ascontiguousarray(np.concatenate([quiet, tune(2).cut(0, 5).samples], axis=1)))
    (finding,) = identify(snapshot, prepare(pcm))
    assert finding.position_seconds == pytest.approx(2.0, abs=0.05)
    assert finding.offset_seconds == 0


@pytest.mark.parametrize("seconds", [12.5, 15.0, 60.0, 601.0, 36_000.0])
def test_windows_cover_the_recording_and_are_bounded(seconds: float) -> None:
    starts = list(window_starts(seconds))
    assert starts[0] == 0
    assert starts == sorted(starts)
    assert len(starts) <= 241
    assert seconds - (starts[-1] + WINDOW_SECONDS) == pytest.approx(0, abs=0.5)


@pytest.mark.parametrize("seconds", [12.3, 27.0])
def test_windows_that_overlap_are_transformed_as_if_each_were_alone(seconds: float) -> None:
    pcm = Pcm(np.random.default_rng(5).normal(0, 0.1, (2, int(seconds * SAMPLE_RATE))).astype(np.float32))
    count = 0
    for window in windows(pcm):
        alone = channel_levels(pcm.cut(window.start_seconds, WINDOW_SECONDS))
        assert len(window.query.levels) == len(alone) == 2
        for levels, expected in zip(window.query.levels, alone, strict=True):
            assert np.array_equal(levels, expected)
        count += 1
    assert count == len(list(window_starts(seconds)))


def test_a_chance_hit_in_one_of_many_windows_does_not_count(snapshot: Snapshot) -> None:
    (sure,) = identify(snapshot, prepare(tune(1).cut(3, 10)))
    assert merge([replace(sure, confidence=0.85)]) == []
    assert [finding.confidence for finding in merge([replace(sure, confidence=0.85)] * 2)] == [0.85]
    assert len(merge([replace(sure, confidence=0.99)])) == 1


def test_between_two_windows_in_which_a_song_goes_on_none_is_asked(snapshot: Snapshot) -> None:
    pcm = tune(1).cut(3, 10)
    (sure,) = identify(snapshot, prepare(pcm))
    query = AudioQuery(pcm)

    def at(number: int, *, begins: float = 0.0) -> Finding:
        """A window's finding when the song began so many seconds into the recording."""
        seconds = number * STEP_SECONDS
        return replace(sure, position_seconds=seconds, offset_seconds=seconds - begins, speed=1.0)

    found = {0: at(0), 2: at(2), 4: at(4, begins=1.0), 6: None, 8: at(8), 10: at(10)}
    found_in: dict[int, Finding | None] = {}
    asked: list[int] = []
    every = (Window(number=number, start_seconds=number * STEP_SECONDS, query=query) for number in range(12))
    for window in windows_to_ask(every, found_in):
        asked.append(window.number)
        found_in[window.number] = found.get(window.number)
    # From 2 to 4 it began anew, nothing is known of 6, and 11 is the last.
    assert sorted(asked) == [0, 2, 3, 4, 5, 6, 7, 8, 10, 11]
    assert not continues(at(0), replace(at(2), track=replace(sure.track, id="other")))


def test_a_short_song_between_two_windows_is_found(snapshot: Snapshot) -> None:
    # It fills the window from 5 to 15 seconds, and half of each beside it.
    parts = [noise(1, 5.0), tune(2).cut(3, 10), noise(2, 15.0)]
    mix = joined(*parts)
    assert titles(snapshot, mix) == ["Song 2"]
