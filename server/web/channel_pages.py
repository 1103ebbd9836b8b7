"""`/channels/{login}`: the set list, its downloads, and its owner's tokens for chat bots."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from aiohttp import web
from yarl import URL

from fingerprint.domain.identification import song_key
from fingerprint.domain.problems import ProblemCode, TwitchAudioError, invalid_input
from fingerprint.domain.targets import channel_target
from server import keys
from server.api import hls_playlist
from server.api.link_files import LABELS, LINK_FILES, empty_link_files
from server.api.owners import not_public, owner_of, public_set_list, shown_to
from server.api.responses import is_operator
from server.api.songs import note_plays
from server.audit.changes import ChangeLog
from server.channels.song_tokens import SongToken, SongTokenStore
from server.channels.watch import WatchState
from server.channels.watch_store import WatchStore
from server.identifications.set_list import Play
from server.middleware.forms import read_form
from server.owner_choices.choices import Visibility
from server.web import set_list_view
from server.web.examples import bot_commands, reachable_by_bots, song_txt
from server.web.languages import language_of
from server.web.own_plays import change_plays, choose_public, shown_desk
from server.web.own_watch import change_own_watch, shown_own_watch
from server.web.render import in_time, render
from server.web.share import card_response, set_list_card
from server.web.time_zones import zone_named
from server.web.timeline import timeline


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """What is asked for as a file. `paths`: with those of files in the catalog, for operators."""

    login: str
    plays: Sequence[Play]
    chosen: set_list_view.PlayFilter
    paths: bool
    origin: str


_Writer = Callable[[Download], str]


def _writer(ending: str) -> _Writer:
    write = LINK_FILES[ending]
    return lambda asked: write(play.song for play in reversed(asked.plays))


DOWNLOADS: Final[Mapping[str, tuple[str, _Writer]]] = {
    "csv": ("text/csv", lambda asked: set_list_view.as_csv(asked.plays, asked.chosen.zone)),
    "json": (
        "application/json",
        lambda asked: set_list_view.as_json(asked.login, asked.plays, paths=asked.paths),
    ),
    "m3u8": (
        hls_playlist.CONTENT_TYPE,
        lambda asked: set_list_view.as_m3u8(asked.login, asked.plays, origin=asked.origin),
    ),
    "m3u": (
        "audio/x-mpegurl",
        lambda asked: set_list_view.as_m3u(asked.login, asked.plays, paths=asked.paths),
    ),
    **{ending: ("text/plain", _writer(ending)) for ending in LINK_FILES},
}
"""By the ending of a file's name: its content type, and what writes it."""

MAX_ROWS: Final = 200
"""Rows of one page; a page of one day has them all."""

MAX_READINGS: Final = 5
"""Reads of `MAX_ROWS` plays for one page: no day has a thousand plays."""


