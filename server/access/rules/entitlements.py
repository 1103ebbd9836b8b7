"""Entitlements in `subscribers` mode: the whitelist, a redeemed access code, or a subscription."""

import math
from collections.abc import Sequence

from fingerprint.database import Database
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.ports import Clock
from fingerprint.setting_formats import Secret
from fingerprint.single_flight import SingleFlightCache
from server.access.identity.principal import Principal
from server.access.identity.sessions import Sessions, SignedIn
from server.access.identity.tokens import TokenValidator, token_hash
from server.access.identity.twitch_user import TwitchUser
from server.access.rules.codes import CodeStore
from server.access.rules.policy import Subscription
from server.access.rules.store import Rules
from server.access.rules.subscriptions import FAILED_SECONDS, Subscriptions


class Entitlements:
    """Looks entitlements up, and caches who redeemed a code until `forget`."""

    def __init__(
        self,
        database: Database,
        *,
        clock: Clock,
        tokens: TokenValidator | None,
        sessions: Sessions | None,
        subscriptions: Subscriptions | None,
    ) -> None:
        self._clock = clock
        self._tokens = tokens
        self._sessions = sessions
        self._subscriptions = subscriptions
        self._codes = CodeStore(database)
        self._redeemed: SingleFlightCache[str, bool] = SingleFlightCache(clock=clock, fresh_seconds=math.inf)
        # By hash of a token that Helix rejected: what a renewed one, or another validation, led to.
        self._second_tries: SingleFlightCache[str, Subscription | None] = SingleFlightCache(
            clock=clock, fresh_seconds=FAILED_SECONDS
        )

    def forget(self) -> None:
        """Discard the caches, because codes or broadcasters may have changed."""
        self._redeemed.invalidate_all()
        self._second_tries.invalidate_all()

    async def close(self) -> None:
        """End the look-ups that are in progress."""
        await self._redeemed.close()
        await self._second_tries.close()

    async def granted(self, rules: Rules, user: TwitchUser) -> bool:
        """Whether the user is whitelisted or has redeemed a valid code. Raises TwitchAudioError `busy`."""
        if any(name in rules.whitelist for name in user.list_names):
            return True
        return await self._redeemed.get(user.id, lambda: self._codes.redeemed(user.id))

    async def redeem(self, code: str, user: TwitchUser) -> None:
        """Redeem an access code for the user. Raises TwitchAudioError `code-invalid`, `busy`."""
        await self._codes.redeem(code, user.id, self._clock.now())
        self._redeemed.invalidate(user.id)

    async def subscription(self, rules: Rules, principal: Principal, user: TwitchUser) -> Subscription | None:
        """Whether Twitch says that the user is a subscriber; None when the user's session has ended.

        Raises TwitchAudioError `token-invalid` when a bearer token is no longer valid; `busy`.
        """
        subscriptions, token = self._subscriptions, principal.token
        if subscriptions is None or token is None:
            return Subscription.NO
        asked = [each.id for each in rules.broadcasters]
        subscription = await subscriptions.of(user, token, asked)
        if subscription is not None:
            return subscription
        return await self._second_tries.get(
            token_hash(token), lambda: self._ask_again(subscriptions, principal, token, asked)
        )

    async def _ask_again(
        self, subscriptions: Subscriptions, principal: Principal, rejected: Secret, asked: Sequence[str]
    ) -> Subscription | None:
        try:
            renewed = await self._renewed(principal, rejected)
        except TwitchAudioError as error:
            if error.code is not ProblemCode.UPSTREAM_UNAVAILABLE:
                raise
            return Subscription.UNKNOWN
        if renewed is None:
            return None
        if renewed.token.reveal() == rejected.reveal():
            # Twitch's validation accepts a token that Helix rejects: that is no answer.
            return Subscription.UNKNOWN
        subscription = await subscriptions.of(renewed.user, renewed.token, asked)
        if subscription is None:
            # Nor would another renewal help: what counts for this token counts for the renewed one.
            return await self._second_tries.get(token_hash(renewed.token), _unknown)
        return subscription

    async def _renewed(self, principal: Principal, refused: Secret) -> SignedIn | None:
        """The user with a valid token after Twitch rejected `refused`; None when the session has ended.

        Raises TwitchAudioError `token-invalid` when a bearer token is no longer valid; `upstream-unavailable`.
        """
        if principal.session is not None and self._sessions is not None:
            return await self._sessions.renewed(principal.session, refused)
        if self._tokens is None:
            return None
        self._tokens.forget(refused)
        return SignedIn(await self._tokens.user(refused), refused)


async def _unknown() -> Subscription:
    return Subscription.UNKNOWN
