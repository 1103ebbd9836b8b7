"""Twitch user tokens, checked at id.twitch.tv's `/oauth2/validate`.

A token of any other application validates there too: only tokens issued to our own client id, for a person, count.
"""

import asyncio
import contextlib
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, cast

from aiohttp import ClientSession
from yarl import URL

from fingerprint.domain.problems import ProblemCode, TwitchAudioError, UpstreamError
from fingerprint.ports import Clock
from fingerprint.settings import Secret
from server.access.identity.twitch_client import TwitchClient
from server.access.identity.twitch_user import TwitchUser

VALID_SECONDS: Final = 600.0
"""How long a valid token is taken without asking again; Twitch wants it checked at least hourly."""

INVALID_SECONDS: Final = 60.0
FAILED_SECONDS: Final = 2.0
KEPT_TOKENS: Final = 10_000
_TOKEN_LIMIT: Final = 200
_UNAVAILABLE: Final = "Twitch does not say whose token this is. Try again in a moment."


@dataclass(slots=True)
class _Verdict:
    task: "asyncio.Task[TwitchUser]"
    until: float


class TokenValidator:
    """Asks Twitch about each token once in a while; all who bring one at the same time share the answer."""

    def __init__(self, session: ClientSession, *, id_url: URL, client_id: str, clock: Clock) -> None:
        self._client = TwitchClient(session)
        self._address = id_url / "oauth2" / "validate"
        self._client_id = client_id
        self._clock = clock
        # By hash, the oldest first; tokens themselves are not kept.
        self._verdicts: dict[str, _Verdict] = {}

    async def user(self, token: Secret) -> TwitchUser:
        """The token's owner.

        Raises TwitchAudioError `token-invalid`, `token-wrong-client`; `upstream-unavailable` when Twitch does not
        answer and the token is not known.
        """
        text = token.reveal()
        if not text.isascii() or not text.isalnum() or len(text) > _TOKEN_LIMIT:
            raise _invalid()
        digest = hashlib.sha256(text.encode()).hexdigest()
        verdict = self._verdicts.get(digest)
        if verdict is None or (verdict.task.done() and self._clock.monotonic() >= verdict.until):
            verdict = self._ask(digest, text)
        task = verdict.task
        if task.done() and not task.cancelled() and task.exception() is None:
            return task.result()
        try:
            return await asyncio.shield(task)
        except TwitchAudioError as error:
            # A fresh one for each: one shared by thousands would collect all their tracebacks.
            raise TwitchAudioError(
                error.code, error.detail, retry_after_seconds=error.retry_after_seconds
            ) from error

    def known(self, token: Secret) -> TwitchUser | None:
        """Whose token it is, as far as that is known without asking anybody; it may be over meanwhile."""
        task = None
        verdict = self._verdicts.get(hashlib.sha256(token.reveal().encode()).hexdigest())
        if verdict is not None and verdict.task.done() and not verdict.task.cancelled():
            task = verdict.task
        return None if task is None or task.exception() is not None else task.result()

    def forget(self, token: Secret) -> None:
        """Ask again the next time: something said that the token is not valid any more."""
        digest = hashlib.sha256(token.reveal().encode()).hexdigest()
        verdict = self._verdicts.get(digest)
        if verdict is not None and verdict.task.done():
            del self._verdicts[digest]

    async def close(self) -> None:
        """End what is under way."""
        for verdict in list(self._verdicts.values()):
            verdict.task.cancel()
            with contextlib.suppress(asyncio.CancelledError, TwitchAudioError):
                await verdict.task

    def _ask(self, digest: str, text: str) -> _Verdict:
        self._verdicts.pop(digest, None)
        while len(self._verdicts) >= KEPT_TOKENS:
            oldest = next(iter(self._verdicts))
            if not self._verdicts[oldest].task.done():
                busy = "Too many sign in at once. Try again in a moment."
                raise TwitchAudioError(ProblemCode.BUSY, busy, retry_after_seconds=5.0)
            del self._verdicts[oldest]
        task = asyncio.create_task(self._judged(digest, text), name="validate a token")
        # Whoever asked may be gone: nobody needs to be told then.
        task.add_done_callback(lambda done: None if done.cancelled() else done.exception())
        verdict = self._verdicts[digest] = _Verdict(task, 0.0)
        return verdict

    async def _judged(self, digest: str, text: str) -> TwitchUser:
        keep = INVALID_SECONDS
        try:
            status, body = await self._validate(text)
            user, expires_in = _user(status, body, self._client_id)
            keep = VALID_SECONDS if expires_in == 0 else min(VALID_SECONDS, expires_in)
        except UpstreamError:
            keep = FAILED_SECONDS
            raise
        else:
            return user
        finally:
            self._verdicts[digest].until = self._clock.monotonic() + keep

    async def _validate(self, text: str) -> tuple[int, bytes]:
        headers = {"Authorization": f"OAuth {text}"}
        reply = await self._client.call("validate", "GET", self._address, headers=headers, detail=_UNAVAILABLE)
        return reply.status, reply.body


def _user(status: int, body: bytes, client_id: str) -> tuple[TwitchUser, int]:
    """The owner and the seconds that the token lives on; 0 for good."""
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
    return TwitchUser(id=user_id, login=login.lower(), scopes=texts), expires_in


def _invalid() -> TwitchAudioError:
    return TwitchAudioError(ProblemCode.TOKEN_INVALID, "The sign-in has expired or was revoked: sign in again.")


def _unavailable() -> UpstreamError:
    return UpstreamError("validate", _UNAVAILABLE)
