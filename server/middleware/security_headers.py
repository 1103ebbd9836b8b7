"""Headers that every answer carries; pages add their own."""

from typing import Final

from aiohttp import web

from server.middleware.request_context import add_rate_limit
from server.middleware.request_id import add_request_id

HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # Nothing of an API answer may be run, framed or loaded by a browser that shows it as a page.
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
SERVER: Final = "TwitchAudio"


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """On `on_response_prepare`, after the pages' own: all that every answer carries."""
    add_request_id(response)
    add_rate_limit(request, response)
    headers = response.headers
    for name, value in HEADERS.items():
        headers.setdefault(name, value)
    # aiohttp would tell its version and Python's.
    headers["Server"] = SERVER
