"""The newest play of a channel, sent to any number of listeners as it changes.

One task for each channel and process refreshes it: at once when a job of this process ended, and every few
seconds, since another server may have the answer. It lives as long as the channel has a listener.
"""

import asyncio
import logging
from collections import Counter, deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Final

from fingerprint.domain.identification import Identification, Kind, song_key
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.job_ports import JobOutcome
from fingerprint.ports import Clock
from fingerprint.tasks import Closing, cancel_and_wait, wait_until_woken
from server.access.identity.addresses import Address, sources_of
from server.access.quotas.budgets import WIDER
from server.identifications.service import IdentificationService
from server.identifications.set_list import Play, plays, plays_of_now
from server.observability import Metrics
from server.owner_choices.choices import NOTHING_CHOSEN, ChannelChoices, Visibility

_MAX_ANSWERS: Final = 20
"""Newest answers that are read to find the newest play, which may be made of many."""

MAX_UPDATED: Final = 20
"""Plays that got their songs later and that a slow listener can still be told of, each by itself."""

SHARE: Final = 5
"""One address may have this many times the listeners that are left: many viewers, but never all."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedLimits:
    """Bounds on the channels with listeners and on all listeners, and seconds between two reads.

    One address may have so many channels listened to that have no other listener, a /56 of IPv6 four times as
    many; and `SHARE` times the listeners that are left.
    """

    channels: int = 1_000
    channels_of_address: int = 100
    listeners: int = 10_000
    poll_seconds: float = 3.0
    quiet_poll_seconds: float = 15.0
    """For a channel on which no song was heard within its first `quiet_after` reads; it may not exist."""
    quiet_after: int = 20


@dataclass(frozen=True, slots=True)
class Updated:
    """A play that has its song only now, and is not the newest. `after`: the id of the newest one's event."""

    play: Play
    after: str | None


@dataclass(frozen=True, slots=True)
class Removed:
    """Plays that are not to be shown any more, by the ids of their answers. `after`: as of `Updated`."""

    answers: tuple[str, ...]
    after: str | None = None


