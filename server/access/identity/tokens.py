"""Validates Twitch users' access tokens at id.twitch.tv's `/oauth2/validate`.

Twitch validates tokens of every application there: only user tokens that were issued to our client id are
accepted.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, cast

from aiohttp import ClientSession
from yarl import URL

from fingerprint.domain.problems import ProblemCode, TwitchAudioError, UpstreamError
from fingerprint.ports import Clock
from fingerprint.setting_formats import Secret
from fingerprint.single_flight import SingleFlightCache
from fingerprint.tasks import Closing
from server.access.identity.limits import (
    INVALID_SECONDS,
    MAX_CACHED_TOKENS,
    TOKEN_LENGTH,
    VALID_SECONDS,
    VALIDATION_FAILED_SECONDS,
)
from server.access.identity.twitch_client import TwitchClient
from server.access.identity.twitch_user import TwitchUser

_UNAVAILABLE: Final = "Twitch does not say whose token this is. Try again in a moment."


@dataclass(frozen=True, slots=True)
class _ValidToken:
    user: TwitchUser
    expires_in_seconds: int
    """0 when the token does not expire."""


class TokenValidator(Closing):
    """Validates tokens with Twitch and caches the results; concurrent checks of one token share a call."""

    def __init__(self, session: ClientSession, *, id_url: URL, client_id: str, clock: Clock) -> None:
        self._client = TwitchClient(session)
        self._address = id_url / "oauth2" / "validate"
        self._client_id = client_id
        # By `token_hash`.
        self._valid: SingleFlightCache[str, _ValidToken] = SingleFlightCache(
            clock=clock,
            fresh_seconds=lambda valid: min(VALID_SECONDS, valid.expires_in_seconds or VALID_SECONDS),
            failure_seconds=lambda error: (
                VALIDATION_FAILED_SECONDS if isinstance(error, UpstreamError) else INVALID_SECONDS
            ),
            max_entries=MAX_CACHED_TOKENS,
        )

    async def user(self, token: Secret) -> TwitchUser:
        """The user that a token was issued to.

        Raises TwitchAudioError `token-invalid`, `token-wrong-client`; `upstream-unavailable` when Twitch does not
        answer and the token is not cached.
        """
        text = token.reveal()
        if not text.isascii() or not text.isalnum() or len(text) > TOKEN_LENGTH:
            raise _invalid()
        return (await self._valid.get(token_hash(token), lambda: self._validate(text))).user

    def known(self, token: Secret) -> TwitchUser | None:
        """The user of a token that was validated before, without I/O; the token may no longer be valid."""
        valid = self._valid.last(token_hash(token))
        return None if valid is None else valid.user

    def forget(self, token: Secret) -> None:
        """Expire the cached result, so that the token is validated again before its next use."""
        self._valid.expire(token_hash(token))

    async def close(self) -> None:
        """End the calls to Twitch that are in progress."""
        await self._valid.close()

    async def _validate(self, text: str) -> _ValidToken:
        headers = {"Authorization": f"OAuth {text}"}
        reply = await self._client.call("validate", "GET", self._address, headers=headers, detail=_UNAVAILABLE)
        return _valid_token(reply.status, reply.body, self._client_id)


def token_hash(token: Secret) -> str:
    """The SHA-256 of a token in hexadecimal, by which results are cached: tokens are not kept in memory."""
    # Bytes of a header that are not UTF-8 arrive as surrogates.
    return hashlib.sha256(token.reveal().encode("utf-8", "surrogatepass")).hexdigest()


def _valid_token(status: int, body: bytes, client_id: str) -> _ValidToken:
    """Parse the response of `/oauth2/validate`. Raises TwitchAudioError as `TokenValidator.user` does."""
    if status == 401:
        raise _invalid()
    if status != 200:
        raise _unavailable()
    try:
        value: object = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise _unavailable() from error
    if not isinstance(value, dict):
        raise _unavailable()
    told = cast("Mapping[str, object]", value)
    issued_to, expires_in = told.get("client_id"), told.get("expires_in")
    if not isinstance(issued_to, str) or not isinstance(expires_in, int) or isinstance(expires_in, bool):
        raise _unavailable()
    if issued_to != client_id:
        detail = "This token was issued to another application: sign in to this one."
        raise TwitchAudioError(ProblemCode.TOKEN_WRONG_CLIENT, detail)
    user_id, login = told.get("user_id"), told.get("login")
    if not isinstance(user_id, str) or not isinstance(login, str) or not user_id or not login or expires_in < 0:
        raise _invalid()
    scopes = told.get("scopes")
    known = cast("list[object]", scopes) if isinstance(scopes, list) else []
    texts = frozenset(scope for scope in known if isinstance(scope, str))
    return _ValidToken(TwitchUser(id=user_id, login=login.lower(), scopes=texts), expires_in)


def _invalid() -> TwitchAudioError:
    return TwitchAudioError(ProblemCode.TOKEN_INVALID, "The sign-in has expired or was revoked: sign in again.")


def _unavailable() -> UpstreamError:
    return UpstreamError("validate", _UNAVAILABLE)
