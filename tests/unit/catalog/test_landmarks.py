import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fingerprint.catalog.constellation import Constellation
from fingerprint.catalog.landmarks import HASH_MASK, hash_pairs, pair_peaks, unhash
from fingerprint.catalog.parameters import DEFAULT

PAIRS = st.tuples(st.integers(0, 511), st.integers(-64, 63), st.integers(0, 63))


@given(st.sets(PAIRS, max_size=300))
def test_different_pairs_have_different_hashes(pairs: set[tuple[int, int, int]]) -> None:
    bins, intervals, lapses = (np.array([pair[at] for pair in sorted(pairs)], np.int64) for at in range(3))
    hashes = hash_pairs(bins, intervals, lapses)
    assert len(set(hashes.tolist())) == len(pairs)
    assert all(value <= HASH_MASK for value in hashes.tolist())
    for found, put_in in zip(unhash(hashes), (bins, intervals, lapses), strict=True):
        assert np.array_equal(found, put_in)


def naive_pairs(peaks: list[tuple[int, int]], fan_out: int) -> list[tuple[int, ...]]:
    found: list[tuple[int, ...]] = []
    for at, (frame, place) in enumerate(peaks):
        taken = 0
        for later, target in peaks[at + 1 :]:
            if (
                taken < fan_out
                and 0 < later - frame <= DEFAULT.lapse_frames
                and abs(target - place) <= DEFAULT.interval_bins
            ):
                taken += 1
                found.append((frame, place, target - place, later - frame, taken, max(place % 7, target % 7)))
    return found


@given(
    st.sets(st.tuples(st.integers(0, 120), st.integers(5, 500)), max_size=60).map(sorted),
    st.integers(1, 5),
)
def test_peaks_are_paired_as_a_loop_would(peaks: list[tuple[int, int]], fan_out: int) -> None:
    stars = Constellation(
        np.array([frame for frame, _ in peaks], np.int64),
        np.array([place for _, place in peaks], np.int64),
        np.zeros(len(peaks), np.float32),
        np.array([place % 7 for _, place in peaks], np.int64),
    )
    pairs = pair_peaks(stars, DEFAULT, fan_out=fan_out)
    expected = naive_pairs(peaks, fan_out)
    columns = [np.array([pair[at] for pair in expected], np.int64) for at in range(6)]
    named = set(zip(hash_pairs(*columns[1:4]).tolist(), *(columns[at].tolist() for at in (0, 4, 5)), strict=True))
    found = (pairs.hashes, pairs.anchors, pairs.places, pairs.ranks)
    assert set(zip(*(column.tolist() for column in found), strict=True)) == named
    assert len(pairs.hashes) == len(expected)
