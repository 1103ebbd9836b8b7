"""Notes who sends a request before its handler runs, and tells what is left of a rate limit."""

from collections.abc import Iterable

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from server.access.addresses import Network, Networks, client_address
from server.access.caller import caller_from, current_caller


def note_caller(trusted_proxies: Iterable[Network]) -> Middleware:
    """The middleware. X-Forwarded-For counts only from trusted proxies."""
    trusted = Networks(trusted_proxies)

    @web.middleware
    async def note(request: web.Request, handler: Handler) -> web.StreamResponse:
        headers = request.headers
        address = client_address(request.remote, headers.getall("X-Forwarded-For", []), trusted)
        # Nothing is checked here. aiohttp runs each request in a context of its own.
        current_caller.set(caller_from(headers.get("Authorization"), headers.get("X-API-Key"), address))
        return await handler(request)

    return note


async def add_rate_limit(_request: web.Request, response: web.StreamResponse) -> None:
    """On `on_response_prepare`: `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers)."""
    caller = current_caller.get(None)
    if caller is None or caller.spent is None:
        return
    spent = caller.spent
    response.headers["RateLimit-Policy"] = f'"starts";q={spent.limit.most};w={spent.limit.seconds}'
    response.headers["RateLimit"] = f'"starts";r={spent.left};t={spent.reset_seconds}'
