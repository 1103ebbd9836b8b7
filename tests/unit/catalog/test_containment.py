from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fingerprint.catalog.containment import (
    MAX_COARSE,
    Containment,
    best_aligned,
    containment,
)
from fingerprint.catalog.index import Catalog, Snapshot
from fingerprint.catalog.matching import Candidate
from fingerprint.catalog.parameters import DEFAULT
from fingerprint.catalog.query import channel_levels
from fingerprint.catalog.query_levels import NEIGHBORS, QueryLevels, neighborhood_means
from fingerprint.catalog.writer import CatalogWriter
from fingerprint.domain.audio import Pcm
from tests.unit.catalog.music import mixed, noise, tune
from tests.unit.catalog.shelf import entry, fill

STEP = DEFAULT.hop / DEFAULT.phases / DEFAULT.rate


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    folder: Path = tmp_path_factory.mktemp("catalog")
    fill(folder, range(3))
    return Catalog(folder).snapshot()


def at(snapshot: Snapshot, number: int, seconds: float, speed: float = 1.0) -> Candidate:
    live = snapshot.segments[0]
    return Candidate(live=live, number=number, offset=round(seconds / STEP), votes=50.0, frames=10, speed=speed)


def look(pcm: Pcm, candidate: Candidate) -> Containment:
    return containment(QueryLevels.of(channel_levels(pcm)), candidate)


@pytest.mark.parametrize("gain", [0.0, 1.0, 3.0])
def test_music_that_is_there_shows_under_noise(snapshot: Snapshot, gain: float) -> None:
    found = look(mixed(tune(1).cut(6, 6), noise(7, 6), gain), at(snapshot, 1, 6.0))
    assert found.peaks > 100
    for scores in (found.in_time, found.in_frequency, found.in_both):
        assert max(scores) > 4


@pytest.mark.parametrize(("number", "seconds"), [(0, 6.0), (2, 6.0), (1, 13.17)])
def test_other_music_and_other_places_do_not_show(snapshot: Snapshot, number: int, seconds: float) -> None:
    right = look(tune(1).cut(6, 6), at(snapshot, 1, 6.0))
    wrong = look(tune(1).cut(6, 6), at(snapshot, number, seconds))
    assert wrong.strength < right.strength / 2


def test_noise_alone_gives_what_chance_gives(snapshot: Snapshot) -> None:
    scores = [
        score
        for seed in range(6)
        for found in [look(noise(seed, 6), at(snapshot, seed % 3, 2.0 + seed))]
        for score in (*found.in_time, *found.in_frequency, *found.in_both)
    ]
    assert abs(float(np.mean(scores))) < 1.5
    assert max(scores) < 4


@pytest.mark.parametrize("number", range(3))
def test_notes_that_are_held_all_the_time_are_little_more_than_chance(snapshot: Snapshot, number: int) -> None:
    # A chord of all notes at which the track has peaks, under some noise: whenever these are looked up, they are
    # high among their neighbors in frequency.
    candidate = at(snapshot, number, 6.0)
    frames, bins = candidate.live.segment.peaks(number)
    near = np.abs(frames - 6.0 / (STEP * DEFAULT.phases)) < 6.0 / (STEP * DEFAULT.phases)
    times = np.arange(6 * DEFAULT.rate) / DEFAULT.rate
    tones = 2 * np.pi * np.unique(bins[near])[:, np.newaxis] * (DEFAULT.rate / DEFAULT.window) * times
    chord = Pcm((0.02 * np.sin(tones).sum(axis=0, keepdims=True)).astype(np.float32))
    found = look(mixed(chord, noise(3, 6), 1.0), candidate)
    assert found.in_frequency[0] > 10
    assert found.null_z_score[0] < 4


def test_music_that_is_there_is_far_beyond_chance(snapshot: Snapshot) -> None:
    found = look(mixed(tune(1).cut(6, 6), noise(7, 6), 3.0), at(snapshot, 1, 6.0))
    assert found.null_z_score[0] > 8


