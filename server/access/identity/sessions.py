"""Who is signed in on the website: sessions of bounded life, whose Twitch tokens are kept good and taken back.

Of a session, everything that takes long is done by one task for all who ask at the same time, and belongs to
this object: a request that is cancelled cancels none of it. Between servers, a row is refreshed by whoever takes
it first.
"""

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final, Self

from yarl import URL

from fingerprint.domain.problems import ProblemCode, TwitchAudioError, UpstreamError
from fingerprint.ports import Clock
from fingerprint.retry import RetryPolicy, any_error, retry
from fingerprint.settings import Secret
from fingerprint.single_flight import SingleFlightCache
from server.access.identity.oauth import RefusedError, TwitchOAuth
from server.access.identity.session_store import SessionStore, StoredSession, session_hash
from server.access.identity.tokens import TokenValidator
from server.access.identity.twitch_user import TwitchUser

LIFETIME: Final = timedelta(days=30)
IDLE: Final = timedelta(days=14)
KEPT_SECONDS: Final = 2.0
"""How long a session is taken without looking: one that was ended elsewhere ends within that time."""

VALID: Final = timedelta(minutes=10)
GRACE: Final = timedelta(hours=1)
"""Twitch wants tokens validated hourly: for so long a session lives on while Twitch does not answer."""

RECHECK: Final = timedelta(minutes=50)
EARLY: Final = timedelta(minutes=2)
"""So long before its end a token is refreshed."""

REFRESH: Final = timedelta(seconds=10)
"""How long a server has the tokens to itself."""