@dataclass(slots=True, eq=False)
class _Subscription:
    """A channel that has listeners, its newest play, and the task that refreshes it."""

    login: str
    sources: tuple[str, ...]
    """The address that listened first, on which the channel counts; see `sources_of`."""
    listeners: int = 0
    reads: int = 0
    play: Play | None = None
    recent: tuple[Play, ...] = ()
    """The newest plays, the oldest first; the last is `play`. What a listener missed is found among them."""
    updated: deque[Play | Removed] = field(default_factory=lambda: deque(maxlen=MAX_UPDATED))
    """The plays whose songs were found or changed last, or that were hidden; `updates`: how many in all."""
    updates: int = 0
    waiting: deque[Play] = field(default_factory=lambda: deque(maxlen=MAX_UPDATED))
    """Such plays that are told of when the newest ones have been read: the newest is told of as such."""
    newest: str | None = None
    """The id of the newest answer that was read, also of a hidden one."""
    order: tuple[str, ...] = ()
    """The ids of the newest answers, the oldest first."""
    hidden: tuple[str, ...] = ()
    """Those of them whose songs are not shown."""
    choices: ChannelChoices = NOTHING_CHOSEN
    """What was decided about the channel when they were read."""
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set, and replaced, at each change."""
    refresh: asyncio.Event = field(default_factory=asyncio.Event)
    """Set to read the newest answers at once."""
    task: asyncio.Task[None] | None = None
    error: TwitchAudioError | None = None


class ChannelFeed(Closing):
    """All channels that have listeners in this process. An async context manager that owns their tasks."""

    def __init__(
        self,
        service: IdentificationService,
        *,
        clock: Clock,
        metrics: Metrics,
        check_channel: Callable[[str], Awaitable[None]],
        limits: FeedLimits | None = None,
    ) -> None:
        """`check_channel` raises TwitchAudioError `blacklisted` for a channel that may not be shown any more."""
        self._service = service
        self._check_channel = check_channel
        self._clock = clock
        self._limits = limits or FeedLimits()
        self._subscriptions: dict[str, _Subscription] = {}
        self._listeners = 0
        self._listeners_of: Counter[str] = Counter()
        self._channels_of: Counter[str] = Counter()
        self._closing = False
        service.add_outcome_listener(self._job_ended)
        metrics.gauge("twitchaudio_feed_listeners", "Listeners to channels.", lambda: self._listeners)

    @contextmanager
    def listening(
        self, login: str, address: Address | None, idle_seconds: float, *, after: str | None = None
    ) -> Generator[AsyncGenerator[Play | Updated | Removed | None]]:
        """Listen to a channel during the block: the newest play, then each change or newer play, and others.

        `after`: the `event_id_of` what a listener had last; what it missed comes first, if that is still known.
        None after each `idle_seconds` without one; ends when the server stops. Raises TwitchAudioError
        `rate-limited` when the address listens to too much, `busy` when all together do.
        """
        sources = () if address is None else sources_of(address)
        subscription = self._subscribe(login, sources)
        try:
            yield self._plays(subscription, idle_seconds, after)
        finally:
            self._unsubscribe(subscription, sources)

    async def _plays(
        self, subscription: _Subscription, idle_seconds: float, after: str | None
    ) -> AsyncGenerator[Play | Updated | Removed | None]:
        had, updates = after, subscription.updates
        told_of_hidden = False
        while not self._closing:
            changed = subscription.changed
            if subscription.error is not None:
                raise subscription.error.fresh_copy() from subscription.error
            if subscription.hidden and not told_of_hidden:
                # The listener may have had one of them before it was hidden, or its page has.
                yield Removed(subscription.hidden, had)
            told_of_hidden = told_of_hidden or bool(subscription.order)
            missed = _missed(subscription, had)
            told = {event_id_of(play) for play in missed}
            for play in missed:
                had = event_id_of(play)
                yield play
            new = min(subscription.updates - updates, MAX_UPDATED)
            updates = subscription.updates
            for change in list(subscription.updated)[-new:] if new else ():
                if isinstance(change, Removed):
                    yield replace(change, after=had)
                elif change is subscription.play and subscription.newest in change.answers:
                    if event_id_of(change) not in told:
                        yield change
                elif event_id_of(change) not in told:
                    yield Updated(change, had)
            if missed or new:
                continue
            try:
                async with asyncio.timeout(idle_seconds):
                    await changed.wait()
            except TimeoutError:
                yield None

    def _subscribe(self, login: str, sources: tuple[str, ...]) -> _Subscription:
        subscription = self._subscriptions.get(login)
        limits, left = self._limits, self._limits.listeners - self._listeners
        if left <= 0 or (subscription is None and len(self._subscriptions) >= limits.channels) or self._closing:
            detail = "Too many are listening, or the server is restarting. Try again in a moment."
            raise TwitchAudioError(ProblemCode.BUSY, detail, retry_after_seconds=5.0)
        room = limits.channels - len(self._subscriptions)
        for number, source in enumerate(sources):
            most = min(room, limits.channels_of_address * round(WIDER**number))
            new = subscription is None and self._channels_of[source] >= most
            if new or self._listeners_of[source] >= SHARE * left:
                detail = "Too many live events go to this address. Close some of them, or try again later."
                raise TwitchAudioError(ProblemCode.RATE_LIMITED, detail, retry_after_seconds=30.0)
        if subscription is None:
            subscription = self._subscriptions[login] = _Subscription(login, sources)
            self._channels_of.update(sources)
            subscription.task = asyncio.create_task(self._run(subscription), name=f"feed {login}")
        subscription.listeners += 1
        self._listeners += 1
        self._listeners_of.update(sources)
        return subscription

    def _unsubscribe(self, subscription: _Subscription, sources: tuple[str, ...]) -> None:
        subscription.listeners -= 1
        self._listeners -= 1
        _subtract(self._listeners_of, sources)
        # The task ends by itself when it wakes, unless there is a listener again by then.
        if not subscription.listeners:
            subscription.refresh.set()

    def forget(self, login: str) -> None:
        """Forget a channel's plays, which were deleted; its listeners keep what they have."""
        subscription = self._subscriptions.get(login)
        if subscription is not None:
            subscription.play, subscription.recent, subscription.newest = None, (), None
            subscription.refresh.set()

    def refresh(self, login: str) -> None:
        """Read a channel's plays again at once, after something was decided about them."""
        subscription = self._subscriptions.get(login)
        if subscription is not None:
            subscription.refresh.set()

    def song_found_later(self, answer: Identification) -> None:
        """Tell of an answer that has its song only now, and read the channel's newest plays: it may be of them."""
        subscription = self._subscriptions.get(answer.target) if _is_of_now(answer) else None
        if subscription is not None:
            subscription.waiting.extend(plays([answer]))
            subscription.refresh.set()

    def _job_ended(self, outcome: JobOutcome) -> None:
        """Refresh the channel at once when a job of this process has named a song on it."""
        answer = outcome.identification
        subscription = self._subscriptions.get(answer.target) if _is_of_now(answer) else None
        if subscription is not None and answer.song is not None:
            subscription.refresh.set()

    async def _run(self, subscription: _Subscription) -> None:
        try:
            while subscription.listeners and not self._closing:
                subscription.refresh.clear()
                await self._refresh(subscription)
                self._tell_waiting(subscription)
                subscription.reads += 1
                quiet = subscription.play is None and subscription.reads >= self._limits.quiet_after
                seconds = self._limits.quiet_poll_seconds if quiet else self._limits.poll_seconds
                await wait_until_woken(subscription.refresh, seconds)
        except TwitchAudioError as error:
            # It was blocked: its listeners' streams end, and they are told why when they come back.
            subscription.error = error
        except Exception as error:  # noqa: BLE001 - the last resort: the listeners must learn of it
            _log.exception("feed_crashed")
            subscription.error = TwitchAudioError(
                ProblemCode.INTERNAL, f"The feed broke: {type(error).__name__}.", retry_after_seconds=5.0
            )
        finally:
            if self._subscriptions.get(subscription.login) is subscription:
                del self._subscriptions[subscription.login]
                _subtract(self._channels_of, subscription.sources)
            self._wake_listeners(subscription)

    async def _refresh(self, subscription: _Subscription) -> None:
        """Read the newest plays, and wake the listeners when they have changed. Raises as `check_channel`."""
        try:
            await self._check_channel(subscription.login)
            choices = await self._service.choices_of(subscription.login)
            newest = await self._service.newest_answers(subscription.login, limit=1)
            known = newest and newest[0].id == subscription.newest
            known = known and choices.version == subscription.choices.version
            if not newest or (known and not subscription.waiting):
                return
            answers = await self._service.newest_answers(subscription.login, limit=_MAX_ANSWERS)
        except TwitchAudioError as error:
            if error.code is ProblemCode.BLACKLISTED:
                raise
            # The database cannot be reached: keep the listeners, and try again at the next poll.
            _log.info("feed_without_store", extra={"code": str(error.code)})
            return
        was_read = subscription.newest is not None
        subscription.newest = answers[0].id if answers else None
        subscription.order = tuple(answer.id for answer in reversed(answers))
        subscription.hidden = tuple(answer.id for answer in answers if answer.song is None)
        recent = tuple(plays(answers))
        if choices.visibility is not Visibility.SET_LIST:
            recent = tuple(plays_of_now(recent, self._clock.now()))
        redecided = choices.version != subscription.choices.version
        changes = _changes(subscription.recent, recent, subscription.hidden) if redecided and was_read else ()
        subscription.choices = choices
        if not recent:
            subscription.play, subscription.recent = None, ()
            self._tell(subscription, changes)
            return
        play = recent[0]
        before = subscription.play
        whole = len(play.answers) < len(answers)
        if before is not None and not whole and song_key(before.song) == song_key(play.song):
            play = replace(play, first_heard=min(before.first_heard, play.first_heard))
        subscription.play = play
        subscription.recent = (*reversed(recent[1:]), play)
        self._tell(subscription, [play if change is recent[0] else change for change in changes])

    def _tell(self, subscription: _Subscription, changes: Sequence[Play | Removed]) -> None:
        subscription.updated.extend(changes)
        subscription.updates += len(changes)
        self._wake_listeners(subscription)

    def _tell_waiting(self, subscription: _Subscription) -> None:
        if not subscription.waiting:
            return
        while subscription.waiting:
            play = subscription.waiting.popleft()
            if subscription.choices.visibility is not Visibility.SET_LIST:
                continue
            if subscription.play is None or event_id_of(subscription.play) != event_id_of(play):
                subscription.updated.append(play)
                subscription.updates += 1
        self._wake_listeners(subscription)

    def _wake_listeners(self, subscription: _Subscription) -> None:
        changed, subscription.changed = subscription.changed, asyncio.Event()
        changed.set()

    async def close(self) -> None:
        """Cancel the refreshing tasks and end every listener's stream."""
        self._closing = True
        subscriptions = list(self._subscriptions.values())
        await cancel_and_wait(*(subscription.task for subscription in subscriptions))
        for subscription in subscriptions:
            self._wake_listeners(subscription)


