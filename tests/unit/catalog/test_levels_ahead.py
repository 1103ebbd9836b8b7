"""Sound that comes in pieces has, bit for bit, the fingerprint of the whole; so has a part of a sound."""

import random
from concurrent.futures import Executor, ThreadPoolExecutor
from itertools import pairwise, permutations

import numpy as np
import pytest

from fingerprint.catalog.audio_query import AudioQuery
from fingerprint.catalog.identify import prepare, prepared
from fingerprint.catalog.levels_ahead import LevelsAhead
from fingerprint.catalog.query import QueryFingerprint, channel_levels
from fingerprint.catalog.query_levels import QueryLevels
from fingerprint.domain.audio import SAMPLE_RATE, Pcm
from tests.unit.catalog.music import tune

SECONDS = 4.5
"""Long enough for the side to have a thread."""


def noise(channels: int, seed: int) -> Pcm:
    random_numbers = np.random.default_rng(seed)
    return Pcm(random_numbers.normal(0, 0.1, (channels, round(SECONDS * SAMPLE_RATE))).astype(np.float32))


def cancelling() -> Pcm:
    left = tune(2).cut(0, SECONDS).samples[0]
    return Pcm(np.stack([left, -left]))


SOUNDS = {
    "mono": noise(1, 1),
    "stereo": noise(2, 2),
    "music": tune(1).cut(4, SECONDS),
    "channels that cancel each other out": cancelling(),
    "longer than there is room for at first": tune(3).cut(0, 9.5),
    "shorter than a window": noise(2, 3).cut(0, 0.05),
}


WHOLE = AudioQuery(SOUNDS["music"], levels=channel_levels(SOUNDS["music"]))
WHOLE_LEVELS = QueryLevels.of(WHOLE.levels)


def in_pieces(pcm: Pcm, *, seed: int, helper: Executor | None = None) -> AudioQuery:
    """The sound, added in pieces of any length, of which some are shorter than a window and some empty."""
    length = pcm.samples.shape[1]
    dice = random.Random(seed)
    cuts = sorted(dice.randrange(length + 1) for _ in range(dice.randrange(1, 40)))
    ahead = LevelsAhead(len(pcm.samples), helper=helper)
    for first, last in pairwise([0, *cuts, length]):
        ahead.add(pcm.samples[:, first:last])
        for _ in range(dice.randrange(3)):
            ahead.catch_up()
    return ahead.query()


def assert_same_levels(found: QueryLevels, expected: QueryLevels) -> None:
    assert found.heard == expected.heard
    for part in ("channels", "relative", "ranked", "ranked_relative"):
        for one, other in zip(getattr(found, part), getattr(expected, part), strict=True):
            assert one.flags.c_contiguous
            assert np.array_equal(one, other), part


def assert_same_landmarks(found: QueryFingerprint, expected: QueryFingerprint) -> None:
    assert np.array_equal(found.hashes, expected.hashes)
    assert np.array_equal(found.times, expected.times)
    assert np.array_equal(found.trusts, expected.trusts)


@pytest.mark.parametrize("name", SOUNDS)
def test_pieces_have_the_fingerprint_of_the_whole(name: str) -> None:
    pcm = SOUNDS[name]
    for seed in range(2):
        query, whole = in_pieces(pcm, seed=seed), AudioQuery(pcm)
        assert np.array_equal(query.pcm.samples, pcm.samples)
        assert len(query.levels) == len(whole.levels)
        assert all(np.array_equal(*both) for both in zip(query.levels, whole.levels, strict=True))
        if len(whole.levels[0]):
            assert_same_landmarks(prepared(query).quick, prepare(pcm).quick)
            assert_same_landmarks(query.full, whole.full)
            assert_same_levels(query.prepared_levels, whole.prepared_levels)


@pytest.mark.parametrize("order", list(permutations(["levels", "quick", "full", "prepared_levels"])))
def test_it_does_not_matter_what_is_asked_for_first(order: tuple[str, ...]) -> None:
    pcm = SOUNDS["music"]
    with ThreadPoolExecutor(1) as helper:
        queries = [in_pieces(pcm, seed=5), in_pieces(pcm, seed=6), in_pieces(pcm, seed=7, helper=helper)]
        for each in queries[1:]:
            each.prepare()
    for each in queries:
        found = {name: getattr(each, name) for name in order}
        assert all(map(np.array_equal, found["levels"], WHOLE.levels))
        assert_same_landmarks(found["quick"], WHOLE.quick)
        assert_same_landmarks(found["full"], WHOLE.full)
        assert_same_levels(found["prepared_levels"], WHOLE_LEVELS)


def test_a_part_is_prepared_as_if_it_were_all() -> None:
    query = AudioQuery(SOUNDS["music"])
    for first, seconds in ((0, 2.0), (125, 1.0), (240, 0.6), (300, 0.1), (100, 0.064)):
        part = query.part(first, seconds)
        assert_same_levels(part.prepared_levels, QueryLevels.of(part.levels))
        assert_same_landmarks(part.quick, AudioQuery(part.pcm).quick)
