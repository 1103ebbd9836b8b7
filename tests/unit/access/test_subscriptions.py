"""Asking whether somebody is subscribed: side by side, remembered for minutes, and what a failure means."""

import asyncio
from typing import cast

import pytest

from fingerprint.domain.problems import ProblemCode, UpstreamError
from fingerprint.setting_formats import Secret
from server.access.identity.helix import HelixClient, TokenRefusedError
from server.access.identity.twitch_user import TwitchUser
from server.access.rules import subscriptions
from server.access.rules.policy import Subscription
from server.access.rules.subscriptions import (
    FAILED_SECONDS,
    NO_SECONDS,
    RECENT_SECONDS,
    SCOPE,
    YES_SECONDS,
    Subscriptions,
)
from tests.fakes import FakeClock
from tests.waiting import until

pytestmark = pytest.mark.timeout(18)  # nothing here waits for anything outside
TOKEN = Secret("token")
ALL = ["1", "2", "3"]
YES, NO, UNKNOWN = Subscription.YES, Subscription.NO, Subscription.UNKNOWN


def user(number: int = 7, *scopes: str) -> TwitchUser:
    return TwitchUser(id=str(number), login="vic", scopes=frozenset(scopes or [SCOPE]))


class Helix:
    """Knows who is subscribed to whom; broadcasters can be made to fail or to hang."""

    def __init__(self) -> None:
        self.subscribed_to: set[str] = set()
        self.failing: set[str] = set()
        self.refused: set[str] = set()
        self.asked: list[str] = []
        self.hanging: dict[str, asyncio.Event] = {}

    async def subscribed(self, token: Secret, *, user_id: str, broadcaster_id: str) -> bool:
        self.asked.append(broadcaster_id)
        await asyncio.sleep(0)
        if broadcaster_id in self.hanging:
            await self.hanging[broadcaster_id].wait()
        if token.reveal() in self.refused:
            raise TokenRefusedError(ProblemCode.TOKEN_INVALID, "no")
        if broadcaster_id in self.failing:
            raise UpstreamError("helix", "Twitch fails.")
        return broadcaster_id in self.subscribed_to


@pytest.fixture
def helix() -> Helix:
    return Helix()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def asking(helix: Helix, clock: FakeClock) -> Subscriptions:
    return Subscriptions(cast("HelixClient", helix), clock=clock)


async def test_all_are_asked_side_by_side(helix: Helix, asking: Subscriptions) -> None:
    helix.hanging = {number: asyncio.Event() for number in ALL}
    task = asyncio.create_task(asking.of(user(), TOKEN, ALL))
    for _ in range(10):
        await asyncio.sleep(0)
    assert sorted(helix.asked) == ALL
    for event in helix.hanging.values():
        event.set()
    assert await task is NO


async def test_the_first_yes_is_enough(helix: Helix, asking: Subscriptions) -> None:
    helix.subscribed_to = {"2"}
    helix.hanging = {"3": asyncio.Event()}
    helix.failing = {"1"}
    assert await asking.of(user(), TOKEN, ALL) is YES


@pytest.mark.parametrize(("subscribed", "seconds"), [({"2"}, YES_SECONDS), (set[str](), NO_SECONDS)])
async def test_an_answer_is_remembered_for_minutes_and_then_asked_for_again(
    helix: Helix, asking: Subscriptions, clock: FakeClock, subscribed: set[str], seconds: float
) -> None:
    helix.subscribed_to = subscribed
    first = await asking.of(user(), TOKEN, ALL)
    asked = len(helix.asked)
    await clock.advance(seconds - 1)
    assert await asking.of(user(), TOKEN, ALL) is first
    assert len(helix.asked) == asked
    helix.subscribed_to = {"1"} - subscribed
    await clock.advance(2)
    assert await asking.of(user(), TOKEN, ALL) is YES
    assert len(helix.asked) == asked + 3


async def test_a_herd_asks_once(helix: Helix, asking: Subscriptions) -> None:
    answers = await asyncio.gather(*(asking.of(user(), TOKEN, ALL) for _ in range(500)))
    assert set(answers) == {NO}
    assert len(helix.asked) == 3


