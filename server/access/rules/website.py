"""The website settings: what an operator changes while servers run."""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, cast

from fingerprint.domain.problems import invalid_input
from fingerprint.domain.text import clean_text

MOTD_LIMIT: Final = 500


class AccessMode(StrEnum):
    """Who may ask, when nothing else refuses them."""

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


@dataclass(frozen=True, slots=True)
class _SettingFormat:
    """How a setting is written."""

    parse: Callable[[str], object]
    takes: str


_SWITCH: Final = {"form": _SettingFormat(_switch, "on or off")}
_MODE: Final = {"form": _SettingFormat(AccessMode, "open, login or subscribers")}
_TEXT: Final = {
    "form": _SettingFormat(_motd, f"a text of at most {MOTD_LIMIT} characters; an empty one removes it")
}


@dataclass(frozen=True, slots=True, kw_only=True)
class WebsiteSettings:
    """One value for each row of the table; the defaults hold while there is no row."""

    access_mode: AccessMode = field(default=AccessMode.OPEN, metadata=_MODE)
    active: bool = field(default=True, metadata=_SWITCH)
    maintenance: bool = field(default=False, metadata=_SWITCH)
    streams_enabled: bool = field(default=True, metadata=_SWITCH)
    """Live streams, and their recordings (videos)."""
    clips_enabled: bool = field(default=True, metadata=_SWITCH)
    motd: str | None = field(default=None, metadata=_TEXT)
    """The message of the day."""

    @staticmethod
    def check(texts: Mapping[str, str]) -> None:
        """Raises TwitchAudioError `invalid-input` for the first text that its setting does not take."""
        for name, text in texts.items():
            parse_setting(name, text)

    def to_texts(self) -> dict[str, str]:
        """Each setting by name, as `parse_setting` takes it."""
        return {item.name: setting_text(getattr(self, item.name)) for item in dataclasses.fields(self)}


FIELDS: Final = {item.name: item for item in dataclasses.fields(WebsiteSettings)}


def setting_text(value: object) -> str:
    """A value as text."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return "" if value is None else str(value)


def parse_setting(name: str, text: str) -> object:
    """The value of one setting. Raises TwitchAudioError `invalid-input` with what it takes."""
    item = FIELDS.get(name)
    if item is None:
        raise invalid_input(f"There is no setting {name[:50]!r}: there are {', '.join(FIELDS)}.")
    form = cast("_SettingFormat", item.metadata["form"])
    try:
        return form.parse(text.strip())
    except ValueError as error:
        raise invalid_input(f"{name} takes {form.takes}, not {text[:50]!r}.") from error


def website_settings(rows: Mapping[str, str]) -> WebsiteSettings:
    """The settings out of their rows. Raises TwitchAudioError when one was written by hand and means nothing."""
    values: dict[str, Any] = {name: parse_setting(name, text) for name, text in rows.items()}
    return WebsiteSettings(**values)
