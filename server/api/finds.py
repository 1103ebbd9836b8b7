"""`/api/v1/me/finds`: the songs that a signed-in user has found, for that user alone."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from aiohttp import web

from fingerprint.domain.identification import IdentificationId
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.domain.songs import song_id
from server import keys
from server.access.identity.twitch_user import TwitchUser
from server.api.find_forms import FindJson, FindsJson
from server.api.identifications import find_shown
from server.api.requests import no_unknown_query
from server.api.responses import BASE, json_response
from server.songs.finds import Find, FindStore


async def _user(request: web.Request) -> TwitchUser:
    """The Twitch user who sends a request. Raises TwitchAudioError `login-required`, and others."""
    principal = await request.app[keys.ACCESS].authenticate(request[keys.CONTEXT])
    if principal.user is None:
        raise TwitchAudioError(ProblemCode.LOGIN_REQUIRED, "Finds belong to a Twitch account: sign in first.")
    return principal.user


async def finds_of(request: web.Request, user_id: str) -> Sequence[Find]:
    """A user's finds, newest first, as their channels have corrected them; without those that are hidden now.

    Raises TwitchAudioError `busy`.
    """
    kept = await FindStore(request.app[keys.DATABASE]).of(user_id)
    choices = request.app[keys.CHOICES]
    corrected = await choices.corrected_among({each.channel for each in kept if each.channel is not None})
    found: list[Find] = []
    for each in kept:
        if each.channel is not None and each.channel in corrected:
            decided = (await choices.of(each.channel)).corrections
            if any(each.song_id in correction.keys for correction in decided):
                answer = await request.app[keys.JOBS].get(IdentificationId(each.identification_id))
                song = None if answer is None else (await request.app[keys.SERVICE].shown(answer)).song
                if answer is not None and song is None:
                    continue
                if song is not None:
                    names = ", ".join(song.artists)
                    each = replace(each, song_id=song_id(song), title=song.title, artists=names)  # noqa: PLW2901
        found.append(each)
    return found


async def get(request: web.Request) -> web.Response:
    """All finds, newest first."""
    no_unknown_query(request)
    user = await _user(request)
    found = await finds_of(request, user.id)
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
