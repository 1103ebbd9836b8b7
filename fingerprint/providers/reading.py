"""Reads providers' JSON, whose shapes vary: missing, empty or mistyped values are read as None or as empty.

A list of one object may be sent as the object alone, a number as text, text as a number, and an object or a list
as JSON in a text.
"""

import html
import json
import math
import re
from collections.abc import Mapping
from typing import Any, Final, cast

from fingerprint.catalog.tags import date_of, isrc_of
from fingerprint.domain.credits import artist_names, is_performing

TEXT_LIMIT: Final = 2_000
"""The most characters of one text; stores keep fewer."""

LIST_LIMIT: Final = 50
"""The most members of one list that are read."""

JSON_LIMIT: Final = 20_000
"""The most characters of a text that is read as JSON."""

Object = Mapping[str, Any]
_EMPTY: Final[Object] = {}
_COMMA: Final = re.compile(r"^(\s*-?\d+),(\d{1,2}\s*)$", re.ASCII)
_OF_HUNDRED: Final = re.compile(r"\s*(?:%|/\s*100)\s*$", re.ASCII)
_YEAR: Final = re.compile(r"(?<!\d)[12]\d{3}(?!\d)", re.ASCII)
_DAY_FIRST: Final = re.compile(r"(\d{1,2})[./-](\d{1,2})[./-](\d{4})(?!\d)", re.ASCII)
_YEAR_FIRST: Final = re.compile(r"(\d{4})[./](\d{1,2})(?:[./](\d{1,2}))?(?!\d)", re.ASCII)


def parse_object(body: bytes) -> Object | None:
    """Parses a JSON object; None for anything else."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return cast("Object", value) if isinstance(value, dict) else None


def objects(value: object) -> list[Object]:
    """The objects in a list, or the single object that is sent in place of a list."""
    return [cast("Object", each) for each in _values(value) if isinstance(each, dict)]


def _values(value: object) -> list[object]:
    """The members of a list, or the value itself; both may be JSON in a text."""
    if isinstance(value, str) and value.strip()[:1] in ("{", "["):
        try:
            value = json.loads(value) if len(value) <= JSON_LIMIT else value
        except (ValueError, RecursionError):
            return [value]
    return cast("list[object]", value)[:LIST_LIMIT] if isinstance(value, list) else [value]


def merged(*values: object) -> Object:
    """The fields of all objects in some values together; the first that is not blank counts."""
    found: dict[str, Any] = {}
    for value in values:
        for each in objects(value):
            for name, content in each.items():
                if not _is_filled(found.get(name)):
                    found[name] = content
    return found


def _is_filled(value: object) -> bool:
    return text(value) is not None or bool(objects(value))


def first(value: object, *path: str) -> Object:
    """The first object in a value, or in what is below it along a path; an empty one when there is none."""
    found = next(iter(objects(value)), _EMPTY)
    for name in path:
        found = next(iter(objects(found.get(name))), _EMPTY)
    return found


def text(value: object) -> str | None:
    """A text that is not blank, or None; of a list the first one."""
    if isinstance(value, list):
        return next((found for each in cast("list[object]", value)[:LIST_LIMIT] if (found := text(each))), None)
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        said = str(value)[:TEXT_LIMIT].strip()
    except ValueError:  # an integer of thousands of digits
        return None
    return (html.unescape(said).strip() if "&" in said else said) or None


def texts(values: object, name: str) -> tuple[str, ...]:
    """The distinct texts under one name in a list of objects."""
    return tuple(dict.fromkeys(found for each in objects(values) if (found := text(each.get(name)))))


def number(value: object) -> float | None:
    """A finite number, also when written as text, such as `85,5`; otherwise None."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        found = float(_COMMA.sub(r"\1.\2", value[:50]) if isinstance(value, str) else value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def score(value: object, *, one_is_all: bool = False) -> float | None:
    """A score as 0 to 1, or None. It is of 100, also as `85%` or `85/100`; fractions are of 1.

    `one_is_all`: 1 is the highest score, not 1 of 100.
    """
    of_hundred = isinstance(value, str) and _OF_HUNDRED.search(value[:50]) is not None
    found = number(_OF_HUNDRED.sub("", value[:50]) if isinstance(value, str) else value)
    if found is None:
        return None
    of_one = not of_hundred and (0 <= found < 1 or (found == 1 and one_is_all))
    return round(min(1.0, max(0.0, found if of_one else found / 100.0)), 4)


def isrc(*values: object) -> str | None:
    """The first ISRC in some texts or lists of them, in its plain form; None when none is one."""
    listed = (each for value in values for each in _values(value))
    return next((found for each in listed if (found := isrc_of(text(each) or ""))), None)


def date(value: object) -> str | None:
    """`YYYY`, `YYYY-MM` or `YYYY-MM-DD`, however it is written; None for anything else, such as `0000-00-00`.

    Of `03/04/2021`, which may mean two days, and of `May 2021` only the year is sure.
    """
    said = text(value) or ""
    if (found := _YEAR_FIRST.match(said)) is not None:
        said = "-".join(part.zfill(2) for part in found.groups() if part)
    elif (found := _DAY_FIRST.match(said)) is not None:
        one, other, year = int(found[1]), int(found[2]), found[3]
        month, day = (one, other) if other > 12 else (other, one)
        sure = max(one, other) > 12 or one == other or "." in found[0]
        said = f"{year}-{month:02}-{day:02}" if sure else year
    elif not said[:1].isdecimal() and (found := _YEAR.search(said)) is not None:
        said = found[0]
    return date_of(said)


def integer(value: object) -> int | None:
    """A whole number, also when written as text; otherwise None."""
    found = number(value)
    return int(found) if found is not None and found == int(found) else None


def artists(value: object) -> tuple[str, ...]:
    """The artists in a text that names one or several, or in a list of texts or of objects with a `name`.

    Objects may have `roles`, `role` or `type`; those whose every role is a writer's are left out, unless all are.
    """
    performing: list[str] = []
    writing: list[str] = []
    for entry in _values(value):
        told = first(entry)
        name = text(told.get("name")) if told else text(entry)
        if name is not None:
            (performing if _performs(told) else writing).append(name)
    return artist_names(*(performing or writing))


def _performs(entry: Object) -> bool:
    told = entry.get("roles") or entry.get("role") or entry.get("type")
    named = [role for each in _values(told) if (role := text(first(each).get("name") or each))]
    return not named or any(is_performing(role) for role in named)


def get_any(found: Object, *names: str) -> object:
    """The first value that is not blank under one of the names, whatever their case, spaces and underscores."""
    plain = {_plain_name(name): value for name, value in found.items() if _is_filled(value)}
    return next((plain[name] for name in names if name in plain), None)


def _plain_name(name: str) -> str:
    return "".join(sign for sign in name.casefold() if sign.isalnum())
