"""Client for the parts of Twitch's Helix API that access control needs: subscriptions and account ids."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, cast

from aiohttp import ClientSession
from yarl import URL

from fingerprint.domain.problems import ProblemCode, TwitchAudioError, UpstreamError
from fingerprint.ports import Clock
from fingerprint.retry import retry, retry_after_seconds
from fingerprint.setting_formats import Secret
from server.access.identity.twitch_client import Reply, TwitchClient

AT_ONCE: Final = 50
_SILENT: Final = "Twitch does not say who is subscribed. Try again in a moment."
_LONGEST_PAUSE: Final = 60.0

_log = logging.getLogger(__name__)


class TokenRefusedError(TwitchAudioError):
    """Twitch rejects the user's access token (HTTP 401)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HelixUser:
    """A Twitch account. `kind` is `affiliate`, `partner` or empty; the latter cannot have subscribers."""

    id: str
    login: str
    kind: str


class HelixClient:
    """Calls Helix with a user's access token or with the application's."""

    def __init__(self, session: ClientSession, *, helix_url: URL, client_id: str, clock: Clock) -> None:
        self._client = TwitchClient(session, at_once=AT_ONCE)
        self._base = helix_url
        self._client_id = client_id
        self._clock = clock

    async def subscribed(self, token: Secret, *, user_id: str, broadcaster_id: str) -> bool:
        """Whether a user is subscribed to a broadcaster; retried once after a server error of Twitch.

        Raises TokenRefusedError `token-invalid`; UpstreamError with the seconds to wait before asking again.
        """
        url = (self._base / "subscriptions" / "user").with_query(broadcaster_id=broadcaster_id, user_id=user_id)
        reply = await retry(lambda: self._get(url, token), errors=UpstreamError, retry_after=self._retry_after)
        match reply.status:
            case 200:
                return bool(_data(reply))
            case 404:
                return False
            case 400:
                # The broadcaster is neither affiliate nor partner, and so cannot have subscribers.
                _log.warning("broadcaster_without_subscriptions", extra={"broadcaster": broadcaster_id})
                return False
            case 401:
                raise TokenRefusedError(ProblemCode.TOKEN_INVALID, "The sign-in has expired: sign in again.")
            case _:
                raise self._failed(reply)

    async def users(
        self, token: Secret, *, logins: Sequence[str] = (), ids: Sequence[str] = ()
    ) -> list[HelixUser]:
        """The existing accounts with these logins and ids, at most 100 in all. Raises UpstreamError."""
        query = [*(("login", login) for login in logins), *(("id", number) for number in ids)]
        reply = await self._get((self._base / "users").with_query(query), token)
        if reply.status == 400:
            return []
        if reply.status != 200:
            raise self._failed(reply)
        found: list[HelixUser] = []
        for item in _data(reply):
            number, login, kind = item.get("id"), item.get("login"), item.get("broadcaster_type")
            if isinstance(number, str) and isinstance(login, str) and number.isdecimal():
                found.append(HelixUser(id=number, login=login.lower(), kind=kind if isinstance(kind, str) else ""))
        return found

    async def _get(self, url: URL, token: Secret) -> Reply:
        headers = {"Authorization": f"Bearer {token.reveal()}", "Client-Id": self._client_id}
        return await self._client.call("helix", "GET", url, headers=headers, detail=_SILENT)

    def _retry_after(self, outcome: Reply | UpstreamError) -> float | None:
        """Seconds to wait before a retry of a 5xx response; None for no retry, as after a timeout."""
        if isinstance(outcome, UpstreamError) or outcome.status < 500:
            return None
        return retry_after_seconds(outcome.headers.get("Retry-After"), self._clock.now())

    def _failed(self, reply: Reply) -> UpstreamError:
        _log.warning("helix_failed", extra={"status": reply.status, "said": reply.message})
        pause = 5.0
        reset = reply.headers.get("Ratelimit-Reset", "")
        if reply.status == 429 and reset.isdecimal() and len(reset) < 12:
            pause = min(_LONGEST_PAUSE, max(pause, int(reset) - self._clock.now().timestamp()))
        return UpstreamError("helix", _SILENT, retry_after_seconds=pause)


def _data(reply: Reply) -> Sequence[Mapping[str, object]]:
    told = reply.object()
    data = None if told is None else told.get("data")
    if not isinstance(data, list):
        raise UpstreamError("helix", _SILENT)
    items = cast("list[object]", data)
    return [cast("Mapping[str, object]", item) for item in items if isinstance(item, dict)]
