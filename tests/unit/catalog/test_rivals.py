"""Tracks that share material, and releases of one recording."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from fingerprint.catalog.examination import Finding
from fingerprint.catalog.fingerprint import NO_FINGERPRINT
from fingerprint.catalog.identify import identify, prepare
from fingerprint.catalog.index import Catalog, Snapshot
from fingerprint.catalog.matching import Candidate
from fingerprint.catalog.parameters import DEFAULT
from fingerprint.catalog.rivals import rivalry
from fingerprint.catalog.writer import CatalogWriter
from fingerprint.domain.audio import SAMPLE_RATE, Pcm
from tests.unit.catalog.music import mixed, noise, tune
from tests.unit.catalog.shelf import entry, track

ON_LOOP = 14


def loop(seconds: float = 20.0) -> Pcm:
    """Two seconds of drums, again and again."""
    rng = np.random.default_rng(1)
    bar = np.zeros(2 * SAMPLE_RATE)
    times = np.arange(2000) / SAMPLE_RATE
    for hit in range(16):
        sound = np.exp(-times * rng.uniform(20, 160)) * rng.standard_normal(2000) * rng.choice([0, 0.15, 0.5])
        if hit % 4 == 0:
            sound += np.sin(2 * np.pi * rng.uniform(50, 900) * times) * np.exp(-times * 20) * 0.5
        bar[hit * 2000 : (hit + 1) * 2000] += sound
    samples = np.resize(bar, round(seconds * SAMPLE_RATE)) * 0.5
    return Pcm(samples.astype(np.float32)[np.newaxis])


def after(*parts: Pcm) -> Pcm:
    return Pcm(np.ascontiguousarray(np.concatenate([part.samples for part in parts], axis=1)))


@pytest.fixture(scope="module")
def on_one_loop(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    folder = tmp_path_factory.mktemp("loops")
    with CatalogWriter(folder) as writer:
        writer.add([entry(number, mixed(loop(), tune(number), 0.6)) for number in range(ON_LOOP)])
    return Catalog(folder).snapshot()


def ask(snapshot: Snapshot, pcm: Pcm) -> list[Finding]:
    return identify(snapshot, prepare(pcm))


def test_the_right_one_of_many_tracks_on_a_loop_is_named(on_one_loop: Snapshot) -> None:
    for number in range(0, ON_LOOP, 5):
        (found,) = ask(on_one_loop, mixed(loop(), tune(number), 0.6).cut(5.3, 6))
        assert (found.track.title, found.also) == (f"Song {number}", ())


def test_an_unknown_tune_over_the_loop_is_not_named(on_one_loop: Snapshot) -> None:
    named = [
        ask(on_one_loop, mixed(loop(), tune(500 + number), 0.6).cut(4.1 + number / 7, 6)) for number in range(3)
    ]
    assert named == [[]] * 3


def test_the_loop_alone_is_not_named(on_one_loop: Snapshot) -> None:
    assert [ask(on_one_loop, loop().cut(2 + number / 9, 6)) for number in range(2)] == [[]] * 2


FRAMES, PEAKS, IN_LOOP = 190, 290, 80
SECONDS = FRAMES / DEFAULT.frames_per_second


def peaks_beside(folder: Path, tracks: int, of_the_loop: float) -> tuple[list[Candidate], list[NDArray[np.bool_]]]:
    """Tracks of random peaks and a part of one loop's, all at offset 0, and which of each one's are the loop's."""
    rng = np.random.default_rng(1)
    first, last = DEFAULT.band_edges[0], DEFAULT.band_edges[-1]
    places = FRAMES * (last - first)
    drums = rng.choice(places, IN_LOOP, replace=False)
    shown: list[NDArray[np.bool_]] = []
    with CatalogWriter(folder) as writer:
        for number in range(tracks):
            mine = rng.permutation(drums)[: round(of_the_loop * IN_LOOP)]
            found = np.union1d(rng.choice(places, PEAKS - len(mine), replace=False), mine)
            frames, bins = np.divmod(found, last - first)
            fingerprint = replace(
                NO_FINGERPRINT,
                peak_frames=frames.astype(np.uint32),
                peak_bins=(bins + first).astype(np.uint16),
                frames=FRAMES,
                duration_seconds=SECONDS,
            )
            writer.add([(track(number, SECONDS), fingerprint)])
            shown.append(np.isin(found, mine))
    live = Catalog(folder).snapshot().segments
    candidates = [
        Candidate(live=each, number=number, offset=0, votes=100.0, frames=20, speed=1.0)
        for each in live
        for number in range(len(each.segment.tracks))
    ]
    return sorted(candidates, key=lambda each: each.track_id), shown


def test_what_many_tracks_have_is_known_though_no_two_of_them_look_alike(tmp_path: Path) -> None:
    candidates, shown = peaks_beside(tmp_path, 40, 0.45)
    beside = rivalry(candidates[0], candidates, FRAMES * DEFAULT.phases)
    assert (beside.same, len(beside.crowd)) == ((), 39)
    shared = beside.shared((0, FRAMES * DEFAULT.phases))
    assert shared[shown[0]].mean() > 0.95
    assert shared[~shown[0]].mean() < 0.2


