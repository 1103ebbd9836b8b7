"""Looks up a song's ids in the enabled services, within their rate limits and with circuit breakers."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from yarl import URL

from fingerprint.domain.identification import ExternalIds, Song
from fingerprint.domain.links import SERVICES
from fingerprint.links import services
from fingerprint.media.fetch import Fetched
from fingerprint.ports import Clock
from fingerprint.providers.calls import ProviderCalls
from fingerprint.providers.errors import ProviderError, provider_breaker, record_provider_failure

T = TypeVar("T")

MAX_WAIT_SECONDS: Final = 20.0
"""A look-up that would have to wait longer for its service's rate is skipped."""

CALL_SECONDS: Final = 5.0

PACE: Final = {services.DEEZER: 0.2, services.MUSICBRAINZ: 1.1, services.ODESLI: 6.5, services.APPLE: 3.2}
"""Seconds between two requests; each service allows slightly more from one address."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkServices:
    """The base addresses of the look-up services; None for each that is not enabled."""

    deezer: URL | None = None
    musicbrainz: URL | None = None
    odesli: URL | None = None
    apple: URL | None = None

    @property
    def origins(self) -> list[URL]:
        """The addresses of the enabled services."""
        return [url for url in (self.deezer, self.musicbrainz, self.odesli, self.apple) if url is not None]


@dataclass(frozen=True, slots=True)
class ServiceTrack:
    """A track at a service that knows its cover and its preview: `deezer` or `apple`, and the id there."""

    service: str
    id: str


def media_tracks(ids: ExternalIds) -> list[ServiceTrack]:
    """The tracks of a song at the services that know covers and previews, the best first."""
    found: list[ServiceTrack] = []
    for service in SERVICES:
        number: str | None = getattr(ids, service.id_field)
        if service.media and number and service.song_id.fullmatch(number):
            found.append(ServiceTrack(service.media, number))
    return found


class _Pacer:
    """Spaces out the requests to one service, and skips them while its circuit is open."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._seconds = seconds
        self._next = 0.0
        self.breaker = provider_breaker(clock)

    async def wait(self, max_seconds: float) -> bool:
        """Wait until a request may be sent; False when that would take too long or the circuit is open."""
        now = self._clock.monotonic()
        at = max(now, self._next)
        if at - now > max_seconds or self.breaker.open_seconds is not None:
            return False
        self._next = at + self._seconds
        if at > now:
            await self._clock.sleep(at - now)
        return True


class LinkFinder:
    """Finds a song's ids at other services; ids that cannot be found stay unknown."""

    def __init__(self, calls: ProviderCalls, where: LinkServices) -> None:
        self._calls = calls
        self._where = where
        self._pacers = {name: _Pacer(calls.clock, seconds) for name, seconds in PACE.items()}

    async def find(self, song: Song) -> tuple[ExternalIds, bool]:
        """All known ids of the song, and whether every service that should be asked answered."""
        ids, complete = song.ids, True
        isrc = services.plain_isrc(song)

        async def ask(name: str, url: URL | None, read: Callable[[Fetched], ExternalIds | None]) -> None:
            nonlocal ids, complete
            if url is None or not wanting(ids):
                return
            try:
                ids = ids.filled(await self._ask(name, url, read) or ExternalIds())
            except ProviderError as error:
                complete = False
                _log.info("link_not_found", extra={"service": name, "detail": error.detail})

        deezer, musicbrainz, odesli = self._where.deezer, self._where.musicbrainz, self._where.odesli
        if deezer is not None and not ids.deezer_track:
            if isrc is not None:
                await ask(services.DEEZER, services.deezer_by_isrc(deezer, isrc), services.deezer_track)
            if not ids.deezer_track and song.artists:
                url = services.deezer_search(deezer, song)
                await ask(services.DEEZER, url, lambda answer: services.deezer_found(answer, song))
        if musicbrainz is not None and isrc is not None:
            url = services.musicbrainz_by_isrc(musicbrainz, isrc)
            await ask(services.MUSICBRAINZ, url, services.musicbrainz_ids)
        if odesli is not None:
            await ask(services.ODESLI, services.odesli_links(odesli, ids), services.odesli_ids)
        return ids, complete

    async def media(
        self, track: ServiceTrack, *, max_wait_seconds: float = MAX_WAIT_SECONDS
    ) -> services.TrackMedia | None:
        """Where the cover and the preview of a track are; None for an unknown one, and where its service is off.

        Raises ProviderError.
        """
        deezer, apple = self._where.deezer, self._where.apple
        if track.service == "deezer" and deezer is not None:
            url = services.deezer_by_id(deezer, track.id)
            return await self._ask(services.DEEZER, url, services.deezer_media, max_wait_seconds)
        if track.service == "apple" and apple is not None:
            url = services.apple_by_id(apple, track.id)
            return await self._ask(
                services.APPLE, url, lambda answer: services.apple_media(answer, track.id), max_wait_seconds
            )
        return None

    @property
    def has_media(self) -> bool:
        """Whether a service that knows covers and previews is asked."""
        return self._where.deezer is not None or self._where.apple is not None

    async def _ask(
        self,
        name: str,
        url: URL,
        read: Callable[[Fetched], T | None],
        max_wait_seconds: float = MAX_WAIT_SECONDS,
    ) -> T | None:
        """Send one request and read its answer. Raises ProviderError."""
        pacer = self._pacers[name]
        if not await pacer.wait(max_wait_seconds):
            raise services.transient(name, f"{name} is not asked for a while.")
        try:
            found = read(await self._calls.get(name, url, seconds=CALL_SECONDS))
        except ProviderError as error:
            record_provider_failure(pacer.breaker, error.kind, error.detail)
            raise
        pacer.breaker.record_success()
        return found


def wanting(ids: ExternalIds) -> bool:
    """Whether a link that could be shown is missing."""
    return not (ids.spotify_track and ids.youtube and ids.deezer_track)
