"""What a store accepts of an answer: text that every store and page can hold, of bounded size.

Recognizers answer with other people's texts, so stores clean what they write.
"""

import dataclasses
import math
from typing import Final

from fingerprint.domain.identification import CatalogRef, ExternalIds, Identification, Song
from fingerprint.domain.problems import Problem
from fingerprint.domain.text import clean_text

LIST_LIMIT: Final = 50
"""Artists of a song, and songs of an answer."""


def _optional(value: str | None) -> str | None:
    return None if value is None else clean_text(value) or None


def _texts(values: tuple[str, ...]) -> tuple[str, ...]:
    """Cleaned, without empty ones and repetitions."""
    cleaned = (clean_text(value) for value in values[: 4 * LIST_LIMIT])
    return tuple(dict.fromkeys(value for value in cleaned if value))[:LIST_LIMIT]


def _number(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _song(song: Song) -> Song:
    return dataclasses.replace(
        song,
        title=clean_text(song.title) or "(untitled)",
        artists=_texts(song.artists),
        album=_optional(song.album),
        label=_optional(song.label),
        isrc=_optional(song.isrc),
        release_date=_optional(song.release_date),
        duration_seconds=_number(song.duration_seconds),
        offset_seconds=_number(song.offset_seconds),
        position_seconds=_number(song.position_seconds) or 0.0,
        ids=ExternalIds(
            spotify_track=_optional(song.ids.spotify_track),
            spotify_album=_optional(song.ids.spotify_album),
            spotify_artists=_texts(song.ids.spotify_artists),
            youtube=_optional(song.ids.youtube),
            deezer_track=_optional(song.ids.deezer_track),
            deezer_album=_optional(song.ids.deezer_album),
            deezer_artists=_texts(song.ids.deezer_artists),
            apple_music=_optional(song.ids.apple_music),
        ),
        catalog=None
        if song.catalog is None
        else CatalogRef(track_id=clean_text(song.catalog.track_id), path=clean_text(song.catalog.path, 4096)),
    )


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
        song=None if identification.song is None else _song(identification.song),
        songs=tuple(_song(song) for song in identification.songs[:LIST_LIMIT]),
        score=_number(identification.score),
        recognizer=_optional(identification.recognizer),
        captured_seconds=_number(identification.captured_seconds),
        captured_from_seconds=_number(identification.captured_from_seconds),
        problem=None if identification.problem is None else _problem(identification.problem),
    )
