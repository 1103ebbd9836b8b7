"""The HTTP API, one module a resource."""

from aiohttp import web

from server.api import (
    access_codes,
    channels,
    clips,
    health,
    identifications,
    me,
    openapi,
    reports,
    status,
    video_set_lists,
    watches,
)
from server.api.uploads import UploadRoom


def add_routes(app: web.Application) -> None:
    """Add every route of the API."""
    app[identifications.UPLOADS] = UploadRoom()
    for module in (
        identifications,
        reports,
        clips,
        channels,
        watches,
        video_set_lists,
        status,
        me,
        access_codes,
        health,
        openapi,
    ):
        app.router.add_routes(module.ROUTES)
