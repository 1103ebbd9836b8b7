"""`/api/v1/me`: the caller's identity, how it was proved, and what the caller may identify."""

from typing import Final

from aiohttp import web

from fingerprint.domain.identification import Kind
from server import keys
from server.api.json_forms import MeJson, PermissionJson
from server.api.requests import no_unknown_query
from server.api.responses import BASE, json_response


async def me(request: web.Request) -> web.Response:
    """Whether the caller may ask for streams and clips, and if not, why."""
    no_unknown_query(request)
    access = request.app[keys.ACCESS]
    context = request[keys.CONTEXT]
    principal = await access.authenticate(context)
    body = MeJson(
        login=None if principal.user is None else principal.user.login,
        known_by=principal.known_by,
        admin=access.is_admin(principal),
        missing_scopes=sorted(await access.missing_scopes(principal)),
        streams=PermissionJson.of(await access.refusal(context, Kind.STREAM)),
        clips=PermissionJson.of(await access.refusal(context, Kind.CLIP)),
    )
    return json_response(body)


ROUTES: Final = (web.get(f"{BASE}/me", me),)
