"""Tells webhooks of finished identifications and of plays: collects events, stores messages, sends those due."""

import asyncio
import contextlib
import logging
import math
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from typing import Final, Self, TypeVar

from fingerprint.background import Background, log_unexpected, passing
from fingerprint.domain.identification import Identification, Kind
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.job_ports import JobOutcome, JobStore
from fingerprint.ports import Clock
from fingerprint.tasks import cancel_and_wait
from server.access.identity.api_keys import ApiKeyStore
from server.access.scopes import WEBHOOKS
from server.identifications.service import IdentificationHandle, IdentificationService
from server.identifications.set_list import plays
from server.observability import Metrics
from server.owner_choices.choices import Visibility
from server.webhooks.later_plays import store_later_play
from server.webhooks.messages import (
    EventType,
    Message,
    Webhook,
    channel_of,
    identification_message,
    play_message,
    trial_message,
)
from server.webhooks.sender import Attempt, WebhookSender
from server.webhooks.shown_messages import is_operators, shown_message
from server.webhooks.store import Delivery, WebhookStore

KEY: Final = "key:"
USER: Final = "user:"
POLL_SECONDS: Final = 5.0
MAX_NEWS: Final = 2_000
AT_ONCE: Final = 16
AT_ONCE_OF_OWNER: Final = 4
"""So that one owner's addresses that do not answer hold back nobody else's messages."""

_SWEEP_SECONDS: Final = 60.0

NO_KEY: Final = "Its API key is no longer valid for webhooks."
NO_OPERATOR: Final = "Its owner is no longer an operator of this server, or is blocked."


_ANSWERS: Final = 20
"""The newest answers of a channel that are read to see whether a play is new."""

_Event = TypeVar("_Event")

_log = logging.getLogger(__name__)


@contextmanager
def first_of(queue: deque[_Event]) -> Generator[_Event]:
    """Take the oldest event out of a bounded queue for a block; put it back if there is a problem, and room.

    While the block runs, a full queue may drop events, but none that comes after this one in its place.
    """
    event = queue.popleft()
    try:
        yield event
    except (TwitchAudioError, asyncio.CancelledError):
        if queue.maxlen is None or len(queue) < queue.maxlen:
            queue.appendleft(event)
        raise


