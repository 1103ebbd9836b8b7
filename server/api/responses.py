"""Values as answers: the identification, a set list's play, and JSON in general."""

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from aiohttp import web

from fingerprint.domain.identification import Identification
from fingerprint.wire import Json, song_to_json, time_to_json
from server import keys
from server.identifications.location import location_of
from server.identifications.set_list import Play
from server.middleware.preencoded_response import EncodedHead, PreencodedResponse

BASE: Final = "/api/v1"


def json_response(
    body: Mapping[str, Any], *, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    """JSON that nobody keeps: answers depend on who asks and when."""
    return web.Response(
        body=json.dumps(body, separators=(",", ":"), allow_nan=False).encode(),
        status=status,
        content_type="application/json",
        headers={"Cache-Control": "no-store", **(headers or {})},
    )


def location(identification: Identification) -> str:
    """Where an identification is found."""
    return location_of(identification.id)


def play_to_json(play: Play) -> Json:
    """A play of the set list."""
    return {
        "song": song_to_json(play.song),
        "first_heard": time_to_json(play.first_heard),
        "last_heard": time_to_json(play.last_heard),
        "identifications": list(play.answers),
    }


def identification_response(
    request: web.Request,
    identification: Identification,
    *,
    status: int = 200,
    shared: bool = False,
    waited: int | None = None,
    point_to_it: bool = False,
) -> web.Response:
    """An identification; `waited` is the preference that was honored."""
    body = request.app[keys.ENCODER].encode(identification, shared=shared)
    place = location(identification) if point_to_it else None
    return PreencodedResponse(
        _head(status, len(body), place, waited, is_final=identification.status.finished), body
    )


@lru_cache(maxsize=1_024)
def _head(status: int, length: int, place: str | None, waited: int | None, *, is_final: bool) -> EncodedHead:
    headers = {"Content-Type": "application/json", "Cache-Control": "no-store", "Vary": "Prefer"}
    if waited is not None:
        headers["Preference-Applied"] = f"wait={waited}"
    if place is not None:
        headers["Location"] = place
    if not is_final:
        headers["Retry-After"] = "1"
    return EncodedHead.of(status, headers, length=length)
