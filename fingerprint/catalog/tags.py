"""What a file's tags say of a song, from their names and values as they are in the file."""

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any, Final

from fingerprint.catalog.song_tags import Tags
from fingerprint.domain.credits import MAX_NAMES, credits_of
from fingerprint.domain.identification import ExternalIds
from fingerprint.domain.links import ids_of_tag
from fingerprint.domain.text import TEXT_LIMIT, clean_text

SAID_LIMIT: Final = 1000
"""The limit of a text that a sidecar or another catalog says, in characters."""

_ID: Final = re.compile(r"[A-Za-z0-9_.:-]{1,100}")
_ISRC: Final = re.compile(r"[A-Z]{2}[A-Z0-9]{3}[0-9]{7}")
_DATE: Final = re.compile(r"([0-9]{4})(?:(-?)([0-9]{2})\2([0-9]{2})|-([0-9]{2}))?(?![0-9])")
_FIRST_YEAR: Final = 1000

RawTags = Mapping[str, Sequence[str]]
"""A file's tags: values by names in lower case, in any format's own words."""

NAMES: Final = {
    "title": ("title", "name"),
    "artist": ("artist", "author", "performer", "iart"),
    "album": ("album", "product", "wm/albumtitle"),
    "label": ("publisher", "label", "organization", "wm/publisher"),
    "isrc": ("isrc", "tsrc", "wm/isrc"),
    "date": ("date", "year", "date_released", "wm/year", "originaldate"),
}
"""The names of what an answer tells, the usual one first."""


def first_values(raw: RawTags, what: str) -> Sequence[str]:
    """The values of the first name of something in `NAMES` that has any."""
    for name in NAMES[what]:
        values = [value for value in raw.get(name, ()) if value.strip(" \t\r\n\0")]
        if values:
            return values
    return ()


def tags_of(raw: RawTags) -> Tags:
    """The description that a file's tags give; several artists are told apart by the one rule for names."""
    said = {what: first_values(raw, what) for what in NAMES}
    # A NUL stands between the names of several artists.
    names = [_clean(name) for value in said["artist"] for name in value.split("\0")]
    credit = credits_of(_first(said["title"]) or "", [name for name in names if name])
    return Tags(
        title=credit.title or None,
        artists=credit.artists,
        album=_first(said["album"]),
        label=_first(said["label"]),
        isrc=isrc_of(_first(said["isrc"]) or ""),
        release_date=date_of(_first(said["date"]) or ""),
        ids=_ids(raw),
    )


def plain_tags(said: Tags) -> Tags:
    """What another catalog says, in the form and the length that tags of files have here."""
    ids = {name: _plain_id(value) for name, value in dataclasses.asdict(said.ids).items()}
    artists = (_clean(name, SAID_LIMIT) for name in said.artists[:MAX_NAMES])
    return Tags(
        title=_clean(said.title or "", SAID_LIMIT) or None,
        artists=tuple(dict.fromkeys(name for name in artists if name)),
        album=_clean(said.album or "", SAID_LIMIT) or None,
        label=_clean(said.label or "", SAID_LIMIT) or None,
        isrc=isrc_of(said.isrc or ""),
        release_date=date_of(said.release_date or ""),
        ids=ExternalIds(**ids),
    )


def _plain_id(value: str | Sequence[str] | None) -> Any:
    """An id, or several, without those that none can be."""
    if isinstance(value, str):
        return value if _ID.fullmatch(value) else None
    return value if value is None else tuple(each for each in value[:MAX_NAMES] if _ID.fullmatch(each))


def isrc_of(text: str) -> str | None:
    """An ISRC in its plain form, without hyphens; None for any other text."""
    isrc = text.strip().replace("-", "").upper()
    return isrc if _ISRC.fullmatch(isrc) else None


def date_of(text: str) -> str | None:
    """`YYYY`, `YYYY-MM` or `YYYY-MM-DD` at the start of a text such as `2021-05-14T00:00:00Z`; else None.

    Of a date that no calendar has, such as `1999-13-45`, as much is taken as there is.
    """
    found = _DATE.match(text.strip())
    if found is None or int(found[1]) < _FIRST_YEAR:
        return None
    year, month, day = found[1], found[3] or found[5], found[4]
    # By hand: `strptime` imports modules when it is first called, which a sandboxed worker cannot.
    for parts in ((year, month, day), (year, month)):
        try:
            date(*map(int, (*parts, "1")[:3]))
        except (ValueError, TypeError):
            continue
        return "-".join(parts)
    return year


PLAIN_FORMS: Final[dict[str, Callable[[str], str | None]]] = {"isrc": isrc_of, "release_date": date_of}
"""The functions that normalize a field's text; they return None for malformed text."""

PLAIN_FORMS_TAKE: Final = {
    "isrc": "12 letters and digits",
    "release_date": "a date such as 2021-05-14, or a year",
}
"""What a field of `PLAIN_FORMS` has to be, in words."""


def _ids(raw: RawTags) -> ExternalIds:
    """The ids in any tag with a link to a song, and in tags that are meant for ids."""
    ids = ExternalIds()
    for name, values in raw.items():
        for value in values:
            ids = ids.filled(ids_of_tag(name, value) or ExternalIds())
    return ids


def _first(values: Sequence[str]) -> str | None:
    return (_clean(values[0]) or None) if values else None


def _clean(text: str, limit: int = TEXT_LIMIT) -> str:
    """The text on one line."""
    text = clean_text(" ".join(text[: 20 * limit].replace("\0", " ").split()), limit)
    return " ".join(text.split())  # what was dropped may have been between two blanks
