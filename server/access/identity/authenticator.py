"""Who sends a request: known by an API key, a bearer token, or the session of the website."""

import asyncio
import contextlib
import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from fingerprint.database import Database
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.ports import Clock
from fingerprint.settings import Secret
from server.access.auth_audit import AccessNotes
from server.access.identity.addresses import Address, address_text
from server.access.identity.api_keys import ApiKey, ApiKeyStore, key_hash, well_formed
from server.access.identity.credentials import Caller
from server.access.identity.failed_attempts import Guesses
from server.access.identity.sessions import Sessions
from server.access.identity.tokens import TokenValidator
from server.access.identity.twitch_user import ID_PREFIX, TwitchUser
from server.audit.entries import Who

KEPT_KEYS: Final = 10_000
_RECORD_SECONDS: Final = 5.0
_NOT_KNOWN: Final = (ProblemCode.TOKEN_INVALID, ProblemCode.TOKEN_WRONG_CLIENT, ProblemCode.KEY_INVALID)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who asks, checked."""

    key: ApiKey | None = None
    user: TwitchUser | None = None
    token: Secret | None = None
    """The user's access token, for asking Twitch on their behalf."""
    session: str | None = None
    """The id of the website's session that they are known by."""

    def who(self, address: Address | None) -> Who:
        """Whom log entries name."""
        text = None if address is None else address_text(address)
        if self.key is not None:
            return Who(id=f"key:{self.key.id}", name=self.key.name, address=text)
        if self.user is not None:
            return Who(id=f"{ID_PREFIX}{self.user.id}", name=self.user.login, address=text)
        return Who(address=text)

    @property
    def known_by(self) -> str | None:
        """How they are known: `key`, `token`, `session`, or None for somebody unknown."""
        if self.key is not None:
            return "key"
        if self.user is None:
            return None
        return "token" if self.session is None else "session"


UNKNOWN: Final = Principal()
"""Somebody who sent nothing to be known by."""


class Principals:
    """Checks what requests bring to be known by. `sessions`: None when nobody can sign in on the website."""

    def __init__(
        self,
        database: Database,
        *,
        clock: Clock,
        tokens: TokenValidator | None,
        sessions: Sessions | None,
        notes: AccessNotes,
        guesses: Guesses,
    ) -> None:
        self._clock = clock
        self._tokens = tokens
        self._sessions = sessions
        self._notes = notes
        self._guesses = guesses
        self._store = ApiKeyStore(database)
        # By hash, valid or not; None where there is no such key.
        self._kept: dict[str, Principal | None] = {}
        self._changes = 0
        self._uses: dict[str, datetime] = {}
        self._recorder: asyncio.Task[None] | None = None

    async def of(self, caller: Caller) -> Principal:
        """Who the caller is.

        Raises TwitchAudioError `key-invalid`, `token-invalid`, `token-wrong-client`, `upstream-unavailable`,
        `busy`; `rate-limited` after many wrong keys.
        """
        if caller.unknown:
            return UNKNOWN
        if caller.key is not None:
            self._guesses.check(caller.address)
        try:
            principal = await self._checked(caller)
        except TwitchAudioError as error:
            if error.code is ProblemCode.KEY_INVALID:
                self._guesses.wrong(caller.address)
            if error.code in _NOT_KNOWN:
                self._notes.login_failed("API key" if caller.key is not None else "token", error.code)
            raise
        caller.known_as = principal.who(caller.address)
        if principal.token is not None and principal.session is None:
            self._notes.token(caller.known_as)
        return principal

    def known_as(self, caller: Caller) -> Who:
        """Whom log entries about a request name, whether or not somebody had to know who sent it.

        Nothing is asked for it: a name is what was found out about the same credentials before.
        """
        if caller.known_as is not None or caller.unknown:
            return caller.who
        principal = UNKNOWN
        if caller.key is not None:
            principal = self._kept.get(key_hash(caller.key.reveal())) or UNKNOWN
        elif caller.token is not None and self._tokens is not None:
            principal = Principal(user=self._tokens.known(caller.token))
        elif caller.session is not None and self._sessions is not None:
            principal = Principal(user=self._sessions.known(caller.session))
        return principal.who(caller.address)

    def forget(self) -> None:
        """Keys may have changed: look them up anew."""
        self._kept.clear()
        self._changes += 1

    async def close(self) -> None:
        """Write down what is not yet."""
        if self._recorder is not None:
            self._recorder.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._recorder
            await self._record_uses()

    async def _checked(self, caller: Caller) -> Principal:
        if caller.token is not None:
            if self._tokens is None:
                raise TwitchAudioError(ProblemCode.TOKEN_INVALID, "Nobody can sign in with Twitch on this server.")
            return Principal(user=await self._tokens.user(caller.token), token=caller.token)
        if caller.key is None:
            return await self._by_session(caller.session)
        principal = await self._by_key(caller.key.reveal())
        now = self._clock.now()
        if principal is None or principal.key is None or not principal.key.valid(now):
            detail = "The API key is not valid: it may be mistyped, expired or revoked."
            raise TwitchAudioError(ProblemCode.KEY_INVALID, detail)
        self._uses[principal.key.id] = now
        if self._recorder is None or self._recorder.done():
            self._recorder = asyncio.create_task(self._record(), name="record uses of API keys")
        return principal

    async def _by_session(self, session: str | None) -> Principal:
        signed_in = None if session is None or self._sessions is None else await self._sessions.find(session)
        if signed_in is None:
            return UNKNOWN
        return Principal(user=signed_in.user, token=signed_in.token, session=session)

    async def _by_key(self, text: str) -> Principal | None:
        digest = key_hash(text)
        if digest in self._kept:
            return self._kept[digest]
        if not well_formed(text):
            return None
        changes = self._changes
        key = await self._store.find(text)
        principal = None if key is None else Principal(key=key)
        # Not when the rules changed meanwhile: this may be what changed.
        if changes == self._changes:
            if len(self._kept) >= KEPT_KEYS:
                self._kept.clear()
            self._kept[digest] = principal
        return principal

    async def _record(self) -> None:
        while self._uses:
            await self._clock.sleep(_RECORD_SECONDS)
            await self._record_uses()

    async def _record_uses(self) -> None:
        uses, self._uses = self._uses, {}
        try:
            await self._store.record_uses(uses)
        except TwitchAudioError:
            _log.warning("uses_not_recorded", extra={"keys": len(uses)})
            self._uses = {**uses, **self._uses}
