"""The recognizer of the local catalog: no account, no network, the operator's own music."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from fingerprint.catalog.identify import Finding, Question, identify, prepare
from fingerprint.catalog.index import Catalog
from fingerprint.catalog.problems import CatalogError
from fingerprint.domain.audio import Recording
from fingerprint.domain.identification import CatalogRef, Song
from fingerprint.ports import Match


class CatalogRecognizer:
    """Names the songs in a recording that are in the catalog in `directory`. A `Recognizer[Question]`.

    The catalog may be empty or missing at first and change at any time: each question sees its newest state.
    """

    def __init__(self, directory: Path) -> None:
        self._catalog = Catalog(directory)

    @property
    def name(self) -> str:
        """The name used in settings, answers and logs."""
        return "catalog"

    async def unavailable_reason(self) -> str | None:
        """One sentence when the catalog holds no music or cannot be used; else None."""
        return await asyncio.to_thread(self._unavailable)

    def prepare(self, recording: Recording) -> Question:
        """The recording's landmarks."""
        return prepare(recording.pcm)

    async def recognize(self, query: Question) -> Sequence[Match]:
        """The songs found, surest first; a score is the probability that the song is right.

        Raises TwitchAudioError `recognizer-unavailable` when the catalog cannot be used.
        """
        return await asyncio.to_thread(self._recognize, query)

    def _unavailable(self) -> str | None:
        try:
            if len(self._catalog.snapshot()) == 0:
                return "The catalog holds no music yet."
        except CatalogError as error:
            return error.detail
        return None

    def _recognize(self, query: Question) -> list[Match]:
        return [_match(finding) for finding in identify(self._catalog.snapshot(), query)]


def _match(finding: Finding) -> Match:
    track = finding.track
    song = Song(
        title=track.title,
        **track.metadata,
        duration_seconds=round(track.duration_seconds, 3),
        offset_seconds=round(finding.offset_seconds, 3),
        position_seconds=round(finding.position_seconds, 3),
        catalog=CatalogRef(track_id=track.id, path=track.path),
    )
    return Match(song=song, score=round(finding.confidence, 4))
