"""`/api/v1/channels/{login}`: the set list, its live events, one line for chat bots, and the tokens for that."""

from functools import partial
from typing import Final

import msgspec
from aiohttp import web

from fingerprint.domain.problems import ProblemCode, TwitchAudioError, invalid_input
from server import keys
from server.access.identity.twitch_user import TwitchUser
from server.api.event_streams import encode_event, last_event_id, send_events
from server.api.json_forms import NewSongTokenJson, SongTokenJson, SongTokensJson, SongTokenWish
from server.api.owners import owner_of, public_set_list
from server.api.requests import channel_login, no_unknown_query, query_limit, query_time, read_body
from server.api.responses import BASE, is_operator, json_response, revalidated_response
from server.api.set_list_forms import PlayJson, RemovedPlayJson, SetListJson
from server.api.songs import note_plays
from server.audit.changes import ChangeLog
from server.channels.feed import Removed, Updated, event_id_of
from server.channels.song_tokens import SongTokenStore
from server.identifications.set_list import Play

DEFAULT_PLAYS: Final = 50
MOST_PLAYS: Final = 200
_SONG_TXT_HEADERS: Final = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}


async def songs(request: web.Request) -> web.Response:
    """A page of plays, newest first; `next_before` is the `before` of the next page."""
    no_unknown_query(request, "limit", "before")
    login = await channel_login(request)
    limit = query_limit(request, DEFAULT_PLAYS, MOST_PLAYS)
    before = query_time(request, "before")
    page = await public_set_list(request, login, limit=limit, before=before)
    await note_plays(request, login, page.plays)
    body = SetListJson.of(login, page.plays, page.next_before, paths=await is_operator(request))
    return revalidated_response(request, body)


async def events(request: web.Request) -> web.StreamResponse:
    """Server-sent events: `play` with the newest play, and again whenever it changes; `updated` with an older one,
    and `removed` with the answers of plays that the owner has hidden.

    A client that comes back with `Last-Event-ID` gets what it has missed, among the newest answers.
    """
    no_unknown_query(request)
    keep_alive = request.app[keys.SETTINGS].limits.events_keep_alive_seconds
    login = await channel_login(request)
    paths = await is_operator(request)
    address = request[keys.CONTEXT].credentials.address
    feed, after = request.app[keys.FEED], last_event_id(request)
    with feed.listening(login, address, keep_alive, after=after) as plays:
        return await send_events(request, plays, partial(_encoded, paths=paths))


def _encoded(change: Play | Updated | Removed, *, paths: bool) -> bytes:
    """A change of a channel as an event. Others than the newest leave the listener's place as it is."""
    if isinstance(change, Removed):
        body = msgspec.json.encode(RemovedPlayJson(identifications=list(change.answers)))
        return encode_event(b"removed", body, event_id=change.after)
    if isinstance(change, Updated):
        name, play, event_id = b"updated", change.play, change.after
    else:
        name, play, event_id = b"play", change, event_id_of(change)
    return encode_event(name, msgspec.json.encode(PlayJson.of(play, paths=paths)), event_id=event_id)


async def song_txt(request: web.Request) -> web.StreamResponse:
    """One plain line, whatever happens: status 200, at most 400 characters, within 8 s."""
    try:
        no_unknown_query(request, "token", "ago", "format")
    except TwitchAudioError as error:
        line = f"Sorry: {error.detail}"[:400]
    else:
        if request.method == "HEAD":
            # Chats look at an address in this way before they show it: that starts no job.
            return web.StreamResponse(headers={**_SONG_TXT_HEADERS, "Content-Type": "text/plain; charset=utf-8"})
        token = request.query.get("token")
        login, ago = request.match_info["login"], request.query.get("ago", "")
        form = request.query.get("format", "")
        line = await request.app[keys.SONG_TEXT].line(request[keys.CONTEXT], login, token, ago=ago, form=form)
    return web.Response(text=line, content_type="text/plain", charset="utf-8", headers=_SONG_TXT_HEADERS)


