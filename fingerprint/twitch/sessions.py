"""Keeping the playlists of live channels, so that the next question about a channel costs no token and no usher.

Twitch begins a new anonymous session with advertisements; going on with the one that was begun is faster and
hears no second round of them. Tokens live for minutes, playlists longer; one that is refused is found anew.
"""

import dataclasses
from collections import OrderedDict
from typing import Final

from fingerprint.domain.targets import ChannelTarget, Target
from fingerprint.ports import Clock, LiveSource, MediaResolver, MediaSource

MAX_SESSIONS: Final = 500
IDLE_SECONDS: Final = 300.0


class KeptSessions:
    """A `MediaResolver` before another one; remembers the sources of channels that were asked about lately."""

    def __init__(self, resolver: MediaResolver, clock: Clock) -> None:
        self._resolver = resolver
        self._clock = clock
        self._kept: OrderedDict[str, tuple[LiveSource, float]] = OrderedDict()

    def __len__(self) -> int:
        """How many are kept."""
        return len(self._kept)

    async def resolve(self, target: Target) -> MediaSource:
        """As the resolver behind says; for a channel whose session is kept, that one, marked `kept`."""
        if not isinstance(target, ChannelTarget):
            return await self._resolver.resolve(target)
        now = self._clock.monotonic()
        while self._kept:  # the oldest come first
            login, (_, used_at) = next(iter(self._kept.items()))
            if now - used_at <= IDLE_SECONDS:
                break
            del self._kept[login]
        source, _ = self._kept.get(target.login, (None, 0.0))
        if source is None:
            return await self._begin(target)
        self._keep(source)
        return dataclasses.replace(source, kept=True)

    async def renew(self, source: LiveSource) -> LiveSource:
        """A new session for a channel whose kept one has ended. Raises what the resolver raises."""
        self._kept.pop(source.channel, None)
        return await self._begin(ChannelTarget(source.channel))

    async def _begin(self, target: ChannelTarget) -> LiveSource:
        source = await self._resolver.resolve(target)
        assert isinstance(source, LiveSource), "a channel resolves to a live source"
        self._keep(source)
        return source

    def _keep(self, source: LiveSource) -> None:
        self._kept[source.channel] = (source, self._clock.monotonic())
        self._kept.move_to_end(source.channel)
        while len(self._kept) > MAX_SESSIONS:
            self._kept.popitem(last=False)
