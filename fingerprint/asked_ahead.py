"""Asks Twitch about a live channel while the lease of its job is being claimed.

A claim is a write in the job store, which takes a millisecond or more. Mostly it succeeds, and the response is
needed; if another server has the job, the request was in vain.
"""

import asyncio
from typing import Final

from fingerprint.domain.targets import ChannelTarget
from fingerprint.ports import Capture, Clock, Listing, LiveSource, MediaResolver, MediaSource
from fingerprint.retry import RetryBudget, retry_budget, time_limit
from fingerprint.tasks import cancel_and_wait

FRESH_SECONDS: Final = 1.0
"""How old a playlist may be when the claim is there: a later one may list newer sound."""


class AskedAhead:
    """The source of a channel, and the playlist of a source that was cached; `close` it in any case.

    `budget`: the retries of the job, which these requests share. `seconds`: the time limit of a job.
    """

    def __init__(
        self,
        target: ChannelTarget,
        *,
        resolver: MediaResolver,
        capture: Capture,
        clock: Clock,
        budget: RetryBudget,
        seconds: float,
    ) -> None:
        self.budget = budget
        self._capture = capture
        self._clock = clock
        self._until = clock.monotonic() + FRESH_SECONDS
        self._listing: Listing | None = None
        with retry_budget(budget), time_limit(seconds):
            self._asking = asyncio.create_task(self._ask(resolver, target))

    async def source(self) -> MediaSource:
        """The channel's source. Raises the errors of `MediaResolver.resolve`."""
        return await self._asking

    @property
    def listing(self) -> Listing | None:
        """The playlist, if it was asked for and is still fresh."""
        return self._listing if self._clock.monotonic() < self._until else None

    async def close(self) -> None:
        """Cancel requests whose responses were not needed."""
        await cancel_and_wait(self._asking, self._listing)

    async def _ask(self, resolver: MediaResolver, target: ChannelTarget) -> MediaSource:
        source = await resolver.resolve(target)
        if isinstance(source, LiveSource) and source.cached:
            # A new source comes after two requests, and the claim before.
            self._listing = self._capture.list_ahead(source)
        return source
