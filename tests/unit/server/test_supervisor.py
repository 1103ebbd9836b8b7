"""The supervisor's back-off and what each worker gets; its processes are in tests/faults/test_workers.py."""

import pytest

from server.cli.supervisor import restart_delay
from server.settings import ServerSettings, one_of_workers


def test_a_first_death_costs_no_time_and_a_worker_that_keeps_dying_more_and_more() -> None:
    assert [restart_delay(failures) for failures in range(6)] == [0.0, 0.0, 0.5, 1.0, 2.0, 4.0]
    assert restart_delay(1_000) == 30.0


@pytest.mark.parametrize(
    ("workers", "cores", "captures"), [(1, 8, 16), (2, 4, 8), (3, 2, 5), (8, 1, 2), (64, 1, 1)]
)
def test_workers_divide_the_cores_and_captures_and_each_has_one_at_least(
    workers: int, cores: int, captures: int
) -> None:
    one = one_of_workers(ServerSettings(cores=8, captures_at_once=16), workers)
    assert (one.cores, one.captures_at_once) == (cores, captures)
