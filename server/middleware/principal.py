"""Notes who sends a request before its handler runs, and tells what is left of a rate limit."""

from aiohttp import web
from aiohttp.typedefs import Handler

from server.access.caller import caller_from, current_caller


@web.middleware
async def note_caller(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Keep the request's credentials for `server.access`; nothing is checked here."""
    # aiohttp runs each request in a context of its own.
    current_caller.set(caller_from(request.headers.get("Authorization"), request.headers.get("X-API-Key")))
    return await handler(request)


async def add_rate_limit(_request: web.Request, response: web.StreamResponse) -> None:
    """On `on_response_prepare`: `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers)."""
    caller = current_caller.get(None)
    if caller is None or caller.spent is None:
        return
    spent = caller.spent
    response.headers["RateLimit-Policy"] = f'"starts";q={spent.limit.most};w={spent.limit.seconds}'
    response.headers["RateLimit"] = f'"starts";r={spent.left};t={spent.reset_seconds}'
