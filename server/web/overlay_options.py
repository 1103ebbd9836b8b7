"""The options in an overlay's address."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

from fingerprint.domain.problems import invalid_input
from fingerprint.domain.text import clean_text
from server.web.api_docs import FieldDoc
from server.web.languages import ENGLISH, QUERY, Language, marked

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
