"""The playlists of live channels, cached so that the next question about a channel needs no token and no usher.

Twitch begins a new anonymous session with advertisements; reusing the first one is faster and avoids
further ones. Tokens live for minutes, playlists longer; one that is refused is resolved again.
"""

import dataclasses
from typing import Final, Protocol

from cachetools import TTLCache

from fingerprint.domain.targets import ChannelTarget, Target
from fingerprint.ports import Clock, LiveSource, MediaResolver, MediaSource

MAX_CACHED: Final = 500
IDLE_SECONDS: Final = 300.0


class Resolver(MediaResolver, Protocol):
    """A `MediaResolver` that can replace a live source that does not play."""

    async def renew(self, source: LiveSource) -> LiveSource:
        """A new source in place of one that does not play. Raises the port's errors."""
        ...


class LiveSourceCache:
    """Wraps another resolver and caches the sources of channels that were resolved lately."""

    def __init__(self, resolver: Resolver, clock: Clock) -> None:
        self._resolver = resolver
        self._sources: TTLCache[str, LiveSource] = TTLCache(MAX_CACHED, IDLE_SECONDS, clock.monotonic)

    def __len__(self) -> int:
        """The number of cached sources."""
        return len(self._sources)

    async def resolve(self, target: Target) -> MediaSource:
        """The channel's cached source, marked `cached`; otherwise what the wrapped resolver returns."""
        if not isinstance(target, ChannelTarget):
            return await self._resolver.resolve(target)
        source = self._sources.get(target.login)
        if source is None:
            found = await self._resolver.resolve(target)
            assert isinstance(found, LiveSource), "a channel resolves to a live source"
            self._sources[target.login] = found
            return found
        self._sources[target.login] = source  # restarts its idle time
        return dataclasses.replace(source, cached=True)

    async def renew(self, source: LiveSource) -> LiveSource:
        """A new source for a channel whose source does not play. Raises the wrapped resolver's errors."""
        self._sources.pop(source.channel, None)
        renewed = await self._resolver.renew(source)
        self._sources[source.channel] = renewed
        return renewed
