"""Answers of gql that have all that was asked for, in forms that Twitch was not seen to use so far."""

from typing import Any, cast

from simulator.faults import FaultKind

Json = dict[str, Any]

_WARNINGS = [{"message": "service timeout", "path": ["clip", "assets"]}]
_SEALED = frozenset({"value", "signature"})
"""Fields that are signed text: as another type they would be another text."""


def odd(answer: Json, kind: FaultKind) -> Json:
    """The whole answer as the fault makes it."""
    data: Any = answer.get("data")
    extensions = answer["extensions"]
    match kind:
        case FaultKind.DATA_WITH_WARNINGS:
            return {**answer, "extensions": {**extensions, "warnings": _WARNINGS}}
        case FaultKind.DATA_WITH_UNKNOWN_QUERY:
            return {"errors": [{"message": "PersistedQueryNotFound"}], **answer}
        case FaultKind.OTHER_TYPES:
            return {**answer, "data": _of_other_types(data)}
        case FaultKind.NULLS_IN_LISTS:
            return {**answer, "data": _with_nulls(data)}
        case _:
            path = [*list(cast("Json", data or {}))[:1], "authorization"]
            return {"errors": [{"message": "service error", "path": path}], **answer}


def _of_other_types(value: Any) -> Any:
    """Numbers as text, and text of digits as numbers."""
    if isinstance(value, dict):
        fields = cast("Json", value)
        return {name: each if name in _SEALED else _of_other_types(each) for name, each in fields.items()}
    if isinstance(value, list):
        return [_of_other_types(each) for each in cast("list[Any]", value)]
    if isinstance(value, str):
        return int(value) if value.isascii() and value.isdigit() else value
    return str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value


def _with_nulls(value: Any) -> Any:
    """Each list begins with one null more."""
    if isinstance(value, dict):
        return {name: _with_nulls(each) for name, each in cast("Json", value).items()}
    if isinstance(value, list):
        return [None, *(_with_nulls(each) for each in cast("list[Any]", value))]
    return value