class ChannelPages:
    """Handlers of a channel's pages. `store_seconds` is how long each waits for the database."""

    def __init__(self, *, store_seconds: float) -> None:
        self._seconds = store_seconds

    async def set_list(self, request: web.Request) -> web.Response:
        """What was heard on a channel, newest first. An earlier login leads to the page of the present one."""
        login = await self._current_login(request)
        if login != channel_target(request.match_info["login"]).login:
            raise web.HTTPFound(location=URL(f"/channels/{login}").with_query(request.query))
        return await self._page(request, login)

    async def _current_login(self, request: web.Request) -> str:
        login = _login(request)
        async with in_time(self._seconds):
            return await request.app[keys.NAMES].current_login(login)

    async def download(self, request: web.Request) -> web.Response:
        """The plays of the chosen day and search as one of the files in `DOWNLOADS`."""
        login = await self._current_login(request)
        kind = request.match_info["kind"]
        if kind not in DOWNLOADS:
            raise web.HTTPNotFound
        chosen = await _filter(request.query)
        async with in_time(self._seconds):
            if await shown_to(request, login) is Visibility.NOTHING:
                raise not_public(login)
            found = await _plays(request, login, since=chosen.since, before=chosen.before)
        plays = set_list_view.matching(found, chosen.search)
        content_type, write = DOWNLOADS[kind]
        day = "" if chosen.day is None else f"-{chosen.day}"
        asked = Download(
            login=login,
            plays=plays,
            chosen=chosen,
            paths=await is_operator(request),
            origin=str(request.app[keys.ORIGIN](request)),
        )
        response = web.Response(
            body=write(asked).encode(),
            headers={
                "Content-Type": f"{content_type}; charset=utf-8",
                "Content-Disposition": f'attachment; filename="{login}{day}.{kind}"',
                "Cache-Control": "no-store",
            },
        )
        response.enable_compression()
        return response

    async def card(self, request: web.Request) -> web.Response:
        """`/cards/channels/{login}.png`: the picture that is shown with a link to the set list."""
        login = await self._current_login(request)
        async with in_time(self._seconds):
            public = (await request.app[keys.CHOICES].of(login)).visibility is Visibility.SET_LIST
            plays = await _plays(request, login, since=None, before=None) if public else ()
            website = (await request.app[keys.ACCESS].rules()).website
        return await card_response(request, set_list_card(request, website, login, plays))

    async def make_token(self, request: web.Request) -> web.Response:
        """Create a token for a chat bot; only this response shows it."""
        login = await self._current_login(request)
        form = await read_form(request, self._seconds)
        async with in_time(self._seconds):
            store, owner = await _owned_tokens(request, login)
            now = request.app[keys.CLOCK].now()
            _, secret = await store.create(
                login, now=now, note=form.get("note", ""), made_by=f"user:{owner}", channel_id=owner
            )
        return await self._page(request, login, token=secret.reveal())

    async def revoke_token(self, request: web.Request) -> web.Response:
        """Make a token invalid permanently."""
        login = await self._current_login(request)
        form = await read_form(request, self._seconds)
        async with in_time(self._seconds):
            store, owner = await _owned_tokens(request, login)
            now = request.app[keys.CLOCK].now()
            await store.revoke(form.get("id", ""), now=now, channel=login, channel_id=owner)
        raise web.HTTPSeeOther(location=f"/channels/{login}#bots")

    async def watch(self, request: web.Request) -> web.Response:
        """Start or stop the watch of a channel, for its owner."""
        login = await self._current_login(request)
        form = await read_form(request, self._seconds)
        async with in_time(self._seconds):
            await change_own_watch(request, login, form.get("action", ""))
        raise web.HTTPSeeOther(location=f"/channels/{login}#watch")

    async def change_plays(self, request: web.Request) -> web.Response:
        """Correct or hide a play, or undo that, for the channel's owner and operators."""
        login = await self._current_login(request)
        form = await read_form(request, self._seconds)
        async with in_time(self._seconds):
            changed = await change_plays(request, login, form)
        query = {"changed": changed} if changed else {}
        raise web.HTTPSeeOther(URL(f"/channels/{login}").with_query(query).with_fragment("heard"))

    async def choose_public(self, request: web.Request) -> web.Response:
        """Decide what of the channel is public, for its owner and operators."""
        login = await self._current_login(request)
        form = await read_form(request, self._seconds)
        async with in_time(self._seconds):
            await choose_public(request, login, form)
        raise web.HTTPSeeOther(location=f"/channels/{login}#public")

    async def forget(self, request: web.Request) -> web.Response:
        """Delete everything about the channel, for its owner and the operator."""
        login = await self._current_login(request)
        form = await read_form(request, self._seconds)
        if not await _may_forget(request, login):
            detail = "Only the channel's owner, signed in with Twitch, and the operator can have it forgotten."
            raise TwitchAudioError(ProblemCode.FORBIDDEN, detail)
        if form.get("name", "").strip().lower() != login:
            raise invalid_input(f"Nothing was deleted. To delete everything, type {login} into the field.")
        context = request[keys.CONTEXT]
        user = context.principal.user
        await request.app[keys.FORGETTER].forget(
            login,
            changes=ChangeLog(context.audit_subject),
            keep_away=form.get("keep_away", "") == "yes",
            known=None if user is None else await owner_of(request, user, login),
        )
        raise web.HTTPSeeOther(location=f"/channels/{login}")

    async def _page(self, request: web.Request, login: str, *, token: str = "") -> web.Response:
        chosen = await _filter({} if token else request.query)
        language = language_of(request)
        async with in_time(self._seconds):
            visibility = await shown_to(request, login)
            found = await _plays(request, login, since=chosen.since, before=chosen.before)
            desk = await shown_desk(request, login, language)
            public = (await request.app[keys.CHOICES].of(login)).visibility is Visibility.SET_LIST
            watch = await WatchStore(request.app[keys.DATABASE]).get(login)
            tokens = await _tokens(request, login)
            website = (await request.app[keys.ACCESS].rules()).website
            own_watch = await shown_own_watch(request, login, watch)
        plays = set_list_view.matching(found, chosen.search)
        shown = plays[: None if chosen.day else MAX_ROWS]
        empty = empty_link_files([play.song for play in plays])
        await note_plays(request, login, shown)
        origin = str(request.app[keys.ORIGIN](request))
        here = URL(f"/channels/{login}")
        context: dict[str, Any] = {
            "login": login,
            "visibility": str(visibility),
            "desk": desk,
            "chosen": chosen,
            "rows": [set_list_view.row(play, language, chosen.clock) for play in shown],
            "count": len(plays),
            "songs": len({song_key(play.song) for play in plays}),
            "any": bool(found),
            "timeline": timeline(plays, chosen.clock),
            "days": _days(here, chosen),
            "downloads": [
                (LABELS.get(kind, ""), kind, str(URL(f"{here}/songs.{kind}").with_query(chosen.query())))
                for kind in DOWNLOADS
                if kind not in empty
            ],
            "watch": watch if watch is not None and watch.state is WatchState.RUNNING else None,
            "own_watch": own_watch,
            "tokens": tokens,
            "may_forget": tokens is not None or await is_operator(request),
            "token": token,
            "commands": bot_commands(origin, login, token)
            if reachable_by_bots(request.app[keys.ORIGIN](request))
            else (),
            "song_txt": song_txt(origin, login, token),
            "base": origin,
            "share": None if token or not public else set_list_card(request, website, login, found),
            "overlay": f"{origin}/overlay/{login}",
        }
        response = render("set_list.html", request, context)
        if token:
            response.headers["Referrer-Policy"] = "no-referrer"
        return response


