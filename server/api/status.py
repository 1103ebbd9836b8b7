"""`/api/v1/status`: what the service offers to everyone."""

import dataclasses
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from aiohttp import web

from fingerprint.domain.problems import Problem, ProblemCode, public_problem
from server import keys
from server.api.json_forms import RecognizerJson, StatusJson
from server.api.requests import no_unknown_query
from server.api.responses import BASE, is_operator, json_response


def _version() -> str | None:
    try:
        return version("twitchaudio")
    except PackageNotFoundError:
        return None


VERSION: Final = _version()
"""The version of the installed package. Read once, since reading its files would block the event loop."""


_FIELDS: Final = frozenset(StatusJson.__struct_fields__)
"""Settings of the website that the API does not describe stay on its pages."""


async def status(request: web.Request) -> web.Response:
    """Access mode, toggles, message of the day, what a sign-in takes, and whether anything can recognize music."""
    no_unknown_query(request)
    access = request.app[keys.ACCESS]
    rules = await access.rules()
    missing = await request.app[keys.SERVICE].unavailable_reason()
    shown = {name: value for name, value in dataclasses.asdict(rules.website).items() if name in _FIELDS}
    body = StatusJson(
        version=VERSION,
        **shown,
        twitch_client_id=request.app[keys.SETTINGS].twitch_client_id,
        twitch_scopes=sorted(await access.sign_in_scopes()),
        website_sign_in=access.sessions is not None,
        recognizer=RecognizerJson(available=missing is None, detail=await _detail(request, missing)),
    )
    return json_response(body)


async def _detail(request: web.Request, missing: str | None) -> str | None:
    """What is missing; in words for everyone, unless an operator asks."""
    if missing is None or await is_operator(request):
        return missing
    return public_problem(Problem(code=ProblemCode.RECOGNIZER_UNAVAILABLE, detail=missing)).detail


ROUTES: Final = (web.get(f"{BASE}/status", status),)
