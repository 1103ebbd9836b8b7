"""CORS: pages of the origins that the operator lists may call the API, with a key and never with cookies."""

from collections.abc import Sequence
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from server import keys

_ALLOWED: Final = (
    "Authorization, X-API-Key, Content-Type, Prefer, Cache-Control, If-None-Match, Last-Event-ID, X-Request-Id"
)
_EXPOSED: Final = (
    "Age, Allow, Content-Disposition, ETag, Location, Preference-Applied, RateLimit, RateLimit-Policy, "
    "Retry-After, X-Request-Id"
)
PREFLIGHT_SECONDS: Final = 7_200
"""How long a browser remembers what it may send: the longest that Chromium takes."""


def is_concerned(request: web.Request) -> bool:
    """Whether an answer depends on the page that asks: with listed origins, in the API."""
    return bool(request.app[keys.SETTINGS].cors_origins) and request.path.startswith("/api/")


def is_allowed(request: web.Request, origins: Sequence[str]) -> bool:
    """Whether a request is from a page of one of the origins."""
    return request.headers.get("Origin") in origins


def answer_preflights(origins: Sequence[str]) -> Middleware:
    """Create the middleware that tells browsers what pages of the origins may send, before they send it."""

    @web.middleware
    async def answer(request: web.Request, handler: Handler) -> web.StreamResponse:
        wanted = request.headers.get("Access-Control-Request-Method")
        concerned = request.method == "OPTIONS" and request.path.startswith("/api/")
        if not concerned or wanted is None or not is_allowed(request, origins):
            return await handler(request)
        refusal = request.match_info.http_exception
        if not isinstance(refusal, web.HTTPMethodNotAllowed):
            # There is nothing at this address.
            return await handler(request)
        return web.Response(
            status=204,
            headers={
                "Access-Control-Allow-Methods": ", ".join(sorted(refusal.allowed_methods)),
                "Access-Control-Allow-Headers": _ALLOWED,
                "Access-Control-Max-Age": str(PREFLIGHT_SECONDS),
                "Cache-Control": "no-store",
                "Vary": "Access-Control-Request-Method, Access-Control-Request-Headers",
            },
        )

    return answer


async def add_cross_origin(request: web.Request, response: web.StreamResponse) -> None:
    """Handler of `on_response_prepare` that lets a page of a listed origin read the API's answers."""
    if not is_concerned(request):
        return
    headers = response.headers
    known = headers.get("Vary", "")
    if "Origin" not in known.split(", "):
        headers["Vary"] = f"{known}, Origin" if known else "Origin"
    if is_allowed(request, request.app[keys.SETTINGS].cors_origins):
        headers["Access-Control-Allow-Origin"] = request.headers["Origin"]
        headers["Access-Control-Expose-Headers"] = _EXPOSED
