from pathlib import Path

import numpy as np
import pytest

from fingerprint.catalog.audio_query import AudioQuery
from fingerprint.catalog.index import Catalog, Snapshot
from fingerprint.catalog.query import QueryPeaks
from fingerprint.catalog.scouting import Hypothesis, standing_out
from fingerprint.catalog.search import FAR_SPEEDS, SEMITONES, SPEEDS
from fingerprint.catalog.writer import CatalogWriter
from fingerprint.domain.audio import Pcm
from tests.unit.catalog.music import noise, tune
from tests.unit.catalog.shelf import fill
from tests.unit.catalog.test_identify import shifted

AT_SPEEDS = tuple(Hypothesis(speed=speed, pitch=speed) for speed in (*SPEEDS, *FAR_SPEEDS))
AT_PITCHES = tuple(Hypothesis(speed=1.0, pitch=2 ** (semitones / 12)) for semitones in SEMITONES)
ALL = (*AT_SPEEDS, *AT_PITCHES)


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    folder = tmp_path_factory.mktemp("catalog")
    fill(folder, range(5))
    fill(folder, range(5, 8))
    return Catalog(folder).snapshot()


def heights(snapshot: Snapshot, pcm: Pcm) -> list[tuple[float, Hypothesis]]:
    """The hypotheses by how far they stand out, the farthest first."""
    found = standing_out(snapshot, AudioQuery(pcm).scout_peaks, ALL, max_hits=10_000)
    return sorted(zip(found.tolist(), ALL, strict=True), key=lambda each: -each[0])


@pytest.mark.parametrize("speed", [1.05, 0.93, 1.25, 0.8])
def test_the_right_speed_stands_out_among_all(snapshot: Snapshot, speed: float) -> None:
    (height, first), *_ = heights(snapshot, tune(6).cut(4, 6 * speed).slowed(1 / speed))
    assert first.speed == pytest.approx(speed, abs=0.011)
    assert first.pitch == first.speed
    assert height > 4


@pytest.mark.parametrize("semitones", [2, -3])
def test_the_right_pitch_stands_out_among_all(snapshot: Snapshot, semitones: int) -> None:
    (_, first), *_ = heights(snapshot, shifted(tune(6).cut(4, 6), semitones))
    assert (first.speed, first.pitch) == (1.0, pytest.approx(2 ** (semitones / 12)))


def test_nothing_stands_out_where_there_is_nothing(snapshot: Snapshot) -> None:
    silence = Pcm(np.zeros((1, 96_000), np.float32))
    assert [height for height, _ in heights(snapshot, silence)] == [0.0] * len(ALL)
    none = np.empty(0, np.int64)
    no_peaks = QueryPeaks(
        parts=none, phases=np.zeros(1, np.int64), frames=none, bins=none.astype(np.float32), ranks=none, steps=10
    )
    assert not standing_out(snapshot, no_peaks, ALL, max_hits=100).any()


def test_noise_stands_out_less_than_music(snapshot: Snapshot) -> None:
    assert heights(snapshot, noise(3, 6.0))[0][0] < heights(snapshot, tune(6).cut(4, 7.5).slowed(0.8))[0][0]


def test_an_empty_catalog_has_nothing_that_stands_out(tmp_path: Path) -> None:
    with CatalogWriter(tmp_path):
        pass
    assert not standing_out(Catalog(tmp_path).snapshot(), AudioQuery(tune(1)).scout_peaks, ALL, max_hits=100).any()
