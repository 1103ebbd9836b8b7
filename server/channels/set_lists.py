"""Reads set lists for requests: callers share what is read, few are read at a time, and each address has a budget.

A set list is made of up to thousands of stored answers, which costs as much as hundreds of other requests.
"""

import asyncio
from datetime import datetime
from itertools import count
from typing import Final

from cachetools import LRUCache

from fingerprint.domain.identification import Kind
from fingerprint.job_ports import JobOutcome
from fingerprint.ports import Clock
from fingerprint.single_flight import SingleFlightCache
from fingerprint.tasks import Closing
from server.access.identity.addresses import Address
from server.access.quotas.budgets import Allowance, CostBudget
from server.identifications.service import IdentificationService, SetListPage

BUDGET: Final = Allowance(burst=300.0, per_second=3.0)
"""What one address may spend on set lists."""

SHARED_COST: Final = 0.05
"""What a page costs that was read for another request. Reading one costs more, by the number of its answers:"""

ANSWERS_PER_COST: Final = 50
LONG_COST: Final = 20.0
"""What a page is taken to cost while it is read."""

AT_ONCE: Final = 2
MAX_PAGES: Final = 64
"""How many pages are kept, and how many may be read or wait for that."""

FRESH_SECONDS: Final = 5.0
DEAR_ANSWERS: Final = 10
"""A page of fewer answers is read again for each request."""

_Key = tuple[str, tuple[int, str], int, datetime | None]


class SetLists(Closing):
    """All reading of set lists. An async context manager that owns the reads under way."""

    def __init__(self, service: IdentificationService, *, clock: Clock, budget: Allowance = BUDGET) -> None:
        self._service = service
        self._budget = CostBudget(clock, budget)
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._pages: SingleFlightCache[_Key, SetListPage] = SingleFlightCache(
            clock=clock,
            fresh_seconds=lambda page: FRESH_SECONDS if answers_of(page) >= DEAR_ANSWERS else 0.0,
            max_entries=MAX_PAGES,
        )
        self._reading: set[_Key] = set()
        self._numbers = count(1)
        # Grows with each song that is heard on a channel, so that its page is read again.
        self._versions: LRUCache[str, int] = LRUCache(1_000)
        service.add_outcome_listener(self._job_ended)

    async def close(self) -> None:
        await self._pages.close()

    async def page(
        self, address: Address | None, login: str, *, limit: int, before: datetime | None = None
    ) -> SetListPage:
        """A channel's newest plays, as `IdentificationService.set_list` gives them.

        Raises TwitchAudioError `rate-limited` when the address has read too much, and `busy`.
        """
        # What its owner decides on another server makes other pages of it, too.
        version = (self._versions.get(login, 0), (await self._service.choices_of(login)).version)
        key = (login, version, limit, before)
        self._budget.check(address, "Too many set lists were read from here. Try again in a moment.")
        found = self._pages.fresh(key) or await self._shared_or_read(address, key)
        self._budget.spend(address, SHARED_COST)
        return found

    async def _shared_or_read(self, address: Address | None, key: _Key) -> SetListPage:
        login, _, limit, before = key
        if key in self._reading:
            return await self._pages.get(key, lambda: self._read(login, limit, before))
        # Paid in advance, as if it were long: many requests at once count, too.
        self._budget.spend(address, LONG_COST)
        self._reading.add(key)
        try:
            found = await self._pages.get(key, lambda: self._read(login, limit, before))
        finally:
            self._reading.discard(key)
            self._budget.spend(address, -LONG_COST)
        self._budget.spend(address, answers_of(found) / ANSWERS_PER_COST)
        return found

    async def _read(self, login: str, limit: int, before: datetime | None) -> SetListPage:
        async with self._turns:
            return await self._service.set_list(login, limit=limit, before=before)

    def forget(self, login: str) -> None:
        """Read a channel's set list again, after plays were deleted."""
        self._versions[login] = next(self._numbers)

    def _job_ended(self, outcome: JobOutcome) -> None:
        answer = outcome.identification
        if answer.kind is Kind.STREAM and answer.song is not None:
            self._versions[answer.target] = next(self._numbers)


def answers_of(page: SetListPage) -> int:
    """How many answers a page was made of."""
    return sum(len(play.answers) for play in page.plays)
