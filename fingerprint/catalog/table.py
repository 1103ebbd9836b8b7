"""Reads tables of tracks, `tracks.csv` and `tracks.json`, as people and spreadsheets write them.

A CSV may be in any encoding of `legacy_text`, its columns separated by commas, semicolons or tabs; Excel's
`sep=;` in the first line is understood. What is wrong in a line is said with the line's number; the others count.
"""

import csv
import difflib
import io
import json
import math
import os
import stat
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

from fingerprint.catalog.legacy_text import UnknownEncodingError, decode_text

MAX_BYTES: Final = 32 << 20
_SEPARATORS: Final = ",;\t"
_LIKE: Final = 0.75
"""How alike an unknown column is to a known one to be taken for a misspelling of it."""

Row = Mapping[str, object]
OnTrouble = Callable[[str], None]
"""Is called with one sentence about a part of a table that was not used."""


class SidecarError(Exception):
    """A sidecar cannot be read; the text is one sentence without the file's name."""


@dataclass(frozen=True, slots=True)
class TableRow:
    """A row: its cells by column, and its place for people, such as `line 3`."""

    cells: Row
    place: str


def read_object(path: Path, *, columns: Collection[str], on_trouble: OnTrouble) -> Row:
    """The object in a JSON file. `columns`: the keys that are read. Raises SidecarError."""
    body = _json(path)
    if not isinstance(body, _Object):
        raise SidecarError("it holds no JSON object")
    return _cells(body, columns, set(), lambda reason: on_trouble(f"it {reason}"))


def read_table(
    path: Path, *, columns: Collection[str], needed: str | None, on_trouble: OnTrouble
) -> list[TableRow]:
    """The rows of a table. `columns`: those that are read. Raises SidecarError, also without a column `needed`."""
    if path.suffix.lower() == ".json":
        return list(_json_rows(path, {*columns, needed or ""} - {""}, on_trouble))
    return list(_csv_rows(read_text(path), columns, needed, on_trouble))


def _json_rows(path: Path, columns: Collection[str], on_trouble: OnTrouble) -> Iterator[TableRow]:
    body = _json(path)
    if not isinstance(body, list) or isinstance(body, _Object):
        raise SidecarError("it holds no JSON list of objects")
    told: set[str] = set()
    for number, row in enumerate(cast("list[object]", body), 1):
        place = f"entry {number}"
        if isinstance(row, _Object):

            def say(reason: str, place: str = place) -> None:
                on_trouble(f"{place} {reason}")

            yield TableRow(_cells(row, columns, told, say), place)
        elif row is not None:
            on_trouble(f"{place} is not an object")


class _Object(list[tuple[str, object]]):
    """An object of JSON: its keys, some of which may be there twice, and their values."""


def _cells(body: _Object, columns: Collection[str], told: set[str], on_trouble: OnTrouble) -> Row:
    """What an object says of a song. Each doubtful key is said once, and then in `told`."""
    cells: dict[str, object] = {}
    for key, value in body:
        name = _column(key)
        if name in cells and name in columns and name not in told:
            told.add(name)
            on_trouble(f"names `{name}` more than once: the last one counts")
        if name in columns and _is_odd(value):
            on_trouble(f"has something else than a text as its `{name}`")
        cells[name] = value
    for name in cells:
        like = None if name in columns or name in told else _meant(name, columns, cells)
        if like:
            told.add(name)
            on_trouble(f"names `{name[:80]}`, which is not read: is it `{like}`?")
    return cells


def _is_odd(value: object) -> bool:
    """Whether a value is no text, number, or list of these, or nothing."""
    values = cast("list[object]", value) if type(value) is list else [value]
    return any(isinstance(each, bool | list) or not is_said(each) for each in values)


def is_said(value: object) -> bool:
    """Whether a value can be a text: not so what Python's JSON has beyond numbers, such as NaN."""
    return not isinstance(value, float) or math.isfinite(value)


def _column(name: str) -> str:
    """The name of a column or a key, whatever its case and spaces."""
    return " ".join(name.replace("\0", " ").lower().split())


def _meant(name: str, columns: Collection[str], there: Collection[str]) -> str | None:
    """The column that is most likely meant by a name which is none, of those that are not there."""
    found = difflib.get_close_matches(name[:80], [each for each in columns if each not in there], 1, _LIKE)
    return found[0] if found else None


