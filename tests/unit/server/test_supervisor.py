"""The supervisor's back-off; its processes are in tests/faults/test_workers.py."""

from server.cli.supervisor import restart_delay


def test_a_first_death_costs_no_time_and_a_worker_that_keeps_dying_more_and_more() -> None:
    assert [restart_delay(failures) for failures in range(6)] == [0.0, 0.0, 0.5, 1.0, 2.0, 4.0]
    assert restart_delay(1_000) == 30.0
