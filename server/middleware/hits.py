"""An entry in the logs for each request to the API and to a page. Never its query: it may hold a secret."""

from typing import Final

from aiohttp import web

from server import keys
from server.access.identity.credentials import Caller, current_caller
from server.audit.entries import LogEntry, LogKind
from server.middleware.one_pass import End
from server.observability import request_id

_NOT_LOGGED: Final = ("/static/", "/healthz", "/readyz", "/metrics", "/favicon.ico")


def log_hits(app: web.Application) -> End:
    """The step after each request whose caller was noted."""

    def log(request: web.Request, route: str, status: int, seconds: float) -> None:
        path = request.path
        if path.startswith(_NOT_LOGGED):
            return
        caller = current_caller.get(None) or Caller()
        app[keys.LOGS].add(
            LogEntry(
                moment=app[keys.CLOCK].now(),
                kind=LogKind.API if path.startswith("/api/") else LogKind.WEBSITE,
                who=caller.who if caller.unknown else app[keys.ACCESS].known_as(caller),
                what=f"{request.method} {route}",
                subject=path,
                code=caller.refused,
                status=status,
                ms=seconds * 1000,
                request_id=request_id.get(),
            )
        )

    return log
