"""Creates the context of each request, and adds the rate limit headers to responses."""

from collections.abc import Iterable

from aiohttp import web

from server import keys
from server.access.identity.addresses import Network, Networks, client_address, parse_address
from server.access.identity.credentials import credentials_from_headers
from server.access.identity.forwarding import HEADERS, UntrustedForwarding
from server.access.request_context import RequestContext
from server.middleware.request_hooks import BeforeRequest
from server.observability import request_id


def make_request_context(
    trusted_proxies: Iterable[Network], untrusted: UntrustedForwarding | None = None
) -> BeforeRequest:
    """Create the hook that sets a request's context. X-Forwarded-For counts only from trusted proxies."""
    trusted = Networks(trusted_proxies)

    def make(request: web.Request) -> None:
        headers = request.headers
        if untrusted is not None and any(name in headers for name in HEADERS):
            peer = None if request.remote is None else parse_address(request.remote)
            if peer is not None and not trusted.contain(peer):
                untrusted.note(str(peer))
        address = client_address(request.remote, headers.getall("X-Forwarded-For", ()), trusted)
        # Not checked here; see `Access.authenticate`.
        credentials = credentials_from_headers(headers.get("Authorization"), headers.get("X-API-Key"), address)
        request[keys.CONTEXT] = RequestContext(credentials=credentials, request_id=request_id.get())

    return make


def add_rate_limit(request: web.Request, response: web.StreamResponse) -> None:
    """Add `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers)."""
    context = request.get(keys.CONTEXT)
    if context is None or context.rate_limit is None:
        return
    status = context.rate_limit
    response.headers["RateLimit-Policy"] = f'"starts";q={status.limit.most};w={status.limit.seconds}'
    response.headers["RateLimit"] = f'"starts";r={status.left};t={status.reset_seconds}'
