from dataclasses import replace
from pathlib import Path

import pytest

from fingerprint.catalog.confidence import (
    THRESHOLD,
    beside_chances,
    chances_of_length,
    chances_of_takes,
    chances_of_tracks,
)
from fingerprint.catalog.examination import Finding
from fingerprint.catalog.identify import identify, prepare
from fingerprint.catalog.index import Catalog, Snapshot
from fingerprint.catalog.search import examine
from tests.unit.catalog.music import mixed, noise, tune
from tests.unit.catalog.shelf import fill


@pytest.mark.parametrize("probability", [0.0, 0.3, 0.85, 0.99, 1.0])
def test_one_hypothesis_is_as_sure_as_it_is_and_more_are_less_sure(probability: float) -> None:
    assert beside_chances(probability, 1) == pytest.approx(probability)
    sure = [beside_chances(probability, chances) for chances in (1, 2, 8, 100)]
    assert sure == sorted(sure, reverse=True)
    assert all(0 <= each <= 1 for each in sure)


def test_chances_multiply() -> None:
    assert beside_chances(beside_chances(0.97, 3), 5) == pytest.approx(beside_chances(0.97, 15))


def test_a_question_with_all_its_takes_has_a_bounded_chance_of_a_wrong_name() -> None:
    """What a take may claim by chance is the share of wrong answers at the least score that names a song in it."""

    def by_chance(take: int) -> float:
        chances = chances_of_takes(take)
        least = THRESHOLD * chances / (1 - THRESHOLD + THRESHOLD * chances)
        assert beside_chances(least, chances) == pytest.approx(THRESHOLD)
        return 1 - least

    assert by_chance(1) == pytest.approx(1 - THRESHOLD)
    assert sum(map(by_chance, range(2, 1000))) < 0.75 * by_chance(1)


def test_longer_sound_must_be_surer_within_a_bound() -> None:
    assert chances_of_length(3) == chances_of_length(6) == 1
    assert 1 < chances_of_length(8) < chances_of_length(10) == chances_of_length(12) < 3


def test_a_larger_catalog_must_be_surer() -> None:
    assert chances_of_tracks(1) == chances_of_tracks(1_000) == 1
    assert 1 < chances_of_tracks(10_000) < chances_of_tracks(100_000) < 100


def test_the_same_match_is_less_sure_among_more_tracks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path, range(4))
    snapshot = Catalog(tmp_path).snapshot()
    under_noise = prepare(mixed(tune(1).cut(3, 6), noise(5, 6), 1.6))
    few = examine(snapshot, under_noise)

    def very_many(_self: Snapshot) -> int:
        return 100_000

    monkeypatch.setattr(Snapshot, "__len__", very_many)
    many = examine(snapshot, under_noise)
    assert few is not None
    assert many is not None
    assert many.finding.confidence == pytest.approx(beside_chances(few.finding.confidence, 10))


@pytest.mark.parametrize(
    ("sure", "take", "named"), [(0.92, 1, False), (0.94, 1, True), (0.94, 2, False), (0.985, 2, True)]
)
def test_a_few_seconds_are_named_only_where_unknown_music_hardly_is(
    sure: float, take: int, named: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path, range(2))
    (found,) = identify(Catalog(tmp_path).snapshot(), prepare(tune(1).cut(3, 6)))

    def searched(*_arguments: object) -> list[Finding]:
        return [replace(found, confidence=sure)]

    monkeypatch.setattr("fingerprint.catalog.identify._identify", searched)
    assert bool(identify(Catalog(tmp_path).snapshot(), prepare(tune(1).cut(3, 6)), take=take)) == named


def test_a_later_take_of_a_question_must_be_surer(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("catalog")
    fill(folder, range(4))
    snapshot = Catalog(folder).snapshot()
    clear, under_noise = tune(2).cut(3, 6), mixed(tune(1).cut(3, 6), noise(5, 6), 1.6)
    (first,) = identify(snapshot, prepare(under_noise))
    later = identify(snapshot, prepare(under_noise), take=5)
    assert not later or later[0].confidence < first.confidence
    assert identify(snapshot, prepare(clear), take=5)[0].confidence > 0.99