class Webhooks:
    """All webhooks. An async context manager that owns the tasks that collect and send."""

    def __init__(
        self,
        store: WebhookStore,
        sender: WebhookSender,
        *,
        service: IdentificationService,
        api_keys: ApiKeyStore,
        clock: Clock,
        metrics: Metrics,
        check_channel: Callable[[str], Awaitable[None]],
        is_operator: Callable[[str], Awaitable[bool]],
        background: Background | None = None,
    ) -> None:
        """`check_channel` raises TwitchAudioError `blacklisted` for a channel that nothing is to be told of.

        `is_operator` says whether the account with an id may have webhooks as an operator. Raises `busy`.
        """
        self.sender = sender
        self._store = store
        self._service = service
        self._api_keys = api_keys
        self._clock = clock
        self._background = background or Background(clock)
        self._check_channel = check_channel
        self._is_operator = is_operator
        self._active: Sequence[Webhook] = ()
        # What has happened: an answer and who asked for it, or a channel (login and id) on which a song was heard.
        self._answers: deque[tuple[str, Identification]] = deque(maxlen=MAX_NEWS)
        self._heard: deque[tuple[str, str | None]] = deque(maxlen=MAX_NEWS)
        self._news = asyncio.Event()
        self._due = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        # Messages under way, and whose they are.
        self._sending: dict[asyncio.Task[None], str] = {}
        self._sweep_at = -math.inf
        self._sent = metrics.counter("twitchaudio_webhook_deliveries_total", "Attempts to send.", "outcome")
        service.add_outcome_listener(self._job_ended)

    async def __aenter__(self) -> Self:
        self._tasks = [
            self._background.start("collect webhook events", partial(self._forever, self._collect, self._news)),
            self._background.start("send webhook messages", partial(self._forever, self._deliver, self._due)),
        ]
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await cancel_and_wait(*self._tasks)
        await cancel_and_wait(*self._sending)
        with contextlib.suppress(TwitchAudioError, TimeoutError):
            # What has just happened is sent by the next server.
            async with asyncio.timeout(1.0):
                await self._collect()

    async def refresh(self) -> None:
        """Read at once which webhooks there are. Raises TwitchAudioError `busy`."""
        self._active = await self._store.active()

    def asked(self, handle: IdentificationHandle, owner: str | None) -> None:
        """Tell the owner's webhooks of this identification's end, unless it was there before the question."""
        if handle.progress is None or owner is None or not any(each.owner == owner for each in self._active):
            return

        def ended(future: "asyncio.Future[Identification | TwitchAudioError]") -> None:
            if not future.cancelled() and isinstance(answer := future.result(), Identification):
                self._answers.append((owner, answer))
                self._news.set()

        handle.progress.ended.add_done_callback(ended)

    async def named_later(self, answer: Identification, jobs: JobStore) -> None:
        """Tell of an answer that has a song only now. Raises TwitchAudioError `busy`."""
        choices = await self._service.choices_of(answer.target)
        if await store_later_play(self._store, jobs, answer, choices, now=self._clock.now()):
            self._due.set()

    async def test(self, webhook: Webhook) -> Attempt:
        """Send a test message now."""
        return await self.sender.send(webhook, trial_message(webhook, self._clock.now()))

    def _job_ended(self, outcome: JobOutcome) -> None:
        answer = outcome.identification
        if answer.kind is not Kind.STREAM or answer.song is None or answer.asked_at is not None:
            return
        if any(webhook.is_of(answer.target, answer.channel_id) for webhook in self._active):
            self._heard.append((answer.target, answer.channel_id))
            self._news.set()

    async def _forever(self, step: Callable[[], Awaitable[None]], wake: asyncio.Event) -> None:
        while True:
            wake.clear()
            with passing(_log, "webhooks_without_store"):
                await step()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL_SECONDS):
                    await wake.wait()

    async def _collect(self) -> None:
        """Read which webhooks there are, and store messages for what has happened."""
        self._active = await self._store.active()
        now = self._clock.now()
        while self._answers:
            with first_of(self._answers) as (owner, given):
                answer = await self._service.shown(given)
                told = [
                    each
                    for each in self._active
                    if each.owner == owner and EventType.IDENTIFICATION in each.events
                ]
                await self._store.add([(each, identification_message(each, answer)) for each in told], now=now)
            self._due.set()
        while self._heard:
            with first_of(self._heard) as (channel, channel_id):
                await self._store_play(channel, channel_id, now)
            self._due.set()

    async def _store_play(self, channel: str, channel_id: str | None, now: datetime) -> None:
        told = [each for each in self._active if each.is_of(channel, channel_id) and EventType.PLAY in each.events]
        told = told if await self._may_be_told(channel) else []
        if (await self._service.choices_of(channel)).visibility is Visibility.NOTHING:
            told = [each for each in told if is_operators(each)]
        play = next(plays(await self._service.recent_answers(channel, limit=_ANSWERS)), None) if told else None
        # One that is heard on is no news.
        if play is not None and len(play.answers) == 1:
            await self._store.add([(each, play_message(each, channel, play)) for each in told], now=now)

    async def _may_be_told(self, channel: str) -> bool:
        try:
            await self._check_channel(channel)
        except TwitchAudioError as error:
            if error.code is not ProblemCode.BLACKLISTED:
                raise
            return False
        return True

    async def _deliver(self) -> None:
        """Begin to send messages that are due, as many as there is room for; each that ends makes room."""
        if self._clock.monotonic() >= self._sweep_at:
            await self._store.delete_old(now=self._clock.now())
            self._sweep_at = self._clock.monotonic() + _SWEEP_SECONDS
        room = AT_ONCE - len(self._sending)
        if room <= 0:
            return
        taken = await self._store.take(
            now=self._clock.now(), limit=room, at_once=AT_ONCE_OF_OWNER, under_way=Counter(self._sending.values())
        )
        for delivery in taken:
            task = asyncio.create_task(self._send(delivery), name=f"send {delivery.message.id}")
            self._sending[task] = delivery.webhook.owner
            task.add_done_callback(self._on_sent)

    def _on_sent(self, task: asyncio.Task[None]) -> None:
        self._sending.pop(task, None)
        log_unexpected(task)
        self._due.set()

    async def _send(self, delivery: Delivery) -> None:
        try:
            await self._try_to_send(delivery)
        except TwitchAudioError as error:
            # Its lease ends by itself, and it is sent again.
            _log.info("webhooks_without_store", extra={"code": str(error.code)})

    async def _try_to_send(self, delivery: Delivery) -> None:
        webhook = delivery.webhook
        refusal = await self._refusal(webhook.owner)
        if refusal is not None:
            await self._store.disable(webhook.owner, refusal)
            return
        if await self._is_of_blocked_channel(delivery.message):
            # It may have waited for hours, and the channel was blocked meanwhile.
            await self._store.drop(delivery)
            return
        message = await shown_message(delivery.message, webhook, self._service)
        if message is None:
            # Its play was hidden meanwhile.
            await self._store.drop(delivery)
            return
        outcome = await self.sender.send(webhook, message)
        self._sent.add("delivered" if outcome.error is None else "failed")
        if outcome.error is None:
            await self._store.delivered(delivery, now=self._clock.now())
            return
        _log.info("webhook_failed", extra={"webhook": webhook.id, "attempts": delivery.attempts})
        await self._store.failed(delivery, outcome.error, now=self._clock.now(), is_gone=outcome.status == 410)

    async def _is_of_blocked_channel(self, message: Message) -> bool:
        channel = channel_of(message)
        return channel is not None and not await self._may_be_told(channel)

    async def _refusal(self, owner: str) -> str | None:
        """Why an owner may have no webhooks any more; None when they may."""
        if not owner.startswith(KEY):
            return None if await self._is_operator(owner.removeprefix(USER)) else NO_OPERATOR
        key = await self._api_keys.get(owner.removeprefix(KEY))
        valid = key is not None and key.valid(self._clock.now()) and WEBHOOKS in key.scopes
        return None if valid else NO_KEY
