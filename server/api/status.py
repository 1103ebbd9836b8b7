"""`/api/v1/status` and `/api/v1/me`: what the service offers, to everyone and to whoever asks."""

from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

from aiohttp import web

from server import keys
from server.api.requests import no_unknown_query
from server.api.responses import BASE, json_response


def _version() -> str | None:
    try:
        return version("twitchaudio")
    except PackageNotFoundError:
        return None


async def status(request: web.Request) -> web.Response:
    """Access mode, toggles, message of the day, and whether anything can recognize music."""
    no_unknown_query(request)
    missing = await request.app[keys.SERVICE].unavailable()
    body: dict[str, Any] = {
        "version": _version(),
        "access_mode": "open",
        "active": True,
        "maintenance": False,
        "streams_enabled": True,
        "clips_enabled": True,
        "motd": None,
        "twitch_client_id": None,
        "recognizer": {"available": missing is None, "detail": missing},
    }
    return json_response(body)


async def me(request: web.Request) -> web.Response:
    """Who asks, how they are known, and what they may do. The server is open: everyone may."""
    no_unknown_query(request)
    allowed = {"allowed": True, "code": None, "detail": None}
    body = {"login": None, "known_by": None, "streams": allowed, "clips": allowed}
    return json_response(body)


ROUTES: Final = (web.get(f"{BASE}/status", status), web.get(f"{BASE}/me", me))
