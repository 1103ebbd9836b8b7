"""An id for each request: in its answer's header, in every log line, and told to whoever meets a fault."""

import secrets
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

from server.observability import request_id

HEADER: Final = "X-Request-Id"


@web.middleware
async def name_request(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Give the request an id of ours; one that a client sends could not be trusted in a log."""
    # aiohttp runs each request in a context of its own, so this ends with it; the answer is sent after us.
    request_id.set(secrets.token_hex(8))
    return await handler(request)


async def add_request_id(_request: web.Request, response: web.StreamResponse) -> None:
    """On `on_response_prepare`: streams get the header too."""
    current = request_id.get()
    if current is not None:
        response.headers[HEADER] = current
