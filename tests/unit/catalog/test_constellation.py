import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fingerprint.catalog.constellation import find_peaks, sliding_maximum
from fingerprint.catalog.parameters import DEFAULT
from fingerprint.catalog.spectrogram import spectrogram
from tests.unit.catalog.music import noise, tune


@given(
    st.lists(st.floats(-5, 5, width=32), min_size=0, max_size=40),
    st.integers(0, 9),
)
def test_the_sliding_maximum_is_what_a_loop_finds(values: list[float], reach: int) -> None:
    array = np.array(values, np.float32)
    expected = [max(values[max(0, at - reach) : at + reach + 1]) for at in range(len(values))]
    assert sliding_maximum(array, reach, 0).tolist() == expected


def naive_peaks(levels: np.ndarray, quota: int) -> set[tuple[int, int]]:
    """The definition, point by point."""
    edges = DEFAULT.band_edges
    groups: dict[tuple[int, int], list[tuple[float, int, int]]] = {}
    for frame in range(len(levels)):
        for band in range(len(edges) - 1):
            for place in range(edges[band], edges[band + 1]):
                around = levels[
                    max(0, frame - DEFAULT.peak_frames) : frame + DEFAULT.peak_frames + 1,
                    max(0, place - DEFAULT.peak_bins) : place + DEFAULT.peak_bins + 1,
                ]
                if levels[frame, place] == around.max():
                    key = (frame // DEFAULT.block_frames, band)
                    groups.setdefault(key, []).append((float(levels[frame, place]), frame, place))
    return {(frame, place) for group in groups.values() for _, frame, place in sorted(group, reverse=True)[:quota]}


@pytest.mark.parametrize("seed", [1, 2])
def test_peaks_are_those_of_the_definition(seed: int) -> None:
    levels = spectrogram(tune(seed, 1.2).mono, DEFAULT, hop=DEFAULT.hop)
    peaks = find_peaks(levels, DEFAULT, quota=3)
    found = set(zip(peaks.frames.tolist(), peaks.bins.tolist(), strict=True))
    assert found == naive_peaks(levels, 3)
    assert np.array_equal(peaks.levels, levels[peaks.frames, peaks.bins])


def test_peaks_are_in_order_and_every_band_has_its_share() -> None:
    levels = spectrogram(noise(1, 5).mono, DEFAULT, hop=DEFAULT.hop)
    peaks = find_peaks(levels, DEFAULT, quota=2)
    order = peaks.frames * 1000 + peaks.bins
    assert (np.diff(order) > 0).all()
    bands = np.searchsorted(DEFAULT.band_edges, peaks.bins, side="right")
    blocks = len(levels) // DEFAULT.block_frames
    for band in range(1, len(DEFAULT.band_edges)):
        assert (bands == band).sum() >= 2 * blocks


@pytest.mark.parametrize("samples", [0, 100, 1023, 1024, 4000])
def test_silence_and_scraps_have_no_peaks(samples: int) -> None:
    levels = spectrogram(np.zeros(samples, np.float32), DEFAULT, hop=DEFAULT.hop)
    assert len(levels) == max(0, (samples - DEFAULT.window) // DEFAULT.hop + 1)
    assert len(find_peaks(levels, DEFAULT, quota=3)) == 0


@settings(max_examples=20, deadline=None)
@given(st.floats(200, 7500))
def test_a_tone_peaks_at_its_frequency(hertz: float) -> None:
    times = np.arange(8000) / DEFAULT.rate
    tone = (0.5 * np.sin(2 * np.pi * hertz * times)).astype(np.float32)
    levels = spectrogram(tone, DEFAULT, hop=DEFAULT.hop)
    loudest = levels.mean(axis=0).argmax()
    assert abs(loudest * DEFAULT.rate / DEFAULT.window - hertz) <= DEFAULT.rate / DEFAULT.window
    # A tone at half of full scale has half the level of full scale, less what lies between two bins.
    assert np.log(0.25) < levels.max() < np.log(0.55)
