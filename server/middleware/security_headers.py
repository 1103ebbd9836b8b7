"""Headers of every response; pages add more of their own."""

from typing import Final

from aiohttp import web

from server.middleware.request_context import add_rate_limit
from server.middleware.request_id import add_request_id

HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # A browser that shows an API response as a page must not run, frame or load anything.
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
SERVER: Final = "TwitchAudio"


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Handler of `on_response_prepare` that adds the common headers, after those that pages set."""
    add_request_id(response)
    add_rate_limit(request, response)
    headers = response.headers
    for name, value in HEADERS.items():
        headers.setdefault(name, value)
    # aiohttp's default would disclose its version and Python's.
    headers["Server"] = SERVER
