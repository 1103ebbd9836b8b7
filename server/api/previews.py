"""`/api/v1/previews/{name}`: what songs name as their `preview`, fetched from services by this server."""

from typing import Final

from aiohttp import web

from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.links.media import MEDIA_TYPES, PREVIEWS
from server import keys
from server.api.artwork import PICTURES
from server.api.requests import no_unknown_query

FETCHED_COST: Final = 20.0
KEPT_COST: Final = 0.5
"""What a preview costs of what an address may spend on pictures, whether it has to be fetched or not."""

HEADERS: Final = {
    # It is the same sound at another address of the service tomorrow.
    "Cache-Control": "public, max-age=86400",
    "Cross-Origin-Resource-Policy": "cross-origin",
}


async def get(request: web.Request) -> web.StreamResponse:
    """A preview, or the part of it that is asked for.

    Raises TwitchAudioError `not-found`, `rate-limited`, `upstream-unavailable`, `busy`.
    """
    no_unknown_query(request)
    name, media = request.match_info["name"], request.app.get(keys.LINK_MEDIA)
    budget, address = request.app[PICTURES], request[keys.CONTEXT].credentials.address
    budget.check(address, "Too many previews were asked for by this address. Try again in a moment.")
    path = None
    if media is not None:
        path = await media.kept_preview(name)
        budget.spend(address, FETCHED_COST if path is None else KEPT_COST)
        path = path or await media.preview(name)
    if path is None:
        raise TwitchAudioError(ProblemCode.NOT_FOUND, "There is no preview at this address any more.")
    return web.FileResponse(path, headers={**HEADERS, "Content-Type": MEDIA_TYPES[path.suffix]})


ROUTES: Final = (web.get(f"{PREVIEWS}/{{name}}", get),)
