"""`/api/v1/openapi.json`: the API described once, by hand. A test holds it against the router and real answers."""

import json
from functools import cache
from typing import Any, Final

from aiohttp import web

from server.api.openapi_answers import ANSWERS
from server.api.openapi_channels import CHANNELS
from server.api.openapi_operations import TAGS
from server.api.openapi_schemas import schemas
from server.api.openapi_server import SERVER
from server.api.openapi_videos import VIDEOS
from server.api.responses import BASE
from server.entity_tags import tagged_response
from server.middleware.path_prefix import public_path
from server.middleware.session import COOKIE

_SECURITY: Final[dict[str, Any]] = {
    "key": {
        "type": "apiKey",
        "in": "header",
        "name": "X-API-Key",
        "description": "An API key from the operator, `ta_...`.",
    },
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key, or a Twitch user's token, issued to the application `twitch_client_id`.",
    },
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": COOKIE,
        "description": "The website's session; on https the name begins with `__Host-`. What changes something "
        "needs its CSRF token, as `X-CSRF-Token`.",
    },
}


def _paths() -> dict[str, Any]:
    described: dict[str, Any] = {}
    for operation in (*ANSWERS, *CHANNELS, *VIDEOS, *SERVER):
        method, path = operation.route.split(" ")
        described.setdefault(path, {})[method.lower()] = operation.described(method, path)
    return described


def openapi_document() -> dict[str, Any]:
    """The OpenAPI 3.1 document of the API, as a JSON object."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "TwitchAudio",
            "version": "1",
            "summary": "What song is playing on Twitch?",
            "description": "Times are RFC 3339 in UTC. Errors are RFC 9457 problem details with a `code`.",
            "contact": {"name": "The operator of this server"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": text} for name, text in TAGS.items()],
        # Any of them, or none where everyone has access.
        "security": [{}, *({name: []} for name in _SECURITY)],
        "paths": _paths(),
        "components": {"schemas": schemas(), "securitySchemes": _SECURITY},
    }


@cache
def _encoded(server: str) -> bytes:
    return json.dumps(openapi_document() | {"servers": [{"url": server}]}).encode()


async def get(request: web.Request) -> web.Response:
    """The OpenAPI document, which clients may cache for 300 s."""
    headers = {"Cache-Control": "max-age=300"}
    body = _encoded(public_path(request, "/"))
    return tagged_response(request, body, content_type="application/json", headers=headers)


ROUTES: Final = (web.get(f"{BASE}/openapi.json", get),)
