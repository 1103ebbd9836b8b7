"""`/api/v1/clips/{slug}`: the stored answer for a clip."""

from typing import Final

from aiohttp import web

from fingerprint.domain.identification import answer_age
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.domain.targets import clip_target
from server import keys
from server.api.requests import no_unknown_query
from server.api.responses import BASE, identification_response


async def get(request: web.Request) -> web.Response:
    """The answer, or 404 `not-identified`; never starts a job."""
    no_unknown_query(request)
    target = clip_target(request.match_info["slug"])
    await request.app[keys.ACCESS].check(request[keys.CONTEXT], target)
    answer = await request.app[keys.SERVICE].answer(target)
    if answer is None:
        detail = f"This clip has not been identified yet: POST {BASE}/identifications does that."
        raise TwitchAudioError(ProblemCode.NOT_IDENTIFIED, detail)
    age = answer_age(answer, request.app[keys.CLOCK].now())
    return await identification_response(request, answer, age_seconds=age)


ROUTES: Final = (web.get(f"{BASE}/clips/{{slug}}", get),)
