"""Tracks that share material, and releases of one recording."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from fingerprint.catalog.identify import identify, prepare
from fingerprint.catalog.index import Catalog, Snapshot
from fingerprint.catalog.search import Finding
from fingerprint.catalog.writer import CatalogWriter
from fingerprint.domain.audio import SAMPLE_RATE, Pcm
from tests.unit.catalog.music import mixed, noise, tune
from tests.unit.catalog.shelf import entry

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


ORIGINAL, OTHER_BIT_RATE, IN_A_MIX = (f"{number:012x}" for number in (10, 11, 13))


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    """A recording, the same as another codec leaves it, later in its file, and in a mix; and other music."""
    song = tune(5, 40.0)
    folder: Path = tmp_path_factory.mktemp("releases")
    with CatalogWriter(folder) as writer:
        writer.add([entry(number) for number in range(4)])
        writer.add([entry(10, song), entry(11, mixed(song, noise(4, 40), 0.02))])
        writer.add([entry(13, after(tune(30), tune(31), song, tune(32)))])
    return Catalog(folder).snapshot()


@pytest.mark.parametrize(("at", "over"), [(2, 0.0), (13, 0.0), (20, 0.6), (31, 0.3)])
def test_releases_of_one_recording_are_all_named_the_same_one_first(
    releases: Snapshot, at: float, over: float
) -> None:
    (found,) = ask(releases, mixed(tune(5, 40.0).cut(at, 6), noise(7, 6), over))
    assert set(_ids(found)) == {ORIGINAL, OTHER_BIT_RATE, IN_A_MIX}
    assert found.track.id == OTHER_BIT_RATE  # no mix, and always the same one of equals
    assert found.offset_seconds == pytest.approx(at, abs=0.1)


def _ids(found: Finding) -> Sequence[str]:
    return (found.track.id, *found.also)
