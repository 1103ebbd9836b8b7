"""An id for each request: in its answer's header, in every log line, and told to whoever meets a fault."""

import random
from typing import Final

from aiohttp import web

from server.observability import request_id

HEADER: Final = "X-Request-Id"


def name_request(_request: web.Request) -> None:
    """Give the request an id of ours; one that a client sends could not be trusted in a log."""
    # aiohttp runs each request in a context of its own, so this ends with it; the answer is sent after us.
    # It tells requests apart and opens nothing, so it may be guessed.
    request_id.set(f"{random.getrandbits(64):016x}")


def add_request_id(response: web.StreamResponse) -> None:
    """Streams get the header too."""
    current = request_id.get()
    if current is not None:
        response.headers[HEADER] = current
