from pathlib import Path

import numpy as np
import pytest

from fingerprint.catalog.explain import explain
from fingerprint.catalog.index import Catalog, Snapshot
from fingerprint.catalog.matching import agreement, find_candidates
from fingerprint.catalog.query import fingerprint_query
from fingerprint.domain.audio import Pcm
from tests.unit.catalog.music import mixed, noise, tune
from tests.unit.catalog.shelf import fill
from tests.unit.catalog.test_identify import faster


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    folder = tmp_path_factory.mktemp("catalog")
    fill(folder, range(4))
    fill(folder, range(4, 6))
    return Catalog(folder).snapshot()


def test_the_matching_landmarks_are_the_tracks(snapshot: Snapshot) -> None:
    pcm = mixed(tune(5).cut(7.0, 6), noise(1, 6), 0.5)
    found = explain(snapshot, pcm)
    assert found.examined is not None
    assert found.examined.finding.track.title == "Song 5"
    assert found.offset_seconds == pytest.approx(7.0, abs=0.05)
    assert 50 < len(found.matching) < len(found.landmarks)
    # Where a line matches, both of its ends are loud in the spectrogram.
    matching = found.landmarks[found.matching]
    steps = np.rint(matching.from_seconds / found.step_seconds).astype(np.int64)
    bins = np.rint(matching.from_hertz / found.bin_hertz).astype(np.int64)
    assert (found.levels[steps, bins] > np.median(found.levels)).mean() > 0.95
    assert [votes.chosen for votes in found.candidates].index(True) == 0


def test_the_histograms_highest_place_is_the_candidate(snapshot: Snapshot) -> None:
    query = fingerprint_query(mixed(tune(2).cut(3.0, 6), noise(2, 6), 1.0))
    for candidate in find_candidates(snapshot, query, limit=3):
        agreed = agreement(snapshot, query, candidate)
        best = int(np.argmax(agreed.votes))
        assert agreed.votes[best] == pytest.approx(candidate.votes)
        assert candidate.votes == pytest.approx(float(agreed.votes[agreed.offsets == candidate.offset][0]))
        assert len(agreed.landmarks) >= candidate.frames


def test_a_changed_speed_is_explained_in_the_sounds_own_time(snapshot: Snapshot) -> None:
    found = explain(snapshot, faster(tune(3), 1.03).cut(4, 6))
    assert found.examined is not None
    assert found.examined.search_pass.fingerprint.speed == pytest.approx(1.03, abs=0.011)
    assert float(found.landmarks.to_seconds.max()) <= 6.1
    assert float(found.landmarks.from_hertz.max()) < 8000


def test_sound_that_shares_nothing_is_explained_too(snapshot: Snapshot) -> None:
    found = explain(snapshot, Pcm(np.zeros((2, 40_000), np.float32)))
    assert found.examined is None
    assert (len(found.landmarks), len(found.votes), len(found.candidates)) == (0, 0, 0)
    with pytest.raises(ValueError, match="too short"):
        explain(snapshot, Pcm(np.zeros((1, 100), np.float32)))


def test_an_empty_catalog_is_explained_too(tmp_path: Path) -> None:
    found = explain(Catalog(tmp_path).snapshot(), tune(1).cut(0, 6))
    assert found.examined is None
    assert len(found.landmarks) > 100
