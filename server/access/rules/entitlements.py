"""Entitlements in `subscribers` mode: the whitelist, a redeemed access code, or a subscription."""

import math

from fingerprint.database import Database
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.ports import Clock
from fingerprint.settings import Secret
from fingerprint.single_flight import SingleFlightCache
from server.access.identity.principal import Principal
from server.access.identity.sessions import Sessions, SignedIn
from server.access.identity.tokens import TokenValidator
from server.access.identity.twitch_user import TwitchUser
from server.access.rules.codes import CodeStore
from server.access.rules.policy import Subscription
from server.access.rules.store import Rules
from server.access.rules.subscriptions import Subscriptions


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

    def forget(self) -> None:
        """Discard the cache, because codes may have changed."""
        self._redeemed.invalidate_all()

    async def close(self) -> None:
        """End the look-ups that are in progress."""
        await self._redeemed.close()

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
        try:
            renewed = await self._renewed(principal, token)
        except TwitchAudioError as error:
            if error.code is not ProblemCode.UPSTREAM_UNAVAILABLE:
                raise
            return Subscription.UNKNOWN
        if renewed is None:
            return None
        if renewed.token.reveal() == token.reveal():
            # Twitch's validation takes a token that Helix refuses: that is no answer.
            return Subscription.UNKNOWN
        return await subscriptions.of(renewed.user, renewed.token, asked) or Subscription.UNKNOWN

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