def test_a_side_without_sound_is_as_none(snapshot: Snapshot) -> None:
    mono = mixed(tune(1).cut(6, 6), noise(7, 6), 1.0)
    stereo = Pcm(np.ascontiguousarray(np.repeat(mono.samples[:1], 2, axis=0)))
    assert look(stereo, at(snapshot, 1, 6.0)) == look(mono, at(snapshot, 1, 6.0))
    assert look(stereo, at(snapshot, 1, 6.0)).in_both[1] == 0


def test_a_small_error_of_the_offset_is_made_good(snapshot: Snapshot) -> None:
    pcm = tune(2).cut(5, 6)
    exact = look(pcm, at(snapshot, 2, 5.0))
    near = look(pcm, at(snapshot, 2, 5.0 + 3 * STEP))
    assert near.shift != 0
    assert near.strength > 0.8 * exact.strength


def test_a_changed_speed_is_followed(snapshot: Snapshot) -> None:
    original = tune(2).samples[0]
    places = np.arange(int(len(original) / 1.02), dtype=np.float64) * 1.02
    played = np.empty((1, len(places)), np.float32)
    played[0] = np.interp(places, np.arange(len(original), dtype=np.float64), original)
    pcm = Pcm(played).cut(4, 6)
    right = look(pcm, at(snapshot, 2, 4.0 * 1.02, 1.02))
    assert right.strength > 2 * look(pcm, at(snapshot, 2, 4.0 * 1.02)).strength


def test_the_side_is_looked_at_too(snapshot: Snapshot) -> None:
    music = tune(1).cut(6, 6).samples[0]
    voice = tune(50, 8.0).cut(0, 6).samples[0] * np.float32(4)
    centered = Pcm(np.ascontiguousarray(np.stack([voice + music, voice - music])))
    found = look(centered, at(snapshot, 1, 6.0))
    assert found.in_both[1] > found.in_both[0] + 3


def test_the_peaks_of_a_tracks_side_are_sought_in_the_querys(tmp_path: Path) -> None:
    # Notes of its own on both sides of what is in the center.
    center, sides = tune(1).samples[0], tune(2).samples[0] * np.float32(0.5)
    wide = Pcm(np.ascontiguousarray(np.stack([center + sides, center - sides])))
    narrow = Pcm(np.ascontiguousarray(wide.mono[np.newaxis]))
    with CatalogWriter(tmp_path) as writer:
        writer.add([entry(0, wide), entry(1, narrow)])
    snapshot = Catalog(tmp_path).snapshot()
    # A voice in the center, far louder than the music, and something of each side's own.
    voice = tune(50, 8.0).cut(0, 6).samples[0] * np.float32(4)
    game = np.concatenate([noise(seed, 6).samples for seed in (1, 2)]) * np.float32(0.2)
    pcm = Pcm(np.ascontiguousarray(wide.cut(6, 6).samples + voice + game))
    own, middles = look(pcm, at(snapshot, 0, 6.0)), look(pcm, at(snapshot, 1, 6.0))
    assert own.in_both[1] > middles.in_both[1] + 3
    assert own.null_z_score[1] > middles.null_z_score[1] + 1


@pytest.mark.parametrize("count", [3, MAX_COARSE + 40])
def test_music_that_is_there_shows_best_of_many(snapshot: Snapshot, count: int) -> None:
    levels = QueryLevels.of(channel_levels(mixed(tune(1).cut(6, 6), noise(7, 6), 1.0)))
    candidates = [at(snapshot, number % 3, 0.3 + number * 0.17) for number in range(count)]
    right = at(snapshot, 1, 6.0)
    found = best_aligned(levels, [*candidates, right], limit=3)
    assert found[0] is right
    assert len(found) == 3


def test_a_query_outside_the_track_has_no_peaks(snapshot: Snapshot) -> None:
    found = look(tune(1).cut(0, 3), at(snapshot, 1, 1000.0))
    assert (found.peaks, found.strength) == (0, 0.0)
    assert replace(found, shift=3).strength == 0.0


def test_neighborhood_means_are_the_means_around() -> None:
    values = np.random.default_rng(1).normal(0, 1, (60, 3)).astype(np.float32)
    means = neighborhood_means(values)
    for place in (0, 5, 30, 59):
        around = values[max(0, place - NEIGHBORS) : place + NEIGHBORS + 1].mean(axis=0)
        assert means[place] == pytest.approx(around, abs=1e-4)
