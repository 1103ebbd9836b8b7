"""Whose a channel is, and what of it the sender of a request is shown."""

from dataclasses import replace
from datetime import datetime

from aiohttp import web

from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.ports import Broadcaster
from server import keys
from server.access.identity.twitch_user import TwitchUser
from server.channels.video_set_list import VideoSetList
from server.identifications.history import SetListPage
from server.identifications.set_list import plays_of_now
from server.owner_choices.choices import Visibility


async def owner_of(request: web.Request, user: TwitchUser, login: str) -> Broadcaster | None:
    """The account of a signed-in user, if the channel is surely theirs, and not another's that has the login now.

    Raises TwitchAudioError `busy`.
    """
    found = await request.app[keys.NAMES].current(login)
    owns = user.login == login if found is None else found.id == user.id
    return Broadcaster(id=user.id, login=login) if owns else None


async def sees_all(request: web.Request, login: str) -> bool:
    """Whether the sender of a request is the channel's owner or an operator. Raises TwitchAudioError `busy`."""
    access = request.app[keys.ACCESS]
    try:
        user = (await access.authenticate(request[keys.CONTEXT])).user
    except TwitchAudioError as error:
        if error.code is ProblemCode.BUSY:
            raise
        return False
    return user is not None and (access.admins.contain(user) or await owner_of(request, user, login) is not None)


async def shown_to(request: web.Request, login: str) -> Visibility:
    """How much of a channel the sender of a request is shown. Raises TwitchAudioError `busy`."""
    visibility = (await request.app[keys.CHOICES].of(login)).visibility
    if visibility is not Visibility.SET_LIST and await sees_all(request, login):
        return Visibility.SET_LIST
    return visibility


def not_public(login: str) -> TwitchAudioError:
    """The error for what a channel's owner keeps to themselves."""
    detail = f"The set list of {login} is not public: only the channel's owner can see it."
    return TwitchAudioError(ProblemCode.NOT_PUBLIC, detail)


async def public_set_list(
    request: web.Request, login: str, *, limit: int, before: datetime | None = None
) -> SetListPage:
    """A page of a channel's plays as far as the sender of a request may see them.

    Raises TwitchAudioError `not-public`, and what `SetLists.page` raises.
    """
    shown = await shown_to(request, login)
    if shown is Visibility.NOTHING:
        raise not_public(login)
    address = request[keys.CONTEXT].credentials.address
    if shown is Visibility.SET_LIST:
        return await request.app[keys.SET_LISTS].page(address, login, limit=limit, before=before)
    now = request.app[keys.CLOCK].now()
    page = await request.app[keys.SET_LISTS].page(address, login, limit=1)
    plays = plays_of_now(page.plays, now) if await newest_is_shown(request, login) else ()
    return SetListPage(
        plays=[play for play in plays if before is None or play.asked_at < before], next_before=None
    )


async def newest_is_shown(request: web.Request, login: str) -> bool:
    """Whether what a channel plays now is not hidden. Raises TwitchAudioError `busy`."""
    newest = await request.app[keys.SERVICE].newest_answers(login, limit=1)
    return not newest or newest[0].song is not None


async def public_video(request: web.Request, found: VideoSetList) -> VideoSetList:
    """A VOD's set list as it is shown, with what is decided about the plays of its broadcast.

    Raises TwitchAudioError `not-public` where the sender of a request may not see it, and `busy`.
    """
    login = found.tracklist.channel
    if login is None and found.channel_id is not None:
        spans = await request.app[keys.NAMES].spans_of(found.channel_id)
        login = spans[0].login if spans else None
    if login is None:
        return found
    if await shown_to(request, login) is not Visibility.SET_LIST:
        raise not_public(login)
    choices = await request.app[keys.CHOICES].of(login)
    return replace(found, tracklist=choices.shown_tracklist(found.tracklist, found.video))