def test_many_tracks_without_anything_in_common_take_nothing_away(tmp_path: Path) -> None:
    candidates, _ = peaks_beside(tmp_path, 40, 0.0)
    beside = rivalry(candidates[0], candidates, FRAMES * DEFAULT.phases)
    assert (beside.sharing, beside.crowd) == ((), ())


def equalized(pcm: Pcm, low: float, high: float) -> Pcm:
    """With the bass and the treble so many dB louder."""
    spectrum = np.fft.rfft(pcm.samples, axis=1)
    hertz = np.fft.rfftfreq(pcm.samples.shape[1], 1 / SAMPLE_RATE)
    decibels = np.interp(np.log2(np.maximum(hertz, 20)), np.log2([200, 1000, 4000]), [low, 0, high])
    return Pcm(np.fft.irfft(spectrum * 10 ** (decibels / 20), axis=1).astype(np.float32))


def compressed(pcm: Pcm) -> Pcm:
    """Its loud passages pushed down, as a later remaster has them."""
    return Pcm(np.tanh(pcm.samples * np.float32(3)))


def faded_out(pcm: Pcm, seconds: float) -> Pcm:
    left: NDArray[np.float64] = np.arange(pcm.samples.shape[1], 0, -1, dtype=np.float64) / SAMPLE_RATE
    return Pcm((pcm.samples * (left / seconds).clip(0, 1)).astype(np.float32))


NAMES = ["original", "other bit rate", "remaster", "radio edit", "mix"]


@cache
def made() -> dict[str, Pcm]:
    """A recording and its other releases, by name."""
    song = tune(5, 40.0)
    return {
        "original": song,
        "other bit rate": mixed(equalized(song, 0, -20), noise(4, 40), 0.02),
        "remaster": compressed(equalized(song, 4, 5)),
        "radio edit": faded_out(song.cut(6, 24), 5),
        "mix": after(tune(30), tune(31), song, tune(32)),
    }


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    """A recording, its other releases, and other music."""
    folder: Path = tmp_path_factory.mktemp("releases")
    with CatalogWriter(folder) as writer:
        writer.add([entry(number) for number in range(4)])
        writer.add([entry(number, made()[name]) for number, name in enumerate(NAMES, 10)])
    return Catalog(folder).snapshot()


def names(found: Finding) -> list[str]:
    return [NAMES[int(track_id, 16) - 10] for track_id in (found.track.id, *found.also)]


@pytest.mark.parametrize("asked", NAMES)
@pytest.mark.parametrize(("at", "over"), [(8, 0.0), (14, 0.6), (22, 0.3)])
def test_releases_of_one_recording_are_all_named_in_the_same_order(
    releases: Snapshot, asked: str, at: float, over: float
) -> None:
    begins = {"radio edit": -6, "mix": 40}.get(asked, 0)
    (found,) = ask(releases, mixed(made()[asked].cut(at + begins, 6), noise(7, 6), over))
    # The longest that is no mix, of equals the one that was added first; the mix comes last.
    assert names(found) == ["original", "other bit rate", "remaster", "radio edit", "mix"]
    assert found.offset_seconds == pytest.approx(at, abs=0.1)


EQUALS: dict[str, tuple[list[dict[str, str]], list[int]]] = {
    "the earliest date": ([{"release_date": "2011"}, {"release_date": "1987-03-02"}, {}], [1, 0, 2]),
    "the year before the day": ([{"release_date": "1987-03-02"}, {"release_date": "1986"}], [1, 0]),
    "a title that says so": (
        [{"title": "Song (2009 Remaster)", "release_date": "1975"}, {"title": "Song"}],
        [1, 0],
    ),
    "the one added first": ([{"release_date": "1999"}, {"release_date": "1999"}, {}, {}], [0, 1, 2, 3]),
}


@pytest.mark.parametrize(("said", "order"), EQUALS.values(), ids=EQUALS)
def test_of_releases_as_long_as_each_other_the_original_is_named(
    tmp_path: Path, said: list[dict[str, str]], order: list[int]
) -> None:
    with CatalogWriter(tmp_path) as writer:
        # Ids against the order, each in a segment of its own, and one a little longer than the other.
        for number, tags in enumerate(said):
            known, fingerprint = entry(90 - number, tune(5).cut(0, 20 - number / 4))
            writer.add([(replace(known, **tags), fingerprint)])
    (found,) = ask(Catalog(tmp_path).snapshot(), tune(5).cut(6, 6))
    assert [90 - int(track_id, 16) for track_id in (found.track.id, *found.also)] == order


def test_what_a_radio_edit_lacks_is_not_its_own(releases: Snapshot) -> None:
    (found,) = ask(releases, made()["original"].cut(33, 6))
    assert names(found) == ["original", "other bit rate", "remaster", "mix"]
