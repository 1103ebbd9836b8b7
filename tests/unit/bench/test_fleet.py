"""The queueing model of a fleet, against what is known of its parts and against chance."""

import itertools
import random

import pytest

from tests.bench.fleet import Costs, jobs_of, jobs_per_second, places_for, plan, popularity, probability_of_waiting

WINDOW = 6.0


def test_one_busy_channel_has_a_job_after_the_other_and_rare_ones_one_for_each_press() -> None:
    assert jobs_per_second(1_000.0, [1.0], WINDOW) == pytest.approx(1 / WINDOW, rel=0.001)
    assert jobs_per_second(10.0, popularity(1_000_000, 0.0), WINDOW) == pytest.approx(10.0, rel=0.001)


def test_jobs_are_as_many_as_presses_at_random_start() -> None:
    chance, shares, rate, seconds = random.Random(7), popularity(50, 1.0), 20.0, 5_000.0
    moments = itertools.accumulate(chance.expovariate(rate) for _ in range(int(rate * seconds)))
    channels = chance.choices([str(number) for number in range(len(shares))], shares, k=int(rate * seconds))
    jobs = jobs_of(list(zip(moments, channels, strict=True)), WINDOW)
    assert jobs / seconds == pytest.approx(jobs_per_second(rate, shares, WINDOW), rel=0.03)


@pytest.mark.parametrize(
    ("load", "places", "probability"), [(0.5, 1, 0.5), (1.0, 2, 1 / 3), (2.0, 3, 4 / 9)], ids=str
)
def test_how_often_an_arrival_waits_is_as_the_books_say(load: float, places: int, probability: float) -> None:
    assert probability_of_waiting(load, places) == pytest.approx(probability)


def test_places_are_the_fewest_that_keep_the_wait_short() -> None:
    load, service = 90.0, 1.0
    places = places_for(load, service, wait_seconds=0.1)
    assert probability_of_waiting(load, places) * service / (places - load) <= 0.1
    assert probability_of_waiting(load, places - 1) * service / (places - 1 - load) > 0.1


def test_a_plan_grows_with_what_is_asked_of_it() -> None:
    costs = Costs(press=0.001, job=0.004, database_press=0.0001, database_job=0.001)
    few, many = (
        plan(costs, presses_per_second=rate, shares=popularity(1_000, 1.0), job_seconds=1.0, capture_cpu=0.25)
        for rate in (10.0, 1_000.0)
    )
    assert many.server_cores == pytest.approx((1_000 * 0.001 + many.jobs_per_s * 0.004) / 0.6)
    assert few.jobs_per_s < many.jobs_per_s < 1_000
    assert few.capture_places < many.capture_places
