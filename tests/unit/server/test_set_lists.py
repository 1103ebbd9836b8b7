"""Set lists for requests: what costs much is read once, few at a time, and within each address's budget."""

import asyncio
import contextlib
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, cast

import pytest

from fingerprint.domain.identification import Identification
from fingerprint.domain.problems import TwitchAudioError
from fingerprint.job_ports import JobOutcome
from server.access.identity.addresses import parse_address
from server.access.quotas.budgets import Allowance
from server.channels.set_lists import AT_ONCE, FRESH_SECONDS, SetLists
from server.identifications.service import IdentificationService, SetListPage
from server.identifications.set_list import Play
from server.owner_choices.choices import NOTHING_CHOSEN, ChannelChoices
from tests.builders import NOON, identification, song
from tests.fakes import FakeClock
from tests.waiting import settled

HOME, OTHER = parse_address("192.0.2.1"), parse_address("192.0.2.2")


class FakeService:
    """Reads pages of as many answers as a test says."""

    def __init__(self, answers: int) -> None:
        self.answers = answers
        self.reads: list[str] = []
        self.under_way = self.most = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.listeners: list[Callable[[JobOutcome], None]] = []

    def add_outcome_listener(self, listener: Callable[[JobOutcome], None]) -> None:
        self.listeners.append(listener)

    async def choices_of(self, login: str) -> ChannelChoices:
        del login
        return NOTHING_CHOSEN

    async def set_list(self, login: str, *, limit: int, before: datetime | None = None) -> SetListPage:
        del limit, before
        self.reads.append(login)
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        await self.gate.wait()
        self.under_way -= 1
        ids = tuple(f"id{number}" for number in range(self.answers))
        play = Play(song=song(), first_heard=NOON, last_heard=NOON, asked_at=NOON, answers=ids)
        return SetListPage(plays=[play], next_before=None)


def lists(service: FakeService, clock: FakeClock, **more: Any) -> SetLists:
    return SetLists(cast("IdentificationService", service), clock=clock, **more)


async def test_many_viewers_of_one_page_cost_one_read_and_next_to_nothing() -> None:
    service, clock = FakeService(answers=2_000), FakeClock()
    async with lists(service, clock) as reading:
        await asyncio.gather(*(reading.page(HOME, "a", limit=50) for _ in range(1_000)))
        for _ in range(1_000):
            await reading.page(HOME, "a", limit=50)
        assert service.reads == ["a"]
        await clock.advance(FRESH_SECONDS)
        await reading.page(HOME, "a", limit=50)
        assert service.reads == ["a", "a"]


async def test_who_reads_many_long_lists_is_refused_and_others_are_not() -> None:
    service, clock = FakeService(answers=2_000), FakeClock()
    async with lists(service, clock) as reading:
        served = 0
        for day in range(100):
            with contextlib.suppress(TwitchAudioError):
                await reading.page(HOME, "a", limit=50, before=NOON + timedelta(days=day))
                served += 1
        assert 5 <= served <= 10
        with pytest.raises(TwitchAudioError, match="Too many set lists") as refused:
            await reading.page(HOME, "a", limit=50)
        assert refused.value.code == "rate-limited"
        assert len(service.reads) == served
        await reading.page(OTHER, "a", limit=50, before=NOON + timedelta(days=200))
        await clock.advance(60.0)
        await reading.page(HOME, "a", limit=50)


async def test_many_at_once_count_before_they_are_read_and_few_are_read_at_a_time() -> None:
    service, clock = FakeService(answers=2_000), FakeClock()
    service.gate.clear()
    async with lists(service, clock) as reading:
        asked = [
            asyncio.create_task(reading.page(HOME, "a", limit=50, before=NOON + timedelta(days=day)))
            for day in range(60)
        ]
        await settled()
        assert sum(task.done() for task in asked) == 60 - 15
        service.gate.set()
        answers = await asyncio.gather(*asked, return_exceptions=True)
        assert len([answer for answer in answers if isinstance(answer, SetListPage)]) == 15
        assert service.most == AT_ONCE


async def test_a_song_that_is_heard_is_on_the_page_at_once_and_short_pages_are_never_old() -> None:
    service, clock = FakeService(answers=500), FakeClock()
    async with lists(service, clock, budget=Allowance(1e9, 1.0)) as reading:
        await reading.page(HOME, "a", limit=50)
        heard: Identification = identification(target="a", song=song())
        service.listeners[0](JobOutcome(heard))
        await reading.page(HOME, "a", limit=50)
        assert len(service.reads) == 2
        service.answers = 3
        for _ in range(3):
            await reading.page(HOME, "short", limit=50)
        assert len(service.reads) == 5
