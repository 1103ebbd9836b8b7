"""Reads a file's tags, from every place that may have some: for worker processes.

tinytag knows the usual formats best, with several values of a name; FFmpeg knows all the others; and APEv2 tags
may be at the end of any file. What one of them does not have, the next one fills. Texts in wrong encodings are
repaired.
"""

import os
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import PurePath
from typing import BinaryIO, Final, cast

from tinytag import TinyTag, TinyTagException

from fingerprint.catalog.ape_tag import read_ape_tag
from fingerprint.catalog.mojibake import repaired
from fingerprint.catalog.song_tags import Tags
from fingerprint.catalog.tags import NAMES, RawTags, first_values, tags_of

MAX_NAMES: Final = 1_000
MAX_VALUES: Final = 100
MAX_LETTERS: Final = 10_000
"""How many tags of a file are read, how many values of each, and how much of one: what is shown is far shorter."""

_KNOWN: Final = frozenset(name for names in NAMES.values() for name in names)

_SAYS_NOTHING: Final = " \t\r\n\0\x0b\x0c\xa0\u200b\u200c\u200d\u2060\u3000\ufeff\ufffd"
"""Blanks, letters without a width, and what stands for bytes that cannot be read."""

_ID3_V1_BYTES: Final = 128


def read_tags(file: BinaryIO, name: PurePath, container_tags: Mapping[str, str] | None = None) -> Tags:
    """The tags of an audio file called `name`; empty ones where there are none or they cannot be read.

    `container_tags`: what FFmpeg found. Of very long texts and lists, as much is read as an answer may tell.
    """
    sources = [_tinytag(file, name), _ape(file)]
    if _has_id3_v1_alone(file):
        # It has room for 30 letters of each: what is known best comes first.
        sources.reverse()
    sources.append({key: [value] for key, value in (container_tags or {}).items()})
    plain = [_bounded(source) for source in sources]
    raw: dict[str, list[str]] = {}
    for source in reversed(plain):
        raw.update(source)
    for what, names in NAMES.items():
        best: Sequence[str] = ()
        for source in plain:
            best = _better(best, first_values(source, what))
        for each in names:
            raw.pop(each, None)
        raw[names[0]] = list(best)
    return tags_of(_repaired(raw))


def _bounded(raw: RawTags) -> dict[str, list[str]]:
    """The tags with names in lower case, without values that say nothing, as much as is worth reading."""
    found: dict[str, list[str]] = {}
    for name in sorted(raw, key=lambda name: name.lower() not in _KNOWN)[:MAX_NAMES]:
        said = (value[:MAX_LETTERS] for value in islice(raw[name], MAX_VALUES))
        found[name.lower()[:MAX_LETTERS]] = [value for value in said if value.strip(_SAYS_NOTHING)]
    return found


def _has_id3_v1_alone(file: BinaryIO) -> bool:
    """Whether an ID3v1 tag is the only one of ID3."""
    file.seek(0)
    if file.read(3) == b"ID3" or file.seek(0, os.SEEK_END) < _ID3_V1_BYTES:
        return False
    file.seek(-_ID3_V1_BYTES, os.SEEK_END)
    return file.read(3) == b"TAG"


def _better(known: Sequence[str], other: Sequence[str]) -> Sequence[str]:
    """What is known of something, unless it is lacking, unreadable, or only the start of what another place has.

    ID3v1 tags have room for 30 letters.
    """
    if not other:
        return known
    if not known or ("\ufffd" in known[0] and "\ufffd" not in other[0]):
        return other
    return other if len(known) == 1 and len(other[0]) > len(known[0]) and other[0].startswith(known[0]) else known


def _tinytag(file: BinaryIO, name: PurePath) -> RawTags:
    file.seek(0)
    try:
        tag = TinyTag.get(name, file_obj=file, duration=False)
    except (TinyTagException, OSError, ValueError, LookupError, ArithmeticError):
        return {}
    other = cast("dict[str, list[str]]", tag.other)
    found = {key: [str(value) for value in values] for key, values in other.items()}
    for key, value in (
        ("title", tag.title),
        ("artist", tag.artist),
        ("album", tag.album),
        ("date", tag.year),
        ("comment", tag.comment),
    ):
        if value:
            found[key] = [str(value), *found.get(key, [])]
    return found


def _ape(file: BinaryIO) -> RawTags:
    try:
        return read_ape_tag(file)
    except (OSError, ValueError):
        return {}


def _repaired(raw: RawTags) -> RawTags:
    """The same tags with the texts that people read put right, all of them together."""
    shown = [(name, value) for names in NAMES.values() for name in names for value in raw.get(name, ())]
    texts = repaired([value for _, value in shown])
    fixed: dict[str, list[str]] = {}
    for (name, _), text in zip(shown, texts, strict=True):
        fixed.setdefault(name, []).append(text)
    return {**{name: [_plain(value) for value in values] for name, values in raw.items()}, **fixed}


def _plain(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
