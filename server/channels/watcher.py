"""Runs watches: each try is made by exactly one of the servers that share the database.

A try asks as a visitor would, so it joins a job that runs, and visitors join its own. The
leases of a server that was killed expire; a server that stops ends its own at once.
"""

import asyncio
import logging
from dataclasses import dataclass, replace
from typing import Final, Self

from fingerprint.background import Background, log_unexpected, passing
from fingerprint.domain.identification import Identification
from fingerprint.domain.problems import Problem, ProblemCode, TwitchAudioError
from fingerprint.domain.targets import ChannelTarget
from fingerprint.ports import Clock
from fingerprint.tasks import Closing, cancel_and_wait, wait_until_woken
from server.access.identity.api_keys import ApiKeyStore
from server.access.identity.principal import ANONYMOUS, Principal
from server.access.request_context import RequestContext
from server.access.scopes import WATCH
from server.access.service import Access
from server.audit.entries import Who
from server.channel_names import ChannelNames
from server.channels.owner_watches import OwnerTries
from server.channels.rules import check_is_on
from server.channels.watch import Watch, after
from server.channels.watch_store import WatchStore
from server.identifications.service import IdentificationService
from server.observability import Metrics

KEY: Final = "key:"
OPERATOR: Final = "operator"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class WatcherLimits:
    """Bounds of one server's watcher; times are in seconds."""

    at_once: int = 4
    """Tries that one server works on at a time, so that visitors find room in its queue."""
    poll_seconds: float = 2.0
    try_seconds: float = 40.0
    lease_seconds: float = 60.0
    """Longer than a try: it is never renewed."""


