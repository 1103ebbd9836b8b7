"""`/overlay/{login}`: "now playing" for broadcast software; `/overlay` builds its address, with the options."""

from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from math import ceil
from typing import Any, Final

from aiohttp import web
from yarl import URL

from fingerprint.domain.problems import ProblemCode, TwitchAudioError, invalid_input
from fingerprint.domain.targets import ChannelTarget, channel_target, parse_target
from server import keys
from server.api.owners import newest_is_shown
from server.identifications.set_list import Play, plays_of_now
from server.middleware.session import wants_page
from server.owner_choices.choices import Visibility
from server.web.answer import cover_of
from server.web.details import translated_detail
from server.web.examples import bot_commands, reachable_by_bots
from server.web.headers import FRAMED_ANYWHERE, FRAMES_OURS
from server.web.languages import ENGLISH, QUERY, Language, language_of
from server.web.overlay_options import POSITIONS, THEME_NAMES, THEMES, Options, options
from server.web.render import in_time, render
from server.web.words import WORDS


def is_shown(last_heard: datetime, now: datetime, hide: int) -> bool:
    """Whether a song that was last heard at `last_heard` is still shown. `hide` is in seconds; 0 means always."""
    return not hide or now - last_heard <= timedelta(seconds=hide)


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """The song that the card shows. `offset` and `length` in seconds; `heard`: when it was at the offset."""

    title: str
    artists: str
    cover: str
    heard: datetime
    # The newest answers that say so.
    answers: tuple[str, ...] = ()
    offset: float | None = None
    length: float | None = None
    probable: bool = False

    def played(self, now: datetime) -> float | None:
        """How far the song is, in percent; None where that is unknown."""
        if self.offset is None or not self.length:
            return None
        return round(
            min(100.0, 100 * (self.offset + max(0.0, (now - self.heard).total_seconds())) / self.length), 1
        )


def card_of(play: Play) -> Card:
    """The card that shows a play."""
    song = play.song
    return Card(
        title=song.title,
        artists=", ".join(song.artists),
        cover=cover_of(song),
        heard=play.last_heard,
        answers=play.answers[:MOST_NAMED],
        offset=song.offset_seconds,
        length=song.duration_seconds,
        probable=play.probable,
    )


def example_card(now: datetime) -> Card:
    """An example, to place the card before any song was heard."""
    return Card(
        title="Harbor Lights (Example)",
        artists="Marlow Quay, June Alder",
        cover="/covers/example.svg",
        heard=now,
        offset=63.0,
        length=201.0,
    )


