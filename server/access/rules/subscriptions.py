"""Is somebody subscribed to one of the broadcasters? Asked of Twitch side by side, and cached for minutes.

While Twitch fails, an answer of the last half hour counts, and without one it is not known: nobody gets in by a
failure, and nobody whose answer is known is locked out by one.
"""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Final, Self

from fingerprint.domain.problems import TwitchAudioError
from fingerprint.ports import Clock
from fingerprint.settings import Secret
from fingerprint.single_flight import SingleFlightCache
from server.access.identity.helix import HelixClient, TokenRefusedError
from server.access.identity.twitch_user import TwitchUser
from server.access.rules.policy import Subscription

SCOPE: Final = "user:read:subscriptions"
YES_SECONDS: Final = 300.0
NO_SECONDS: Final = 60.0
"""Shorter, so that somebody who has just subscribed need not wait."""

RECENT_SECONDS: Final = 1_800.0
"""How long an answer counts while Twitch fails."""

FAILED_SECONDS: Final = 5.0
"""How long Twitch is not asked about somebody again after it failed."""

MAX_ANSWERS: Final = 50_000
"""Answers that are cached, each about one user and one broadcaster."""


class Subscriptions:
    """Asks Twitch, once for all who ask about a user and a broadcaster at the same time."""

    def __init__(self, helix: HelixClient, *, clock: Clock) -> None:
        self._helix = helix
        self._answers: SingleFlightCache[tuple[str, str], bool] = SingleFlightCache(
            clock=clock,
            fresh_seconds=lambda subscribed: YES_SECONDS if subscribed else NO_SECONDS,
            # Another token may not be refused.
            failure_seconds=lambda error: 0.0 if isinstance(error, TokenRefusedError) else FAILED_SECONDS,
            stale_seconds=RECENT_SECONDS - YES_SECONDS,
            max_entries=MAX_ANSWERS,
        )

    async def of(self, user: TwitchUser, token: Secret, broadcasters: Sequence[str]) -> Subscription | None:
        """Whether a user is subscribed to one of the broadcasters, named by number.

        None when Twitch does not take the token any more.
        """
        if not broadcasters:
            return Subscription.NO
        if user.id in broadcasters:
            return Subscription.YES  # Twitch counts broadcasters among their own subscribers
        known = [self._answers.fresh((user.id, broadcaster)) for broadcaster in broadcasters]
        if any(known):
            return Subscription.YES
        if None not in known:
            return Subscription.NO
        if SCOPE not in user.scopes:
            return Subscription.SCOPE_MISSING
        return await self._ask(user, token, broadcasters)

    async def __aenter__(self) -> Self:
        """The service; nothing is started before it is used."""
        return self

    async def __aexit__(self, *_exc: object) -> None:
        """Close."""
        await self.close()

    async def close(self) -> None:
        """End what is under way."""
        await self._answers.close()

    async def _ask(self, user: TwitchUser, token: Secret, broadcasters: Sequence[str]) -> Subscription | None:
        """Ask about all side by side; the first yes is enough."""
        refused = unknown = False
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._answer(user, token, broadcaster)) for broadcaster in broadcasters]
            for answer in asyncio.as_completed(tasks):
                match await answer:
                    case True:
                        for task in tasks:
                            task.cancel()
                        return Subscription.YES
                    case False:
                        pass
                    case TokenRefusedError():
                        refused = True
                    case _:
                        unknown = True
        if refused:
            return None
        return Subscription.UNKNOWN if unknown else Subscription.NO

    async def _answer(self, user: TwitchUser, token: Secret, broadcaster: str) -> bool | TwitchAudioError:
        ask = partial(self._helix.subscribed, token, user_id=user.id, broadcaster_id=broadcaster)
        try:
            return await self._answers.get((user.id, broadcaster), ask)
        except TwitchAudioError as error:
            return error
