"""An entry in the logs for each request to the API and to a page. Never its query: it may hold a secret."""

from typing import Final

from aiohttp import web

from server import keys
from server.access.caller import Caller, current_caller
from server.logs.entries import LogEntry, LogKind
from server.middleware.one_pass import route_name
from server.observability import request_id

_NOT_LOGGED: Final = ("/static/", "/healthz", "/readyz", "/metrics", "/favicon.ico")


def log_hit(request: web.Request, status: int, seconds: float) -> None:
    """The step after each request whose caller was noted."""
    path = request.path
    if path.startswith(_NOT_LOGGED):
        return
    app = request.app
    caller = current_caller.get(None) or Caller()
    app[keys.LOGS].add(
        LogEntry(
            moment=app[keys.CLOCK].now(),
            kind=LogKind.API if path.startswith("/api/") else LogKind.WEBSITE,
            who=app[keys.ACCESS].known_as(caller),
            what=f"{request.method} {route_name(request)}",
            subject=path,
            code=caller.refused,
            status=status,
            ms=round(seconds * 1000, 2),
            request_id=request_id.get(),
        )
    )
