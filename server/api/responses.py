"""Builds responses from identifications and from the API's other JSON forms."""

import contextlib
from collections.abc import Mapping
from functools import lru_cache
from http import HTTPStatus
from typing import Final

import msgspec
from aiohttp import web
from msgspec import Struct

from fingerprint.domain.identification import Identification
from fingerprint.domain.problems import TwitchAudioError
from server import keys
from server.entity_tags import is_known, tagged_response
from server.identifications.location import location_of
from server.middleware.path_prefix import public_path
from server.middleware.preencoded_response import EncodedHead, PreencodedResponse
from server.middleware.security_headers import HSTS_HEADER, hsts_headers

BASE: Final = "/api/v1"

REVALIDATED: Final = "private, no-cache"
"""`Cache-Control` of what a client may keep, but has to ask about each time: its entity tag makes that cheap."""

VARY: Final = "Authorization, X-API-Key, Cookie"
"""What an answer depends on beside its address: whether the client may see it, and file paths for operators."""


def json_response(body: Struct, *, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """One of the API's JSON forms, not to be cached: answers depend on who asks and when."""
    return web.Response(
        body=msgspec.json.encode(body),
        status=status,
        content_type="application/json",
        headers={"Cache-Control": "no-store", **(headers or {})},
    )


def revalidated_response(
    request: web.Request, body: Struct, *, headers: Mapping[str, str] | None = None
) -> web.Response:
    """One of the API's JSON forms with an entity tag, or 304 when the client has it already."""
    headers = {"Cache-Control": REVALIDATED, "Vary": VARY, **(headers or {})}
    return tagged_response(request, msgspec.json.encode(body), content_type="application/json", headers=headers)


def location(identification: Identification) -> str:
    """The path of an identification, without the server's origin."""
    return location_of(identification.id)


async def is_operator(request: web.Request) -> bool:
    """Whether an admin sends the request who is signed in on the website: only they see paths of files."""
    access, context = request.app[keys.ACCESS], request[keys.CONTEXT]
    if context.credentials.session is None or access.admins.none:
        return False
    with contextlib.suppress(TwitchAudioError):
        return access.is_admin(context.authenticated or await access.authenticate(context))
    return False


async def identification_response(
    request: web.Request,
    identification: Identification,
    *,
    status: int = 200,
    shared: bool = False,
    waited: int | None = None,
    with_location: bool = False,
    age_seconds: float | None = None,
) -> web.Response:
    """A response with an identification; `waited` is the `Prefer: wait` that was honored, in seconds.

    `age_seconds`: how old an answer is that was there before the request.
    """
    encoder, paths = request.app[keys.ENCODER], await is_operator(request)
    tag = encoder.tag(identification, paths=paths) if identification.status.finished else None
    body = encoder.encode(identification, shared=shared, paths=paths)
    if tag is not None and is_known(request, tag):
        status, body = 304, b""
    place = public_path(request, location(identification)) if with_location else None
    hsts = hsts_headers(request.app[keys.SETTINGS]).get(HSTS_HEADER)
    return PreencodedResponse(
        _head(
            status,
            len(body),
            place,
            waited,
            None if age_seconds is None else int(age_seconds),
            tag=tag,
            hsts=hsts,
            vary=f"Prefer, {VARY}, Origin" if request.app[keys.SETTINGS].cors_origins else f"Prefer, {VARY}",
        ),
        body,
    )


@lru_cache(maxsize=1_024)
def _head(
    status: int,
    length: int,
    place: str | None,
    waited: int | None,
    age: int | None,
    *,
    tag: str | None,
    hsts: str | None,
    vary: str,
) -> EncodedHead:
    headers = {"Vary": vary}
    if status != HTTPStatus.NOT_MODIFIED:
        headers["Content-Type"] = "application/json"
    if tag is None:
        headers |= {"Cache-Control": "no-store", "Retry-After": "1"}
    else:
        headers |= {"Cache-Control": REVALIDATED, "ETag": tag}
    if hsts is not None:
        headers[HSTS_HEADER] = hsts
    if waited is not None:
        headers["Preference-Applied"] = f"wait={waited}"
    if age is not None:
        headers["Age"] = str(age)
    if place is not None:
        headers["Location"] = place
    return EncodedHead.of(status, headers, length=length)
