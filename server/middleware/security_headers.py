"""Headers that every answer carries; pages add their own."""

from typing import Final

from aiohttp import web

HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # Nothing of an API answer may be run, framed or loaded by a browser that shows it as a page.
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
SERVER: Final = "TwitchAudio"


async def add_security_headers(_request: web.Request, response: web.StreamResponse) -> None:
    """On `on_response_prepare`, after the pages' own."""
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    # aiohttp would tell its version and Python's.
    response.headers["Server"] = SERVER
