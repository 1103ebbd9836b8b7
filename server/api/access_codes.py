"""`/api/v1/access-codes/redeem`: a code from the operator, for whoever is signed in."""

from typing import Final, cast

from aiohttp import web

from fingerprint.domain.problems import invalid_input
from server import keys
from server.api.requests import no_unknown_query, read_json
from server.api.responses import BASE


async def redeem(request: web.Request) -> web.Response:
    """204 once the code counts for the caller."""
    no_unknown_query(request)
    body = await read_json(request, request.app[keys.SETTINGS].limits)
    fields = cast("dict[str, object]", body) if isinstance(body, dict) else {}
    code = fields.get("code")
    if set(fields) != {"code"} or not isinstance(code, str):
        raise invalid_input('Send {"code": "THE CODE"}.')
    await request.app[keys.ACCESS].redeem(code)
    return web.Response(status=204, headers={"Cache-Control": "no-store"})


ROUTES: Final = (web.post(f"{BASE}/access-codes/redeem", redeem),)
