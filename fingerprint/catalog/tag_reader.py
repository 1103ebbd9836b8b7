"""Reads a file's tags, from every place that may have some: for worker processes.

tinytag knows the usual formats best, with several values of a name; FFmpeg knows all the others; and APEv2 tags
may be at the end of any file. What one of them does not have, the next one fills. Texts in wrong encodings are
repaired.
"""

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import BinaryIO, cast

from tinytag import TinyTag, TinyTagException

from fingerprint.catalog.ape_tag import read_ape_tag
from fingerprint.catalog.mojibake import repaired
from fingerprint.catalog.tags import NAMES, RawTags, first_values, tags_of
from fingerprint.catalog.tracks import Tags


def read_tags(file: BinaryIO, name: PurePath, container_tags: Mapping[str, str] | None = None) -> Tags:
    """The tags of an audio file called `name`; empty ones where there are none or they cannot be read.

    `container_tags`: what FFmpeg found.
    """
    sources = [_tinytag(file, name), _ape(file), {key: [value] for key, value in (container_tags or {}).items()}]
    plain = [{key.lower(): list(values) for key, values in source.items()} for source in sources]
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
