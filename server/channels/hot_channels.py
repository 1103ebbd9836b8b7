"""Goes on listening to channels that many ask about, so that the next question costs no capture.

Only recognizers that cost nothing are asked. One of the servers that share the database listens to a channel; what
it hears is the channel's newest answer on all of them, and on the time line.
"""

import asyncio
import logging
from dataclasses import dataclass
from typing import Final, Self

from cachetools import TTLCache

from fingerprint.background import Background, passing
from fingerprint.domain.identification import (
    Identification,
    Status,
    answer_age,
    is_fresh,
    new_identification_id,
)
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.domain.targets import AskedTarget, ChannelTarget, asked_now
from fingerprint.pipeline import Pipeline
from fingerprint.ports import Clock
from fingerprint.tasks import Closing, cancel_and_wait, wait_until_woken
from server.access.service import Access
from server.channel_names import ChannelNames, is_of_another
from server.channels.hot_store import HotStore
from server.channels.rules import check_is_on
from server.identifications.service import IdentificationService
from server.observability import Metrics

LISTEN_SECONDS: Final = 12.0
"""The time limit of listening once."""

_COUNTED_SECONDS: Final = 30.0
"""How long an asker need not be counted again."""

_HOT_SECONDS: Final = 15.0
"""How long it is known here that enough ask about a channel, so that further askers cost nothing."""

