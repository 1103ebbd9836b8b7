"""Writes one log line and the metrics for each request, without the query, which may contain secrets."""

import logging
from typing import Final

from aiohttp import web

from server.middleware.request_hooks import AfterRequest
from server.observability import Metrics

SECONDS: Final = (0.005, 0.02, 0.1, 0.5, 1, 2, 5, 10, 30)

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

_log = logging.getLogger(__name__)


def shown_path(request: web.Request) -> str:
    """A request's path for the log: its beginning, as it was sent, so that no sign takes more room than that."""
    return request.rel_url.raw_path[:200]


def access_log(metrics: Metrics) -> AfterRequest:
    """Create the hook that logs and measures a request."""
    requests = metrics.counter("twitchaudio_http_requests_total", "Requests.", "method", "route", "status")
    durations = metrics.histogram(
        "twitchaudio_http_request_seconds", "Time from a request's head to its answer's end.", SECONDS, "route"
    )

    def measure(request: web.Request, route: str, status: int, seconds: float) -> None:
        method = request.method if request.method in _METHODS else "other"
        requests.add(method, route, str(status))
        durations.observe(seconds, route)
        if _log.isEnabledFor(logging.INFO):
            _log.info(
                "request",
                extra={
                    "method": method,
                    "path": shown_path(request),
                    "status": status,
                    "ms": round(seconds * 1000, 2),
                    "remote": request.remote,
                },
            )

    return measure
