"""One log line and the metrics of each request. Never its query: it may hold what nobody should read."""

import asyncio
import logging
import time
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from server.observability import Metrics

SECONDS: Final = (0.005, 0.02, 0.1, 0.5, 1, 2, 5, 10, 30)
CLIENT_LEFT: Final = 499
"""What is logged as status when the client left before its answer."""

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

_log = logging.getLogger(__name__)


def route_name(request: web.Request) -> str:
    """The route's pattern, such as `/api/v1/clips/{slug}`: few values, whatever clients ask for."""
    resource = request.match_info.route.resource
    return "(none)" if resource is None else resource.canonical


def access_log(metrics: Metrics) -> Middleware:
    """The middleware."""
    requests = metrics.counter("twitchaudio_http_requests_total", "Requests.", "method", "route", "status")
    seconds = metrics.histogram(
        "twitchaudio_http_request_seconds", "Time from a request's head to its answer's end.", SECONDS, "route"
    )

    @web.middleware
    async def measure(request: web.Request, handler: Handler) -> web.StreamResponse:
        started = time.perf_counter()
        status = CLIENT_LEFT
        try:
            response = await handler(request)
            status = response.status
        except asyncio.CancelledError:
            raise
        except web.HTTPException as error:
            status = error.status
            raise
        else:
            return response
        finally:
            duration = time.perf_counter() - started
            route = route_name(request)
            method = request.method if request.method in _METHODS else "other"
            requests.add(method, route, str(status))
            seconds.observe(duration, route)
            _log.info(
                "request",
                extra={
                    "method": method,
                    "path": request.path[:200],
                    "status": status,
                    "ms": round(duration * 1000, 2),
                    "remote": request.remote,
                },
            )

    return measure
