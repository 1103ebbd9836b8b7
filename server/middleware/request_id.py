"""An id for each request: in a response header, in every log line, and in messages about internal errors."""

import random
from typing import Final

from aiohttp import web

from server.observability import request_id

HEADER: Final = "X-Request-Id"


def name_request(_request: web.Request) -> None:
    """Give the request a random id; ids that clients send are ignored, since logs could not rely on them."""
    # aiohttp runs each request in its own context, so the value ends with the request. It is not reset here,
    # because the response is sent later.
    # The id grants no access, so it need not be unpredictable.
    request_id.set(f"{random.getrandbits(64):016x}")


def add_request_id(response: web.StreamResponse) -> None:
    """Add the request id's header to a response, also to streams."""
    current = request_id.get()
    if current is not None:
        response.headers[HEADER] = current
