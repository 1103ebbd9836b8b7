"""Reads a file's tags, and the song's ids at other services that tags contain."""

import re
from collections.abc import Callable
from pathlib import PurePath
from typing import BinaryIO, Final, cast

from tinytag import TinyTag, TinyTagException

from fingerprint.catalog.tracks import Tags
from fingerprint.domain.credits import credits_of
from fingerprint.domain.identification import ExternalIds
from fingerprint.domain.links import ids_of_tag

_ISRC: Final = re.compile(r"[A-Z]{2}[A-Z0-9]{3}[0-9]{7}")
_DATE: Final = re.compile(r"[0-9]{4}(?:-[0-9]{2}(?:-[0-9]{2})?)?")


def read_tags(file: BinaryIO, name: PurePath) -> Tags:
    """The tags of an audio file called `name`; empty ones where there are none or they cannot be read."""
    try:
        tag = TinyTag.get(name, file_obj=file, duration=False)
    except (TinyTagException, OSError, ValueError, KeyError, IndexError, ArithmeticError):
        return Tags()
    other = cast("dict[str, list[str]]", tag.other)
    credit = credits_of(_clean(tag.title) or "", [tag.artist or "", *other.get("artist", [])])
    return Tags(
        title=credit.title or None,
        artists=credit.artists,
        album=_clean(tag.album),
        label=_clean(_first(other, "publisher") or _first(other, "label") or _first(other, "organization")),
        isrc=isrc_of(_first(other, "isrc") or ""),
        release_date=date_of(tag.year or ""),
        ids=_ids(other, tag.comment),
    )


def isrc_of(text: str) -> str | None:
    """An ISRC in its plain form, without hyphens; None for any other text."""
    isrc = text.strip().replace("-", "").upper()
    return isrc if _ISRC.fullmatch(isrc) else None


def date_of(text: str) -> str | None:
    """`YYYY`, `YYYY-MM` or `YYYY-MM-DD` at the start of a text such as `2021-05-14T00:00:00Z`; else None."""
    found = _DATE.match(text.strip())
    return found[0] if found else None


PLAIN_FORMS: Final[dict[str, Callable[[str], str | None]]] = {"isrc": isrc_of, "release_date": date_of}
"""The functions that normalize a field's text; they return None for malformed text."""


def _ids(other: dict[str, list[str]], comment: str | None) -> ExternalIds:
    """The ids in any tag with a link to a song, and in tags that are meant for ids."""
    ids = ExternalIds()
    for name, values in [*other.items(), ("comment", [comment or ""])]:
        for value in values:
            ids = ids.filled(ids_of_tag(name, str(value)) or ExternalIds())
    return ids


def _first(other: dict[str, list[str]], name: str) -> str | None:
    values = other.get(name)
    return values[0] if values else None


def _clean(text: str | None) -> str | None:
    """The text without surrounding blanks and NULs; None when nothing is left."""
    return (text or "").replace("\0", " ").strip() or None
