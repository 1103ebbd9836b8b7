"""HTTP client for Twitch's official APIs: limits time, size and concurrency, follows no redirects."""

import asyncio
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, cast

from aiohttp import ClientError, ClientSession, ClientTimeout
from yarl import URL

from fingerprint.domain.problems import UpstreamError

BODY_LIMIT: Final = 64 * 1024
TIMEOUT: Final = ClientTimeout(total=3.0, connect=2.0)
AT_ONCE: Final = 20

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reply:
    """A response of Twitch. The body has at most `BODY_LIMIT` bytes."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def object(self) -> Mapping[str, object] | None:
        """The body as a JSON object; None when it is not one."""
        try:
            value: object = json.loads(self.body)
        except (ValueError, RecursionError):
            return None
        return cast("Mapping[str, object]", value) if isinstance(value, dict) else None

    @property
    def message(self) -> str:
        """Twitch's error message, at most 200 characters, for logs and comparisons; empty when there is none."""
        told = self.object()
        message = None if told is None else told.get("message")
        return message[:200] if isinstance(message, str) else ""


class TwitchClient:
    """Calls one Twitch API with at most `at_once` concurrent requests."""

    def __init__(self, session: ClientSession, *, at_once: int = AT_ONCE) -> None:
        self._session = session
        self._semaphore = asyncio.Semaphore(at_once)

    async def call(
        self,
        step: str,
        method: str,
        url: URL,
        *,
        headers: Mapping[str, str] | None = None,
        form: Sequence[tuple[str, str]] | None = None,
        detail: str = "Twitch does not answer. Try again in a moment.",
    ) -> Reply:
        """Send a request and return the response, whatever its status. Raises UpstreamError with `detail`."""
        try:
            async with (
                self._semaphore,
                self._session.request(
                    method, url, headers=headers, data=form, timeout=TIMEOUT, allow_redirects=False
                ) as response,
            ):
                body = bytearray()
                async for piece in response.content.iter_chunked(8192):
                    body += piece
                    if len(body) > BODY_LIMIT:
                        raise UpstreamError(step, detail)
                return Reply(response.status, response.headers, bytes(body))
        except (ClientError, TimeoutError, OSError) as error:
            _log.warning("twitch_not_reached", extra={"step": step, "error": type(error).__name__})
            raise UpstreamError(step, detail) from error
