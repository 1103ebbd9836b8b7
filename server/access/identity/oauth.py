"""Twitch's OAuth 2.0 authorization-code flow at id.twitch.tv: exchange, refresh and revoke tokens."""

import base64
import hashlib
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

from aiohttp import ClientSession
from yarl import URL

from fingerprint.domain.problems import ProblemCode, TwitchAudioError, UpstreamError
from fingerprint.setting_formats import Secret
from server.access.identity.limits import TOKEN_LENGTH, TOKEN_LIFETIME_SECONDS
from server.access.identity.twitch_client import Reply, TwitchClient

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """Twitch's tokens for a code or a refresh token. `seconds` is the lifetime of the access token."""

    access: Secret
    refresh: Secret | None
    seconds: int
    scopes: frozenset[str]


class RefusedError(TwitchAudioError):
    """Twitch rejects a code or a refresh token permanently."""


class ApplicationRefusedError(UpstreamError):
    """Twitch does not accept the application's id with its secret, which only the operator can correct."""


class TwitchOAuth:
    """OAuth client of the operator's Twitch application."""

    def __init__(self, session: ClientSession, *, id_url: URL, client_id: str, client_secret: Secret) -> None:
        self._client = TwitchClient(session)
        self._base = id_url / "oauth2"
        self._client_id = client_id
        self._secret = client_secret
        self.refused: str | None = None
        """What Twitch said when it did not accept the application; None once it does again."""

    def authorize_url(self, *, redirect: URL, state: str, scopes: Iterable[str], verifier: str) -> URL:
        """The address at which Twitch asks the user for consent; `verifier` is kept for `exchange` (RFC 7636)."""
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
        return (self._base / "authorize").with_query(
            client_id=self._client_id,
            redirect_uri=str(redirect),
            response_type="code",
            scope=" ".join(sorted(scopes)),
            state=state,
            code_challenge=challenge,
            code_challenge_method="S256",
        )

    async def exchange(self, code: str, redirect: URL, verifier: str) -> Tokens:
        """Exchange the code of a callback for tokens. Raises RefusedError `token-invalid`; UpstreamError."""
        if not 0 < len(code) <= TOKEN_LENGTH:
            raise _refused()
        return await self._tokens(
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", str(redirect)),
            ("code_verifier", verifier),
        )

    async def refresh(self, token: Secret) -> Tokens:
        """Get new tokens. Raises RefusedError when the user has disconnected us on Twitch; UpstreamError."""
        return await self._tokens(("grant_type", "refresh_token"), ("refresh_token", token.reveal()))

    async def revoke(self, token: Secret) -> None:
        """Revoke an access token; succeeds too when the token is already invalid. Raises UpstreamError."""
        reply = await self._client.call(
            "revoke",
            "POST",
            self._base / "revoke",
            form=[("client_id", self._client_id), ("token", token.reveal())],
        )
        if reply.status not in (200, 400):
            _log.warning("token_not_revoked", extra={"status": reply.status, "said": reply.message})
            raise UpstreamError("revoke", "Twitch did not take back the sign-in.")

    async def application_token(self) -> Secret:
        """Get an access token of the application, for calls without a user. Raises UpstreamError."""
        return (await self._tokens(("grant_type", "client_credentials"))).access

    async def _tokens(self, *fields: tuple[str, str]) -> Tokens:
        form = [("client_id", self._client_id), ("client_secret", self._secret.reveal()), *fields]
        reply = await self._client.call("token", "POST", self._base / "token", form=form)
        if reply.status == 200:
            self.refused = None
            return _parse(reply)
        said = {"status": reply.status, "said": reply.message, "grant": fields[0][1]}
        message = reply.message.lower()
        if reply.status == 403 or (reply.status == 400 and message == "invalid client"):
            _log.error("twitch_refuses_our_application", extra=said)
            self.refused = reply.message[:200]
            detail = "Twitch does not accept this server's application. Tell its operator."
            raise ApplicationRefusedError("token", detail)
        _log.warning("token_not_issued", extra=said)
        if reply.status in (400, 401):
            raise _refused()
        raise UpstreamError("token", "Twitch does not answer properly. Try again in a moment.")


def _refused() -> RefusedError:
    detail = "Twitch did not confirm the sign-in: it took too long, or was used already. Sign in again."
    return RefusedError(ProblemCode.TOKEN_INVALID, detail)


def _parse(reply: Reply) -> Tokens:
    told = reply.object() or {}
    access, refresh = told.get("access_token"), told.get("refresh_token")
    seconds, scopes = told.get("expires_in"), told.get("scope")
    if (
        not _is_token(access)
        or not (refresh is None or _is_token(refresh))
        or not isinstance(seconds, int)
        or isinstance(seconds, bool)
        or seconds < 0
    ):
        raise UpstreamError("token", "Twitch does not answer properly. Try again in a moment.")
    known = cast("list[object]", scopes) if isinstance(scopes, list) else []
    return Tokens(
        access=Secret(cast("str", access)),
        refresh=None if refresh is None else Secret(cast("str", refresh)),
        seconds=min(seconds, TOKEN_LIFETIME_SECONDS),
        scopes=frozenset(scope for scope in known if isinstance(scope, str)),
    )


def _is_token(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= TOKEN_LENGTH and value.isascii() and value.isprintable()
