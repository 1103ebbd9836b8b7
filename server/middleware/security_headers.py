"""Headers of every response; pages add more of their own."""

from collections.abc import Mapping
from typing import Final

from aiohttp import web

from server import keys
from server.middleware.request_context import add_rate_limit
from server.middleware.request_id import add_request_id
from server.settings import ServerSettings

HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # A browser that shows an API response as a page must not run, frame or load anything.
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
SERVER: Final = "TwitchAudio"
HSTS_HEADER: Final = "Strict-Transport-Security"
HSTS: Final = "max-age=31536000"
"""Browsers use https alone for a year; subdomains are not ours to decide about."""


def hsts_headers(settings: ServerSettings) -> Mapping[str, str]:
    """`Strict-Transport-Security`, when the configured address of the website is https."""
    return {HSTS_HEADER: HSTS} if settings.base_url is not None and settings.base_url.scheme == "https" else {}


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Handler of `on_response_prepare` that adds the common headers, after those that pages set."""
    add_request_id(response)
    add_rate_limit(request, response)
    headers = response.headers
    for name, value in (*HEADERS.items(), *hsts_headers(request.app[keys.SETTINGS]).items()):
        headers.setdefault(name, value)
    # aiohttp's default would disclose its version and Python's.
    headers["Server"] = SERVER
