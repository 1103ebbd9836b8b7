"""An entry in the logs for each request to the API and to a page. Never its query: it may hold a secret."""

from typing import Final

from aiohttp import web

from server import keys
from server.audit.entries import LogEntry, LogKind
from server.middleware.one_pass import End

_NOT_LOGGED: Final = ("/static/", "/healthz", "/readyz", "/metrics", "/favicon.ico")


def log_hits(app: web.Application) -> End:
    """The step after each request that has a context."""

    def log(request: web.Request, route: str, status: int, seconds: float) -> None:
        path = request.path
        if path.startswith(_NOT_LOGGED):
            return
        context = request[keys.CONTEXT]
        app[keys.LOGS].add(
            LogEntry(
                moment=app[keys.CLOCK].now(),
                kind=LogKind.API if path.startswith("/api/") else LogKind.WEBSITE,
                who=app[keys.ACCESS].audit_subject(context),
                what=f"{request.method} {route}",
                subject=path,
                code=context.problem_code,
                status=status,
                ms=seconds * 1000,
                request_id=context.request_id,
            )
        )

    return log
