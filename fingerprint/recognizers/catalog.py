"""The recognizer on the local catalog, the operator's own music: needs no account and no network."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from cachetools import LRUCache

from fingerprint.catalog.audio_query import AudioQuery
from fingerprint.catalog.catalogs import Catalogs
from fingerprint.catalog.examination import Finding
from fingerprint.catalog.identify import identify, prepare
from fingerprint.catalog.query_print import identify_print
from fingerprint.catalog.recognition_pool import PendingFindings, RecognitionPool
from fingerprint.domain.artwork import Artwork, artwork_of
from fingerprint.domain.audio import Recording
from fingerprint.domain.identification import CatalogRef, Song
from fingerprint.ports import Match

MAX_KNOWN_COVERS: Final = 1_000
"""How many covers' sizes are kept in memory."""


class CatalogRecognizer:
    """Names the songs in a recording that are in the catalogs in some folders.

    A catalog may be empty or missing at first and change at any time: each question uses its newest
    state. `pool`: the open pool of worker processes that recognize; without one, this process recognizes, in
    threads, which is right where it does nothing else. `problems`: why shared catalogs cannot be reached now.
    """

    def __init__(
        self,
        *directories: Path,
        pool: RecognitionPool | None = None,
        problems: Callable[[], Sequence[str]] = tuple,
    ) -> None:
        self._catalogs = Catalogs(directories)
        self._pool = pool
        self._problems = problems
        self._artwork: LRUCache[str, tuple[Artwork, ...]] = LRUCache(MAX_KNOWN_COVERS)

    @property
    def name(self) -> str:
        return "catalog"

    async def unavailable_reason(self) -> str | None:
        """One sentence when the catalog is empty or cannot be used; otherwise None."""
        reason = await asyncio.to_thread(self._catalogs.unavailable_reason)
        return reason and next(iter(self._problems()), reason)

    def prepare(self, recording: Recording) -> AudioQuery | PendingFindings:
        """The recording's landmarks; with a pool, they stay in the worker process, which searches with them."""
        if self._pool is not None:
            return self._pool.prepare(recording.pcm, take=recording.take)
        query = prepare(recording.pcm)
        query.take = recording.take
        return query

    async def recognize(self, query: AudioQuery | PendingFindings) -> Sequence[Match]:
        """The songs found, best first; a score is the probability that the song is right.

        Raises TwitchAudioError `recognizer-unavailable` when the catalog cannot be used.
        """
        if isinstance(query, AudioQuery):
            findings = await asyncio.to_thread(self._findings, query)
        else:
            assert self._pool is not None, "the pool prepared it"
            findings = await self._pool.findings(query)
        return await self._matches(findings)

    async def _matches(self, findings: Sequence[Finding]) -> Sequence[Match]:
        names = {finding.track.cover for finding in findings if finding.track.cover is not None}
        if unknown := [name for name in names if name not in self._artwork]:
            self._artwork.update(await asyncio.to_thread(self._read_artwork, unknown))
        return [_match(finding, self._artwork.get(finding.track.cover or "", ())) for finding in findings]

    async def recognize_print(self, fingerprint: bytes) -> Sequence[Match]:
        if self._pool is None:
            findings = await asyncio.to_thread(self._print_findings, fingerprint)
        else:
            findings = await self._pool.print_findings(fingerprint)
        return await self._matches(findings)

    async def generations(self) -> Mapping[str, int]:
        return await asyncio.to_thread(self._catalogs.generations)

    def _print_findings(self, fingerprint: bytes) -> list[Finding]:
        return identify_print(self._catalogs.snapshot(), fingerprint)

    def _findings(self, query: AudioQuery) -> list[Finding]:
        return identify(self._catalogs.snapshot(), query, take=query.take)

    def _read_artwork(self, names: Sequence[str]) -> dict[str, tuple[Artwork, ...]]:
        """The artwork of the covers that are here; a copy of a catalog may have none of them yet."""
        covers = filter(None, (self._catalogs.cover_named(name) for name in names))
        return {cover.name: artwork_of(cover.digest, cover.width, cover.height) for cover in covers}


def _match(finding: Finding, artwork: tuple[Artwork, ...]) -> Match:
    track = finding.track
    song = Song(
        title=track.title,
        **track.metadata,
        duration_seconds=round(track.duration_seconds, 3),
        offset_seconds=round(finding.offset_seconds, 3),
        position_seconds=round(finding.position_seconds, 3),
        speed=round(finding.speed, 3),
        pitch=round(finding.pitch, 2),
        also=finding.also,
        artwork=artwork,
        landmarks=finding.landmarks or None,
        catalog=CatalogRef(track_id=track.id, path=track.path),
    )
    return Match(song=song, score=round(finding.confidence, 4))
