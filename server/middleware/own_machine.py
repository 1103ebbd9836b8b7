"""Whether a request comes from a user of this machine, for what only they may do without signing in."""

from typing import Final

from aiohttp import web

from fingerprint.domain.web_addresses import read_address
from server import keys
from server.access.identity.addresses import parse_address
from server.setting_formats import is_loopback

_FORWARDED: Final = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-IP", "Via")
"""Headers that proxies add."""


def is_public(request: web.Request) -> bool:
    """Whether others than this machine's users may be behind a request, such as through a proxy."""
    settings = request.app[keys.SETTINGS]
    peer = None if request.remote is None else parse_address(request.remote)
    return (
        settings.trusted_proxies != ()
        or (settings.base_url is not None and not is_loopback(settings.base_url.host or ""))
        or peer is None
        or not peer.is_loopback
        or any(name in request.headers for name in _FORWARDED)
        or not _asked_by_loopback_name(request)
    )


def _asked_by_loopback_name(request: web.Request) -> bool:
    # With another name, a proxy or another website's script may be on the way.
    try:
        return is_loopback(read_address(f"http://{request.headers.get('Host', '')}").host or "")
    except ValueError:
        return False