KEEPER_SECONDS: Final = 30.0
_SEEN: Final = timedelta(hours=1)
_TAKEN: Final = timedelta(minutes=5)
_RETRY: Final = timedelta(minutes=1)
_AT_A_TIME: Final = 50
_POLL_SECONDS: Final = 0.2
_STORE_RETRY: Final = RetryPolicy(max_attempts=3, min_wait_seconds=0.5, max_wait_seconds=1.0)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Whose session it is, and the access token for asking Twitch on their behalf."""

    user: TwitchUser
    token: Secret


class Sessions:
    """Begins, keeps and ends sessions."""

    def __init__(self, store: SessionStore, *, oauth: TwitchOAuth, tokens: TokenValidator, clock: Clock) -> None:
        self._store = store
        self._oauth = oauth
        self._validator = tokens
        self._clock = clock
        self._current: SingleFlightCache[str, SignedIn | None] = SingleFlightCache(
            clock=clock, fresh_seconds=KEPT_SECONDS, failure_seconds=KEPT_SECONDS
        )
        self._refreshed: SingleFlightCache[str, StoredSession | None] = SingleFlightCache(
            clock=clock, fresh_seconds=0.0
        )
        self._keeper: asyncio.Task[None] | None = None
        self._revoking: set[asyncio.Task[None]] = set()

    def authorize_url(self, *, redirect: URL, state: str, scopes: Iterable[str]) -> URL:
        """Where a browser is sent to sign in; it comes back to `redirect` with the state and a code."""
        return self._oauth.authorize_url(redirect=redirect, state=state, scopes=scopes)

    async def begin(self, code: str, redirect: URL) -> tuple[str, TwitchUser]:
        """A new session for whoever the code is from; gives its id, which nobody had before.

        Raises RefusedError `token-invalid` when Twitch does not take the code; what `TokenValidator.user` raises;
        TwitchAudioError `upstream-unavailable`, `busy`.
        """
        tokens = await self._oauth.exchange(code, redirect)
        user = await self._validator.user(tokens.access)
        session_id = secrets.token_urlsafe(32)
        now = self._clock.now()
        await self._store.create(session_hash(session_id), user, tokens, now=now, due=now + RECHECK)
        _log.info("signed_in", extra={"user_id": user.id, "login": user.login})
        return session_id, user

    async def find(self, session_id: str) -> SignedIn | None:
        """Who is signed in with a session; None when it is over or was never begun.

        Raises TwitchAudioError `busy`; `upstream-unavailable` when Twitch has not confirmed it for an hour.
        """
        sha256 = session_hash(session_id)
        return await self._current.get(sha256, lambda: self._load(sha256))

    def known(self, session_id: str) -> TwitchUser | None:
        """Whose session it is, as far as that is known without asking anybody; it may be over meanwhile."""
        signed_in = self._current.last(session_hash(session_id))
        return None if signed_in is None else signed_in.user

    async def renewed(self, session_id: str, refused: Secret) -> SignedIn | None:
        """The session with another access token than one that Twitch refused; None when it is over."""
        sha256 = session_hash(session_id)
        session = await self._alive(sha256)
        if session is not None and session.access is not None and session.access.reveal() == refused.reveal():
            session = await self._refreshed_session(session)
            self._current.invalidate(sha256)
        return None if session is None or session.access is None else SignedIn(session.user, session.access)

    async def end(self, session_id: str) -> None:
        """Sign out: over at once, and Twitch is told to take the token back, again and again if need be.

        Raises TwitchAudioError `busy`, and then nothing has ended.
        """
        sha256 = session_hash(session_id)
        session = await self._store.get(sha256)
        if session is None or session.ended_at is not None:
            return
        await self._store.end(sha256, self._clock.now())
        self._current.invalidate(sha256)
        _log.info("signed_out", extra={"user_id": session.user.id, "login": session.user.login})
        task = asyncio.create_task(self._take_back(replace(session, ended_at=self._clock.now())), name="revoke")
        self._revoking.add(task)
        task.add_done_callback(self._revoking.discard)
        await asyncio.shield(task)

    async def __aenter__(self) -> Self:
        """Begin to look after sessions that nobody uses: hourly validation, the end of the idle, revocations."""
        self._keeper = asyncio.create_task(self._keep(), name="look after sessions")
        return self

    async def __aexit__(self, *_exc: object) -> None:
        """Close."""
        await self.close()

    async def close(self) -> None:
        """End what is under way."""
        tasks = [*self._revoking, *([] if self._keeper is None else [self._keeper])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._current.close()
        await self._refreshed.close()

    # --- one session ----------------------------------------------------------------------------------

    async def _alive(self, sha256: str) -> StoredSession | None:
        session = await self._store.get(sha256)
        return None if session is None or self._over(session) else session

    def _over(self, session: StoredSession) -> bool:
        now = self._clock.now()
        old = now >= session.created_at + LIFETIME or now >= session.seen_at + IDLE
        return old or session.ended_at is not None or session.access is None

    async def _load(self, sha256: str) -> SignedIn | None:
        session = await self._alive(sha256)
        if session is not None:
            session = await self._confirmed(session)
        if session is None or session.access is None:
            return None
        if self._clock.now() >= session.seen_at + _SEEN:
            await self._store.seen(sha256, self._clock.now())
        return SignedIn(session.user, session.access)

    async def _confirmed(self, session: StoredSession) -> StoredSession | None:
        """The session, confirmed by Twitch lately enough; None when Twitch says that it is over."""
        now = self._clock.now()
        try:
            if now >= session.token_expires_at - EARLY:
                return await self._refreshed_session(session)
            if now < session.validated_at + VALID:
                return session
            return await self._validated(session)
        except TwitchAudioError as error:
            # Nobody is thrown out because Twitch is away, and nobody stays in for good because of it.
            if error.code is ProblemCode.UPSTREAM_UNAVAILABLE and now < session.validated_at + GRACE:
                return session
            raise

    async def _validated(self, session: StoredSession) -> StoredSession | None:
        assert session.access is not None
        try:
            user = await self._validator.user(session.access)
        except TwitchAudioError as error:
            if error.code is not ProblemCode.TOKEN_INVALID:
                raise
            # Expired early, or revoked: refreshing tells which.
            return await self._refreshed_session(session)
        now = self._clock.now()
        if user.id != session.user.id:
            await self._store.end(session.sha256, now)
            return None
        await self._store.validated(session.sha256, user, now=now, due=now + RECHECK)
        return replace(session, user=user, validated_at=now)

    async def _refreshed_session(self, session: StoredSession) -> StoredSession | None:
        return await self._refreshed.get(session.sha256, lambda: self._refresh(session))

    async def _refresh(self, session: StoredSession) -> StoredSession | None:
        """The session with new tokens, got by this server or by another; None when Twitch gives none any more."""
        sha256 = session.sha256
        before = None if session.access is None else session.access.reveal()
        deadline = self._clock.now() + REFRESH
        while self._clock.now() < deadline:
            current = await self._alive(sha256)
            if current is None or current.access is None:
                return None
            if current.access.reveal() != before:
                return current
            now = self._clock.now()
            if await self._store.begin_refresh(current, now=now, until=now + REFRESH):
                return await self._refresh_mine(current)
            await self._clock.sleep(_POLL_SECONDS)
        raise UpstreamError("refresh", "Your sign-in is being renewed. Try again in a moment.")

    async def _refresh_mine(self, session: StoredSession) -> StoredSession | None:
        sha256 = session.sha256
        try:
            tokens = None if session.refresh is None else await self._oauth.refresh(session.refresh)
        except RefusedError:
            tokens = None
        except TwitchAudioError:
            with contextlib.suppress(TwitchAudioError):
                await self._store.give_back(sha256)
            raise
        if tokens is None:
            _log.info("session_ended_by_twitch", extra={"user_id": session.user.id})
            await self._store.forget(sha256)
            return None
        now = self._clock.now()
        renewed = replace(tokens, scopes=tokens.scopes or session.user.scopes)
        # A refresh token may be good for one use only: what came for it must not be lost.
        await retry(
            lambda: self._store.renew(sha256, renewed, now=now, due=now + RECHECK),
            errors=TwitchAudioError,
            retry_after=any_error,
            policy=_STORE_RETRY,
            sleep=self._clock.sleep,
        )
        return await self._alive(sha256)

    # --- those that nobody uses -----------------------------------------------------------------------

    async def _keep(self) -> None:
        while True:
            await self._clock.sleep(KEEPER_SECONDS)
            try:
                await self.look_after()
            except TwitchAudioError as error:
                _log.warning("sessions_not_looked_after", extra={"error": error.detail})
            except Exception:  # noqa: BLE001 - the next round may go better
                _log.exception("sessions_not_looked_after")

    async def look_after(self) -> None:
        """Validate, end and delete what is due. Raises TwitchAudioError `busy`."""
        while True:
            now = self._clock.now()
            due = await self._store.take_due(_AT_A_TIME, now=now, until=now + _TAKEN)
            for session in due:
                await self._look_after(session)
            if len(due) < _AT_A_TIME:
                return

    async def _look_after(self, session: StoredSession) -> None:
        now = self._clock.now()
        if self._over(session):
            await self._take_back(session)
        elif now >= session.token_expires_at:
            # Nothing to validate: it is refreshed when its user comes back.
            await self._store.put_off(session.sha256, min(session.seen_at + IDLE, session.created_at + LIFETIME))
        else:
            try:
                await self._validated(session)
            except TwitchAudioError as error:
                if error.code is ProblemCode.BUSY:
                    raise
                if error.code is ProblemCode.UPSTREAM_UNAVAILABLE:
                    await self._store.put_off(session.sha256, now + _RETRY)
                else:
                    await self._store.end(session.sha256, now)

    async def _take_back(self, session: StoredSession) -> None:
        """Revoke a session's token, then delete it; later, when Twitch does not answer."""
        now = self._clock.now()
        if session.access is not None and now < session.token_expires_at:
            try:
                await self._oauth.revoke(session.access)
            except UpstreamError:
                with contextlib.suppress(TwitchAudioError):
                    await self._store.put_off(session.sha256, now + _RETRY)
                return
            self._validator.forget(session.access)
        with contextlib.suppress(TwitchAudioError):
            await self._store.forget(session.sha256)
