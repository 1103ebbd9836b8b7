"""Hooks that run before and after each request, in one middleware.

Hot path; simple form: a middleware for each of them. A coroutine for each would cost more.
"""

import time
from collections.abc import Callable, Sequence
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

CLIENT_LEFT: Final = 499
"""What counts as status when the client left before its answer."""

BeforeRequest = Callable[[web.Request], None]
"""Called before the handler, in the request's own context."""

AfterRequest = Callable[[web.Request, str, int, float], None]
"""Called once the answer is there, or will not come.

With the route's pattern, such as `/api/v1/clips/{slug}` (few values, whatever clients ask for), the answer's
status, and the seconds since the request's head.
"""


def request_hooks(*, before: Sequence[BeforeRequest], after: Sequence[AfterRequest]) -> Middleware:
    """The middleware. None of the hooks may wait or raise."""

    @web.middleware
    async def around(request: web.Request, handler: Handler) -> web.StreamResponse:
        started = time.perf_counter()
        for hook in before:
            hook(request)
        status = CLIENT_LEFT
        try:
            response = await handler(request)
            status = response.status
        except web.HTTPException as error:
            status = error.status
            raise
        else:
            return response
        finally:
            seconds = time.perf_counter() - started
            route = _route_name(request)
            for hook in after:
                hook(request, route, status, seconds)

    return around


def _route_name(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return "(none)" if resource is None else resource.canonical