async def test_who_leaves_leaves_the_others_unharmed(helix: Helix, asking: Subscriptions) -> None:
    helix.hanging = {"1": asyncio.Event()}
    helix.subscribed_to = {"1"}
    first, second = (asyncio.create_task(asking.of(user(), TOKEN, ["1"])) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    helix.hanging["1"].set()
    assert await second is YES
    assert helix.asked == ["1"]


async def test_a_failure_with_nothing_known_is_no_answer(
    helix: Helix, asking: Subscriptions, clock: FakeClock
) -> None:
    helix.failing = {"2"}
    assert await asking.of(user(), TOKEN, ALL) is UNKNOWN
    asked = len(helix.asked)
    helix.failing.clear()
    helix.subscribed_to = {"2"}
    assert await asking.of(user(), TOKEN, ALL) is UNKNOWN
    assert len(helix.asked) == asked
    await clock.advance(FAILED_SECONDS + 0.1)
    assert await asking.of(user(), TOKEN, ALL) is YES


@pytest.mark.parametrize(("subscribed", "answer"), [({"2"}, YES), (set[str](), NO)])
async def test_while_twitch_fails_a_recent_answer_counts_and_an_old_one_does_not(
    helix: Helix, asking: Subscriptions, clock: FakeClock, subscribed: set[str], answer: Subscription
) -> None:
    helix.subscribed_to = subscribed
    assert await asking.of(user(), TOKEN, ALL) is answer
    helix.failing = set(ALL)
    await clock.advance(YES_SECONDS + 1)
    assert await asking.of(user(), TOKEN, ALL) is answer
    await clock.advance(RECENT_SECONDS)
    assert await asking.of(user(), TOKEN, ALL) is UNKNOWN


async def test_a_broadcaster_listed_later_is_asked_about(helix: Helix, asking: Subscriptions) -> None:
    helix.subscribed_to = {"4"}
    assert await asking.of(user(), TOKEN, ALL) is NO
    assert await asking.of(user(), TOKEN, [*ALL, "4"]) is YES
    assert await asking.of(user(), TOKEN, ALL) is NO


async def test_without_the_scope_twitch_is_not_asked(helix: Helix, asking: Subscriptions) -> None:
    assert await asking.of(user(7, "other"), TOKEN, ALL) is Subscription.SCOPE_MISSING
    assert await asking.of(user(), TOKEN, []) is NO
    assert helix.asked == []


async def test_a_broadcaster_counts_as_their_own_subscriber(helix: Helix, asking: Subscriptions) -> None:
    assert await asking.of(user(2), TOKEN, ALL) is YES
    assert helix.asked == []


async def test_a_token_that_twitch_refuses_is_no_answer_and_another_is_asked_with(
    helix: Helix, asking: Subscriptions, clock: FakeClock
) -> None:
    helix.refused = {"token"}
    for _ in range(3):
        assert await asking.of(user(), TOKEN, ["1"]) is None
    assert helix.asked == ["1"]
    await clock.advance(FAILED_SECONDS + 0.1)
    assert await asking.of(user(), TOKEN, ["1"]) is None
    assert helix.asked == ["1", "1"]
    assert await asking.of(user(), Secret("renewed"), ["1"]) is NO
    assert helix.asked == ["1", "1", "1"]


async def test_a_call_with_a_refused_token_says_nothing_of_another_token_that_joined_it(
    helix: Helix, asking: Subscriptions
) -> None:
    helix.refused, helix.hanging = {"token"}, {"1": asyncio.Event()}
    tasks = [asyncio.create_task(asking.of(user(), token, ["1"])) for token in (TOKEN, Secret("renewed"))]
    await until(lambda: helix.asked)
    helix.hanging["1"].set()
    assert await asyncio.gather(*tasks) == [None, NO]


async def test_what_is_remembered_is_bounded(
    helix: Helix, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscriptions, "MAX_ANSWERS", 5)
    asking = Subscriptions(cast("HelixClient", helix), clock=clock)
    for number in (*range(20), *range(15, 20)):
        await asking.of(user(100 + number), TOKEN, ["1"])
    assert len(helix.asked) == 20
    await asking.of(user(100), TOKEN, ["1"])
    assert len(helix.asked) == 21


async def test_closing_ends_what_hangs(helix: Helix, asking: Subscriptions) -> None:
    helix.hanging = {"1": asyncio.Event()}
    async with asking as entered:
        assert entered is asking
        task = asyncio.create_task(asking.of(user(), TOKEN, ["1"]))
        await until(lambda: helix.asked)
    assert await task is UNKNOWN


def test_the_times_are_those_of_the_docs() -> None:
    assert (YES_SECONDS, NO_SECONDS, RECENT_SECONDS, FAILED_SECONDS) == (300.0, 60.0, 1_800.0, 5.0)
