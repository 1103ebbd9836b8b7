"""Website settings, which the operator changes while servers run."""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, cast

from fingerprint.domain.problems import invalid_input
from fingerprint.domain.text import clean_text

MOTD_LIMIT: Final = 500
CAPTURES_LIMIT: Final = 100_000


class AccessMode(StrEnum):
    """Who may ask: everyone, signed-in users, or subscribers of the listed broadcasters."""

    OPEN = "open"
    LOGIN = "login"
    SUBSCRIBERS = "subscribers"


_TRUE: Final = ("true", "on", "yes", "1")
_FALSE: Final = ("false", "off", "no", "0")


def _switch(text: str) -> bool:
    if text.lower() not in (*_TRUE, *_FALSE):
        raise ValueError(text)
    return text.lower() in _TRUE


def _motd(text: str) -> str | None:
    return clean_text(text, MOTD_LIMIT) or None


def _captures(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or len(text) > 9 or not 1 <= int(text) <= CAPTURES_LIMIT:
        raise ValueError(text)
    return int(text)


@dataclass(frozen=True, slots=True)
class _SettingFormat:
    """How the text of a setting is parsed, and a description of the valid texts."""

    parse: Callable[[str], object]
    takes: str


_SWITCH: Final = {"form": _SettingFormat(_switch, "on or off")}
_CAPTURES: Final = {"form": _SettingFormat(_captures, f"a whole number from 1 to {CAPTURES_LIMIT}")}
_MODE: Final = {"form": _SettingFormat(AccessMode, "open, login or subscribers")}
_TEXT: Final = {
    "form": _SettingFormat(_motd, f"a text of at most {MOTD_LIMIT} characters; an empty one removes it")
}


@dataclass(frozen=True, slots=True, kw_only=True)
class WebsiteSettings:
    """The website settings: one field for each row of the table, with the default for a missing row."""

    access_mode: AccessMode = field(default=AccessMode.OPEN, metadata=_MODE)
    active: bool = field(default=True, metadata=_SWITCH)
    maintenance: bool = field(default=False, metadata=_SWITCH)
    streams_enabled: bool = field(default=True, metadata=_SWITCH)
    """Whether live streams and their recordings (videos) may be identified."""
    clips_enabled: bool = field(default=True, metadata=_SWITCH)
    motd: str | None = field(default=None, metadata=_TEXT)
    """Message of the day, shown on the website; at most `MOTD_LIMIT` characters."""
    recent_songs: bool = field(default=False, metadata=_SWITCH)
    """Whether the start page shows the songs that were named last on live channels."""
    owner_watches: bool = field(default=True, metadata=_SWITCH)
    """Whether owners may have their channels watched; in `subscribers` mode listed broadcasters alone."""
    owner_watch_captures: int = field(default=500, metadata=_CAPTURES)
    """How many captures a day an owner's watch may take, for each channel."""
    owner_watch_paid: bool = field(default=False, metadata=_SWITCH)
    """Whether owners' watches may ask recognizers that cost money."""

    @staticmethod
    def check(texts: Mapping[str, str]) -> None:
        """Check texts by setting name. Raises TwitchAudioError `invalid-input` for the first invalid one."""
        for name, text in texts.items():
            parse_setting(name, text)

    def to_texts(self) -> dict[str, str]:
        """All settings by name, as texts that `parse_setting` accepts."""
        return {item.name: setting_text(getattr(self, item.name)) for item in dataclasses.fields(self)}


FIELDS: Final = {item.name: item for item in dataclasses.fields(WebsiteSettings)}


def setting_text(value: object) -> str:
    """The text of a setting's value, as `parse_setting` accepts it."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return "" if value is None else str(value)


def parse_setting(name: str, text: str) -> object:
    """Parse the text of one setting. Raises TwitchAudioError `invalid-input` with the valid values."""
    item = FIELDS.get(name)
    if item is None:
        raise invalid_input(f"There is no setting {name[:50]!r}: there are {', '.join(FIELDS)}.")
    form = cast("_SettingFormat", item.metadata["form"])
    try:
        return form.parse(text.strip())
    except ValueError as error:
        raise invalid_input(f"{name} takes {form.takes}, not {text[:50]!r}.") from error


def website_settings(rows: Mapping[str, str]) -> WebsiteSettings:
    """Parse the rows of the table. Raises TwitchAudioError `invalid-input` for a row with an invalid text."""
    # One that is unknown is a newer version's, which may run beside this one.
    values: dict[str, Any] = {name: parse_setting(name, text) for name, text in rows.items() if name in FIELDS}
    return WebsiteSettings(**values)
