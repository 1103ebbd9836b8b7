"""Pauses of clients that send more than they may: one after the other, and bounded."""

import pytest

from server.middleware.pauses import (
    FACTOR,
    MAX_PAUSE,
    MAX_SOURCES,
    REFUSED_SECONDS,
    SLOW_SECONDS,
    SLOW_STEP,
    Pauses,
)

ONE, WIDER, OTHER = "2001:db8::/64", "2001:db8::/56", "192.0.2.1"


def test_pauses_of_all_clients_follow_each_other_and_are_bounded() -> None:
    pauses = Pauses()
    assert pauses.after_piece(0.001, 100.0) == pytest.approx(0.001 * FACTOR)
    assert pauses.after_piece(0.002, 100.0) == pytest.approx(0.003 * FACTOR)
    assert pauses.after_refusal(100.0) == pytest.approx((0.003 + REFUSED_SECONDS) * FACTOR)
    assert pauses.after_piece(0.001, 100.02) == pytest.approx((0.004 + REFUSED_SECONDS) * FACTOR - 0.02)
    assert pauses.after_piece(0.001, 200.0) == pytest.approx(0.001 * FACTOR), "what is over is forgotten"
    assert pauses.after_piece(5.0, 200.0) == MAX_PAUSE
    assert pauses.after_piece(0.001, 200.0) == MAX_PAUSE
    assert pauses.after_piece(0.001, 200.5) == pytest.approx(0.5 + 0.001 * FACTOR)


def test_new_connections_wait_in_line_for_some_seconds_after_one_had_to_be_ended() -> None:
    pauses = Pauses()
    assert pauses.of_new_connection((ONE, WIDER), 100.0) == 0.0
    pauses.slow_down((ONE, WIDER), 100.0)
    waits = [pauses.of_new_connection((ONE, WIDER), 100.0) for _ in range(3)]
    assert waits == pytest.approx([SLOW_STEP, 2 * SLOW_STEP, 3 * SLOW_STEP])
    # Another network of the same customer waits behind them, others wait for none of them.
    assert pauses.of_new_connection(("2001:db8:0:1::/64", WIDER), 100.0) == pytest.approx(4 * SLOW_STEP)
    assert pauses.of_new_connection((OTHER,), 100.0) == 0.0
    # One more that is ended meanwhile does not let them pass those who wait.
    pauses.slow_down((ONE, WIDER), 100.0)
    assert pauses.of_new_connection((ONE, WIDER), 100.0) == pytest.approx(5 * SLOW_STEP)
    assert pauses.of_new_connection((ONE, WIDER), 105.0) == pytest.approx(SLOW_STEP)
    assert max(pauses.of_new_connection((ONE,), 106.0) for _ in range(200)) == pytest.approx(MAX_PAUSE)
    assert pauses.of_new_connection((ONE, WIDER), 100.0 + SLOW_SECONDS) == 0.0


def test_of_many_sources_the_newest_are_known() -> None:
    pauses = Pauses()
    for number in range(MAX_SOURCES + 1):
        pauses.slow_down((str(number),), 100.0)
    assert pauses.of_new_connection(("0",), 100.0) == 0.0
    assert pauses.of_new_connection(("1",), 100.0) == pytest.approx(SLOW_STEP)
