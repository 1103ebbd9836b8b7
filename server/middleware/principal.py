"""Notes who sends a request before its handler runs, and tells what is left of a rate limit."""

from collections.abc import Iterable

from aiohttp import web

from server.access.identity.addresses import Network, Networks, client_address
from server.access.identity.credentials import caller_from, current_caller
from server.middleware.one_pass import Begin


def note_caller(trusted_proxies: Iterable[Network]) -> Begin:
    """The step before each request. X-Forwarded-For counts only from trusted proxies."""
    trusted = Networks(trusted_proxies)

    def note(request: web.Request) -> None:
        headers = request.headers
        address = client_address(request.remote, headers.getall("X-Forwarded-For", ()), trusted)
        # Nothing is checked here. aiohttp runs each request in a context of its own.
        current_caller.set(caller_from(headers.get("Authorization"), headers.get("X-API-Key"), address))

    return note


def add_rate_limit(response: web.StreamResponse) -> None:
    """`RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers)."""
    caller = current_caller.get(None)
    if caller is None or caller.spent is None:
        return
    spent = caller.spent
    response.headers["RateLimit-Policy"] = f'"starts";q={spent.limit.most};w={spent.limit.seconds}'
    response.headers["RateLimit"] = f'"starts";r={spent.left};t={spent.reset_seconds}'
