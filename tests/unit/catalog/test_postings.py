from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fingerprint.catalog import postings, search
from fingerprint.catalog.confidence import THRESHOLD
from fingerprint.catalog.identify import prepare
from fingerprint.catalog.index import Catalog, Snapshot
from fingerprint.catalog.parameters import DEFAULT
from fingerprint.catalog.postings import Landmarks, Lookup, PlaceSet, postings_of
from fingerprint.catalog.query import QueryFingerprint, fingerprint_query
from fingerprint.catalog.search import examine
from fingerprint.catalog.writer import CatalogWriter
from tests.unit.catalog.music import mixed, noise, tune
from tests.unit.catalog.shelf import fill

EVERYTHING = PlaceSet(np.ones(1, np.bool_), np.ones(1, np.bool_))


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    folder = tmp_path_factory.mktemp("catalog")
    fill(folder, range(5))
    fill(folder, range(5, 8))
    with CatalogWriter(folder) as writer:
        writer.remove(["000000000001"])
    return Catalog(folder).snapshot()


def query_of(number: int) -> QueryFingerprint:
    return fingerprint_query(mixed(tune(number).cut(4, 6), noise(1, 6), 0.5))


def test_landmarks_that_differ_by_less_than_a_frame_are_one_and_are_trusted_more() -> None:
    query = query_of(3)
    landmarks = Landmarks.of(query)
    frames = -(-query.times // DEFAULT.phases)
    apart = set(zip(query.hashes.tolist(), frames.tolist(), strict=True))
    assert len(landmarks) == len(apart) < len(query.hashes)
    assert np.array_equal(landmarks.hashes[landmarks.groups], query.hashes)
    assert np.array_equal(landmarks.starts[landmarks.groups], frames)
    group = int(np.argmax(np.bincount(landmarks.groups)))
    alone = query.trusts[landmarks.groups == group].astype(np.float64) ** postings.AGREEING
    assert len(alone) > 1
    assert landmarks.trusts[group] > 1.1 * alone.sum()


def test_pairs_of_the_loudest_peaks_are_trusted_most() -> None:
    query = query_of(3)
    landmarks = Landmarks.of(query)
    there = set(Landmarks.of(fingerprint_query(tune(3).cut(4, 6))).hashes.tolist())
    music = np.isin(landmarks.hashes, list(there))
    assert landmarks.trusts[music].mean() > 1.5 * landmarks.trusts[~music].mean()


@pytest.mark.parametrize("piece", [1, 50, 1 << 20])
@pytest.mark.parametrize("sliced", [0, 1 << 40])
def test_hits_are_the_same_however_they_are_read(
    snapshot: Snapshot, piece: int, sliced: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    landmarks = Landmarks.of(query_of(3))
    whole = Lookup(snapshot, landmarks, 1 << 40)
    expected = whole.hits(EVERYTHING)
    monkeypatch.setattr(postings, "PIECE_HITS", piece)
    monkeypatch.setattr(postings, "SLICED", sliced)
    lookup = Lookup(snapshot, landmarks, 1 << 40)
    found = lookup.hits(EVERYTHING)
    assert np.array_equal(found.positions, expected.positions)
    assert np.array_equal(found.cells, expected.cells)
    assert np.array_equal(found.owners, expected.owners)
    assert np.array_equal(lookup.weights, whole.weights)
    assert np.array_equal(lookup.places, whole.places)


def test_hits_are_those_of_the_files_without_removed_tracks(snapshot: Snapshot) -> None:
    landmarks = Landmarks.of(query_of(1))
    hits = Lookup(snapshot, landmarks, 1 << 40).hits(EVERYTHING)
    expected = 0
    for live in snapshot.segments:
        segment = live.segment
        kept = live.alive[segment.track_numbers(segment.postings)]
        counts = np.bincount(segment.hashes(0, 2**segment.directory_bits)[kept], minlength=1 << 22)
        expected += int(counts[landmarks.hashes].sum())
    assert len(hits) == expected > 100
    assert np.array_equal(hits.positions - hits.cells, landmarks.starts[hits.owners])


def test_no_more_is_read_than_allowed_and_the_most_telling_come_first(snapshot: Snapshot) -> None:
    query = query_of(3)
    landmarks = Landmarks.of(query)
    allowed = postings_of(snapshot, query) // 10
    lookup = Lookup(snapshot, landmarks, allowed)
    assert 0 < len(lookup) <= allowed
    followed = np.unique(lookup.hits(EVERYTHING).owners)
    assert landmarks.trusts[followed].mean() > 1.5 * landmarks.trusts.mean()


def test_what_was_read_is_not_read_again_for_more(snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch) -> None:
    query = query_of(3)
    landmarks = Landmarks.of(query)
    every = postings_of(snapshot, query)
    first = Lookup(snapshot, landmarks, every // 5)
    read: list[int] = []
    of_ranges = postings.gather

    def counted(*ranges: NDArray[Any]) -> NDArray[np.uint32]:
        read.append(int(ranges[2].sum()))
        return of_ranges(*ranges)

    monkeypatch.setattr(postings, "gather", counted)
    monkeypatch.setattr(postings, "SLICED", 1 << 40)
    more = Lookup(snapshot, landmarks, every // 2, known=first)
    assert sum(read) == len(more) - len(first) > 0
    at_once = Lookup(snapshot, landmarks, every // 2)
    assert np.array_equal(np.sort(more.places), np.sort(at_once.places))
    assert np.array_equal(more.weights, at_once.weights)
    found, expected = more.hits(EVERYTHING), at_once.hits(EVERYTHING)
    assert sorted(zip(found.cells.tolist(), found.owners.tolist(), strict=True)) == sorted(
        zip(expected.cells.tolist(), expected.owners.tolist(), strict=True)
    )


def test_a_large_catalog_is_looked_at_more_closely_at_last(
    snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    pcm = mixed(tune(3).cut(4, 6), noise(1, 6), 1.0)
    monkeypatch.setattr(search, "QUICK_HITS", 4)
    monkeypatch.setattr(search, "FULL_HITS", 8)
    monkeypatch.setattr(search, "SCOUT_HITS", (4, 4))
    best = examine(snapshot, prepare(pcm))
    assert best is None or best.finding.confidence < THRESHOLD
    # As if what the landmarks have were very many postings.
    monkeypatch.setattr(search, "LARGE", 100)
    monkeypatch.setattr(search, "LIKELY_HITS", 8)
    best = examine(snapshot, prepare(pcm))
    assert best is not None
    assert (best.finding.track.id, best.finding.confidence >= THRESHOLD) == ("000000000003", True)