_MAX_REMEMBERED: Final = 20_000
_MAX_PENDING: Final = 500
_ENDS: Final = frozenset(
    {
        ProblemCode.NOT_LIVE,
        ProblemCode.CHANNEL_NOT_FOUND,
        ProblemCode.RESTRICTED_STREAM,
        ProblemCode.RECOGNIZER_UNAVAILABLE,
        ProblemCode.MAINTENANCE,
        ProblemCode.INACTIVE,
        ProblemCode.STREAMS_DISABLED,
        ProblemCode.BLACKLISTED,
    }
)
"""Problems after which a channel is not listened to any longer."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class HotLimits:
    """Bounds of listening; times are in seconds."""

    at_once: int = 2
    """Channels that one server listens to at a time."""
    most: int = 20
    """Channels that are listened to on all servers together."""
    poll_seconds: float = 2.0
    every_seconds: float = 3.5
    """How old the newest answer may become before the channel is listened to again."""
    lease_seconds: float = 30.0
    """Longer than listening once and the wait before it."""


def every_seconds(fresh_seconds: float) -> float:
    """How often a hot channel is listened to: while the answer before still counts, and twice in a capture."""
    return min(5.0, max(2.0, fresh_seconds - 1.5)) if fresh_seconds else 5.0


class HotChannels(Closing):
    """Counts who asks, and listens to this server's share of hot channels: an async context manager.

    `askers`: how many different ones within a minute make a channel hot; 0: none ever is. Without a `pipeline`,
    which asks the free recognizers alone, this server counts but listens to none.
    """

    def __init__(
        self,
        store: HotStore,
        *,
        askers: int,
        pipeline: Pipeline | None,
        service: IdentificationService,
        access: Access,
        names: ChannelNames,
        clock: Clock,
        owner: str,
        metrics: Metrics,
        limits: HotLimits,
        background: Background | None = None,
    ) -> None:
        self._store = store
        self._askers = askers
        self._pipeline = pipeline
        self._service = service
        self._access = access
        self._names = names
        self._clock = clock
        self._background = background or Background(clock)
        self._owner = owner
        self._limits = limits
        self._pending: dict[str, set[str]] = {}
        self._counted: TTLCache[tuple[str, str], bool] = TTLCache(
            _MAX_REMEMBERED, _COUNTED_SECONDS, clock.monotonic
        )
        self._hot: TTLCache[str, bool] = TTLCache(_MAX_PENDING, _HOT_SECONDS, clock.monotonic)
        self._listening: set[asyncio.Task[None]] = set()
        self._woken = asyncio.Event()
        self._loop: asyncio.Task[None] | None = None
        self._outcomes = metrics.counter(
            "twitchaudio_hot_listens_total",
            "Captures of channels that many ask about, without a question.",
            "outcome",
        )
        metrics.gauge(
            "twitchaudio_hot_channels",
            "Channels that this server listens to because many ask about them.",
            lambda: len(self._listening),
        )

    async def __aenter__(self) -> Self:
        if self._askers:
            self._loop = self._background.start("listen to hot channels", self._run)
        return self

    def asked(self, target: AskedTarget, asker: str) -> None:
        """Count a question about a channel; `asker` is the person or the address that it came from."""
        if not self._askers or not isinstance(target, ChannelTarget) or target.login in self._hot:
            return
        if (target.login, asker) in self._counted:
            return
        askers = self._pending.get(target.login)
        if askers is None:
            if len(self._pending) >= _MAX_PENDING:
                return
            askers = self._pending[target.login] = set()
        if len(askers) < self._askers:
            askers.add(asker)
            self._counted[target.login, asker] = True
            self._woken.set()

    async def close(self) -> None:
        """Listen no longer; other servers may go on."""
        await cancel_and_wait(self._loop)
        await cancel_and_wait(*self._listening)

    async def _run(self) -> None:
        while True:
            self._woken.clear()
            with passing(_log, "hot_channels_not_read"):
                await self._count()
                await self._take()
            await wait_until_woken(self._woken, self._limits.poll_seconds)
            # Those who ask in the same moment are counted in one transaction.
            await asyncio.sleep(min(0.1, self._limits.poll_seconds))

    async def _count(self) -> None:
        if not self._pending:
            return
        asked, self._pending = self._pending, {}
        hot = await self._store.count(asked, needed=self._askers, most=self._limits.most, now=self._clock.now())
        for channel in hot:
            self._hot[channel] = True

    async def _take(self) -> None:
        room = self._limits.at_once - len(self._listening)
        if room <= 0 or self._pipeline is None or await self._pipeline.unavailable_reason() is not None:
            return
        taken = await self._store.take(
            owner=self._owner, limit=room, now=self._clock.now(), lease_seconds=self._limits.lease_seconds
        )
        for channel in taken:
            task = asyncio.create_task(self._listen(channel, self._pipeline), name=f"listen to {channel}")
            self._listening.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._listening.discard(task)
        self._woken.set()

    async def _listen(self, channel: str, pipeline: Pipeline) -> None:
        """Listen to a leased channel for as long as it is hot."""
        _log.info("hot_channel", extra={"channel": channel})
        hot = _Hot(ChannelTarget(channel))
        try:
            if await self._until_over(hot, pipeline):
                await self._store.end(hot.target.login, owner=self._owner)
            else:
                await self._store.release(hot.target.login, owner=self._owner)
        except asyncio.CancelledError:
            await self._give_back(hot.target.login)
            raise
        except TwitchAudioError as error:
            # The lease ends by itself, and the next server goes on.
            _log.info("hot_channel_left", extra={"channel": hot.target.login, "code": str(error.code)})
        except Exception:  # noqa: BLE001 - the last resort: a fault must not end the listening to others
            _log.exception("hot_channel_crashed", extra={"channel": channel})

    async def _until_over(self, hot: "_Hot", pipeline: Pipeline) -> bool:
        """Listen at intervals; whether every server is to stop listening to the channel."""
        heard_at: float | None = None
        while await self._store.renew(
            hot.target.login,
            owner=self._owner,
            now=self._clock.now(),
            lease_seconds=self._limits.lease_seconds,
        ):
            try:
                await check_is_on(self._access, hot.target)
            except TwitchAudioError as error:
                if error.code in _ENDS:
                    return True
                raise
            wait = await self._wait_seconds(hot.target, heard_at)
            if wait > 0:
                await self._clock.sleep(min(wait, self._limits.every_seconds))
                continue
            heard = await self._listen_once(hot.target, pipeline)
            heard_at = self._clock.monotonic()
            if heard is None:
                continue
            if await self._follow(hot, heard):
                heard_at = None
            elif heard.problem is not None and heard.problem.code in _ENDS:
                return True
        return False

    async def _follow(self, hot: "_Hot", heard: Identification) -> bool:
        """Whether the channel was renamed, and is listened to under its new login from now on.

        Who gets the old login is another channel, which has to become hot by itself.
        """
        hot.channel_id = hot.channel_id or heard.channel_id
        if hot.channel_id is None or not is_of_another(heard, hot.channel_id):
            return False
        try:
            async with asyncio.timeout(LISTEN_SECONDS):
                channel = await self._names.locate(hot.channel_id, renamed=True)
        except (TwitchAudioError, TimeoutError):
            return False
        if channel is None or channel.login == hot.target.login:
            return False
        if not await self._store.rename(hot.target.login, channel.login, owner=self._owner):
            return False
        _log.info("hot_channel_follows_rename", extra={"channel": hot.target.login, "login": channel.login})
        hot.target = ChannelTarget(channel.login)
        return True

    async def _wait_seconds(self, target: ChannelTarget, heard_at: float | None) -> float:
        """How long until the channel has to be listened to: its newest answer may be of a question."""
        newest = await self._service.answer(target)
        ages = [] if heard_at is None else [self._clock.monotonic() - heard_at]
        now = self._clock.now()
        if newest is not None and not newest.disputed and is_fresh(newest, now, self._limits.every_seconds):
            ages.append(answer_age(newest, now))
        return self._limits.every_seconds - min(ages, default=self._limits.every_seconds)

    async def _listen_once(self, target: ChannelTarget, pipeline: Pipeline) -> Identification | None:
        """Listen, and store the song that was found; what was heard, or None while questions wait.

        "No song" is not stored: a question may listen for longer, and ask further recognizers.
        """
        if self._service.is_busy:
            self._outcomes.add("skipped")
            return None
        asked = asked_now(target, self._clock.now(), new_identification_id())
        heard = await pipeline.identify(asked, target)
        outcome = str(heard.status if heard.problem is None else heard.problem.code)
        if heard.status is Status.SUCCESSFUL and not await self._service.add_answer(target, heard):
            outcome = "answered-meanwhile"
        self._outcomes.add(outcome)
        return heard

    async def _give_back(self, channel: str) -> None:
        try:
            async with asyncio.timeout(1.0):
                await self._store.release(channel, owner=self._owner)
        except (TwitchAudioError, TimeoutError):
            _log.warning("hot_channel_not_released", extra={"channel": channel})


@dataclass(slots=True)
class _Hot:
    """A channel that is listened to, and its id, once an answer has named it."""

    target: ChannelTarget
    channel_id: str | None = None
