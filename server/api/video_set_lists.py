"""`/api/v1/videos/{id}/set-list`: the set list of a whole VOD, and its files."""

from typing import Final

from aiohttp import web

from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.domain.targets import VideoTarget, video_target
from server import keys
from server.access.scopes import WATCH
from server.api.owners import public_video
from server.api.requests import no_unknown_query
from server.api.responses import BASE, REVALIDATED, VARY, is_operator, json_response, revalidated_response
from server.api.set_list_files import FILES, NamedTracklist
from server.api.set_list_forms import TracklistJson
from server.audit.changes import ChangeLog
from server.channels.rules import check_is_on
from server.channels.video_set_list import VideoSetList
from server.channels.video_set_list_store import SetListLimits, VideoSetListStore
from server.entity_tags import tagged_response
from server.middleware.path_prefix import public_path

AGAIN_SECONDS: Final = 2
"""After how many seconds a client asks again how far a set list is."""


def asked_video(request: web.Request) -> VideoTarget:
    """The VOD in a request's address. Raises TwitchAudioError `invalid-input`."""
    return video_target(request.match_info["id"])


async def may_make(request: web.Request, video: str) -> tuple[str, str | None, bool]:
    """The name for `made_by` of a caller who may have a VOD listened to, its channel's id if it was asked for, and
    whether the caller is an operator.

    Raises TwitchAudioError `login-required`, `forbidden`, and what `Access.check_sender` and
    `Access.video_owner` raise.
    """
    access, context = request.app[keys.ACCESS], request[keys.CONTEXT]
    await access.check_sender(context)
    principal = context.principal
    if principal.key is not None:
        if WATCH in principal.key.scopes:
            return f"key:{principal.key.id}", None, False
        detail = f"Listening to whole VODs takes an API key with the scope {WATCH!r}."
        raise TwitchAudioError(ProblemCode.FORBIDDEN, detail)
    user = principal.user
    if user is None:
        detail = "Only the channel's owner, operators, and API keys with the scope `watch` can do this."
        raise TwitchAudioError(ProblemCode.LOGIN_REQUIRED, detail)
    if access.admins.contain(user):
        return f"user:{user.id}", None, True
    owner = await access.video_owner(video)
    if owner is None or owner.id != user.id:
        raise TwitchAudioError(ProblemCode.FORBIDDEN, f"You are {user.login}, and this is not a VOD of yours.")
    return f"user:{user.id}", owner.id, False


async def make_set_list(request: web.Request, *, again: bool = False) -> VideoSetList:
    """Start the VOD's set list, or join it. Raises TwitchAudioError when the caller may not, and `busy`."""
    target = asked_video(request)
    made_by, channel_id, operator = await may_make(request, target.video_id)
    await check_is_on(request.app[keys.ACCESS], target)
    lists, settings = request.app[keys.VIDEO_SET_LISTS], request.app[keys.SETTINGS]
    missing = await lists.unavailable_reason()
    if missing is not None:
        raise TwitchAudioError(ProblemCode.RECOGNIZER_UNAVAILABLE, missing)
    store = VideoSetListStore(request.app[keys.DATABASE], changes=ChangeLog(request[keys.CONTEXT].audit_subject))
    found = await store.start(
        target.video_id,
        made_by=made_by,
        channel_id=channel_id,
        limits=SetListLimits() if operator else SetListLimits(hours_a_day=settings.set_list_hours_a_day),
        now=request.app[keys.CLOCK].now(),
        again=again,
    )
    lists.wake()
    return await public_video(request, found)


async def cancel_set_list(request: web.Request) -> None:
    """Cancel the VOD's set list. Raises TwitchAudioError `not-found`, and when the caller may not."""
    target = asked_video(request)
    await may_make(request, target.video_id)
    store = VideoSetListStore(request.app[keys.DATABASE], changes=ChangeLog(request[keys.CONTEXT].audit_subject))
    if not await store.cancel(target.video_id, now=request.app[keys.CLOCK].now()):
        raise TwitchAudioError(ProblemCode.NOT_FOUND, "No set list of this VOD is being made.")


async def _found(request: web.Request) -> VideoSetList:
    no_unknown_query(request)
    found = await VideoSetListStore(request.app[keys.DATABASE]).get(asked_video(request).video_id)
    if found is None:
        detail = f"No set list of this VOD was made yet: POST {BASE}/videos/ID/set-list starts one."
        raise TwitchAudioError(ProblemCode.NOT_FOUND, detail)
    return await public_video(request, found)


def _waiting(found: VideoSetList) -> dict[str, str]:
    return {} if found.status.finished else {"Retry-After": str(AGAIN_SECONDS)}


async def post(request: web.Request) -> web.Response:
    """Start or join; 200 when it is finished already. `Cache-Control: no-cache` listens to all of it again."""
    no_unknown_query(request)
    again = "no-cache" in request.headers.get("Cache-Control", "").lower()
    found = await make_set_list(request, again=again)
    form = TracklistJson.of_video(found, paths=await is_operator(request))
    if found.status.finished:
        return json_response(form)
    place = public_path(request, f"{BASE}/videos/{found.video}/set-list")
    return json_response(form, status=202, headers={"Location": place, **_waiting(found)})


async def get(request: web.Request) -> web.Response:
    """How far it is, and the set list so far; 304 when the client knows that."""
    found = await _found(request)
    form = TracklistJson.of_video(found, paths=await is_operator(request))
    return revalidated_response(request, form, headers=_waiting(found))


async def delete(request: web.Request) -> web.Response:
    """Cancel it; what was found stays, and the next start goes on from there."""
    no_unknown_query(request)
    await cancel_set_list(request)
    return web.Response(status=204, headers={"Cache-Control": "no-store"})


async def download(request: web.Request) -> web.Response:
    """The set list so far as a file."""
    ending = request.match_info["ending"]
    if ending != "json" and ending not in FILES:
        raise web.HTTPNotFound
    if ending == "json":
        response = await get(request)
    else:
        found = await _found(request)
        media_type, write = FILES[ending]
        paths = await is_operator(request)
        named = NamedTracklist(
            kind="video",
            target=found.video,
            tracklist=found.tracklist,
            paths=paths,
            origin=str(request.app[keys.ORIGIN](request)),
        )
        text = f"{media_type}; charset=utf-8" if media_type.startswith("text/") else media_type
        headers = {"Cache-Control": REVALIDATED, "Vary": VARY, **_waiting(found)}
        response = tagged_response(request, write(named).encode(), content_type=text, headers=headers)
    name = f"set-list-{asked_video(request).video_id}.{ending}"
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


_SET_LIST: Final = f"{BASE}/videos/{{id}}/set-list"

ROUTES: Final = (
    web.post(_SET_LIST, post),
    web.get(_SET_LIST, get),
    web.delete(_SET_LIST, delete),
    web.get(f"{_SET_LIST}.{{ending}}", download),
)
