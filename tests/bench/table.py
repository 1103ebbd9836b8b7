"""What benchmarks share: medians, a table for people and JSON for machines."""

import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path


def median(values: Sequence[float]) -> float:
    """The middle value; noise of a shared machine moves it least."""
    return statistics.median(values)


def percentile95(values: Sequence[float]) -> float:
    """The value that one in twenty is above."""
    return sorted(values)[max(0, round(0.95 * len(values)) - 1)]


def print_table(title: str, rows: Sequence[Mapping[str, object]]) -> None:
    """Rows of equal keys as an aligned table."""
    columns = list(rows[0])
    cells = [[_cell(row[column]) for column in columns] for row in rows]
    widths = [max(len(column), *(len(line[index]) for line in cells)) for index, column in enumerate(columns)]
    print(f"\n{title}")
    for line in (columns, ["-" * width for width in widths], *cells):
        print("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)))


def _cell(value: object) -> str:
    return f"{value:.1f}" if isinstance(value, float) else str(value)


def write_json(path: Path | None, figures: Mapping[str, object]) -> None:
    """The figures as a file, when one was asked for."""
    if path is not None:
        path.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
