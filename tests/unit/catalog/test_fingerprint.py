import tracemalloc

import numpy as np
import pytest

from fingerprint.catalog import fingerprint
from fingerprint.catalog.fingerprint import fingerprint_from_peaks, fingerprint_track
from fingerprint.catalog.packed_peaks import pack_peaks
from fingerprint.catalog.parameters import DEFAULT
from fingerprint.catalog.query import fingerprint_query
from fingerprint.domain.audio import Pcm
from tests.unit.catalog.music import tune


@pytest.mark.parametrize("block_seconds", [0.05, 0.7, 3.0, 7.3])
def test_a_track_has_the_same_fingerprint_whatever_the_blocks(block_seconds: float) -> None:
    pcm = tune(1, 12.0, channels=2)
    whole = fingerprint_track([pcm])
    assert len(whole.side_frames) > 100
    count = int(pcm.duration_seconds / block_seconds) + 1
    parts = fingerprint_track([pcm.cut(index * block_seconds, block_seconds) for index in range(count)])
    assert parts.frames == whole.frames
    assert parts.duration_seconds == pytest.approx(whole.duration_seconds)
    for name in ("hashes", "anchors", "peak_frames", "peak_bins", "side_frames", "side_bins"):
        assert np.array_equal(getattr(parts, name), getattr(whole, name))


def test_pairing_a_part_at_a_time_gives_the_same_landmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = fingerprint_track([tune(1, 12.0)])
    for peaks in (1, 7, 100):
        monkeypatch.setattr(fingerprint, "PAIRED_PEAKS", peaks)
        parts = fingerprint_track([tune(1, 12.0)])
        assert sorted(zip(parts.hashes.tolist(), parts.anchors.tolist(), strict=True)) == sorted(
            zip(whole.hashes.tolist(), whole.anchors.tolist(), strict=True)
        )


def test_the_landmarks_of_many_hours_take_little_memory() -> None:
    """Of 3 hours' peaks; before they were paired a part at a time, they took 360 MB."""
    rng = np.random.default_rng(1)
    frames = np.sort(rng.integers(0, 3 * 3600 * 31, 480_000)).astype(np.uint32)
    packed = pack_peaks(frames, rng.integers(10, 500, len(frames)).astype(np.uint16))
    nothing = np.empty(0, np.uint16)
    tracemalloc.start()
    found = fingerprint_from_peaks(packed, nothing, frames=int(frames[-1]) + 1, duration_seconds=3 * 3600.0)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(found.hashes) > 400_000
    assert most < 80 << 20


def test_mono_and_the_same_in_stereo_are_the_same_track() -> None:
    mono = tune(2, 6.0)
    stereo = Pcm(np.ascontiguousarray(np.repeat(mono.samples, 2, axis=0)))
    of_mono, of_stereo = fingerprint_track([mono]), fingerprint_track([stereo])
    assert np.array_equal(of_mono.hashes, of_stereo.hashes)
    assert len(of_mono.side_frames) == len(of_stereo.side_frames) == 0


def test_no_sound_has_no_landmarks() -> None:
    assert len(fingerprint_track([]).hashes) == 0
    assert len(fingerprint_query(Pcm(np.zeros((1, 100), np.float32))).hashes) == 0
    assert len(fingerprint_query(Pcm(np.zeros((2, 50_000), np.float32))).hashes) == 0


def test_another_sample_rate_is_refused() -> None:
    pcm = Pcm(np.zeros((1, 8000), np.float32), 8000)
    with pytest.raises(ValueError, match="16000"):
        fingerprint_track([pcm])
    with pytest.raises(ValueError, match="16000"):
        fingerprint_query(pcm)


def test_mono_among_stereo_is_refused() -> None:
    with pytest.raises(ValueError, match="1 channels, the one before 2"):
        fingerprint_track([tune(1, 2.0, channels=2), tune(1, 2.0)])


def test_a_cut_shares_most_landmarks_wherever_it_starts() -> None:
    pcm = tune(3, 12.0)
    of_track = set(fingerprint_track([pcm.cut(0, 9)]).hashes.tolist())
    inside = fingerprint_track([pcm.cut(2.5, 4.0)]).hashes
    for start in (2.0, 2.0 + 0.3 * DEFAULT.hop / DEFAULT.rate, 2.007):
        query = set(fingerprint_query(pcm.cut(start, 5.0)).hashes.tolist())
        shared = sum(value in query for value in inside.tolist() if value in of_track)
        assert shared > 0.5 * sum(value in of_track for value in inside.tolist())


def test_the_side_adds_landmarks_of_what_is_not_in_the_center() -> None:
    stereo = tune(4, 5.0, channels=2)
    mono = Pcm(np.ascontiguousarray(stereo.mono[np.newaxis]))
    middle = set(fingerprint_query(mono).hashes.tolist())
    both = set(fingerprint_query(stereo).hashes.tolist())
    assert middle < both


def test_the_identity_tells_parameters_apart_that_decide() -> None:
    from dataclasses import replace

    assert replace(DEFAULT, hop=256).identity != DEFAULT.identity
    assert replace(DEFAULT, quota=4).identity != DEFAULT.identity
    assert replace(DEFAULT, phases=2).identity == DEFAULT.identity
    assert len(DEFAULT.identity) <= 40
