"""The playlists of live channels, cached so that the next question about a channel needs no token and no usher.

Twitch begins a new anonymous session with advertisements; reusing the first one is faster and avoids
further ones. Tokens live for minutes, playlists longer; one that is refused is resolved again. A playlist belongs
to a channel and not to its login, which may be another channel's by now: `is_current` asks Twitch who has it.
"""

import asyncio
import dataclasses
import logging
from dataclasses import dataclass
from typing import Final, Protocol

from cachetools import TTLCache

from fingerprint.domain.problems import TwitchAudioError
from fingerprint.domain.targets import ChannelTarget, Target
from fingerprint.ports import Clock, LiveSource, MediaResolver, MediaSource, VideoSource

MAX_CACHED: Final = 500
IDLE_SECONDS: Final = 300.0
UNCONFIRMED_SECONDS: Final = 300.0
"""How long a source is used without an answer from Twitch about who has its login."""

MAX_AGE_SECONDS: Final = 3_600.0
"""How long a source is used at all. Playlists were seen to outlive their tokens by most of an hour."""

CONFIRM_SECONDS: Final = 2.0

_log = logging.getLogger(__name__)


class Resolver(MediaResolver, Protocol):
    """A `MediaResolver` that can check and replace live sources. All methods raise the port's errors."""

    async def renew(self, source: LiveSource) -> LiveSource:
        """A new source in place of one that does not play."""
        ...

    async def renew_video(self, source: VideoSource) -> VideoSource:
        """The same for a video."""
        ...

    async def is_current(self, source: LiveSource) -> bool:
        """Whether the channel that a source is of still has its login."""
        ...


@dataclass(slots=True)
class _Cached:
    source: LiveSource
    resolved_at: float
    confirmed_at: float


class LiveSourceCache:
    """Wraps another resolver and caches the sources of channels that were resolved lately."""

    def __init__(self, resolver: Resolver, clock: Clock) -> None:
        self._resolver = resolver
        self._clock = clock
        self._sources: TTLCache[str, _Cached] = TTLCache(MAX_CACHED, IDLE_SECONDS, clock.monotonic)

    def __len__(self) -> int:
        """The number of cached sources."""
        return len(self._sources)

    async def resolve(self, target: Target) -> MediaSource:
        """The channel's cached source, marked `cached`; otherwise what the wrapped resolver returns."""
        if not isinstance(target, ChannelTarget):
            return await self._resolver.resolve(target)
        cached = self._sources.get(target.login)
        if cached is None or self._is_too_old(cached):
            self._sources.pop(target.login, None)
            found = await self._resolver.resolve(target)
            assert isinstance(found, LiveSource), "a channel resolves to a live source"
            self._cache(found)
            return found
        self._sources[target.login] = cached  # restarts its idle time
        return dataclasses.replace(cached.source, cached=True)

    async def recording(self, source: LiveSource) -> VideoSource | None:
        return await self._resolver.recording(source)

    async def renew(self, source: LiveSource) -> LiveSource:
        """A new source for a channel whose source does not play. Raises the wrapped resolver's errors."""
        self._sources.pop(source.channel, None)
        renewed = await self._resolver.renew(source)
        self._cache(renewed)
        return renewed

    async def renew_video(self, source: VideoSource) -> VideoSource:
        """A new source for a video that does not play, from the wrapped resolver."""
        return await self._resolver.renew_video(source)

    async def is_current(self, source: LiveSource) -> bool:
        """Whether the channel of a cached source still has its login, as far as Twitch says in time."""
        if source.channel_id is None:
            return True
        try:
            async with asyncio.timeout(CONFIRM_SECONDS):
                current = await self._resolver.is_current(source)
        except (TwitchAudioError, TimeoutError):
            return True
        cached = self._sources.get(source.channel)
        if not current:
            _log.info("login_changed_hands", extra={"channel": source.channel, "channel_id": source.channel_id})
        elif cached is not None and cached.source.channel_id == source.channel_id:
            cached.confirmed_at = self._clock.monotonic()
        return current

    def _cache(self, source: LiveSource) -> None:
        now = self._clock.monotonic()
        self._sources[source.channel] = _Cached(source, now, now)

    def _is_too_old(self, cached: _Cached) -> bool:
        now = self._clock.monotonic()
        return now - cached.resolved_at >= MAX_AGE_SECONDS or now - cached.confirmed_at >= UNCONFIRMED_SECONDS