class Watcher(Closing):
    """Runs this server's share of all watches: an async context manager that works while it is open."""

    def __init__(
        self,
        store: WatchStore,
        *,
        service: IdentificationService,
        access: Access,
        names: ChannelNames,
        api_keys: ApiKeyStore,
        owners: OwnerTries,
        clock: Clock,
        owner: str,
        metrics: Metrics,
        limits: WatcherLimits | None = None,
        background: Background | None = None,
    ) -> None:
        self._store = store
        self._service = service
        self._access = access
        self._names = names
        self._api_keys = api_keys
        self._owners = owners
        self._clock = clock
        self._background = background or Background(clock)
        self._owner = owner
        self._limits = limits or WatcherLimits()
        self._tries: set[asyncio.Task[None]] = set()
        self._woken = asyncio.Event()
        self._loop: asyncio.Task[None] | None = None
        self._closing = False
        self._outcomes = metrics.counter("twitchaudio_watch_tries_total", "Tries of watches.", "outcome")
        metrics.gauge("twitchaudio_watch_tries_running", "Tries of watches at work.", lambda: len(self._tries))

    async def __aenter__(self) -> Self:
        self._loop = self._background.start("watch channels", self._run)
        return self

    def wake(self) -> None:
        """Take due watches at once instead of at the next poll, after one was started here."""
        self._woken.set()

    async def close(self, drain_seconds: float = 0.0) -> None:
        """Take no further watch, wait `drain_seconds` for running tries, then release the others."""
        self._closing = True
        await cancel_and_wait(self._loop)
        if self._tries:
            await asyncio.wait(set(self._tries), timeout=drain_seconds)
        await cancel_and_wait(*self._tries)

    async def _run(self) -> None:
        while True:
            self._woken.clear()
            with passing(_log, "watches_not_read"):
                await self._take_due()
            await wait_until_woken(self._woken, self._limits.poll_seconds)

    async def _take_due(self) -> None:
        room = self._limits.at_once - len(self._tries)
        if room <= 0:
            return
        for channel in await self._store.due(self._clock.now(), limit=room):
            watch = await self._store.take(
                channel, owner=self._owner, now=self._clock.now(), lease_seconds=self._limits.lease_seconds
            )
            if watch is not None:
                task = asyncio.create_task(self._run_try(watch), name=f"watch {channel}")
                self._tries.add(task)
                task.add_done_callback(self._on_try_done)

    def _on_try_done(self, task: asyncio.Task[None]) -> None:
        self._tries.discard(task)
        log_unexpected(task)
        self._woken.set()

    async def _run_try(self, watch: Watch) -> None:
        try:
            followed = await self._followed(watch)
            if followed is None and watch.owner_id is not None:
                watch = await self._with_budget_of_now(watch)
            outcome = None if followed is not None else await self._outcome(watch)
        except asyncio.CancelledError:
            await self._give_back(watch)
            raise
        if followed is not None or outcome is None:
            # Tried at once under the new login.
            await self._give_back(followed or watch)
            return
        if self._closing and isinstance(outcome, Problem) and outcome.code is ProblemCode.BUSY:
            # The server stops; another one tries.
            await self._give_back(watch)
            return
        step = after(watch, outcome)
        name = outcome.code if isinstance(outcome, Problem) else outcome.status
        self._outcomes.add(str(name))
        try:
            kept = await self._store.put_back(watch, step, now=self._clock.now())
        except TwitchAudioError:
            # Its lease ends by itself, and the next server goes on.
            _log.warning("watch_not_put_back", extra={"channel": watch.channel})
            return
        if kept and step.reason is not None:
            _log.info("watch_ended", extra={"channel": watch.channel, "reason": step.reason})

    async def _followed(self, watch: Watch) -> Watch | None:
        """The watch under its channel's new login; None when the channel has the same one, or none is known.

        Asked before each try, so that another channel that got the old login is not listened to.
        """
        if watch.channel_id is None:
            return None
        try:
            async with asyncio.timeout(self._limits.try_seconds):
                channel = await self._names.locate(watch.channel_id)
        except (TwitchAudioError, TimeoutError):
            return None
        if channel is None or channel.login == watch.channel:
            return None
        _log.info("watch_follows_rename", extra={"channel": watch.channel, "login": channel.login})
        return replace(watch, channel=channel.login)

    async def _give_back(self, watch: Watch) -> None:
        try:
            async with asyncio.timeout(1.0):
                await self._store.release(watch, now=self._clock.now())
        except (TwitchAudioError, TimeoutError):
            _log.warning("watch_not_released", extra={"channel": watch.channel})

    async def _outcome(self, watch: Watch) -> Identification | Problem:
        target = ChannelTarget(watch.channel)
        try:
            async with asyncio.timeout(self._limits.try_seconds):
                if watch.owner_id is not None:
                    answer = await self._owners.ask(watch, watch.owner_id, self._limits.try_seconds)
                else:
                    context = await self._context(watch)
                    await check_is_on(self._access, target)
                    asked = await self._service.ask(
                        target, caller="watches", admit=lambda: self._access.admit(context, target)
                    )
                    answer = await self._service.wait(asked, self._limits.try_seconds)
        except TimeoutError:
            return Problem(code=ProblemCode.TIMEOUT, detail="The answer took too long.")
        except TwitchAudioError as error:
            return error.problem
        except Exception:  # noqa: BLE001 - whatever it was, the watch goes on
            _log.exception("watch_crashed", extra={"channel": watch.channel})
            return Problem(code=ProblemCode.INTERNAL, detail="The try crashed.")
        if not answer.status.finished:
            return Problem(code=ProblemCode.TIMEOUT, detail="The answer took too long.")
        return answer

    async def _with_budget_of_now(self, watch: Watch) -> Watch:
        """An owner's watch, for which the operator's setting of now is the most captures a day."""
        try:
            return replace(watch, budget=min(watch.budget, await self._owners.captures_a_day()))
        except TwitchAudioError:
            return watch

    async def _context(self, watch: Watch) -> RequestContext:
        """Whom the job counts for and the audit log names. Raises `key-invalid` if its API key is not valid."""
        if not watch.made_by.startswith(KEY):
            subject = Who(id="watch", name=watch.made_by)
            return RequestContext(authenticated=ANONYMOUS, known_subject=subject)
        key = await self._api_keys.get(watch.made_by.removeprefix(KEY))
        if key is None or not key.valid(self._clock.now()) or WATCH not in key.scopes:
            raise TwitchAudioError(ProblemCode.KEY_INVALID, "The API key that started the watch is not valid.")
        principal = Principal(key=key)
        return RequestContext(authenticated=principal, known_subject=principal.audit_subject(None))
