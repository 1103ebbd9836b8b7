"""Cleans answers before they are stored: text that every store and page can hold, of bounded size.

Recognizers return text written by others, so stores clean it before writing.
"""

import dataclasses
import math
from typing import Any, Final, cast

from fingerprint.domain.artwork import Artwork
from fingerprint.domain.identification import CatalogRef, ExternalIds, Identification, Song
from fingerprint.domain.problems import Problem
from fingerprint.domain.text import clean_text

LIST_LIMIT: Final = 50
"""The most artists of a song, and the most songs of an answer."""

ARTWORK_LIMIT: Final = 10


def _optional(value: str | None) -> str | None:
    return None if value is None else clean_text(value) or None


def _texts(values: tuple[str, ...]) -> tuple[str, ...]:
    """Cleaned texts, without empty ones and duplicates."""
    cleaned = (clean_text(value) for value in values[: 4 * LIST_LIMIT])
    return tuple(dict.fromkeys(value for value in cleaned if value))[:LIST_LIMIT]


def _number(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _cleaned(value: object) -> object:
    """The value of a song's field, cleaned according to its type."""
    if isinstance(value, str):
        return clean_text(value) or None
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, tuple):
        listed = cast("tuple[str | Artwork, ...]", value)
        pictures = tuple(item for item in listed if isinstance(item, Artwork))[:ARTWORK_LIMIT]
        return pictures or _texts(cast("tuple[str, ...]", listed))
    if isinstance(value, ExternalIds):
        return ExternalIds(**_fields(value))
    if isinstance(value, CatalogRef):
        return CatalogRef(
            track_id=clean_text(value.track_id), path=None if value.path is None else clean_text(value.path, 4096)
        )
    return value


def _fields(value: Song | ExternalIds) -> dict[str, Any]:
    return {item.name: _cleaned(getattr(value, item.name)) for item in dataclasses.fields(value)}


def clean_song(song: Song) -> Song:
    """The song as it may be stored and shown."""
    cleaned = _fields(song)
    cleaned["title"] = cleaned["title"] or "(untitled)"
    cleaned["position_seconds"] = cleaned["position_seconds"] or 0.0
    return Song(**cleaned)


def _problem(problem: Problem) -> Problem:
    return dataclasses.replace(
        problem,
        detail=clean_text(problem.detail),
        retry_after_seconds=_number(problem.retry_after_seconds),
        step=_optional(problem.step),
    )


def clean(identification: Identification) -> Identification:
    """The identification as it may be stored and shown. Cleaning it again changes nothing."""
    return dataclasses.replace(
        identification,
        song=None if identification.song is None else clean_song(identification.song),
        songs=tuple(clean_song(song) for song in identification.songs[:LIST_LIMIT]),
        channel_id=_optional(identification.channel_id),
        channel=_optional(identification.channel),
        score=_number(identification.score),
        recognizer=_optional(identification.recognizer),
        captured_seconds=_number(identification.captured_seconds),
        captured_from_seconds=_number(identification.captured_from_seconds),
        problem=None if identification.problem is None else _problem(identification.problem),
    )
