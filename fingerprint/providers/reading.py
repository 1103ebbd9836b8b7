"""Reads providers' JSON, whose shapes vary: missing, empty or mistyped values are read as None or as empty.

A list of one object may be sent as the object alone, a number as text, and text as a number.
"""

import json
import math
from collections.abc import Mapping
from typing import Any, Final, cast

from fingerprint.domain.credits import artist_names, is_performing

TEXT_LIMIT: Final = 2_000
"""The most characters of one text; stores keep fewer."""

LIST_LIMIT: Final = 50
"""The most members of one list that are read."""

Object = Mapping[str, Any]
_EMPTY: Final[Object] = {}


def parse_object(body: bytes) -> Object | None:
    """Parses a JSON object; None for anything else."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return cast("Object", value) if isinstance(value, dict) else None


def objects(value: object) -> list[Object]:
    """The objects in a list, or the single object that is sent in place of a list."""
    values = cast("list[object]", value)[:LIST_LIMIT] if isinstance(value, list) else [value]
    return [cast("Object", each) for each in values if isinstance(each, dict)]


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
        return str(value)[:TEXT_LIMIT].strip() or None
    except ValueError:  # an integer of thousands of digits
        return None


def texts(values: object, name: str) -> tuple[str, ...]:
    """The distinct texts under one name in a list of objects."""
    return tuple(dict.fromkeys(found for each in objects(values) if (found := text(each.get(name)))))


def number(value: object) -> float | None:
    """A finite number, also when written as text; otherwise None."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        found = float(value[:50] if isinstance(value, str) else value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def integer(value: object) -> int | None:
    """A whole number, also when written as text; otherwise None."""
    found = number(value)
    return int(found) if found is not None and found == int(found) else None


def artists(value: object) -> tuple[str, ...]:
    """The artists in a text that names one or several, or in a list of texts or of objects with a `name`.

    Objects may have `roles`, `role` or `type`; those whose every role is a writer's are left out, unless all are.
    """
    entries = cast("list[object]", value)[:LIST_LIMIT] if isinstance(value, list) else [value]
    performing: list[str] = []
    writing: list[str] = []
    for entry in entries:
        told = first(entry)
        name = text(told.get("name")) if told else text(entry)
        if name is not None:
            (performing if _performs(told) else writing).append(name)
    return artist_names(*(performing or writing))


def _performs(entry: Object) -> bool:
    told = entry.get("roles") or entry.get("role") or entry.get("type")
    roles = cast("list[object]", told)[:LIST_LIMIT] if isinstance(told, list) else [told]
    named = [role for each in roles if (role := text(each))]
    return not named or any(is_performing(role) for role in named)


def get_any(found: Object, *names: str) -> object:
    """The first value that is not blank under one of the names, whatever their case, spaces and underscores."""
    plain = {_plain_name(name): value for name, value in found.items() if text(value) or objects(value)}
    return next((plain[name] for name in names if name in plain), None)


def _plain_name(name: str) -> str:
    return "".join(sign for sign in name.casefold() if sign.isalnum())
