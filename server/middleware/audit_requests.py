"""Writes an audit log entry for each API or page request, without the query, which may contain secrets."""

from typing import Final

from aiohttp import web

from server import keys
from server.audit.entries import AuditEntry, AuditKind
from server.middleware.request_hooks import AfterRequest

_NOT_LOGGED: Final = ("/static/", "/healthz", "/readyz", "/metrics", "/favicon.ico")


def audit_requests(app: web.Application) -> AfterRequest:
    """Create the hook that adds a request's audit log entry; skips static files and health checks."""

    def log(request: web.Request, route: str, status: int, seconds: float) -> None:
        path = request.path
        if path.startswith(_NOT_LOGGED):
            return
        context = request[keys.CONTEXT]
        kind = AuditKind.API if path.startswith("/api/") else AuditKind.WEBSITE
        if context.over_budget:
            app[keys.ACCESS].records.count(kind, context.credentials.address, context.problem_code)
            return
        entry = AuditEntry(
            moment=app[keys.CLOCK].now(),
            kind=kind,
            who=app[keys.ACCESS].audit_subject(context),
            what=f"{request.method} {route}",
            subject=path,
            code=context.problem_code,
            status=status,
            ms=seconds * 1000,
            request_id=context.request_id,
        )
        app[keys.ACCESS].records.add(entry, context.credentials.address, refused=status >= 400)

    return log
