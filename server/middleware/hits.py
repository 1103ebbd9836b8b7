"""An entry in the logs for each request to the API and to a page. Never its query: it may hold a secret."""

import time
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

from server import keys
from server.access.caller import Caller, current_caller
from server.logs.entries import LogEntry, LogKind
from server.observability import request_id

CLIENT_LEFT: Final = 499
"""What is written as status when the client left before its answer."""

_NOT_LOGGED: Final = ("/static/", "/healthz", "/readyz", "/metrics", "/favicon.ico")


@web.middleware
async def log_hits(request: web.Request, handler: Handler) -> web.StreamResponse:
    """The middleware. Goes inside the one that notes the caller, and around the one that makes problems."""
    if request.path.startswith(_NOT_LOGGED):
        return await handler(request)
    started = time.perf_counter()
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
        caller = current_caller.get(None) or Caller()
        entry = LogEntry(
            moment=request.app[keys.CLOCK].now(),
            kind=LogKind.API if request.path.startswith("/api/") else LogKind.WEBSITE,
            who=request.app[keys.ACCESS].known_as(caller),
            what=f"{request.method} {_route(request)}",
            subject=request.path,
            code=caller.refused,
            status=status,
            ms=round((time.perf_counter() - started) * 1000, 2),
            request_id=request_id.get(),
        )
        request.app[keys.LOGS].add(entry)


def _route(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return "(none)" if resource is None else resource.canonical