def _csv_rows(
    text: str, columns: Collection[str], needed: str | None, on_trouble: OnTrouble
) -> Iterator[TableRow]:
    lines = io.StringIO(text, newline="").readlines()
    first = next((number for number, line in enumerate(lines) if line.strip(" \t\r\n\0")), len(lines))
    separator = _declared_separator(lines[first]) if first < len(lines) else None
    if separator is not None:
        first += 1
    heading = lines[first] if first < len(lines) else ""
    if separator is None:
        outside_quotes = "".join(heading.split('"')[::2])
        separator = max(_SEPARATORS, key=outside_quotes.count)
    reader = csv.reader(lines[first:], delimiter=separator)
    names: list[str] | None = None
    at = first
    try:
        for cells in reader:
            line, at = at + 1, first + reader.line_num
            if names is None:
                names = [_column(name) for name in cells]
                _check_names(names, columns, needed, line, on_trouble)
            elif any(cells):
                if any(cells[len(names) :]):
                    on_trouble(
                        f"line {line} has more cells than line {first + 1}, and was not used: a text with "
                        f"{_named(separator)} needs quotes around it"
                    )
                    continue
                # Of two columns with one name the first counts.
                yield TableRow(dict(reversed(list(zip(names, cells, strict=False)))), f"line {line}")
                if at > line and _is_open("".join(lines[line - 1 : at]), separator):
                    on_trouble(f'the quote (") that line {line} opens is never closed')
    except csv.Error as error:
        raise SidecarError(f"line {at + 1} is no CSV: {error}") from error
    if names is None and needed is not None:
        raise SidecarError("it is empty")


def _declared_separator(line: str) -> str | None:
    """The separator that a first line of Excel's declares, such as `sep=;`."""
    text = line.strip("\r\n \"'")
    return (
        text[4] if len(text) == 5 and text[:4].lower() == "sep=" and text[4] not in "\"'" else _tab_declared(line)
    )


def _tab_declared(line: str) -> str | None:
    return "\t" if line.strip("\r\n \"'").rstrip("\t").lower() == "sep=" and "\t" in line else None


def _check_names(
    names: Sequence[str], columns: Collection[str], needed: str | None, line: int, on_trouble: OnTrouble
) -> None:
    """Say what is wrong with a table's heading. Raises SidecarError without a needed column."""
    if needed is not None and needed not in names:
        said = ", ".join(name for name in names if name)[:200]
        raise SidecarError(f"its first line names no column `{needed}`" + (f", but these: {said}" if said else ""))
    for name, times in Counter(names).items():
        if times > 1 and name in {*columns, needed}:
            on_trouble(f"line {line} names the column `{name}` {times} times: the first one counts")
    unknown = [name for name in names if name and name not in {*columns, needed}]
    misspelled = False
    for name in unknown:
        like = _meant(name, columns, names)
        if like:
            misspelled = True
            on_trouble(f"line {line} names a column `{name[:80]}`, which is not read: is it `{like}`?")
    if needed is not None and not misspelled and not set(names) & set(columns):
        on_trouble(f"line {line} names no column that is read besides `{needed}`: there are {', '.join(columns)}")


def _is_open(record: str, separator: str) -> bool:
    try:
        list(csv.reader([record], delimiter=separator, strict=True))
    except csv.Error as error:
        return "unexpected end" in str(error)
    return False


def _named(separator: str) -> str:
    return {",": "a comma", ";": "a semicolon", "\t": "a tab"}.get(separator, repr(separator))


def _json(path: Path) -> object:
    text = read_text(path)
    try:
        return cast("object", json.loads(text, object_pairs_hook=_Object))
    except json.JSONDecodeError as error:
        raise SidecarError(f"it is not JSON: line {error.lineno}, {error.msg}") from error
    except (ValueError, RecursionError) as error:
        raise SidecarError("it is not JSON") from error


def read_text(path: Path) -> str:
    """A file's text in its encoding. Raises SidecarError."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a FIFO does not block then
        with open(descriptor, "rb") as file:  # noqa: PTH123 - of a descriptor
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise SidecarError("it is not a regular file")
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise SidecarError(f"it cannot be read: {error.strerror}") from error
    if len(content) > MAX_BYTES:
        raise SidecarError(f"it is longer than {MAX_BYTES >> 20} MiB")
    try:
        return decode_text(content)
    except UnknownEncodingError as error:
        raise SidecarError(f"line {error.line} is in an encoding that cannot be told: save it as UTF-8") from error