class OverlayPage:
    """Handles the overlay and its builder. `store_seconds` is how long it waits for the database."""

    def __init__(self, *, store_seconds: float) -> None:
        self._seconds = store_seconds

    async def overlay(self, request: web.Request) -> web.Response:
        """The overlay's page; its card is empty while there is no song to show."""
        language = language_of(request)
        try:
            login = channel_target(request.match_info["login"]).login
            chosen = options(request.query, language)
        except TwitchAudioError as error:
            if not wants_page(request):
                raise
            # Broadcast software shows whatever comes: one sentence in the card, not a page of the website.
            return _framed(
                render("overlay_problem.html", request, {"detail": _complaint(error, language)}, status=400)
            )
        now = request.app[keys.CLOCK].now()
        headers: dict[str, str] = {}
        try:
            if chosen.test:
                card = example_card(now)
            else:
                async with in_time(self._seconds):
                    login = await request.app[keys.NAMES].current_login(login)
                    card = await _newest(request, login, chosen, now)
        except TwitchAudioError as error:
            if error.code is not ProblemCode.BUSY or not wants_page(request):
                raise
            # The empty card fills in by its events later.
            card = None
            headers["Retry-After"] = str(ceil(error.problem.retry_after_seconds or 5.0))
        context = {
            "title": WORDS[ProblemCode.BUSY].translated(language).heading
            if headers
            else language.gettext("%(channel)s: now playing", channel=login),
            "login": login,
            "options": chosen,
            "card": card,
            "played": None if card is None or not chosen.progress else card.played(now),
        }
        response = _framed(render("overlay.html", request, context, status=503 if headers else 200))
        response.headers.update(headers)
        return response

    async def builder(self, request: web.Request) -> web.Response:
        """`/overlay`: a form for the overlay's options, with a preview, the address and the next steps."""
        query = {name: text for name, text in request.query.items() if name not in ("channel", "colors", QUERY)}
        typed = request.query.get("channel", "").strip()[:200]
        if request.query.get("colors", "theme") == "theme":
            query = {name: text for name, text in query.items() if name not in THEMES["dark"]}
        language = language_of(request)
        login, chosen, complaint = "", options({}, language), ""
        try:
            chosen = options(query, language)
            login = _channel(typed) if typed else ""
        except TwitchAudioError as error:
            complaint = _complaint(error, language)
        origin = request.app[keys.ORIGIN](request)
        name = login or SOME_CHANNEL
        # Broadcast software may say another language than this browser.
        said = {} if language is ENGLISH else {QUERY: language.code}
        path = f"/overlay/{name}"
        context: dict[str, Any] = {
            "page": "streamers",
            "login": login,
            "typed": typed,
            "chosen": chosen,
            "own_colors": request.query.get("colors") == "own",
            "complaint": complaint,
            "positions": POSITIONS,
            "themes": THEME_NAMES,
            "address": str(URL(f"{origin}{path}").with_query(said | changed(chosen, language))),
            "base": str(origin).rstrip("/"),
            "preview": str(URL(path).with_query({**said, **changed(chosen, language), "test": "1"})),
            "commands": bot_commands(str(origin), login, None) if login and reachable_by_bots(origin) else [],
            "reachable": reachable_by_bots(origin),
        }
        response = render("overlay_builder.html", request, context)
        response.headers["Content-Security-Policy"] = FRAMES_OURS
        return response


async def _newest(request: web.Request, login: str, chosen: Options, now: datetime) -> Card | None:
    """The card to show, if any. Raises TwitchAudioError, as reading set lists does."""
    address = request[keys.CONTEXT].credentials.address
    plays = (await request.app[keys.SET_LISTS].page(address, login, limit=1)).plays
    if not await newest_is_shown(request, login):
        return None
    if (await request.app[keys.CHOICES].of(login)).visibility is not Visibility.SET_LIST:
        plays = plays_of_now(plays, now)
    return card_of(plays[0]) if plays and is_shown(plays[0].last_heard, now, chosen.hide) else None


MOST_NAMED: Final = 20
"""How many answers a card names: so many of the newest ones its events tell of when they are hidden."""

SOME_CHANNEL: Final = "yourchannel"
"""What the builder writes into the address until it knows the channel."""


def _channel(text: str) -> str:
    """The channel in a name or an address. Raises TwitchAudioError `invalid-input`."""
    target = parse_target(text)
    if not isinstance(target, ChannelTarget):
        raise invalid_input("Enter your channel's name, such as somechannel.")
    return target.login


def changed(chosen: Options, language: Language = ENGLISH) -> dict[str, str]:
    """The options that differ from what they are when left out, as the query of an address."""
    left_out = replace(options({}, language), **THEMES[chosen.theme])
    values = {field.name: (getattr(chosen, field.name), getattr(left_out, field.name)) for field in fields(chosen)}
    return {
        name: str(int(value)) if isinstance(value, bool) else str(value).removeprefix("#")
        for name, (value, usual) in values.items()
        if name != "test" and (value != usual or (name == "theme" and value != Options().theme))
    }


def _complaint(error: TwitchAudioError, language: Language) -> str:
    return translated_detail(error.detail, language) or WORDS[error.code].translated(language).next_step


def _framed(response: web.Response) -> web.Response:
    """A page that broadcast software and other pages may show within theirs."""
    response.headers["Content-Security-Policy"] = FRAMED_ANYWHERE
    return response
