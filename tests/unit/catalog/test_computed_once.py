"""Values that are computed once."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Barrier

import pytest

from fingerprint.catalog import audio_query
from fingerprint.catalog.audio_query import AudioQuery
from fingerprint.catalog.computed_once import computed_once
from tests.unit.catalog.music import tune


@dataclass(frozen=True, kw_only=True, eq=False)
class Frozen:
    asked: list[int]

    @computed_once
    def value(self) -> int:
        """The value."""
        self.asked.append(1)
        return 10 * len(self.asked)


def test_a_value_is_computed_when_it_is_first_asked_for_and_kept() -> None:
    first, second = Frozen(asked=[]), Frozen(asked=[1])
    assert first.asked == []
    assert [first.value, first.value, second.value, first.value] == [10, 10, 20, 10]
    assert Frozen.value.__doc__ == "The value."


def _bins(window: AudioQuery) -> int:
    return len(window.quick_peaks.bins)


def test_windows_that_are_searched_side_by_side_do_not_wait_for_each_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    both = Barrier(2, timeout=10)
    peaks = audio_query.query_peaks

    def query_peaks(*args: object, **kwargs: object) -> object:
        both.wait()
        return peaks(*args, **kwargs)  # pyright: ignore[reportArgumentType] - passed on as they are

    monkeypatch.setattr(audio_query, "query_peaks", query_peaks)
    windows = [AudioQuery(tune(number, 1), alone=False) for number in range(2)]
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(_bins, windows))
    assert min(found) > 0
