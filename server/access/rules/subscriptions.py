"""Is somebody subscribed to one of the broadcasters? Asked of Twitch side by side, and remembered for minutes.

While Twitch fails, an answer of the last half hour counts, and without one it is not known: nobody gets in by a
failure, and nobody whose answer is known is locked out by one.
"""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from fingerprint.domain.problems import UpstreamError
from fingerprint.ports import Clock
from fingerprint.settings import Secret
from server.access.identity.helix import TokenRefusedError
from server.access.identity.twitch_user import TwitchUser
from server.access.kept import KeptByKey
from server.access.rules.policy import Subscription

SCOPE: Final = "user:read:subscriptions"
YES_SECONDS: Final = 300.0
NO_SECONDS: Final = 60.0
"""Shorter, so that somebody who has just subscribed need not wait."""

RECENT_SECONDS: Final = 1_800.0
"""How long an answer counts while Twitch fails."""

FAILED_SECONDS: Final = 5.0
"""How long Twitch is left alone about somebody after it failed."""

KEPT_USERS: Final = 10_000


class Asks(Protocol):
    """What is needed of Helix."""

    async def subscribed(self, token: Secret, *, user_id: str, broadcaster_id: str) -> bool:
        """Raises TokenRefusedError, UpstreamError."""
        ...


@dataclass(frozen=True, slots=True)
class _Answer:
    subscribed: bool
    at: float


class Subscriptions:
    """Asks, and remembers by user and broadcaster."""

    def __init__(self, helix: Asks, *, clock: Clock) -> None:
        self._helix = helix
        self._clock = clock
        # By user, whoever was asked about longest ago first.
        self._answers: dict[str, dict[str, _Answer]] = {}
        self._asked: KeptByKey[Subscription | None] = KeptByKey(clock=clock, seconds=FAILED_SECONDS)

    async def of(self, user: TwitchUser, token: Secret, broadcasters: Sequence[str]) -> Subscription | None:
        """Whether a user is subscribed to one of the broadcasters, named by number.

        None when Twitch does not take the token any more. Raises TwitchAudioError `busy`.
        """
        if not broadcasters:
            return Subscription.NO
        if user.id in broadcasters:
            return Subscription.YES  # Twitch counts broadcasters among their own subscribers
        known = self._known(user.id, broadcasters, yes_seconds=YES_SECONDS, no_seconds=NO_SECONDS)
        if known is not Subscription.UNKNOWN:
            return known
        if SCOPE not in user.scopes:
            return Subscription.SCOPE_MISSING
        question = " ".join((user.id, token.reveal(), *broadcasters))
        key = hashlib.sha256(question.encode()).hexdigest()
        return await self._asked.get(key, lambda: self._ask(user, token, broadcasters))

    async def close(self) -> None:
        """End what is under way."""
        await self._asked.close()

    def _known(
        self, user_id: str, broadcasters: Sequence[str], *, yes_seconds: float, no_seconds: float
    ) -> Subscription:
        now = self._clock.monotonic()
        answers = self._answers.get(user_id, {})
        no = 0
        for broadcaster in broadcasters:
            answer = answers.get(broadcaster)
            if answer is None:
                continue
            age = now - answer.at
            if answer.subscribed and age < yes_seconds:
                return Subscription.YES
            no += not answer.subscribed and age < no_seconds
        return Subscription.NO if no == len(broadcasters) else Subscription.UNKNOWN

    async def _ask(self, user: TwitchUser, token: Secret, broadcasters: Sequence[str]) -> Subscription | None:
        """All side by side; the first who says yes is enough."""
        tasks = {
            asyncio.create_task(self._ask_one(user, token, broadcaster), name="ask for a subscription")
            for broadcaster in broadcasters
        }
        refused = False
        try:
            waiting = tasks
            while waiting:
                done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    try:
                        if task.result():
                            return Subscription.YES
                    except TokenRefusedError:
                        refused = True
                    except UpstreamError:
                        pass
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if refused:
            return None
        return self._known(user.id, broadcasters, yes_seconds=RECENT_SECONDS, no_seconds=RECENT_SECONDS)

    async def _ask_one(self, user: TwitchUser, token: Secret, broadcaster: str) -> bool:
        subscribed = await self._helix.subscribed(token, user_id=user.id, broadcaster_id=broadcaster)
        answers = self._answers.pop(user.id, {})
        while len(self._answers) >= KEPT_USERS:
            del self._answers[next(iter(self._answers))]
        answers[broadcaster] = _Answer(subscribed, self._clock.monotonic())
        self._answers[user.id] = answers
        return subscribed
