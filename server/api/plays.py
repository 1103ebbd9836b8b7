"""`/api/v1/channels/{login}/songs/{play}`, `/corrections`, `/visibility`: what owners decide about plays."""

from typing import Final

from aiohttp import web

from fingerprint.domain.problems import ProblemCode, TwitchAudioError, invalid_input
from server import keys
from server.api.owners import owner_of
from server.api.play_forms import CorrectionJson, CorrectionsJson, PlayNames, VisibilityJson
from server.api.requests import channel_login, no_unknown_query, read_body
from server.api.responses import BASE, json_response
from server.audit.changes import ChangeLog


async def may_decide(request: web.Request, login: str) -> tuple[str, ChangeLog]:
    """The name for `made_by` of the channel's owner or an operator, and what records their changes.

    Raises TwitchAudioError `login-required`, `forbidden`, and what `Access.check_sender` raises.
    """
    access, context = request.app[keys.ACCESS], request[keys.CONTEXT]
    await access.check_sender(context)
    user = context.principal.user
    if user is None:
        detail = "Only the channel's owner, signed in with Twitch, and the operator can do this."
        raise TwitchAudioError(ProblemCode.LOGIN_REQUIRED, detail)
    if not access.admins.contain(user) and await owner_of(request, user, login) is None:
        raise TwitchAudioError(ProblemCode.FORBIDDEN, f"You are {user.login}, and this channel is another's.")
    return f"user:{user.id}", ChangeLog(context.audit_subject)


async def correct(request: web.Request) -> web.Response:
    """Give a play another title and artists."""
    no_unknown_query(request)
    login = await channel_login(request)
    made_by, changes = await may_decide(request, login)
    names = await read_body(request, request.app[keys.SETTINGS].limits, PlayNames)
    if not names.title and names.artists is None:
        raise invalid_input("Send a `title`, `artists`, or both.")
    found = await request.app[keys.PLAYS].correct(
        login,
        request.match_info["play"],
        title=names.title or None,
        artists=names.artists,
        made_by=made_by,
        changes=changes,
    )
    return json_response(CorrectionJson.of(found))


async def hide(request: web.Request) -> web.Response:
    """Show a play no more."""
    no_unknown_query(request)
    login = await channel_login(request)
    made_by, changes = await may_decide(request, login)
    await request.app[keys.PLAYS].hide(login, request.match_info["play"], made_by=made_by, changes=changes)
    return web.Response(status=204, headers={"Cache-Control": "no-store"})


async def corrections(request: web.Request) -> web.Response:
    """All corrections and hidden plays of the channel."""
    no_unknown_query(request)
    login = await channel_login(request)
    await may_decide(request, login)
    found = await request.app[keys.PLAYS].all(login)
    return json_response(CorrectionsJson(corrections=[CorrectionJson.of(each) for each in found]))


async def undo(request: web.Request) -> web.Response:
    """Show a play again as it was recognized."""
    no_unknown_query(request)
    login = await channel_login(request)
    _, changes = await may_decide(request, login)
    await request.app[keys.PLAYS].undo(login, request.match_info["correction"], changes=changes)
    return web.Response(status=204, headers={"Cache-Control": "no-store"})


async def visibility(request: web.Request) -> web.Response:
    """What of the channel is public."""
    no_unknown_query(request)
    found = await request.app[keys.CHOICES].of(await channel_login(request))
    return json_response(VisibilityJson(public=found.visibility))


async def choose(request: web.Request) -> web.Response:
    """Decide what of the channel is public."""
    no_unknown_query(request)
    login = await channel_login(request)
    made_by, changes = await may_decide(request, login)
    wish = await read_body(request, request.app[keys.SETTINGS].limits, VisibilityJson)
    await request.app[keys.PLAYS].choose(login, wish.public, made_by=made_by, changes=changes)
    return json_response(wish)


_CHANNEL: Final = f"{BASE}/channels/{{login}}"

ROUTES: Final = (
    web.patch(f"{_CHANNEL}/songs/{{play}}", correct),
    web.delete(f"{_CHANNEL}/songs/{{play}}", hide),
    web.get(f"{_CHANNEL}/corrections", corrections),
    web.delete(f"{_CHANNEL}/corrections/{{correction}}", undo),
    web.get(f"{_CHANNEL}/visibility", visibility),
    web.put(f"{_CHANNEL}/visibility", choose),
)