async def forget(request: web.Request) -> web.Response:
    """Delete everything about the channel; `keep-away=true`: and store nothing about it again."""
    no_unknown_query(request, "keep-away")
    keep_away = request.query.get("keep-away", "false")
    if keep_away not in ("true", "false"):
        raise invalid_input("`keep-away` is true or false.")
    login = await channel_login(request)
    context, access = request[keys.CONTEXT], request.app[keys.ACCESS]
    user = (await access.authenticate(context)).user
    if user is None:
        detail = "Only the channel's owner, signed in with Twitch, and the operator can have it forgotten."
        raise TwitchAudioError(ProblemCode.LOGIN_REQUIRED, detail)
    known = await owner_of(request, user, login)
    if known is None and not access.admins.contain(user):
        raise TwitchAudioError(ProblemCode.FORBIDDEN, f"You are {user.login}, and this channel is another's.")
    await request.app[keys.FORGETTER].forget(
        login, changes=ChangeLog(context.audit_subject), keep_away=keep_away == "true", known=known
    )
    return web.Response(status=204, headers={"Cache-Control": "no-store"})


# --- Tokens for song.txt --------------------------------------------------------------------------------


async def _owned(request: web.Request) -> tuple[TwitchUser, SongTokenStore]:
    """The owner of the channel in the address, who sends the request, and the token store.

    Raises TwitchAudioError `login-required`, `forbidden`, `blacklisted`.
    """
    login = await channel_login(request)
    context = request[keys.CONTEXT]
    await request.app[keys.ACCESS].check_sender(context)
    user = context.principal.user
    if user is None:
        detail = "Only the channel's owner, signed in with Twitch, and the operator manage its tokens."
        raise TwitchAudioError(ProblemCode.LOGIN_REQUIRED, detail)
    if not await request.app[keys.NAMES].owns(user.id, user.login, login):
        raise TwitchAudioError(ProblemCode.FORBIDDEN, f"You are {user.login}, and this channel is another's.")
    changes = ChangeLog(context.audit_subject)
    return user, SongTokenStore(request.app[keys.DATABASE], changes=changes)


async def list_song_tokens(request: web.Request) -> web.Response:
    """The channel's tokens, without their text."""
    no_unknown_query(request)
    user, store = await _owned(request)
    tokens = await store.all(user.login, channel_id=user.id)
    return json_response(SongTokensJson(tokens=[SongTokenJson.of(token) for token in tokens]))


async def make_song_token(request: web.Request) -> web.Response:
    """Create a token; its text is only in this answer."""
    no_unknown_query(request)
    user, store = await _owned(request)
    wish = await read_body(request, request.app[keys.SETTINGS].limits, SongTokenWish)
    now = request.app[keys.CLOCK].now()
    login = await channel_login(request)
    token, secret = await store.create(
        login, now=now, note=wish.note, made_by=f"user:{user.id}", channel_id=user.id
    )
    return json_response(NewSongTokenJson.of(token, token=secret.reveal()), status=201)


async def revoke_song_token(request: web.Request) -> web.Response:
    """Make a token invalid permanently."""
    no_unknown_query(request)
    user, store = await _owned(request)
    now = request.app[keys.CLOCK].now()
    await store.revoke(request.match_info["id"], now=now, channel=user.login, channel_id=user.id)
    return web.Response(status=204, headers={"Cache-Control": "no-store"})


_CHANNEL: Final = f"{BASE}/channels/{{login}}"

ROUTES: Final = (
    web.delete(_CHANNEL, forget),
    web.get(f"{_CHANNEL}/songs", songs),
    web.get(f"{_CHANNEL}/events", events),
    web.get(f"{_CHANNEL}/song.txt", song_txt),
    web.get(f"{_CHANNEL}/song-tokens", list_song_tokens),
    web.post(f"{_CHANNEL}/song-tokens", make_song_token),
    web.delete(f"{_CHANNEL}/song-tokens/{{id}}", revoke_song_token),
)
