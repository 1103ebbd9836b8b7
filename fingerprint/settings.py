"""Settings: the only module that reads the environment.

A setting is one field of a frozen dataclass, declared with `setting(...)`; reading, the one-line error and the
table in docs/settings.md follow from the declaration.
"""

import dataclasses
import difflib
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar, cast

from fingerprint.setting_formats import Format, path, secret

T = TypeVar("T")

_PASSWORD: Final = re.compile(r"://[^/,\s]*:[^/,\s]*@")


class SettingsError(Exception):
    """A variable has a value that cannot be used. The text is one line for the operator."""

    def __init__(self, variable: str, value: str, takes: str, *, secret: bool = False) -> None:
        shown = "(hidden)" if secret else repr(value)
        super().__init__(f"{variable}={shown} cannot be used: it takes {takes}{_hint(value)}")


def _hint(value: str) -> str:
    """What is probably wrong with a value that was copied from a file of a shell, as the end of a sentence."""
    if _in_quotes(value):
        return "; leave out the quotes, which are part of the value here"
    return "; leave out the comment, which is part of the value here" if _COMMENT.search(value) else ""


def _in_quotes(value: str) -> bool:
    return len(value) > 1 and value[0] == value[-1] and value[0] in "\"'`"


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingInfo:
    """A setting's declaration. `parse` and `takes` are those of its format."""

    variable: str
    parse: Callable[[str], object]
    takes: str
    help: str
    default_text: str
    hidden: bool = False
    """The value is a secret, and shown nowhere."""


_INFO: Final = "setting"

_COMMENT: Final = re.compile(r"\s#")

_FILE: Final = "_FILE"
"""The end of the variable that names the file with a secret, as Docker's and systemd's secrets are given."""

_MAX_SECRET_BYTES: Final = 64 << 10

# Of a file of variables, a byte order mark or `export` may have become part of the first name.
_NAME: Final = re.compile(r"[A-Z][A-Z0-9_]+(?=\s*$)")

_OUR_PREFIXES: Final = ("TWITCHAUDIO_", "TWITCH_CLIENT_", "ACRCLOUD_", "AUDD_")


def setting(
    variable: str,
    accepts: Format[T],
    *,
    help: str,  # noqa: A002 - the name of the table's column
    default: T | None = None,
    default_factory: Callable[[], T] | None = None,
    default_text: str | None = None,
    hidden: bool = False,
) -> T:
    """Declare a field that is read from `variable`. Without a default it is None."""
    info = SettingInfo(
        variable=variable,
        parse=accepts.parse,
        takes=accepts.takes,
        help=help,
        default_text=default_text or _shown(default),
        hidden=hidden or accepts.parse is secret,
    )
    if default_factory is not None:
        return field(default_factory=default_factory, metadata={_INFO: info})
    return cast("T", field(default=default, metadata={_INFO: info}))


def _shown(default: object) -> str:
    values = cast("tuple[object, ...]", default) if isinstance(default, tuple) else (default,)
    return ", ".join(str(value) for value in values if value is not None) or "none"


def settings_table(*groups: type) -> list[SettingInfo]:
    """Every declared setting of the given dataclasses, in order: what docs/settings.md lists."""
    return [
        info
        for group in groups
        for item in dataclasses.fields(group)
        if (info := cast("SettingInfo | None", item.metadata.get(_INFO))) is not None
    ]


def read_settings(group: type[T], environ: Mapping[str, str] | None = None) -> T:
    """An instance of a settings dataclass, read from the environment. An empty variable counts as absent.

    Raises SettingsError, one line that names the variable and what it takes.
    """
    source = os.environ if environ is None else environ  # noqa: TID251 - this is the one reader
    values: dict[str, object] = {}
    for item in dataclasses.fields(cast("Any", group)):
        info = cast("SettingInfo | None", item.metadata.get(_INFO))
        if info is None:
            if dataclasses.is_dataclass(item.type):
                values[item.name] = read_settings(cast("type[Any]", item.type), source)
            continue
        text = _text(info, source)
        if not text:
            continue
        try:
            values[item.name] = info.parse(text)
        except ValueError as error:
            hidden = info.hidden or _PASSWORD.search(text) is not None
            raise SettingsError(info.variable, text, info.takes, secret=hidden) from error
    return group(**values)


