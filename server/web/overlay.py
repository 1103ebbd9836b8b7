"""`/overlay/{login}`: "now playing" for broadcast software, transparent, with its options in the address."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any, Final

from aiohttp import web

from fingerprint.domain.problems import invalid_input
from fingerprint.domain.targets import channel_target
from fingerprint.domain.text import clean_text
from server import keys
from server.web import set_list_view
from server.web.api_docs import FieldDoc
from server.web.headers import FRAMED_ANYWHERE
from server.web.render import in_time, render

POSITIONS: Final = (
    "top-left", "top", "top-right", "left", "center", "right", "bottom-left", "bottom", "bottom-right",
)  # fmt: skip
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


def _label(text: str) -> str:
    return clean_text(text, 40)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How the card looks. `size` in percent, `hide` in seconds after a song was last heard (0: never)."""

    size: int = 100
    position: str = "bottom-left"
    text: str = "#ffffff"
    accent: str = "#ff6a4d"
    background: str = "#0c1011e6"
    hide: int = 180
    label: str = "Now playing"


_PARSERS: Final[Mapping[str, tuple[Callable[[str], Any], str]]] = {
    "size": (_whole(50, 400), "a whole number of percent from 50 to 400"),
    "position": (_position, ", ".join(POSITIONS)),
    "text": (_color, "a color such as ffffff"),
    "accent": (_color, "a color such as ff6a4d"),
    "background": (_color_or_none, "a color such as 0c1011 or 0c1011e6 (with opacity), or none"),
    "hide": (_whole(0, 86_400), "seconds from 0 (never) to 86400"),
    "label": (_label, "a text of at most 40 characters; an empty one takes it away"),
}
assert set(_PARSERS) == {field.name for field in fields(Options)}


def option_fields() -> list[FieldDoc]:
    """The overlay's options with their types and defaults, for the page `/docs`."""
    return [
        FieldDoc(name=field.name, type=_PARSERS[field.name][1], text=f"`{field.default}` when left out")
        for field in fields(Options)
    ]


def options(query: Mapping[str, str]) -> Options:
    """The options in a query. Raises TwitchAudioError `invalid-input` that says what an option takes."""
    values: dict[str, Any] = {}
    for name, text in query.items():
        if name not in _PARSERS:
            raise invalid_input(f"The overlay has no option {name[:50]!r}: it has {', '.join(_PARSERS)}.")
        parse, takes = _PARSERS[name]
        try:
            values[name] = parse(text.strip())
        except ValueError as error:
            raise invalid_input(f"The overlay's {name} takes {takes}, not {text[:50]!r}.") from error
    return Options(**values)


def is_shown(last_heard: datetime, now: datetime, hide: int) -> bool:
    """Whether a song that was last heard at `last_heard` is still shown. `hide` is in seconds; 0 means always."""
    return not hide or now - last_heard <= timedelta(seconds=hide)


class OverlayPage:
    """Handles the overlay. `store_seconds` is how long it waits for the database."""

    def __init__(self, *, store_seconds: float) -> None:
        self._seconds = store_seconds

    async def overlay(self, request: web.Request) -> web.Response:
        """The overlay's page; its card is empty while there is no song to show."""
        login = channel_target(request.match_info["login"]).login
        chosen = options(request.query)
        async with in_time(self._seconds):
            login = await request.app[keys.NAMES].current_login(login)
            address = request[keys.CONTEXT].credentials.address
            plays = (await request.app[keys.SET_LISTS].page(address, login, limit=1)).plays
        now = request.app[keys.CLOCK].now()
        newest = plays[0] if plays and is_shown(plays[0].last_heard, now, chosen.hide) else None
        context = {
            "login": login,
            "options": chosen,
            "play": None if newest is None else set_list_view.row(newest),
        }
        response = render("overlay.html", request, context)
        # Broadcast software shows it in a page of its own.
        response.headers["Content-Security-Policy"] = FRAMED_ANYWHERE
        return response
