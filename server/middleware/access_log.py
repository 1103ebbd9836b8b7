"""Counts each request in the metrics, and writes a log line for it, without the query, which may hold secrets.

An address that sends many requests gets lines for some, and one each minute with the number of the others.
"""

import logging
from typing import Final

from aiohttp import web

from fingerprint.ports import Clock
from server import keys
from server.access.quotas.budgets import Allowance
from server.access.quotas.samples import RequestSampler, SampleLimits, Skipped
from server.middleware.request_hooks import AfterRequest
from server.observability import Metrics

SECONDS: Final = (0.005, 0.02, 0.1, 0.5, 1, 2, 5, 10, 30)

LINES: Final = SampleLimits(
    served=Allowance(burst=2_000, per_second=5.0), refused=Allowance(burst=200, per_second=1.0)
)
"""Lines about one address: requests that were served, and those that were refused or found nothing."""

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

_log = logging.getLogger(__name__)


def shown_path(request: web.Request) -> str:
    """A request's path for the log: its beginning, as it was sent, so that no sign takes more room than that."""
    return request.rel_url.raw_path[:200]


def access_log(metrics: Metrics, clock: Clock) -> AfterRequest:
    """Create the hook that logs and measures a request."""
    requests = metrics.counter("twitchaudio_http_requests_total", "Requests.", "method", "route", "status")
    durations = metrics.histogram(
        "twitchaudio_http_request_seconds", "Time from a request's head to its answer's end.", SECONDS, "route"
    )

    def say(skipped: Skipped) -> None:
        extra = {"remote": skipped.source, "status": skipped.kind, "count": skipped.number}
        _log.info("requests_not_logged", extra=extra)

    sampler = RequestSampler(clock, LINES, say)

    def measure(request: web.Request, route: str, status: int, seconds: float) -> None:
        method = request.method if request.method in _METHODS else "other"
        requests.add(method, route, str(status))
        durations.observe(seconds, route)
        if not _log.isEnabledFor(logging.INFO):
            return
        address = request[keys.CONTEXT].credentials.address
        if sampler.chosen(address, str(status), None, refused=status >= 400):
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
