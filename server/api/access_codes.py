"""`/api/v1/access-codes/redeem`: redeems a code from the operator for the signed-in caller."""

from typing import Final

from aiohttp import web

from server import keys
from server.api.json_forms import AccessCodeJson
from server.api.requests import no_unknown_query, read_body
from server.api.responses import BASE


async def redeem(request: web.Request) -> web.Response:
    """204 when the code is redeemed for the caller. Raises TwitchAudioError `invalid-input`, `code-invalid`."""
    no_unknown_query(request)
    body = await read_body(request, request.app[keys.SETTINGS].limits, AccessCodeJson)
    await request.app[keys.ACCESS].redeem_code(request[keys.CONTEXT], body.code)
    return web.Response(status=204, headers={"Cache-Control": "no-store"})


ROUTES: Final = (web.post(f"{BASE}/access-codes/redeem", redeem),)
