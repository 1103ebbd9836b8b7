"""Budgets of cost by address."""

import pytest

from fingerprint.domain.problems import TwitchAudioError
from server.access.identity.addresses import parse_address
from server.access.quotas.budgets import Allowance, CostBudget
from tests.fakes import FakeClock

V4 = parse_address("192.0.2.7")


def budget(clock: FakeClock, **more: int) -> CostBudget:
    return CostBudget(clock, Allowance(burst=10, per_second=2), **more)


async def test_a_burst_may_be_spent_at_once_and_comes_back_steadily() -> None:
    clock = FakeClock()
    limited = budget(clock)
    assert [limited.take(V4) for _ in range(12)] == [True] * 10 + [False] * 2
    assert limited.take(parse_address("192.0.2.8"))
    with pytest.raises(TwitchAudioError, match="Too much") as refused:
        limited.check(V4, "Too much.")
    assert (refused.value.code, refused.value.retry_after_seconds) == ("rate-limited", 1.0)
    await clock.advance(0.5)
    assert [limited.take(V4) for _ in range(2)] == [True, False]
    await clock.advance(3_600.0)
    assert [limited.take(V4) for _ in range(11)] == [True] * 10 + [False]


async def test_what_was_dear_is_paid_back_first() -> None:
    clock = FakeClock()
    limited = budget(clock)
    limited.spend(V4, 21.0)
    assert limited.wait_seconds(V4) == pytest.approx(6.0)  # pyright: ignore[reportUnknownMemberType]
    await clock.advance(6.0)
    assert limited.take(V4)


def test_one_ipv6_customer_spends_from_one_larger_budget() -> None:
    limited = budget(FakeClock())
    taken = sum(
        limited.take(parse_address(f"2001:db8:0:{net:x}::{host}")) for net in range(256) for host in (1, 2)
    )
    assert taken == 40
    assert limited.take(parse_address("2001:db8:0:100::1"))
    assert sum(limited.take(parse_address(f"2001:db8:1::{host}")) for host in range(20)) == 10


def test_forms_of_one_ipv4_address_share_a_budget_and_no_address_has_none() -> None:
    limited = budget(FakeClock())
    for text in ("::ffff:192.0.2.7", "64:ff9b::c000:207", "2002:c000:207::1", "192.0.2.7"):
        limited.spend(parse_address(text), 2.5)
    assert not limited.take(V4)
    assert limited.take(None, 1e9)
    assert limited.take(None)


def test_memory_is_bounded() -> None:
    limited = budget(FakeClock(), max_sources=100)
    for number in range(1_000):
        limited.take(parse_address(f"10.0.{number // 250}.{number % 250}"))
    assert len(vars(limited)["_left"]) == 100


async def test_what_is_left_comes_back_at_the_allowances_pace_and_stops_at_the_burst() -> None:
    clock = FakeClock()
    limited = budget(clock)
    limited.spend(V4, 9.0)
    assert limited.wait_seconds(V4) == 0.0
    limited.spend(V4, 0.5)
    assert limited.wait_seconds(V4) == 0.25, "a whole unit has to be there"
    await clock.advance(0.25)
    assert limited.wait_seconds(V4) == 0.0
    limited.check(V4, "Too much.")
    limited.spend(V4)
    assert limited.wait_seconds(V4) == 0.5
    await clock.advance(60.0)
    limited.spend(V4, 10.0)
    assert limited.wait_seconds(V4) == 0.5, "more than the burst is never there"
    limited.spend(V4, 3.0)
    with pytest.raises(TwitchAudioError) as refused:
        limited.check(V4, "Too much.")
    assert refused.value.retry_after_seconds == 2.0
    assert limited.wait_seconds(None) == 0.0


async def test_a_56_has_four_times_of_both() -> None:
    clock = FakeClock()
    limited = budget(clock)
    nets = [parse_address(f"2001:db8:0:{net:x}::1") for net in range(5)]
    for net in nets[:4]:
        limited.spend(net, 10.0)
    # Its own is whole, that of all of them is used up: it comes back at eight a second.
    assert limited.wait_seconds(nets[4]) == 1 / 8
    assert limited.wait_seconds(nets[0]) == 1 / 2
    await clock.advance(1 / 8)
    assert limited.wait_seconds(nets[4]) == 0.0