def event_id_of(play: Play) -> str:
    """The id of the event that tells of a play as it is now: on every server the same, and after a restart."""
    return play.answers[0]


def _missed(subscription: _Subscription, had: str | None) -> Sequence[Play]:
    """The plays that began or changed after what a listener had; the newest alone if that is not known.

    None before a hidden one that is the newest: what plays now is not shown.
    """
    recent, order = subscription.recent, subscription.order
    for number, play in enumerate(recent):
        if had in play.answers:
            return recent[number + (had == event_id_of(play)) :]
    if had not in subscription.hidden:
        had = next((each for each in reversed(order) if each in subscription.hidden), None)
        return recent[-1:] if had is None or _is_after(recent[-1:], had, order) else ()
    return [play for play in recent if _is_after([play], had, order)]


def _is_after(found: Sequence[Play], had: str, order: Sequence[str]) -> bool:
    """Whether a play's newest answer came after another answer."""
    return any(order.index(event_id_of(play)) > order.index(had) for play in found if event_id_of(play) in order)


def _changes(before: Sequence[Play], after: Sequence[Play], hidden: Collection[str]) -> Sequence[Play | Removed]:
    """How plays are to be shown otherwise, after something was decided about their channel."""
    now = {answer: play for play in after for answer in play.answers}
    changes: list[Play | Removed] = []
    for play in before:
        shown = next((now[answer] for answer in play.answers if answer in now), None)
        if shown is None and any(answer in hidden for answer in play.answers):
            changes.append(Removed(play.answers))
        elif shown is not None and shown.song != play.song:
            changes.append(shown)
    # What was hidden is shown again: listeners read the set list.
    had = {answer for play in before for answer in play.answers}
    changes += [play for play in after if not had.intersection(play.answers)]
    return changes


def _subtract(counts: Counter[str], sources: tuple[str, ...]) -> None:
    for source in sources:
        counts[source] -= 1
        if counts[source] <= 0:
            del counts[source]


def _is_of_now(answer: Identification) -> bool:
    """Whether an answer is about what a channel plays now: an earlier moment changes no newest play."""
    return answer.kind is Kind.STREAM and answer.asked_at is None
