from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from fingerprint.catalog import matching
from fingerprint.catalog.index import Catalog, Snapshot
from fingerprint.catalog.matching import (
    CROWDED_PLACES,
    FEWEST_PLACES,
    LEAST_PLACES,
    MOST_PLACES,
    count_votes,
    crowded,
    find_candidates,
)
from fingerprint.catalog.parameters import DEFAULT
from fingerprint.catalog.postings import PlaceSet
from fingerprint.catalog.query import QueryFingerprint, fingerprint_query
from fingerprint.catalog.writer import CatalogWriter
from fingerprint.domain.audio import Pcm
from tests.unit.catalog.music import mixed, noise, tune
from tests.unit.catalog.shelf import entry, fill


def naive_votes(snapshot: Snapshot, query: QueryFingerprint) -> dict[str, float]:
    """The definition, hit by hit: the best offset's votes for each track."""
    postings: dict[int, list[tuple[str, int]]] = defaultdict(list)
    spanned = 0
    for live in snapshot.segments:
        segment = live.segment
        spanned += live.frames
        hashes = segment.hashes(0, 2**segment.directory_bits)
        owners = segment.track_numbers(segment.postings)
        for value, position, owner in zip(
            hashes.tolist(), segment.postings.tolist(), owners.tolist(), strict=True
        ):
            if live.alive[owner]:
                first = int(segment.tracks["first_frame"][owner])
                postings[value].append((segment.entry(owner).id, position - first))
    votes: dict[tuple[str, int], dict[int, float]] = defaultdict(dict)
    for value, time in zip(query.hashes.tolist(), query.times.tolist(), strict=True):
        for track_id, frame in postings[value]:
            weight = np.log(1 + 0.1 / (len(postings[value]) / spanned))
            start = -(-time // DEFAULT.phases)
            for counted in (frame - start, frame - start - 1):
                frames = votes[track_id, counted]
                frames[start] = max(frames.get(start, 0.0), float(weight))
    best: dict[str, float] = {}
    for (track_id, _), frames in votes.items():
        best[track_id] = max(best.get(track_id, 0.0), sum(frames.values()))
    return best


@pytest.mark.parametrize("number", [1, 4, 77])
def test_candidates_are_those_of_the_definition(tmp_path: Path, number: int) -> None:
    fill(tmp_path, range(3))
    fill(tmp_path, range(3, 6))
    with CatalogWriter(tmp_path) as writer:
        writer.remove(["000000000000"])
    snapshot = Catalog(tmp_path).snapshot()
    query = fingerprint_query(mixed(tune(number).cut(3.3, 3), noise(5, 3), 1.0))
    found = {candidate.track_id: candidate.votes for candidate in find_candidates(snapshot, query, limit=10)}
    expected = naive_votes(snapshot, query)
    assert found == pytest.approx(expected, rel=1e-4)
    assert "000000000000" not in found


@pytest.mark.parametrize("start", [0.0, 3.21, 13.9])
def test_the_offset_is_where_the_cut_was_made(tmp_path: Path, start: float) -> None:
    fill(tmp_path, range(4))
    best = find_candidates(Catalog(tmp_path).snapshot(), fingerprint_query(tune(2).cut(start, 6)), limit=4)[0]
    assert best.track_id == "000000000002"
    assert best.offset * DEFAULT.hop / DEFAULT.phases / DEFAULT.rate == pytest.approx(start, abs=0.05)


def test_an_offset_before_the_tracks_start_is_negative(tmp_path: Path) -> None:
    fill(tmp_path, range(4))
    pcm = tune(2)
    late = type(pcm)(np.ascontiguousarray(np.pad(pcm.cut(0, 5).samples, ((0, 0), (32_000, 0)))))
    best = find_candidates(Catalog(tmp_path).snapshot(), fingerprint_query(late), limit=4)[0]
    assert best.track_id == "000000000002"
    assert best.offset * DEFAULT.hop / DEFAULT.phases / DEFAULT.rate == pytest.approx(-2.0, abs=0.05)


def test_memory_is_bounded_by_taking_the_rarest_hashes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with CatalogWriter(tmp_path) as writer:
        writer.add([entry(number) for number in range(6)])
        # The same music many times makes its hashes common.
        writer.add([entry(number, tune(99)) for number in range(6, 30)])
    monkeypatch.setattr(matching, "MAX_HITS", 3000)  # the query has several times as many
    snapshot = Catalog(tmp_path).snapshot()
    query = fingerprint_query(tune(3).cut(4, 6))
    assert find_candidates(snapshot, query, limit=3)[0].track_id == "000000000003"


def test_a_track_that_repeats_itself_has_several_offsets(tmp_path: Path) -> None:
    part = tune(3).cut(0, 8).samples
    twice = Pcm(np.concatenate([part, tune(4).cut(0, 5).samples, part], axis=1))
    with CatalogWriter(tmp_path) as writer:
        writer.add([entry(0, twice), entry(1), entry(2)])
    query = fingerprint_query(mixed(Pcm(part).cut(1, 6), noise(1, 6), 0.5))
    votes = count_votes(Catalog(tmp_path).snapshot(), query, tracks=3, offsets=6)
    seconds = [each.offset * DEFAULT.hop / DEFAULT.phases / DEFAULT.rate for each in votes.offsets]
    assert sorted(seconds[:2]) == pytest.approx([1.0, 14.0], abs=0.05)
    assert votes.offsets[1].votes > 2 * votes.offsets[2].votes
    assert [each.votes for each in votes.offsets] == sorted((each.votes for each in votes.offsets), reverse=True)
    assert votes.tracks[0] is votes.offsets[0]
    assert len({each.track_id for each in votes.tracks}) == len(votes.tracks) == 3
    # The second is of a track as strong as the first, and stands against the other tracks.
    assert votes.votes_of_track_and_rivals(votes.offsets[1]) == (
        votes.tracks[0].votes,
        [each.votes for each in votes.tracks[1:]],
    )


@pytest.mark.parametrize("piece", [1 << 20, 5_000])
def test_places_at_which_many_hits_agree_are_counted_exactly(piece: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matching, "SORTED_PIECE", piece)
    rng = np.random.default_rng(1)
    by_chance = rng.integers(0, 1 << 32, 300_000, dtype=np.uint32)
    agreeing = np.repeat(rng.integers(0, 1 << 32, 400, dtype=np.uint32), 6) + rng.integers(
        0, 2, 2_400, dtype=np.uint32
    )
    places = rng.permutation(np.concatenate([by_chance, agreeing]))
    wanted = crowded(places)
    assert len(wanted.find(agreeing)) > 0.98 * len(agreeing)
    assert len(wanted.find(by_chance)) < 0.001 * len(by_chance)


@pytest.mark.parametrize("agreeing", [0, 3, 40, 3_000])
def test_a_part_of_the_hits_tells_which_number_of_agreeing_ones_to_count(
    agreeing: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(agreeing)
    by_chance = rng.integers(0, 1 << 21, 400_000, dtype=np.uint32)
    places = np.concatenate([by_chance, np.repeat(np.uint32(77), agreeing)])
    monkeypatch.setattr(matching, "SORTED_PIECE", 1 << 30)
    all_counted = crowded(places)
    monkeypatch.setattr(matching, "SORTED_PIECE", 2_000)
    again = crowded(places)
    assert np.array_equal(again.lower, all_counted.lower)
    assert np.array_equal(again.upper, all_counted.upper)


@pytest.mark.parametrize(("triples", "only_they"), [(20, True), (5, False)])
def test_of_many_places_only_those_with_most_hits_are_counted_while_there_are_some(
    triples: int, only_they: bool
) -> None:
    pairs = np.repeat(np.arange(30_000, dtype=np.uint32) * 1_000, 2)
    wanted = crowded(np.concatenate([pairs, pairs[: 2 * triples : 2]]))
    assert (np.count_nonzero(wanted.lower) <= 3 * triples) == only_they


@pytest.mark.parametrize("count", [1, 2, 200])
def test_few_hits_are_all_counted_exactly(count: int) -> None:
    places = np.arange(count, dtype=np.uint32) * 1_000
    wanted = crowded(places)
    assert len(wanted.find(places)) == count


@pytest.mark.parametrize("span", [1 << 14, 1 << 17, 1 << 20, 1 << 26])
def test_the_crowded_places_are_those_of_the_simple_form(span: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matching, "SORTED_PIECE", 3_000)
    places = np.random.default_rng(span).integers(0, span, 120_000, dtype=np.uint32)
    ordered = np.sort(places)

    def with_agreeing(count: int) -> NDArray[np.uint32]:
        return ordered[: len(ordered) - count + 1][ordered[count - 1 :] - ordered[: len(ordered) - count + 1] <= 1]

    count = 1
    while len(with_agreeing(count)) > CROWDED_PLACES:
        count += 1
    if len(with_agreeing(count)) < FEWEST_PLACES or (
        len(with_agreeing(count)) < LEAST_PLACES and len(with_agreeing(count - 1)) <= MOST_PLACES
    ):
        count -= 1
    expected = with_agreeing(count)
    found = crowded(places)
    simple = PlaceSet.of(np.concatenate([expected, expected + np.uint32(1)]))
    assert np.array_equal(found.lower, simple.lower)
    assert np.array_equal(found.upper, simple.upper)
