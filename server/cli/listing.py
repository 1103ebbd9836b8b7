"""Lists on the command line: a table with headings for people, one JSON object a line for programs."""

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from fingerprint.domain.text import printable
from fingerprint.wire import time_to_json

Cell = str | int | float | datetime | Sequence[str] | None
"""What a list holds in one place: times are aware, None is what is not known or not set."""

_NOTHING: Final = "-"


def print_list(rows: Sequence[Mapping[str, Cell]], *, as_json: bool) -> None:
    """Print rows that have the same keys: as a table with the keys as headings, or as JSON with RFC 3339 times.

    A list without rows says so on standard error: what a program counts on standard output is right.
    """
    if as_json:
        for row in rows:
            print(json.dumps({name: _json_cell(cell) for name, cell in row.items()}))
        return
    if not rows:
        print("twitchaudio: the list is empty", file=sys.stderr)
        return
    table = [[name.upper().replace("_", " ") for name in rows[0]]]
    table += [[printable(_text_cell(cell)) for cell in row.values()] for row in rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for line in table:
        print("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())


def _json_cell(cell: Cell) -> object:
    return time_to_json(cell) if isinstance(cell, datetime) else cell


def _text_cell(cell: Cell) -> str:
    if isinstance(cell, datetime):
        return f"{cell.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    if isinstance(cell, Sequence) and not isinstance(cell, str):
        cell = ", ".join(cell)
    return _NOTHING if cell is None or cell == "" else str(cell)
