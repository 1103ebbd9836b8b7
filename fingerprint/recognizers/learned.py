"""The recognizer on what was learned from providers' answers: their songs, without asking them again.

See `catalog.learning` for what is trusted, and `server.learning` for how it is kept.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final, Generic, Protocol

from fingerprint.domain.audio import Recording
from fingerprint.domain.identification import Song
from fingerprint.ports import LearnedMatch, Match, PrintRecognizer, Q, Recognizer

NAME: Final = "learned"
EMPTY: Final = "Nothing has been learned from a provider yet."
PATH: Final = "learned:"
"""What the path of a learned track begins with; the song's key follows."""

LEAST_SCORE: Final = 0.95
"""What is less sure is asked of a provider."""


class Searching(Recognizer[Q], PrintRecognizer, Protocol[Q]):
    """A recognizer that searches a catalog, also by fingerprints."""


class LearnedRecognizer(Generic[Q]):
    """Names the songs in a recording by the learned catalog, which `catalog` searches and which may be empty."""

    def __init__(self, catalog: Searching[Q]) -> None:
        self._catalog = catalog

    @property
    def name(self) -> str:
        return NAME

    async def unavailable_reason(self) -> str | None:
        """One sentence while nothing is learned, or when the folder cannot be used; otherwise None."""
        return EMPTY if await self._catalog.unavailable_reason() is not None else None

    def prepare(self, recording: Recording) -> Q:
        """What the catalog is searched for."""
        return self._catalog.prepare(recording)

    async def recognize(self, query: Q) -> Sequence[Match]:
        """The songs found, best first, as the provider told them. Raises as the catalog does."""
        found = await self._catalog.recognize(query)
        return [replace(match, song=_as_told(match.song)) for match in found if match.score >= LEAST_SCORE]

    async def find_print(self, fingerprint: bytes) -> Sequence[LearnedMatch]:
        return [
            LearnedMatch(
                key=(match.song.catalog.path or "").removeprefix(PATH),
                song=_as_told(match.song),
                offset_seconds=(match.song.offset_seconds or 0.0) - match.song.position_seconds,
            )
            for match in await self._catalog.recognize_print(fingerprint)
            if match.song.catalog is not None
        ]


def _as_told(song: Song) -> Song:
    """The song without what the catalog adds: there is no file, and only a provider knows its length."""
    return replace(song, catalog=None, also=(), artwork=(), duration_seconds=song.duration_seconds or None)
