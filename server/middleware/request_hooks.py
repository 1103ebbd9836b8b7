"""Runs hooks before and after each request, in one middleware.

Hot path; simple form: a middleware for each hook, which would cost a coroutine each.
"""

import time
from collections.abc import Callable, Sequence
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

CLIENT_LEFT: Final = 499
"""The status passed to hooks when the client disconnected before the response."""

BeforeRequest = Callable[[web.Request], None]
"""Called before the handler, in the request's own context."""

AfterRequest = Callable[[web.Request, str, int, float], None]
"""Called after the handler, also when it failed or was cancelled.

Arguments: the request, the route's pattern such as `/api/v1/clips/{slug}` (not the path, so that there are few
different values), the response's status, and the seconds since the request's head arrived.
"""


def request_hooks(*, before: Sequence[BeforeRequest], after: Sequence[AfterRequest]) -> Middleware:
    """Create the middleware. Hooks are plain functions that must not block or raise."""

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
