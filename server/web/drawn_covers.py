"""`/covers/{name}.svg`: a cover for songs without one, drawn of their landmarks; see `domain.landmark_points`."""

import re
from typing import Final
from xml.etree import ElementTree as ET

from aiohttp import web

from fingerprint.domain.artwork import drawing_of
from fingerprint.domain.landmark_points import Points
from server import keys
from server.api.artwork import KEPT_COST, PICTURES
from server.entity_tags import tagged_response
from server.web.assets import FOREVER

_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,192}")
_SIZE: Final = 96
_FOR_A_WHILE: Final = "public, max-age=3600"
"""What stands for a song whose landmarks are not known may have them later."""


def drawn_cover(name: str, points: Points = ()) -> str:
    """An SVG picture: points, and lines between those that are near, as a fingerprint's landmarks are pairs."""
    drawing = drawing_of(name, points)
    ground, ink = (f"rgb({','.join(map(str, color))})" for color in (drawing.ground, drawing.ink))
    dots = [tuple(round(_SIZE * value, 1) for value in dot) for dot in drawing.dots]
    picture = ET.Element("svg", xmlns="http://www.w3.org/2000/svg", viewBox=f"0 0 {_SIZE} {_SIZE}")
    ET.SubElement(picture, "rect", width=str(_SIZE), height=str(_SIZE), fill=ground)
    lines = "".join("M{} {}L{} {}".format(*dots[one][:2], *dots[other][:2]) for one, other in drawing.pairs)
    ET.SubElement(picture, "path", {"d": lines, "fill": "none", "stroke": ink, "stroke-opacity": ".35"})
    group = ET.SubElement(picture, "g", fill=ink)
    for x, y, radius in dots:
        ET.SubElement(group, "circle", cx=str(x), cy=str(y), r=str(radius))
    return ET.tostring(picture, encoding="unicode")


async def serve_drawn_cover(request: web.Request) -> web.Response:
    """Answer `/covers/{name}.svg`. Raises TwitchAudioError `rate-limited`."""
    name = request.match_info["name"]
    if not _NAME.fullmatch(name):
        raise web.HTTPNotFound
    budget, address = request.app[PICTURES], request[keys.CONTEXT].credentials.address
    budget.check(address, "Too many pictures were made for this address. Try again in a moment.")
    budget.spend(address, KEPT_COST)
    points = await request.app[keys.ARTWORK].points(name)
    return tagged_response(
        request,
        drawn_cover(name, points).encode(),
        content_type="image/svg+xml",
        headers={
            "Cache-Control": FOREVER if points else _FOR_A_WHILE,
            # As other pictures of songs: a bot's page, the extension on Twitch.
            "Cross-Origin-Resource-Policy": "cross-origin",
        },
    )
