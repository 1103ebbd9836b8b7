"""Fingerprints of sounds that are searched for later, without the sound."""

from pathlib import Path

import numpy as np
import pytest

from fingerprint.catalog.index import Catalog, Snapshot
from fingerprint.catalog.query_print import MAX_PRINT_BYTES, identify_print, query_of, query_print
from fingerprint.domain.audio import SAMPLE_RATE, Pcm
from tests.unit.catalog.music import mixed, noise, tune
from tests.unit.catalog.shelf import fill


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    folder = tmp_path_factory.mktemp("catalog")
    fill(folder, range(6))
    return Catalog(folder).snapshot()


@pytest.mark.parametrize("seconds", [3.0, 6.0, 12.0])
def test_a_song_is_named_by_a_few_kilobytes(snapshot: Snapshot, seconds: float) -> None:
    for number in (1, 4):
        print_ = query_print(mixed(tune(number).cut(5.4, seconds), noise(number, seconds), 0.5))
        assert len(print_) < 1_000 * seconds
        (found,) = identify_print(snapshot, print_)
        assert found.track.title == f"Song {number}"
        assert found.offset_seconds == pytest.approx(5.4, abs=0.05)


def test_what_the_catalog_lacks_is_not_named(snapshot: Snapshot) -> None:
    for number in range(30, 36):
        assert identify_print(snapshot, query_print(tune(number).cut(3.0, 6.0))) == []


def test_both_channels_are_kept(tmp_path: Path) -> None:
    stereo = tune(3, channels=2).cut(2.0, 6.0)
    assert [len(channel) for channel in query_of(query_print(stereo)).levels] == [743, 743]


def test_silence_and_short_sound_have_one_too(snapshot: Snapshot) -> None:
    for samples in (6 * SAMPLE_RATE, SAMPLE_RATE):
        silence = Pcm(np.zeros((1, samples), np.float32))
        assert identify_print(snapshot, query_print(silence)) == []


@pytest.mark.parametrize(
    "damaged", [b"", b"x", b"\0" * 100, query_print(noise(1, 3.0))[:-9], b"\xff" * MAX_PRINT_BYTES]
)
def test_a_damaged_one_is_refused(damaged: bytes) -> None:
    with pytest.raises(ValueError, match="fingerprint"):
        query_of(damaged)


def test_longer_sound_is_refused() -> None:
    with pytest.raises(ValueError, match="too long"):
        query_print(noise(1, 13.0))
