"""`/channels/{login}`: the set list, its downloads, and what belongs to the channel's owner."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from aiohttp import web
from yarl import URL

from fingerprint.domain.problems import TwitchAudioError, invalid_input
from fingerprint.domain.targets import channel_target
from server.identifications.set_list import Play
from server.middleware.forms import read_form
from server.web import set_list_view
from server.web.backend import Backend
from server.web.examples import bot_commands
from server.web.render import in_time, render

DOWNLOADS: Final[Mapping[str, tuple[str, Callable[[str, Sequence[Play]], str]]]] = {
    "csv": ("text/csv", lambda _login, plays: set_list_view.as_csv(plays)),
    "json": ("application/json", set_list_view.as_json),
    "m3u": ("audio/x-mpegurl", set_list_view.as_m3u),
}

MOST_SHOWN: Final = 200
"""Rows of one page; a day has them all."""


class ChannelPages:
    """The handlers."""

    def __init__(self, backend: Backend, *, backend_seconds: float) -> None:
        self._backend = backend
        self._seconds = backend_seconds

    async def set_list(self, request: web.Request) -> web.Response:
        """What was heard on a channel, newest first."""
        return await self._page(request, _login(request))

    async def download(self, request: web.Request) -> web.Response:
        """The same plays as a file."""
        login = _login(request)
        kind = request.match_info["kind"]
        if kind not in DOWNLOADS:
            raise web.HTTPNotFound
        asked = set_list_view.asked(request.query)
        async with in_time(self._seconds):
            plays = set_list_view.matching(
                await self._backend.plays(login, since=asked.since, before=asked.before), asked.search
            )
        content_type, write = DOWNLOADS[kind]
        day = "" if asked.day is None else f"-{asked.day}"
        response = web.Response(
            body=write(login, plays).encode(),
            headers={
                "Content-Type": f"{content_type}; charset=utf-8",
                "Content-Disposition": f'attachment; filename="{login}{day}.{kind}"',
                "Cache-Control": "no-store",
            },
        )
        response.enable_compression()
        return response

    async def make_token(self, request: web.Request) -> web.Response:
        """Make a token for a chat bot; the page shows it this once."""
        login = _login(request)
        form = await read_form(request, self._seconds)
        async with in_time(self._seconds):
            secret = await self._backend.make_song_token(login, form.get("note", ""))
        return await self._page(request, login, token=secret.reveal())

    async def revoke_token(self, request: web.Request) -> web.Response:
        """Make a token invalid for good."""
        login = _login(request)
        form = await read_form(request, self._seconds)
        async with in_time(self._seconds):
            await self._backend.revoke_song_token(login, form.get("id", ""))
        raise web.HTTPSeeOther(location=f"/channels/{login}#bots")

    async def _page(self, request: web.Request, login: str, *, token: str = "") -> web.Response:
        asked = set_list_view.asked({} if token else request.query)
        async with in_time(self._seconds):
            found = await self._backend.plays(login, since=asked.since, before=asked.before)
            watch = await self._backend.watch(login)
            tokens = await self._tokens(login)
        plays = set_list_view.matching(found, asked.search)
        origin = str(request.url.origin())
        here = URL(f"/channels/{login}")
        context: dict[str, Any] = {
            "login": login,
            "asked": asked,
            "rows": [set_list_view.row(play) for play in plays[: None if asked.day else MOST_SHOWN]],
            "count": len(plays),
            "any": bool(found),
            "timeline": set_list_view.timeline(plays),
            "days": _days(here, asked),
            "downloads": [
                (kind, str(URL(f"{here}/songs.{kind}").with_query(asked.query()))) for kind in DOWNLOADS
            ],
            "watch": watch,
            "tokens": tokens,
            "token": token,
            "commands": bot_commands(origin, login, token or None),
            "overlay": f"{origin}/overlay/{login}",
        }
        response = render("set_list.html", request, context)
        if token:
            response.headers["Referrer-Policy"] = "no-referrer"
        return response

    async def _tokens(self, login: str) -> Sequence[Any] | None:
        try:
            return await self._backend.song_tokens(login)
        except TwitchAudioError:
            # Who looks cannot be told now: the set list is for everyone all the same.
            return None


def _login(request: web.Request) -> str:
    login = channel_target(request.match_info["login"]).login
    if len(request.query) > 10:
        raise invalid_input("That address has too many parameters.")
    return login


def _days(here: URL, asked: set_list_view.Asked) -> dict[str, str]:
    """The addresses of the days around one."""
    if asked.since is None or asked.before is None:
        return {}
    before = asked.since.date().fromordinal(asked.since.date().toordinal() - 1)
    return {
        "previous": str(here.with_query(day=before.isoformat())),
        "next": str(here.with_query(day=asked.before.date().isoformat())),
        "newest": str(here),
    }
