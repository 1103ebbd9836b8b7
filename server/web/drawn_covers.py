"""`/covers/{seed}.svg`: a drawn cover for songs without one, the same each time for the same seed."""

import hashlib
import re
from itertools import pairwise
from typing import Final

from aiohttp import web

from server.entity_tags import tagged_response
from server.web.assets import FOREVER

_SEED: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")
_SIZE: Final = 96
_POINTS: Final = 12


def drawn_cover(seed: str) -> str:
    """An SVG picture: points and the lines between them, as a fingerprint's landmarks, in the seed's color."""
    digest = hashlib.blake2b(seed.encode(), digest_size=1 + 3 * _POINTS).digest()
    hue = digest[0] * 360 // 256
    step = _SIZE / (_POINTS + 1)
    points = [
        (
            round(step * (number + 1) + (digest[1 + 3 * number] / 255 - 0.5) * step, 1),
            round(12 + digest[2 + 3 * number] / 255 * (_SIZE - 24), 1),
            1.5 + digest[3 + 3 * number] % 4 * 0.75,
        )
        for number in range(_POINTS)
    ]
    lines = "".join(f"M{x1} {y1}L{x2} {y2}" for (x1, y1, _), (x2, y2, _) in pairwise(points))
    circles = "".join(f'<circle cx="{x}" cy="{y}" r="{r}"/>' for x, y, r in points)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_SIZE} {_SIZE}">'
        f'<rect width="{_SIZE}" height="{_SIZE}" fill="hsl({hue},45%,18%)"/>'
        f'<path d="{lines}" fill="none" stroke="hsl({hue},40%,45%)" stroke-opacity=".6"/>'
        f'<g fill="hsl({hue},70%,75%)">{circles}</g></svg>'
    )


async def serve_drawn_cover(request: web.Request) -> web.Response:
    """Answer `/covers/{seed}.svg`; nothing is looked up."""
    seed = request.match_info["seed"]
    if not _SEED.fullmatch(seed):
        raise web.HTTPNotFound
    return tagged_response(
        request, drawn_cover(seed).encode(), content_type="image/svg+xml", headers={"Cache-Control": FOREVER}
    )
