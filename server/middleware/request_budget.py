"""Limits the plain requests of each address, pages that do not exist included: beyond its budget they are refused.

The budget (`requests_burst` and `requests_per_second` of the limits) counts what requests cost, not heads. A page
costs 1. What thousands of viewers behind one address send, such as asking, joining, listening and loading a page's
files, costs a tenth. Health checks are never refused: a proxy may have the same address. A refused request pays
nothing, runs no handler and leaves no row; once a flood ends, the next one is served at once.
"""

from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.ports import Clock
from server import keys
from server.access.quotas.budgets import Allowance, CostBudget

PAGE_COST: Final = 1.0
"""What a page costs, and an address at which there is nothing."""

SMALL_COST: Final = 0.1
"""What an existing route of the API or a static file costs."""

_DETAIL: Final = "Too many requests came from this address. Try again in a moment."
_SMALL: Final = ("/api/", "/static/")
_FREE: Final = frozenset({"/healthz", "/readyz", "/metrics"})


def limit_requests(clock: Clock, allowance: Allowance) -> Middleware:
    """Create the middleware. It raises TwitchAudioError `rate-limited`."""
    budget = CostBudget(clock, allowance)

    @web.middleware
    async def limit(request: web.Request, handler: Handler) -> web.StreamResponse:
        context = request[keys.CONTEXT]
        address = context.credentials.address
        cost = cost_of(request)
        seconds = budget.wait_seconds(address) if cost else 0.0
        if seconds > 0.0:
            context.over_budget = True
            raise TwitchAudioError(ProblemCode.RATE_LIMITED, _DETAIL, retry_after_seconds=max(1.0, seconds))
        budget.spend(address, cost)
        return await handler(request)

    return limit


def cost_of(request: web.Request) -> float:
    """What a request costs, by its route."""
    resource = request.match_info.route.resource
    if resource is not None and resource.canonical in _FREE:
        return 0.0
    return SMALL_COST if resource is not None and resource.canonical.startswith(_SMALL) else PAGE_COST
