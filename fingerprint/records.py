"""Turns rows of SQL tables into the dataclasses that stand for them, and back, and finds those of a channel."""

from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import ColumnElement, Row, Table, and_

from fingerprint.database import from_us, to_us
from fingerprint.domain.channel_traces import ChannelTraces
from fingerprint.domain.identification import Kind

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

R = TypeVar("R", bound="DataclassInstance")


def record_of(kind: type[R], row: Row[Any], /, **more: Any) -> R:
    """The record of a row: a field is in `more`, or is the column of its name; a moment `x_at` is `x_us`."""
    values = {name: more.pop(name) if name in more else _value(row, name) for name in _names(kind)}
    return kind(**values, **more)


def row_of(record: "DataclassInstance", /, **more: Any) -> dict[str, Any]:
    """The row of a record, as `record_of` reads it; columns in `more` are as they are given, or are others."""
    row: dict[str, Any] = {}
    for name in _names(type(record)):
        value = getattr(record, name)
        if name.endswith("_at"):
            row[_column(name)] = None if value is None else to_us(value)
        else:
            row[name] = value
    return {**row, **more}


def clips_and_videos_of(table: Table, traces: ChannelTraces) -> list[ColumnElement[bool]]:
    """The conditions for rows whose `kind` and `target` are those of a clip or a VOD of a channel."""
    return [
        and_(table.c.kind == str(kind), table.c.target.in_(list(names)))
        for kind, names in ((Kind.CLIP, traces.slugs), (Kind.VIDEO, traces.videos))
        if names
    ]


def _names(kind: "type[DataclassInstance]") -> list[str]:
    return [field.name for field in fields(kind)]


def _column(name: str) -> str:
    return f"{name.removesuffix('_at')}_us"


def _value(row: Row[Any], name: str) -> Any:
    if not name.endswith("_at"):
        return getattr(row, name)
    moment: int | None = getattr(row, _column(name))
    return None if moment is None else from_us(moment)
