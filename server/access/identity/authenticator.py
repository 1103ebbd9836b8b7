"""Authenticates a request by API key, bearer token, or session of the website."""

import asyncio
import contextlib
import logging
import math
from datetime import datetime
from typing import Final

from fingerprint.background import Background
from fingerprint.database import Database
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.ports import Clock
from fingerprint.setting_formats import Secret
from fingerprint.single_flight import SingleFlightCache
from server.access.identity.addresses import widely_counted
from server.access.identity.api_keys import ApiKeyStore, key_hash, well_formed
from server.access.identity.credentials import RequestCredentials
from server.access.identity.failed_attempts import FailedAttemptLimiter
from server.access.identity.principal import ANONYMOUS, Principal
from server.access.identity.sessions import Sessions
from server.access.identity.tokens import TokenValidator
from server.access.identity.turns import SourceTurns

MAX_CACHED_KEYS: Final = 10_000
_RECORD_SECONDS: Final = 5.0
_WRONG_TOKEN: Final = (ProblemCode.TOKEN_INVALID, ProblemCode.TOKEN_WRONG_CLIENT)

_log = logging.getLogger(__name__)


class Authenticator:
    """Turns credentials into a principal.

    `tokens` is None when the operator has not registered a Twitch application, `sessions` when the website has no
    sign-in.
    """

    def __init__(
        self,
        database: Database,
        *,
        clock: Clock,
        tokens: TokenValidator | None,
        sessions: Sessions | None,
        background: Background | None = None,
    ) -> None:
        self._clock = clock
        self._background = background or Background(clock)
        self._tokens = tokens
        self._sessions = sessions
        self._wrong_keys = FailedAttemptLimiter(clock, "API keys")
        self._wrong_tokens = FailedAttemptLimiter(clock, "tokens")
        self._turns = SourceTurns("validate", "Twitch is asked about many sign-ins. Try again in a moment.")
        self._store = ApiKeyStore(database)
        # By hash; None when no such key exists, and also for revoked ones. Cached until the rules change.
        self._keys: SingleFlightCache[str, Principal | None] = SingleFlightCache(
            clock=clock, fresh_seconds=math.inf, max_entries=MAX_CACHED_KEYS
        )
        # The hashes of all valid keys, for addresses that have sent many wrong ones.
        self._valid_hashes: SingleFlightCache[str, frozenset[str]] = SingleFlightCache(
            clock=clock, fresh_seconds=math.inf
        )
        self._uses: dict[str, datetime] = {}
        self._recorder: asyncio.Task[None] | None = None

    async def authenticate(self, credentials: RequestCredentials) -> Principal:
        """Check credentials and return their principal, which is anonymous when there are none.

        Raises TwitchAudioError `key-invalid`, `token-invalid`, `token-wrong-client`, `upstream-unavailable`,
        `busy`; `rate-limited` for unknown ones after too many wrong ones from the address.
        """
        if credentials.is_anonymous:
            return ANONYMOUS
        source = None if credentials.address is None else widely_counted(credentials.address)
        if credentials.token is not None:
            return await self._by_token(credentials.token, source)
        if credentials.key is not None:
            return await self._by_key(credentials.key.reveal(), source)
        return await self._by_session(credentials.session)

    def cached_principal(self, credentials: RequestCredentials) -> Principal:
        """The principal from an earlier check of these credentials, for logs: no I/O, may be out of date."""
        if credentials.key is not None:
            return self._keys.last(key_hash(credentials.key.reveal())) or ANONYMOUS
        if credentials.token is not None and self._tokens is not None:
            return Principal(user=self._tokens.known(credentials.token))
        if credentials.session is not None and self._sessions is not None:
            return Principal(user=self._sessions.known(credentials.session))
        return ANONYMOUS

    def forget_keys(self) -> None:
        """Discard all cached API keys, because the stored ones may have changed."""
        self._keys.invalidate_all()
        self._valid_hashes.invalidate_all()

    async def close(self) -> None:
        """End calls in progress, and store when API keys were last used."""
        await self._keys.close()
        await self._valid_hashes.close()
        if self._recorder is not None:
            self._recorder.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._recorder
            await self._record_uses()

    async def _by_token(self, token: Secret, source: str | None) -> Principal:
        if self._tokens is None:
            raise TwitchAudioError(ProblemCode.TOKEN_INVALID, "This server has no sign-in with Twitch.")
        if self._tokens.known(token) is not None:
            return await self._by_valid_token(self._tokens, token, source)
        async with self._turns.turn(source):
            # In its turn, so that tokens that are tried at the same time count as well.
            if self._tokens.known(token) is None:
                self._wrong_tokens.check(source)
            return await self._by_valid_token(self._tokens, token, source)

    async def _by_valid_token(self, tokens: TokenValidator, token: Secret, source: str | None) -> Principal:
        try:
            return Principal(user=await tokens.user(token), token=token)
        except TwitchAudioError as error:
            if error.code in _WRONG_TOKEN:
                self._wrong_tokens.record_failure(source)
            raise

    async def _by_key(self, text: str, source: str | None) -> Principal:
        if self._wrong_keys.reached(source) and not await self._is_valid(text):
            self._wrong_keys.check(source)
        principal = (
            await self._keys.get(key_hash(text), lambda: self._find_key(text)) if well_formed(text) else None
        )
        now = self._clock.now()
        if principal is None or principal.key is None or not principal.key.valid(now):
            self._wrong_keys.record_failure(source)
            detail = "The API key is not valid: it may be mistyped, expired or revoked."
            raise TwitchAudioError(ProblemCode.KEY_INVALID, detail)
        self._uses[principal.key.id] = now
        if self._recorder is None or self._recorder.done():
            self._recorder = self._background.start("record uses of API keys", self._record)
        return principal

    async def _is_valid(self, text: str) -> bool:
        """Whether a key is valid, without a query for each key that is tried."""
        return well_formed(text) and key_hash(text) in await self._valid_hashes.get("", self._store.valid_hashes)

    async def _by_session(self, session: str | None) -> Principal:
        signed_in = None if session is None or self._sessions is None else await self._sessions.find(session)
        if signed_in is None:
            return ANONYMOUS
        return Principal(user=signed_in.user, token=signed_in.token, session=session)

    async def _find_key(self, text: str) -> Principal | None:
        key = await self._store.find(text)
        return None if key is None else Principal(key=key)

    async def _record(self) -> None:
        while self._uses:
            await self._clock.sleep(_RECORD_SECONDS)
            await self._record_uses()

    async def _record_uses(self) -> None:
        uses, self._uses = self._uses, {}
        try:
            await self._store.record_uses(uses)
        except BaseException as error:
            self._uses = {**uses, **self._uses}
            if not isinstance(error, TwitchAudioError):
                raise
            _log.warning("uses_not_recorded", extra={"keys": len(uses)})
