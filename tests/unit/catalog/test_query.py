import numpy as np
import pytest

from fingerprint.catalog.constellation import Constellation, exact_bins, sliding_maximum
from fingerprint.catalog.fingerprint import fingerprint_track
from fingerprint.catalog.parameters import DEFAULT, FULL, QUICK
from fingerprint.catalog.query import channel_levels, fingerprint_query, query_landmarks, query_peaks
from fingerprint.catalog.query_levels import BIN_REACH, STEP_REACH, QueryLevels
from fingerprint.catalog.spectrogram import spectrogram
from fingerprint.domain.audio import Pcm
from tests.unit.catalog.music import tune
from tests.unit.catalog.test_identify import faster


@pytest.mark.parametrize("hertz", [440.0, 1003.0, 2511.7, 6400.3])
def test_a_peaks_place_is_known_to_a_fraction_of_a_bin(hertz: float) -> None:
    times = np.arange(16_000, dtype=np.float64) / DEFAULT.rate
    tone = np.empty(16_000, np.float32)
    tone[:] = 0.3 * np.sin(2 * np.pi * hertz * times)
    levels = spectrogram(tone, DEFAULT, hop=DEFAULT.hop)
    nearest = round(hertz * DEFAULT.window / DEFAULT.rate)
    peak = Constellation(np.array([5]), np.array([nearest]), levels[5:6, nearest], np.zeros(1, np.int64))
    assert exact_bins(levels, peak)[0] == pytest.approx(hertz * DEFAULT.window / DEFAULT.rate, abs=0.06)


def test_a_peak_at_the_edge_has_a_place() -> None:
    levels = np.random.default_rng(1).normal(0, 1, (3, 8)).astype(np.float32)
    peaks = Constellation(np.array([0, 2]), np.array([0, 7]), levels[[0, 2], [0, 7]], np.zeros(2, np.int64))
    assert np.abs(exact_bins(levels, peaks) - peaks.bins).max() < 0.5


@pytest.mark.parametrize("speed", [1.03, 1.01, 0.98, 0.96])
def test_moved_peaks_have_the_landmarks_of_the_original(speed: float) -> None:
    track = set(fingerprint_track([tune(3)]).hashes.tolist())
    played = faster(tune(3), speed).cut(4, 6)
    moved = set(fingerprint_query(played, speed=speed).hashes.tolist())
    unmoved = set(fingerprint_query(played).hashes.tolist())
    assert len(moved & track) > 3 * len(unmoved & track)


def test_at_the_sounds_own_speed_nothing_moves() -> None:
    peaks = query_peaks(channel_levels(tune(3).cut(4, 6)), effort=QUICK)
    landmarks = query_landmarks(peaks, fan_out=QUICK.fan_out)
    assert landmarks.steps == peaks.steps
    assert set(landmarks.times.tolist()) <= {
        frame * DEFAULT.phases + int(peaks.phases[part])
        for frame, part in zip(peaks.frames.tolist(), peaks.parts.tolist(), strict=True)
    }


def test_some_parts_are_those_phases_of_the_middle() -> None:
    levels = channel_levels(tune(3, channels=2).cut(4, 6))
    some = query_peaks(levels, effort=FULL).only((0, 2))
    alone = query_peaks(levels, effort=FULL_IN_TWO_PHASES)
    assert np.array_equal(some.frames, alone.frames)
    assert np.array_equal(some.bins, alone.bins)
    found, expected = (query_landmarks(peaks, fan_out=5, speed=1.02) for peaks in (some, alone))
    assert set(found.hashes.tolist()) == set(expected.hashes.tolist())


FULL_IN_TWO_PHASES = type(FULL)(quota=FULL.quota, fan_out=FULL.fan_out, phases=(0, 2), side=False)


@pytest.mark.parametrize("seconds", [1.0, 6.0])
def test_channels_that_are_computed_side_by_side_are_as_each_alone(seconds: float) -> None:
    pcm = tune(3, channels=2).cut(4, seconds)
    both = channel_levels(pcm)
    assert pcm.side is not None
    alone = [channel_levels(Pcm(samples[np.newaxis].copy()))[0] for samples in (pcm.mono, pcm.side)]
    assert all(np.array_equal(one, other) for one, other in zip(both, alone, strict=True))
    prepared = QueryLevels.of(both)
    for number, levels in enumerate(both):
        expected = QueryLevels.of([levels])
        loudest = sliding_maximum(sliding_maximum(levels, STEP_REACH, 0), BIN_REACH, 1).T
        assert np.array_equal(prepared.channels[number], loudest)
        assert np.array_equal(prepared.relative[number], expected.relative[0])
        assert np.array_equal(prepared.ranked_relative[number], expected.ranked_relative[0])
        assert prepared.channels[number].flags.c_contiguous


def test_another_sample_rate_is_refused() -> None:
    with pytest.raises(ValueError, match="needs 16000 samples a second, not 8000"):
        channel_levels(Pcm(np.zeros((1, 9000), np.float32), 8000))
