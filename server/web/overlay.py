"""`/overlay/{login}`: "now playing" for broadcast software; `/overlay` builds its address, with the options."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from math import ceil
from typing import Any, Final

from aiohttp import web
from yarl import URL

from fingerprint.domain.problems import ProblemCode, TwitchAudioError, invalid_input
from fingerprint.domain.targets import ChannelTarget, channel_target, parse_target
from fingerprint.domain.text import clean_text
from server import keys
from server.api.owners import newest_is_shown
from server.identifications.set_list import Play, plays_of_now
from server.middleware.session import wants_page
from server.owner_choices.choices import Visibility
from server.web.answer import cover_of
from server.web.api_docs import FieldDoc
from server.web.details import translated_detail
from server.web.examples import bot_commands, reachable_by_bots
from server.web.headers import FRAMED_ANYWHERE, FRAMES_OURS
from server.web.languages import ENGLISH, QUERY, Language, language_of, marked
from server.web.render import in_time, render
from server.web.words import WORDS

POSITIONS: Final = {
    "top-left": marked("Top left"),
    "top": marked("Top"),
    "top-right": marked("Top right"),
    "left": marked("Left"),
    "center": marked("Center"),
    "right": marked("Right"),
    "bottom-left": marked("Bottom left"),
    "bottom": marked("Bottom"),
    "bottom-right": marked("Bottom right"),
}
"""Where the card may be, with what the builder calls it."""

THEMES: Final[Mapping[str, Mapping[str, str]]] = {
    "dark": {"text": "#ffffff", "accent": "#ff6a4d", "background": "#0c1011e6"},
    "light": {"text": "#14191b", "accent": "#bd3019", "background": "#fcfdfcf2"},
    "glass": {"text": "#ffffff", "accent": "#7be0c6", "background": "#10202066"},
    "neon": {"text": "#f6efff", "accent": "#ff5cf0", "background": "#1a0b2ee6"},
    "plain": {"text": "#ffffff", "accent": "#ffffff", "background": "none"},
}
"""Colors by the name of a theme; `plain` has no card, and a shadow around its letters."""

THEME_NAMES: Final = {
    "dark": marked("Dark"),
    "light": marked("Light"),
    "glass": marked("Glass"),
    "neon": marked("Neon"),
    "plain": marked("Plain"),
}
"""What the builder calls the themes."""

_COLOR: Final = re.compile(r"[0-9a-fA-F]{3}|[0-9a-fA-F]{6}|[0-9a-fA-F]{8}")
_TRANSPARENT: Final = "none"


def _whole(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,6}", text) or not low <= int(text) <= high:
            raise ValueError(text)
        return int(text)

    return parse


def _color(text: str) -> str:
    if not _COLOR.fullmatch(text.removeprefix("#")):
        raise ValueError(text)
    return "#" + text.removeprefix("#").lower()


def _color_or_none(text: str) -> str:
    return _TRANSPARENT if text == _TRANSPARENT else _color(text)


def _position(text: str) -> str:
    if text not in POSITIONS:
        raise ValueError(text)
    return text


def _theme(text: str) -> str:
    if text not in THEMES:
        raise ValueError(text)
    return text


def _yes_or_no(text: str) -> bool:
    if text not in ("0", "1"):
        raise ValueError(text)
    return text == "1"


def _label(text: str) -> str:
    return clean_text(text, 40)


NOW_PLAYING: Final = marked("Now playing")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How the card looks. `size` in percent, `hide` in seconds after a song was last heard (0: never).

    `test`: an example is shown in place of the channel's song.
    """

    size: int = 100
    position: str = "bottom-left"
    theme: str = "dark"
    text: str = "#ffffff"
    accent: str = "#ff6a4d"
    background: str = "#0c1011e6"
    hide: int = 180
    label: str = NOW_PLAYING
    cover: bool = True
    progress: bool = False
    test: bool = False


_PARSERS: Final[Mapping[str, tuple[Callable[[str], Any], str]]] = {
    "size": (_whole(50, 400), marked("a whole number of percent from 50 to 400")),
    "position": (_position, ", ".join(POSITIONS)),
    "theme": (_theme, ", ".join(THEMES)),
    "text": (_color, marked("a color such as ffffff")),
    "accent": (_color, marked("a color such as ff6a4d")),
    "background": (_color_or_none, marked("a color such as 0c1011 or 0c1011e6 (with opacity), or none")),
    "hide": (_whole(0, 86_400), marked("seconds from 0 (never) to 86400")),
    "label": (_label, marked("at most 40 characters, or nothing to hide it")),
    "cover": (_yes_or_no, marked("1 to show the cover, 0 for moving bars")),
    "progress": (_yes_or_no, marked("1 to show how far the song is, 0")),
    "test": (_yes_or_no, marked("1 to show an example song, to place the card, 0")),
}
assert set(_PARSERS) == {field.name for field in fields(Options)}


def option_fields() -> list[FieldDoc]:
    """The overlay's options with their types and defaults, for the page `/docs`."""
    return [
        FieldDoc(name=field.name, type=_PARSERS[field.name][1], text=_default_text(field.name, field.default))
        for field in fields(Options)
    ]


def _default_text(name: str, default: object) -> str:
    text = str(int(default)) if isinstance(default, bool) else str(default)
    return f"the theme's when left out (`{text}`)" if name in THEMES["dark"] else f"`{text}` when left out"


def options(query: Mapping[str, str], language: Language = ENGLISH) -> Options:
    """The options in a query. Raises TwitchAudioError `invalid-input` that says what an option takes."""
    values: dict[str, Any] = {"label": language.gettext(NOW_PLAYING)}
    for name, text in query.items():
        if name == QUERY:
            continue
        if name not in _PARSERS:
            raise invalid_input(f"The overlay has no option {name[:50]!r}: it has {', '.join(_PARSERS)}.")
        parse, takes = _PARSERS[name]
        try:
            values[name] = parse(text.strip())
        except ValueError as error:
            raise invalid_input(f"The overlay's {name} takes {takes}, not {text[:50]!r}.") from error
    themed: dict[str, Any] = {**THEMES[values.get("theme", Options().theme)], **values}
    return Options(**themed)


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
