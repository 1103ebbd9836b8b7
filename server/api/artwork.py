"""`/api/v1/artwork/{name}`: the pictures that songs name as their `artwork`."""

from typing import Final

from aiohttp import web

from fingerprint.domain.artwork import PATH
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from server import keys
from server.api.requests import no_unknown_query
from server.entity_tags import tagged_response

HEADERS: Final = {
    "Cache-Control": "public, max-age=31536000, immutable",
    # Other sites may show it: a bot's page, the extension on Twitch.
    "Cross-Origin-Resource-Policy": "cross-origin",
}


async def get(request: web.Request) -> web.Response:
    """A picture, which never changes."""
    no_unknown_query(request)
    name, content_type = request.match_info["name"], "image/jpeg"
    if name.endswith(".png"):
        picture, content_type = await request.app[keys.ARTWORK].card(name), "image/png"
    else:
        picture = await request.app[keys.ARTWORK].picture(name)
    if picture is None:
        raise TwitchAudioError(ProblemCode.NOT_FOUND, "There is no picture at this address any more.")
    return tagged_response(request, picture, content_type=content_type, headers=HEADERS)


ROUTES: Final = (web.get(f"{PATH}/{{name}}", get),)
