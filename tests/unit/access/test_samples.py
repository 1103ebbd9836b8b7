"""What is recorded of requests: some of each address, and the number of the others."""

from server.access.identity.addresses import parse_address
from server.access.quotas.budgets import Allowance
from server.access.quotas.samples import MAX_COUNTS, RequestSampler, SampleLimits, Skipped
from tests.fakes import FakeClock

LIMITS = SampleLimits(served=Allowance(5, 1.0), refused=Allowance(2, 0.1))
NET = [parse_address(f"2001:db8:0:{net:x}::1") for net in range(256)]


async def test_what_is_served_and_what_is_refused_have_budgets_of_their_own() -> None:
    clock, reports = FakeClock(), list[Skipped]()
    sampler = RequestSampler(clock, LIMITS, reports.append)
    one, other = parse_address("192.0.2.1"), parse_address("192.0.2.2")
    assert [sampler.chosen(one, "api", "not-found", refused=True) for _ in range(4)] == [True, True, False, False]
    assert [sampler.chosen(one, "api", None, refused=False) for _ in range(6)] == [True] * 5 + [False]
    assert sampler.chosen(other, "api", "not-found", refused=True)
    assert reports == []
    await clock.advance(60.0)
    assert sampler.chosen(other, "api", None, refused=False)
    assert reports == [Skipped("192.0.2.1", "api", "not-found", 2), Skipped("192.0.2.1", "api", None, 1)]
    sampler.report()
    assert len(reports) == 2


async def test_a_network_of_many_addresses_counts_as_one_and_the_counts_are_bounded() -> None:
    reports = list[Skipped]()
    sampler = RequestSampler(FakeClock(), LIMITS, reports.append)
    chosen = sum(sampler.chosen(each, "api", "not-found", refused=True) for _ in range(10) for each in NET)
    assert chosen == 8
    for number in range(3_000):
        address = parse_address(f"10.{number // 250}.{number % 250}.1")
        for _ in range(3):
            sampler.chosen(address, "api", "not-found", refused=True)
    sampler.report()
    assert reports[0] == Skipped("2001:db8::/56", "api", "not-found", 2_560 - 8)
    assert len(reports) <= MAX_COUNTS + 1
    assert sum(report.number for report in reports) == 2_552 + 3_000
