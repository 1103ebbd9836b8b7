"""`/api/v1/me/finds`: the songs that a signed-in user has found, for that user alone."""

from typing import Final

from aiohttp import web

from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from server import keys
from server.access.identity.twitch_user import TwitchUser
from server.api.find_forms import FindJson, FindsJson
from server.api.identifications import find_shown
from server.api.requests import no_unknown_query
from server.api.responses import BASE, json_response
from server.songs.finds import FindStore


async def _user(request: web.Request) -> TwitchUser:
    """The Twitch user who sends a request. Raises TwitchAudioError `login-required`, and others."""
    principal = await request.app[keys.ACCESS].authenticate(request[keys.CONTEXT])
    if principal.user is None:
        raise TwitchAudioError(ProblemCode.LOGIN_REQUIRED, "Finds belong to a Twitch account: sign in first.")
    return principal.user


async def get(request: web.Request) -> web.Response:
    """All finds, newest first."""
    no_unknown_query(request)
    user = await _user(request)
    found = await FindStore(request.app[keys.DATABASE]).of(user.id)
    return json_response(FindsJson(finds=[FindJson.of(each) for each in found]))


async def put(request: web.Request) -> web.Response:
    """Keep the song of an answer."""
    no_unknown_query(request)
    user = await _user(request)
    await request.app[keys.ACCESS].check_sender(request[keys.CONTEXT])
    found = await find_shown(request, request.match_info["id"])
    if found is None:
        raise TwitchAudioError(ProblemCode.NOT_FOUND, "There is no answer with this id.")
    now = request.app[keys.CLOCK].now()
    await FindStore(request.app[keys.DATABASE]).keep(user.id, found.identification, now=now)
    return web.Response(status=204)


async def delete(request: web.Request) -> web.Response:
    """Delete all finds."""
    no_unknown_query(request)
    user = await _user(request)
    await FindStore(request.app[keys.DATABASE]).delete_all(user.id)
    return web.Response(status=204)


ROUTES: Final = (
    web.get(f"{BASE}/me/finds", get),
    web.delete(f"{BASE}/me/finds", delete),
    web.put(f"{BASE}/me/finds/{{id}}", put),
)