def override_environment(values: Mapping[str, str]) -> None:
    """Set variables of this process before settings are read; an empty text takes one away.

    Raises TypeError for anything but texts.
    """
    os.environ.update(values)  # noqa: TID251 - beside its one reader


def _text(info: SettingInfo, source: Mapping[str, str]) -> str:
    """A variable's text. A secret may also be in the file that `VARIABLE_FILE` names. Raises SettingsError."""
    text = source.get(info.variable, "").strip()
    variable = f"{info.variable}{_FILE}"
    name = source.get(variable, "").strip() if info.hidden else ""
    if not name:
        return text
    if text:
        raise SettingsError(variable, name, f"a file in place of {info.variable}, and both are set")
    try:
        with path(name).open("rb") as file:
            content = file.read(_MAX_SECRET_BYTES + 1).decode().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise SettingsError(
            variable, name, f"a file with the secret; this one cannot be read: {reason}"
        ) from error
    if not 0 < len(content) <= _MAX_SECRET_BYTES:
        raise SettingsError(variable, name, "a file with the secret; this one is empty or too long")
    return content


def service_manager_socket(environ: Mapping[str, str] | None = None) -> str | None:
    """The socket on which a service manager waits to hear of this process, as `sd_notify(3)` describes."""
    source = os.environ if environ is None else environ  # noqa: TID251 - this is the one reader
    return source.get("NOTIFY_SOCKET") or None


def runs_in_lambda(environ: Mapping[str, str] | None = None) -> bool:
    """Whether this process was started by AWS Lambda, or by its emulator."""
    source = os.environ if environ is None else environ  # noqa: TID251 - this is the one reader
    return bool(source.get("AWS_LAMBDA_RUNTIME_API"))


def given_settings(group: type, environ: Mapping[str, str] | None = None) -> dict[str, str | None]:
    """The variables of a group that are set, with their values; None in place of a secret."""
    source = os.environ if environ is None else environ  # noqa: TID251 - this is the one reader
    given: dict[str, str | None] = {}
    for info in _declared(group):
        value = source.get(info.variable, "").strip()
        secret_file = info.hidden and source.get(f"{info.variable}{_FILE}", "").strip()
        if value or secret_file:
            hidden = info.hidden or _PASSWORD.search(value) is not None
            given[info.variable] = None if hidden else value
    return given


def unknown_variables(group: type, environ: Mapping[str, str] | None = None) -> list[str]:
    """A sentence for each variable that looks like a setting of ours but is not, such as a typo."""
    source = os.environ if environ is None else environ  # noqa: TID251 - this is the one reader
    infos = list(_declared(group))
    known = {info.variable for info in infos} | {f"{info.variable}{_FILE}" for info in infos if info.hidden}
    found: list[str] = []
    for name in sorted(source):
        plain = _NAME.search(name.upper())
        ours = name.startswith(_OUR_PREFIXES) or (plain is not None and plain[0] in known)
        if name in known or not ours or not source[name].strip():
            continue
        close = difflib.get_close_matches(name, known, 1, 0.8)
        if plain is not None and plain[0] in known:
            close = [plain[0]]
        shown = name if name.isprintable() and name == name.strip() else repr(name)
        found.append(f"{shown} is not a setting." + "".join(f" Did you mean {each}?" for each in close))
    return found


def odd_values(group: type, environ: Mapping[str, str] | None = None) -> list[str]:
    """A sentence for each value that can be used, and probably holds more than was meant."""
    source = os.environ if environ is None else environ  # noqa: TID251 - this is the one reader
    found: list[str] = []
    for info in _declared(group):
        value = _text(info, source)
        if _in_quotes(value):
            found.append(f"{info.variable} is in quotes, which are part of the value here: leave them out.")
        elif info.hidden and _COMMENT.search(value):
            found.append(f"{info.variable} ends in a comment, which is part of the value here: leave it out.")
        elif info.parse is secret and any(character.isspace() for character in value):
            found.append(f"{info.variable} has a space or a line break inside: was it copied as a whole?")
    return found


def _declared(group: type) -> Iterator[SettingInfo]:
    """The settings of a group and of the groups inside it."""
    yield from settings_table(group)
    for item in dataclasses.fields(group):
        if dataclasses.is_dataclass(item.type):
            yield from _declared(cast("type", item.type))
