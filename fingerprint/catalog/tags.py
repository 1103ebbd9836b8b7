"""What a file says about itself: its tags, and ids of the song at other services where tags hold them."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, cast

from tinytag import TinyTag, TinyTagException

from fingerprint.domain.identification import ExternalIds
from fingerprint.domain.links import ids_of_link

_BETWEEN_ARTISTS: Final = re.compile(r"\s*(?:;|\0|\s/\s|\s\(?(?:feat|ft|featuring)\.?\s)\s*", re.IGNORECASE)
_ISRC: Final = re.compile(r"[A-Z]{2}[A-Z0-9]{3}[0-9]{7}")
_DATE: Final = re.compile(r"[0-9]{4}(?:-[0-9]{2}(?:-[0-9]{2})?)?")

ID_FORMS: Final = {
    "spotify_track": re.compile(r"[A-Za-z0-9]{22}"),
    "youtube": re.compile(r"[A-Za-z0-9_-]{11}"),
    "deezer_track": re.compile(r"[0-9]{1,20}"),
    "apple_music": re.compile(r"[0-9]{1,20}"),
}
"""What a bare id of a song looks like, by the field of ExternalIds."""

_ID_TAGS: Final = {
    "spotify": "spotify_track",
    "spotify_id": "spotify_track",
    "spotify_track": "spotify_track",
    "spotify_track_id": "spotify_track",
    "youtube": "youtube",
    "youtube_id": "youtube",
    "deezer": "deezer_track",
    "deezer_id": "deezer_track",
    "deezer_track": "deezer_track",
    "deezer_track_id": "deezer_track",
    "apple_music": "apple_music",
    "apple_music_id": "apple_music",
    "itunes_id": "apple_music",
    "itunescatalogid": "apple_music",
}
"""Tags that hold a bare id, or a link, by their names in lower case with `_` between words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tags:
    """A file's tags; None or empty where it has none."""

    title: str | None = None
    artists: tuple[str, ...] = ()
    album: str | None = None
    label: str | None = None
    isrc: str | None = None
    release_date: str | None = None
    ids: ExternalIds = field(default_factory=ExternalIds)


def split_artists(text: str) -> tuple[str, ...]:
    """The artists that one tag names: separated by `;`, NUL, ` / `, `feat.`, `ft.` or `featuring`.

    Commas and ampersands separate nothing: too many names contain them. Doubles are dropped.
    """
    names = (part.strip() for part in _BETWEEN_ARTISTS.split(text))
    # "A (feat. B)": the bracket was opened before the separator.
    cleaned = (name[:-1].rstrip() if name.endswith(")") and "(" not in name else name for name in names)
    return tuple(dict.fromkeys(name for name in cleaned if name))


def read_tags(path: Path) -> Tags:
    """The tags of an audio file; empty ones where there are none or they cannot be read."""
    try:
        tag = TinyTag.get(path, duration=False)
    except (TinyTagException, OSError, ValueError, KeyError, IndexError, ArithmeticError):
        return Tags()
    other = cast("dict[str, list[str]]", tag.other)
    artist = [tag.artist or "", *other.get("artist", [])]
    return Tags(
        title=_clean(tag.title),
        artists=tuple(dict.fromkeys(name for text in artist for name in split_artists(text))),
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


def id_of(name: str, text: str) -> ExternalIds | None:
    """The id of a song in the value of a tag or column: a link to the service, or the bare id."""
    service = _ID_TAGS.get(re.sub(r"[\s:-]+", "_", name.strip().lower()))
    linked = ids_of_link(text)
    if service is None or linked is not None:
        return linked
    bare = text.strip()
    return ExternalIds(**{service: bare}) if ID_FORMS[service].fullmatch(bare) else None  # pyright: ignore[reportArgumentType] - text fields only


def _ids(other: dict[str, list[str]], comment: str | None) -> ExternalIds:
    """Ids out of any tag that holds a link to a song, and out of those made for ids."""
    ids = ExternalIds()
    for name, values in [*other.items(), ("comment", [comment or ""])]:
        for value in values:
            ids = ids.filled(id_of(name, str(value)) or ExternalIds())
    return ids


def title_from_name(path: Path) -> str:
    """A title for a file without one: its name without the ending and a leading track number."""
    name = path.stem.replace("_", " ").strip()
    return re.sub(r"^\d{1,3}(?:\s*[-.]\s*|\s+)(?=\S)", "", name) or path.name


def _first(other: dict[str, list[str]], name: str) -> str | None:
    values = other.get(name)
    return values[0] if values else None


def _clean(text: str | None) -> str | None:
    """The text without surrounding blanks and NULs; None when nothing is left."""
    return (text or "").replace("\0", " ").strip() or None
