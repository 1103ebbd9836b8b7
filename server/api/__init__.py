"""The HTTP API, one module a resource."""

from aiohttp import web

from server import keys
from server.access.quotas.budgets import CostBudget
from server.api import (
    access_codes,
    artwork,
    channels,
    clips,
    finds,
    health,
    identifications,
    me,
    openapi,
    plays,
    previews,
    reports,
    songs,
    status,
    video_set_lists,
    watches,
    webhooks,
)
from server.api.uploads import UploadRoom


def add_routes(app: web.Application) -> None:
    """Add every route of the API."""
    app[identifications.UPLOADS] = UploadRoom()
    app[artwork.PICTURES] = CostBudget(app[keys.CLOCK], artwork.BUDGET)
    app[songs.HISTORIES] = CostBudget(app[keys.CLOCK], songs.BUDGET)
    app[webhooks.TEST_BUDGET] = CostBudget(app[keys.CLOCK], webhooks.TESTS)
    for module in (
        identifications,
        reports,
        clips,
        artwork,
        previews,
        channels,
        plays,
        songs,
        watches,
        video_set_lists,
        webhooks,
        status,
        me,
        finds,
        access_codes,
        health,
        openapi,
    ):
        app.router.add_routes(module.ROUTES)
