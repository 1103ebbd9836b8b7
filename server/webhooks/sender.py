"""Sends messages to webhooks: to public addresses alone, without following redirects."""

import asyncio
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Self

import aiohttp

from fingerprint.domain.problems import TwitchAudioError, invalid_input
from fingerprint.domain.web_addresses import read_address
from fingerprint.media.hosts import AddressRefusedError, AllowList
from fingerprint.ports import Clock
from server.webhooks.messages import Message, Webhook, headers_of

SEND_SECONDS: Final = 10.0
URL_LIMIT: Final = 1_000
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)
_PORTS: Final = frozenset({443, 8443})


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What came of an attempt. `status` is that of the answer, if there was one; `error` says what was wrong."""

    status: int | None = None
    error: str | None = None


class WebhookSender:
    """An HTTP client that goes to public addresses over https, and to the hosts that the operator lists."""

    def __init__(self, hosts: Iterable[str], clock: Clock) -> None:
        self._allow = AllowList.of_media_hosts(hosts)
        self._clock = clock
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(socket_factory=self._allow.socket, limit=32, ttl_dns_cache=10)
        timeout = aiohttp.ClientTimeout(total=SEND_SECONDS, connect=SEND_SECONDS / 2)
        self._session = aiohttp.ClientSession(
            connector=connector, timeout=timeout, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False
        )
        return self

    async def __aexit__(self, *_exc: object) -> None:
        if self._session is not None:
            await self._session.close()

    def checked_url(self, text: str) -> str:
        """An address that messages may be sent to. Raises TwitchAudioError `invalid-input`."""
        try:
            url = read_address(text)
        except ValueError as error:
            raise invalid_input("This is not an address: give one such as https://bot.example/hook.") from error
        if len(text) > URL_LIMIT:
            raise invalid_input(f"The address has more than {URL_LIMIT} characters.")
        if url.user is not None or url.password is not None or url.raw_fragment:
            raise invalid_input("The address of a webhook has no password and no fragment in it.")
        if self._allow.allows(url):
            return str(url)
        if url.scheme != "https" or not url.host or url.port not in _PORTS:
            raise invalid_input("A webhook has an https address, on port 443 or 8443.")
        host = url.host.lower().rstrip(".")
        if ("." not in host and ":" not in host) or host.endswith((".localhost", ".local", ".internal")):
            raise invalid_input("Webhooks are sent to public addresses alone, and this one is not.")
        if _is_literal(host) and not self._allow.may_connect(host):
            raise invalid_input("Webhooks are sent to public addresses alone, and this one is not.")
        return str(url)

    async def send(self, webhook: Webhook, message: Message) -> Attempt:
        """Try once. Raises nothing but cancellation."""
        assert self._session is not None, "entered"
        try:
            url = self.checked_url(webhook.url)
            headers = {
                **headers_of(message, webhook.secret, self._clock.now()),
                "Content-Type": "application/json",
                "User-Agent": "TwitchAudio-Webhooks",
            }
            async with (
                asyncio.timeout(SEND_SECONDS),
                self._session.post(url, data=message.body, headers=headers, allow_redirects=False) as response,
            ):
                status = response.status
        except TwitchAudioError as error:
            return Attempt(error=error.detail)
        except TimeoutError:
            return Attempt(error=f"It did not answer within {SEND_SECONDS:.0f} s.")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Attempt(error=_words(error))
        if 200 <= status < 300:
            return Attempt(status=status)
        if 300 <= status < 400:
            return Attempt(status=status, error=f"It answered {status}, and redirects are not followed.")
        return Attempt(status=status, error=f"It answered {status}.")


def _is_literal(host: str) -> bool:
    """Whether a host is an IP address, or what some programs take for one, such as 0x7f.1."""
    return ":" in host or _NUMBER.fullmatch(host.rpartition(".")[2]) is not None


def _words(error: BaseException) -> str:
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, AddressRefusedError):
            return "Its name leads to a private address, where this server does not go."
        seen = getattr(seen, "os_error", None) or seen.__cause__
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "Its name is not known."
    if isinstance(error, aiohttp.ClientSSLError):
        return "Its certificate is not valid."
    return "It cannot be reached."
