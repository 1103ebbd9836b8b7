"""Which files of a folder are IndexSegments, by their names and the start of their headers."""

import re
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from fingerprint.catalog.segment_layout import HEADER, MAGIC

_NAME: Final = re.compile(r"([0-9]{8})(?:-[0-9a-f]{8})?\.(seg|tmp)")


def new_id() -> str:
    """A random identity of a catalog or of one of its files: 32 hex digits."""
    return secrets.token_hex(16)


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentName:
    """An index file in a folder, finished or not, as far as its name and the start of its header tell.

    `number`: the one in its name. `catalog`: the identity of its catalog, empty for a file of version 2.
    """

    path: Path
    number: int
    catalog: str
    finished: bool


def segment_file(number: int, suffix: str = "") -> str:
    """The name of an index file. `suffix`: 8 hex digits where others may choose the same number."""
    return f"{number:08d}-{suffix}.seg" if suffix else f"{number:08d}.seg"


def is_segment_name(name: str) -> bool:
    """Whether a file is named like an index file that is finished."""
    named = _NAME.fullmatch(name)
    return named is not None and named[2] == "seg"


def read_name(path: Path) -> SegmentName | None:
    """What kind of index file this is; None for any other file, whatever it is called."""
    named = _NAME.fullmatch(path.name)
    if named is None:
        return None
    try:
        if path.is_symlink() or not path.is_file():
            return None
        with path.open("rb") as file:
            raw = file.read(HEADER.itemsize)
    except OSError:
        return None
    if len(raw) < HEADER.itemsize or not raw.startswith(MAGIC):
        return None
    header: np.void = np.frombuffer(raw, HEADER, 1)[0]
    return SegmentName(
        path=path,
        number=int(named[1]),
        catalog=header["catalog"].decode("ascii", "replace"),
        finished=named[2] == "seg",
    )
