"""Refuses forms that another website sends, also for visitors who are not signed in, whom no CSRF token protects.

Sibling subdomains are other websites, too: they may belong to someone else.
"""

from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.domain.web_addresses import read_address
from server import keys

_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_OWN: Final = frozenset({"same-origin", "none"})


@web.middleware
async def refuse_foreign_forms(request: web.Request, handler: Handler) -> web.StreamResponse:
    """The middleware. Of the API, only forms are concerned: other websites cannot send JSON or headers unasked."""
    if request.method not in _SAFE and _is_concerned(request) and _is_foreign(request):
        detail = "Another website sent this form. Load the page again, and send it from there."
        raise TwitchAudioError(ProblemCode.CSRF, detail)
    return await handler(request)


def _is_concerned(request: web.Request) -> bool:
    if not request.path.startswith("/api/"):
        return True
    with_key = "Authorization" in request.headers or "X-API-Key" in request.headers
    return request.content_type == "multipart/form-data" and not with_key


def _is_foreign(request: web.Request) -> bool:
    said = request.headers.get("Sec-Fetch-Site")
    if said is not None:
        return said not in _OWN
    # Browsers leave that out at plain http addresses. Programs send neither header.
    origin = request.headers.get("Origin")
    if origin is None:
        return False
    authority = _authority(origin)
    return authority is None or authority not in _own_authorities(request)


def _own_authorities(request: web.Request) -> set[str | None]:
    """The hosts and ports under which browsers may know this website; no other website chooses these headers."""
    configured = request.app[keys.SETTINGS].base_url
    hosts = (request.headers.get("Host"), request.headers.get("X-Forwarded-Host"))
    named = {_authority(f"{scheme}://{host}") for host in hosts if host for scheme in ("http", "https")}
    return named if configured is None else named | {_authority(str(configured))}


def _authority(address: str) -> str | None:
    """The host of an address, and its port unless that is the usual one; None when it has no host."""
    try:
        url = read_address(address)
        return url.host and (url.host if url.is_default_port() else f"{url.host}:{url.port}")
    except ValueError:
        return None
