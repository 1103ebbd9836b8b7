"""Sessions of the website: bounded in lifetime, with Twitch tokens that are validated, refreshed and revoked.

Slow work on a session is shared by all concurrent callers and runs in tasks of this object, so a cancelled request
cancels none of it. Across servers, the first one to claim the row refreshes the tokens.
"""

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final, Self

from yarl import URL

from fingerprint.background import Background
from fingerprint.domain.problems import ProblemCode, TwitchAudioError, UpstreamError
from fingerprint.ports import Clock
from fingerprint.retry import RetryPolicy, any_error, retry
from fingerprint.setting_formats import Secret
from fingerprint.single_flight import SingleFlightCache
from fingerprint.tasks import Closing, cancel_and_wait
from server.access.identity.limits import (
    MAINTENANCE_BATCH,
    MAINTENANCE_CLAIM,
    MAINTENANCE_RETRY,
    MAINTENANCE_SECONDS,
    REFRESH_CLAIM,
    REFRESH_MARGIN,
    REFRESH_POLL_SECONDS,
    SESSION_CACHE_SECONDS,
    SESSION_GRACE,
    SESSION_IDLE,
    SESSION_LIFETIME,
    SESSION_RECHECK,
    SESSION_SEEN_STEP,
    SESSION_VALIDATED,
)
from server.access.identity.oauth import RefusedError, TwitchOAuth
from server.access.identity.session_store import SessionStore, StoredSession, session_hash
from server.access.identity.tokens import TokenValidator
from server.access.identity.twitch_user import TwitchUser
from server.leases import CLOCKS_APART

_STORE_RETRY: Final = RetryPolicy(max_attempts=3, min_wait_seconds=0.5, max_wait_seconds=1.0)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SignedIn:
    """The user of a session, and their access token for calls to Twitch."""

    user: TwitchUser
    token: Secret