async def _filter(query: Mapping[str, str]) -> set_list_view.PlayFilter:
    name = query.get("zone", "").strip()
    return set_list_view.parse_filter(query, await asyncio.to_thread(zone_named, name) if name else None)


async def _plays(
    request: web.Request, login: str, *, since: datetime | None, before: datetime | None
) -> Sequence[Play]:
    """A channel's plays, newest first: those heard from `since` to `before`, or without `since` the newest.

    Where the set list is not public, only its owner and operators get them: others the song of now, or nothing.
    """
    visibility = await shown_to(request, login)
    if visibility is Visibility.NOTHING:
        return ()
    if visibility is Visibility.NOW:
        plays = (await public_set_list(request, login, limit=1)).plays
        return [play for play in plays if since is None or play.last_heard >= since]
    lists, address = request.app[keys.SET_LISTS], request[keys.CONTEXT].credentials.address
    found: list[Play] = []
    for _ in range(MAX_READINGS):
        page = await lists.page(address, login, limit=MAX_ROWS, before=before)
        found += page.plays
        before = page.next_before
        if since is None or before is None or before < since:
            break
    return found if since is None else [play for play in found if play.last_heard >= since]


async def _tokens(request: web.Request, login: str) -> Sequence[SongToken] | None:
    """The channel's valid tokens, if the visitor is its owner; None for all others, who see no tokens."""
    try:
        owner = await _owner(request, login)
        if owner is None:
            return None
        tokens = await SongTokenStore(request.app[keys.DATABASE]).all(login, channel_id=owner)
    except TwitchAudioError:
        # Without knowing the visitor, the set list can be shown all the same.
        return None
    return [token for token in tokens if token.revoked_at is None]


async def _owned_tokens(request: web.Request, login: str) -> tuple[SongTokenStore, str]:
    """The store and its owner's id. Raises TwitchAudioError `forbidden` unless the visitor owns the channel."""
    await request.app[keys.ACCESS].check_sender(request[keys.CONTEXT])
    owner = await _owner(request, login)
    if owner is None:
        detail = "Only the channel's owner, signed in with Twitch, manages its tokens."
        raise TwitchAudioError(ProblemCode.FORBIDDEN, detail)
    changes = ChangeLog(request[keys.CONTEXT].audit_subject)
    return SongTokenStore(request.app[keys.DATABASE], changes=changes), owner


async def _may_forget(request: web.Request, login: str) -> bool:
    user = (await request.app[keys.ACCESS].authenticate(request[keys.CONTEXT])).user
    if user is None:
        return False
    return await owner_of(request, user, login) is not None or await is_operator(request)


async def _owner(request: web.Request, login: str) -> str | None:
    """The visitor's id, if the channel is theirs."""
    user = (await request.app[keys.ACCESS].authenticate(request[keys.CONTEXT])).user
    if user is None or not await request.app[keys.NAMES].owns(user.id, user.login, login):
        return None
    return user.id


def _login(request: web.Request) -> str:
    login = channel_target(request.match_info["login"]).login
    if len(request.query) > 10:
        raise invalid_input("That address has too many parameters.")
    return login


def _days(here: URL, chosen: set_list_view.PlayFilter) -> dict[str, str]:
    """The addresses of the previous and next day and of the newest plays; empty when no day is chosen."""
    if chosen.day is None:
        return {}
    before, after = (replace(chosen, day=chosen.day + timedelta(days=days), search="") for days in (-1, 1))
    return {
        "previous": str(here.with_query(before.query())),
        "next": str(here.with_query(after.query())),
        "newest": str(here),
    }
