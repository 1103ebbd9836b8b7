"""Figures by day."""

import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.audit.figures import EDGES_MS, latency_class, median_ms


def test_an_answer_time_falls_into_the_class_that_holds_it() -> None:
    assert [latency_class(ms) for ms in (0, 100, 100.5, 29_000, 90_000)] == [100, 100, 200, 30_000, 30_000]


@given(st.lists(st.floats(0, 29_999), min_size=1, max_size=50))
def test_the_median_is_in_the_class_of_the_true_one(times: list[float]) -> None:
    counts: dict[int, int] = {}
    for ms in times:
        counts[latency_class(ms)] = counts.get(latency_class(ms), 0) + 1
    edge = latency_class(statistics.median_low(times))
    lower = max((other for other in (0, *EDGES_MS) if other < edge), default=0)
    assert lower <= median_ms(counts) <= edge


def test_the_median_of_many_even_times_is_close() -> None:
    numbers = random.Random(7)
    counts: dict[int, int] = {}
    for _ in range(10_000):
        edge = latency_class(numbers.uniform(0, 1_000))
        counts[edge] = counts.get(edge, 0) + 1
    assert median_ms(counts) == pytest.approx(500, abs=25)


def test_without_answers_there_is_no_median() -> None:
    assert median_ms({}) == 0.0