class Sessions(Closing):
    """Begins, checks and ends sessions. As a context manager, it also maintains unused ones in the background."""

    def __init__(
        self,
        store: SessionStore,
        *,
        oauth: TwitchOAuth,
        tokens: TokenValidator,
        clock: Clock,
        background: Background | None = None,
    ) -> None:
        self._store = store
        self._oauth = oauth
        self._validator = tokens
        self._clock = clock
        self._background = background or Background(clock)
        self._current: SingleFlightCache[str, SignedIn | None] = SingleFlightCache(
            clock=clock, fresh_seconds=SESSION_CACHE_SECONDS, failure_seconds=SESSION_CACHE_SECONDS
        )
        self._refreshed: SingleFlightCache[str, StoredSession | None] = SingleFlightCache(
            clock=clock, fresh_seconds=0.0
        )
        self._maintenance: asyncio.Task[None] | None = None
        self._revoking: set[asyncio.Task[None]] = set()

    def authorize_url(self, *, redirect: URL, state: str, scopes: Iterable[str], verifier: str) -> URL:
        """Twitch's sign-in page for a browser, which Twitch sends back to `redirect` with `state` and a code.

        `verifier`: a random text that only the exchange of that code sends (PKCE, RFC 7636).
        """
        return self._oauth.authorize_url(redirect=redirect, state=state, scopes=scopes, verifier=verifier)

    async def check_application(self) -> None:
        """Raise TwitchAudioError, with advice for the operator, if Twitch refused the application lately."""
        if self._oauth.refused is not None:
            detail = (
                f"Twitch does not accept TWITCH_CLIENT_ID with TWITCH_CLIENT_SECRET ({self._oauth.refused}), so "
                "no one can sign in on the website: in Twitch's developer console, make a new secret."
            )
            raise TwitchAudioError(ProblemCode.UPSTREAM_UNAVAILABLE, detail)

    async def begin(self, code: str, redirect: URL, verifier: str) -> tuple[str, TwitchUser]:
        """Exchange an authorization code for a new session; returns its random id and the user.

        Raises RefusedError `token-invalid` when Twitch rejects the code; what `TokenValidator.user` raises;
        TwitchAudioError `upstream-unavailable`, `busy`.
        """
        tokens = await self._oauth.exchange(code, redirect, verifier)
        user = await self._validator.user(tokens.access)
        session_id = secrets.token_urlsafe(32)
        now = self._clock.now()
        await self._store.create(session_hash(session_id), user, tokens, now=now, due=now + SESSION_RECHECK)
        _log.info("signed_in", extra={"user_id": user.id, "login": user.login})
        return session_id, user

    async def find(self, session_id: str) -> SignedIn | None:
        """The user of a session; None when the session has ended or does not exist.

        Raises TwitchAudioError `busy`; `upstream-unavailable` when Twitch has not confirmed the token for an hour.
        """
        sha256 = session_hash(session_id)
        return await self._current.get(sha256, lambda: self._load(sha256))

    def known(self, session_id: str) -> TwitchUser | None:
        """The user of a session if it is cached, without I/O; the session may have ended."""
        signed_in = self._current.last(session_hash(session_id))
        return None if signed_in is None else signed_in.user

    async def renewed(self, session_id: str, refused: Secret) -> SignedIn | None:
        """The session with another access token than the one that Twitch rejected; None when it has ended."""
        sha256 = session_hash(session_id)
        session = await self._load_active(sha256)
        if session is not None and session.access is not None and session.access.reveal() == refused.reveal():
            session = await self._refreshed_session(session)
            self._current.invalidate(sha256)
        return None if session is None or session.access is None else SignedIn(session.user, session.access)

    async def end(self, session_id: str) -> None:
        """End a session at once and revoke its Twitch token, retrying later if Twitch does not answer.

        Raises TwitchAudioError `busy`; the session has not ended then.
        """
        sha256 = session_hash(session_id)
        session = await self._store.get(sha256)
        if session is None or session.ended_at is not None:
            return
        await self._store.end(sha256, self._clock.now())
        self._current.invalidate(sha256)
        _log.info("signed_out", extra={"user_id": session.user.id, "login": session.user.login})
        task = asyncio.create_task(self._revoke(replace(session, ended_at=self._clock.now())), name="revoke")
        self._revoking.add(task)
        task.add_done_callback(self._revoking.discard)
        await asyncio.shield(task)

    async def end_all(self, user_id: str) -> int:
        """End all sessions of a user, and return how many; their Twitch tokens are revoked in the background.

        Other servers see it within `SESSION_CACHE_SECONDS`. Raises TwitchAudioError `busy`.
        """
        ended = await self._store.end_all(user_id, self._clock.now())
        self._current.invalidate_all()
        _log.info("signed_out_everywhere", extra={"user_id": user_id, "sessions": ended})
        return ended

    async def __aenter__(self) -> Self:
        """Start the background task that validates unused sessions, ends idle ones and revokes their tokens."""
        self._maintenance = self._background.start("look after sessions", self._maintain)
        return self

    async def close(self) -> None:
        """Cancel the background tasks and calls in progress."""
        await cancel_and_wait(*self._revoking, self._maintenance)
        await self._current.close()
        await self._refreshed.close()

    # --- One session ----------------------------------------------------------------------------------

    async def _load_active(self, sha256: str) -> StoredSession | None:
        session = await self._store.get(sha256)
        return None if session is None or self._has_ended(session) else session

    def _has_ended(self, session: StoredSession) -> bool:
        now = self._clock.now()
        old = now >= session.created_at + SESSION_LIFETIME or now >= session.seen_at + SESSION_IDLE
        return old or session.ended_at is not None or session.access is None

    async def _load(self, sha256: str) -> SignedIn | None:
        session = await self._load_active(sha256)
        if session is not None:
            session = await self._confirmed(session)
        if session is None or session.access is None:
            return None
        if self._clock.now() >= session.seen_at + SESSION_SEEN_STEP:
            await self._store.seen(sha256, self._clock.now())
        return SignedIn(session.user, session.access)

    async def _confirmed(self, session: StoredSession) -> StoredSession | None:
        """The session if Twitch confirmed its token recently enough; None when Twitch has ended it."""
        now = self._clock.now()
        try:
            if now >= session.token_expires_at - REFRESH_MARGIN:
                return await self._refreshed_session(session)
            if -CLOCKS_APART <= now - session.validated_at < SESSION_VALIDATED:
                return session
            return await self._validated(session)
        except TwitchAudioError as error:
            # While Twitch does not answer, a session stays valid, but only for `SESSION_GRACE`.
            if error.code is ProblemCode.UPSTREAM_UNAVAILABLE and now < session.validated_at + SESSION_GRACE:
                return session
            raise

    async def _validated(self, session: StoredSession) -> StoredSession | None:
        assert session.access is not None
        try:
            user = await self._validator.user(session.access)
        except TwitchAudioError as error:
            if error.code is not ProblemCode.TOKEN_INVALID:
                raise
            # The token expired early or was revoked; only an attempt to refresh it shows which.
            return await self._refreshed_session(session)
        now = self._clock.now()
        if user.id != session.user.id:
            await self._store.end(session.sha256, now)
            return None
        await self._store.validated(session.sha256, user, now=now, due=now + SESSION_RECHECK)
        return replace(session, user=user, validated_at=now)

    async def _refreshed_session(self, session: StoredSession) -> StoredSession | None:
        return await self._refreshed.get(session.sha256, lambda: self._refresh(session))

    async def _refresh(self, session: StoredSession) -> StoredSession | None:
        """The session with tokens refreshed by this or another server; None when Twitch refuses to refresh."""
        sha256 = session.sha256
        before = None if session.access is None else session.access.reveal()
        deadline = self._clock.monotonic() + REFRESH_CLAIM.total_seconds()
        while self._clock.monotonic() < deadline:
            current = await self._load_active(sha256)
            if current is None or current.access is None:
                return None
            if current.access.reveal() != before:
                return current
            now = self._clock.now()
            if await self._store.begin_refresh(current, now=now, until=now + REFRESH_CLAIM):
                return await self._refresh_claimed(current)
            await self._clock.sleep(REFRESH_POLL_SECONDS)
        raise UpstreamError("refresh", "Your sign-in is being renewed. Try again in a moment.")

    async def _refresh_claimed(self, session: StoredSession) -> StoredSession | None:
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
        # A refresh token may be valid only once, so the new tokens must not be lost.
        await retry(
            lambda: self._store.renew(sha256, renewed, now=now, due=now + SESSION_RECHECK),
            errors=TwitchAudioError,
            retry_after=any_error,
            policy=_STORE_RETRY,
            sleep=self._clock.sleep,
        )
        return await self._load_active(sha256)

    # --- Maintenance of unused sessions ---------------------------------------------------------------

    async def _maintain(self) -> None:
        while True:
            await self._clock.sleep(MAINTENANCE_SECONDS)
            try:
                await self.look_after()
            except TwitchAudioError as error:
                _log.warning("sessions_not_looked_after", extra={"error": error.detail})

    async def look_after(self) -> None:
        """Validate, end or delete all sessions that are due. Raises TwitchAudioError `busy`."""
        while True:
            now = self._clock.now()
            due = await self._store.take_due(MAINTENANCE_BATCH, now=now, until=now + MAINTENANCE_CLAIM)
            for session in due:
                await self._look_after(session)
            if len(due) < MAINTENANCE_BATCH:
                return

    async def _look_after(self, session: StoredSession) -> None:
        now = self._clock.now()
        if self._has_ended(session):
            await self._revoke(session)
        elif now >= session.token_expires_at:
            # The token has expired: it is refreshed when the user returns.
            await self._store.put_off(
                session.sha256, min(session.seen_at + SESSION_IDLE, session.created_at + SESSION_LIFETIME)
            )
        else:
            try:
                await self._validated(session)
            except TwitchAudioError as error:
                if error.code is ProblemCode.BUSY:
                    raise
                if error.code is ProblemCode.UPSTREAM_UNAVAILABLE:
                    await self._store.put_off(session.sha256, now + MAINTENANCE_RETRY)
                else:
                    await self._store.end(session.sha256, now)

    async def _revoke(self, session: StoredSession) -> None:
        """Revoke a session's token and delete the session; postponed when Twitch does not answer."""
        now = self._clock.now()
        if session.access is not None and now < session.token_expires_at:
            try:
                await self._oauth.revoke(session.access)
            except UpstreamError:
                with contextlib.suppress(TwitchAudioError):
                    await self._store.put_off(session.sha256, now + MAINTENANCE_RETRY)
                return
            self._validator.forget(session.access)
        with contextlib.suppress(TwitchAudioError):
            await self._store.forget(session.sha256)
