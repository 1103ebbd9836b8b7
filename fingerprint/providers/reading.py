"""Reads providers' JSON, whose shapes vary: missing, empty or mistyped values are read as None or as empty.

A list of one object may be sent as the object alone, a number as text, and text as a number.
"""

import json
import math
from collections.abc import Mapping
from typing import Any, Final, cast

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
