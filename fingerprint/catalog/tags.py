"""What a file says about itself."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

from tinytag import TinyTag, TinyTagException

_BETWEEN_ARTISTS: Final = re.compile(r"\s*(?:;|\0|\s/\s|\s\(?(?:feat|ft|featuring)\.?\s)\s*", re.IGNORECASE)
_ISRC: Final = re.compile(r"[A-Z]{2}[A-Z0-9]{3}[0-9]{7}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tags:
    """A file's tags; None or empty where it has none."""

    title: str | None = None
    artists: tuple[str, ...] = ()
    album: str | None = None
    label: str | None = None
    isrc: str | None = None


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
    isrc = (_first(other, "isrc") or "").replace("-", "").upper()
    return Tags(
        title=_clean(tag.title),
        artists=tuple(dict.fromkeys(name for text in artist for name in split_artists(text))),
        album=_clean(tag.album),
        label=_clean(_first(other, "publisher") or _first(other, "label") or _first(other, "organization")),
        isrc=isrc if _ISRC.fullmatch(isrc) else None,
    )


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
