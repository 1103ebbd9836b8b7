"""The playlists of live channels, cached so that the next question about a channel costs no token and no usher.

Twitch begins a new anonymous session with advertisements; going on with the one that was begun is faster and
hears no second round of them. Tokens live for minutes, playlists longer; one that is refused is found anew.
"""

import dataclasses
from typing import Final

from cachetools import TTLCache

from fingerprint.domain.targets import ChannelTarget, Target
from fingerprint.ports import Clock, LiveSource, MediaResolver, MediaSource

MAX_CACHED: Final = 500
IDLE_SECONDS: Final = 300.0


class LiveSourceCache:
    """A `MediaResolver` before another one; caches the sources of channels that were asked about lately."""

    def __init__(self, resolver: MediaResolver, clock: Clock) -> None:
        self._resolver = resolver
        self._sources: TTLCache[str, LiveSource] = TTLCache(MAX_CACHED, IDLE_SECONDS, clock.monotonic)

    def __len__(self) -> int:
        """How many are cached."""
        return len(self._sources)

    async def resolve(self, target: Target) -> MediaSource:
        """As the resolver behind says; for a channel whose source is cached that one, marked `cached`."""
        if not isinstance(target, ChannelTarget):
            return await self._resolver.resolve(target)
        source = self._sources.get(target.login)
        if source is None:
            return await self._begin(target)
        self._sources[target.login] = source  # its time begins again
        return dataclasses.replace(source, cached=True)

    async def renew(self, source: LiveSource) -> LiveSource:
        """A new source for a channel whose cached one has ended. Raises what the resolver raises."""
        self._sources.pop(source.channel, None)
        return await self._begin(ChannelTarget(source.channel))

    async def _begin(self, target: ChannelTarget) -> LiveSource:
        source = await self._resolver.resolve(target)
        assert isinstance(source, LiveSource), "a channel resolves to a live source"
        self._sources[source.channel] = source
        return source
