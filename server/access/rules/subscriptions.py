"""Whether a user is subscribed to one of the broadcasters: asks Twitch concurrently and caches for minutes.

While Twitch fails, answers of the last half hour still count. Without one the result is UNKNOWN: a failure of
Twitch neither lets a user in nor locks out a known subscriber.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

from cachetools import TTLCache

from fingerprint.domain.problems import TwitchAudioError
from fingerprint.ports import Clock
from fingerprint.setting_formats import Secret
from fingerprint.single_flight import SingleFlightCache
from fingerprint.tasks import Closing
from server.access.identity.helix import HelixClient, TokenRefusedError
from server.access.identity.limits import MAX_CACHED_TOKENS
from server.access.identity.tokens import token_hash
from server.access.identity.twitch_user import TwitchUser
from server.access.rules.policy import Subscription

SCOPE: Final = "user:read:subscriptions"
YES_SECONDS: Final = 300.0
NO_SECONDS: Final = 60.0
"""Shorter than `YES_SECONDS`, so that a new subscriber gets in soon."""

RECENT_SECONDS: Final = 1_800.0
"""How old a cached answer may be while Twitch fails."""

FAILED_SECONDS: Final = 5.0
"""How long Twitch is not asked again about a user and broadcaster after a failure, or with a rejected token."""

MAX_ANSWERS: Final = 50_000
"""How many answers are cached; each is about one user and one broadcaster."""


class Subscriptions(Closing):
    """Asks Twitch about subscriptions; concurrent callers for one user and broadcaster share a call."""

    def __init__(self, helix: HelixClient, *, clock: Clock) -> None:
        self._helix = helix
        self._answers: SingleFlightCache[tuple[str, str], bool] = SingleFlightCache(
            clock=clock,
            fresh_seconds=lambda subscribed: YES_SECONDS if subscribed else NO_SECONDS,
            # A rejection is cached by token below: another token of the user may be accepted.
            failure_seconds=lambda error: 0.0 if isinstance(error, TokenRefusedError) else FAILED_SECONDS,
            stale_seconds=RECENT_SECONDS - YES_SECONDS,
            max_entries=MAX_ANSWERS,
        )
        # Hashes of the tokens that Twitch has just rejected.
        self._rejected: TTLCache[str, None] = TTLCache(MAX_CACHED_TOKENS, FAILED_SECONDS, clock.monotonic)

    async def of(self, user: TwitchUser, token: Secret, broadcasters: Sequence[str]) -> Subscription | None:
        """Whether the user is subscribed to one of the broadcasters, which are given by id.

        None when Twitch rejects the token.
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
        return None if token_hash(token) in self._rejected else await self._ask(user, token, broadcasters)

    async def close(self) -> None:
        """End the calls to Twitch that are in progress."""
        await self._answers.close()

    async def _ask(self, user: TwitchUser, token: Secret, broadcasters: Sequence[str]) -> Subscription | None:
        """Ask about all broadcasters concurrently; returns at the first subscription."""
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
        digest = token_hash(token)

        async def ask() -> bool:
            try:
                return await self._helix.subscribed(token, user_id=user.id, broadcaster_id=broadcaster)
            except TokenRefusedError:
                self._rejected[digest] = None
                raise

        while True:
            try:
                return await self._answers.get((user.id, broadcaster), ask)
            except TokenRefusedError as error:
                if digest in self._rejected:
                    return error
                # The shared call was made with another token of the user.
            except TwitchAudioError as error:
                return error
