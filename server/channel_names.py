"""Which channel has which login: learned from answers and from Twitch, and stored, so that a rename is noticed.

A channel's id never changes. Its login does, and Twitch gives an old login to another person after some months. So
what the operator and streamers set up holds the channel's id beside its login: it follows a rename, and the next
person with the old login inherits nothing.
"""

import asyncio
import contextlib
import dataclasses
import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, Self

from cachetools import TTLCache
from sqlalchemy import select
from sqlalchemy.engine import Connection

from fingerprint.background import Background, passing
from fingerprint.database import Database
from fingerprint.domain.identification import Identification, Kind
from fingerprint.domain.problems import Problem, ProblemCode, TwitchAudioError, UpstreamError, channel_renamed
from fingerprint.job_ports import JobOutcome
from fingerprint.ports import Broadcaster, ChannelDirectory, Clock
from fingerprint.single_flight import SingleFlightCache
from fingerprint.tasks import cancel_and_wait, wait_until_woken
from server.channel_name_table import (
    Follower,
    HeardName,
    NameSpan,
    channel_names,
    read_newest,
    read_spans,
    read_spans_of,
    write_name,
)

FRESH: Final = timedelta(seconds=5)
"""How long it counts what Twitch said about a login, where it matters who has it."""

_WRITTEN_SECONDS: Final = 600.0
_SPANS_SECONDS: Final = 2.0
_ASKED_SECONDS: Final = 5.0
_FAILED_SECONDS: Final = 2.0
_UNKNOWN_SECONDS: Final = 600.0
_LOCATED_SECONDS: Final = 60.0
_CONFIRMED_SECONDS: Final = 3_600.0
"""How often Twitch is asked for the login of each account for which something is set up."""
_RENAMED_SECONDS: Final = 2.0
"""How long an answer waits for a channel's new login."""

_SILENT_SECONDS: Final = 30.0
"""How long no ids are asked for after Twitch did not answer."""
_MAX_REMEMBERED: Final = 10_000
_MAX_CACHED: Final = 2_000
"""How many logins and ids are cached for moments: made-up ones take room, too."""

_MAX_PENDING: Final = 1_000
_MAX_AT_ONCE: Final = 5

_log = logging.getLogger(__name__)


class ChannelNames:
    """The names of all channels. An async context manager that stores what was learned and fills in ids.

    Without `directory` Twitch is never asked, and only answers teach it something.
    """

    def __init__(
        self,
        database: Database,
        directory: ChannelDirectory | None,
        *,
        clock: Clock,
        followers: Sequence[Follower] = (),
        poll_seconds: float = 2.0,
        background: Background | None = None,
    ) -> None:
        self._database = database
        self._directory = directory
        self._clock = clock
        self._background = background or Background(clock)
        self._followers = followers
        self._poll_seconds = poll_seconds
        self._spans: SingleFlightCache[str, Sequence[NameSpan]] = SingleFlightCache(
            clock=clock, fresh_seconds=_SPANS_SECONDS, max_entries=_MAX_CACHED
        )
        self._by_login: SingleFlightCache[str, Broadcaster | None] = SingleFlightCache(
            clock=clock,
            fresh_seconds=lambda found: _UNKNOWN_SECONDS if found is None else _ASKED_SECONDS,
            failure_seconds=_FAILED_SECONDS,
            max_entries=_MAX_CACHED,
        )
        self._by_id: SingleFlightCache[str, Broadcaster | None] = SingleFlightCache(
            clock=clock, fresh_seconds=_FAILED_SECONDS, failure_seconds=_FAILED_SECONDS, max_entries=_MAX_CACHED
        )
        self._written: TTLCache[str, str] = TTLCache(_MAX_REMEMBERED, _WRITTEN_SECONDS, clock.monotonic)
        self._unknown: TTLCache[str, bool] = TTLCache(_MAX_REMEMBERED, _UNKNOWN_SECONDS, clock.monotonic)
        self._pending: dict[str, HeardName] = {}
        self._silent_until = 0.0
        self._located: TTLCache[str, bool] = TTLCache(_MAX_REMEMBERED, _LOCATED_SECONDS, clock.monotonic)
        self._confirmed: TTLCache[str, bool] = TTLCache(_MAX_REMEMBERED, _CONFIRMED_SECONDS, clock.monotonic)
        self._to_locate: set[str] = set()
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = self._background.start("learn channel names", self._run)
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await cancel_and_wait(self._task)
        await self._by_login.close()
        await self._by_id.close()
        await self._spans.close()

    # --- Learning -------------------------------------------------------------------------------------

    def heard(self, outcome: JobOutcome) -> None:
        """An outcome listener: an answer names the channel that had its target's login then."""
        answer = outcome.identification
        if answer.kind is not Kind.STREAM or answer.channel_id is None:
            return
        if self._written.get(answer.target) == answer.channel_id or len(self._pending) >= _MAX_PENDING:
            return
        account = Broadcaster(id=answer.channel_id, login=answer.target)
        seen = answer.finished_at or answer.created_at
        self._pending[answer.target] = HeardName(account, answer.created_at, seen)
        self._woken.set()

    def recheck(self, channel_id: str) -> None:
        """Ask Twitch in the background for a channel's login, if that was not done lately."""
        if channel_id not in self._located and len(self._to_locate) < _MAX_PENDING:
            self._to_locate.add(channel_id)
            self._woken.set()

    def wake(self) -> None:
        """Fill in ids at once, after something was set up for a login."""
        self._woken.set()

    async def learn(self, account: Broadcaster, *, since: datetime | None = None) -> None:
        """Store that an account has a login now, since at least `since`. Raises TwitchAudioError `busy`."""
        now = self._clock.now()
        await self._store(HeardName(account, since or now, now))

    async def _store(self, heard: HeardName) -> None:
        now = self._clock.now()
        if await self._database.transact(lambda connection: write_name(connection, heard, self._followers, now)):
            self._spans.invalidate_all()
            self._by_login.invalidate(heard.account.login)
            _log.info("channel_named", extra={"channel": heard.account.login, "channel_id": heard.account.id})
        self._written[heard.account.login] = heard.account.id

    # --- Asking ---------------------------------------------------------------------------------------

    async def find(self, login: str) -> Broadcaster | None:
        """The channel that has a login now, as Twitch said within `FRESH`; None when none is known to.

        Raises TwitchAudioError `upstream-unavailable`, `timeout`, `busy`.
        """
        return self._by_login.fresh(login) or await self._by_login.get(login, lambda: self._find(login))

    async def locate(self, channel_id: str, *, renamed: bool = False) -> Broadcaster | None:
        """The channel with an id, under its login of now, as Twitch says; None when it is gone.

        `renamed`: there are signs that it has another login, so what Twitch said a moment ago does not count.
        Raises as `find` does.
        """
        if renamed:
            self._by_id.invalidate(channel_id)
        return await self._by_id.get(channel_id, lambda: self._ask_id(channel_id))

    async def _find(self, login: str) -> Broadcaster | None:
        before = await self._newest(login)
        if before is not None and abs(self._clock.now() - before[1]) < FRESH:
            return before[0]
        return await self._ask_login(login, None if before is None else before[0])

    async def _ask_login(self, login: str, before: Broadcaster | None) -> Broadcaster | None:
        """The channel that has a login, as Twitch says, where `before` was the one that had it."""
        if self._directory is None:
            return before
        found = await self._directory.by_login(login)
        if found is not None:
            await self.learn(found)
        if before is not None and (found is None or before.id != found.id):
            # What was set up for it moves to its new login.
            await self.locate(before.id, renamed=True)
        return found

    async def _ask_id(self, channel_id: str) -> Broadcaster | None:
        if self._directory is None:
            return None
        found = await self._directory.by_id(channel_id)
        self._located[channel_id] = self._confirmed[channel_id] = True
        if found is not None:
            await self.learn(found)
        return found

    async def name_renamed(self, finished: Identification) -> Identification:
        """An `AnswerEnricher`: "no such channel" names the new login of the channel that had the login."""
        problem = finished.problem
        if (
            finished.kind is not Kind.STREAM
            or problem is None
            or problem.code is not ProblemCode.CHANNEL_NOT_FOUND
        ):
            return finished
        with contextlib.suppress(TwitchAudioError, TimeoutError):
            async with asyncio.timeout(_RENAMED_SECONDS):
                known = await self.current(finished.target)
                if known is not None and known.login == finished.target:
                    known = await self.locate(known.id, renamed=True)
            if known is not None and known.login != finished.target:
                problem = channel_renamed(finished.target, known.login).problem
        return dataclasses.replace(finished, problem=problem)

    # --- What is known --------------------------------------------------------------------------------

    async def current(self, login: str) -> Broadcaster | None:
        """The channel that a login leads to, under its newest known login. Raises TwitchAudioError `busy`."""
        spans = await self.spans(login)
        return Broadcaster(id=spans[0].channel_id, login=spans[0].login) if spans else None

    async def current_login(self, login: str) -> str:
        """The newest login of the channel that a login leads to: the same one, unless it was renamed.

        Whether an old login has a new owner is asked of Twitch. Raises TwitchAudioError `busy`.
        """
        found = await self.current(login)
        if found is None or found.login == login:
            return login
        with contextlib.suppress(UpstreamError):
            await self.find(login)
            found = await self.current(login)
        return login if found is None else found.login

    async def owns(self, user_id: str, user_login: str, login: str) -> bool:
        """Whether a signed-in user is the one whose channel has a login. Raises TwitchAudioError `busy`."""
        if user_login == login:
            return True
        # The sign-in may be older than the rename.
        found = await self.current(login)
        return found is not None and found.id == user_id

    async def had(self, login: str, channel_id: str) -> bool:
        """Whether a channel is known to have had a login at some time. Raises TwitchAudioError `busy`."""
        table = channel_names
        same = (table.c.login == login, table.c.channel_id == channel_id)
        return await self._database.first(select(table.c.login).where(*same)) is not None

    async def spans(self, login: str) -> Sequence[NameSpan]:
        """The logins of the channel that a login leads to, the newest first; empty when nothing is known.

        Raises TwitchAudioError `busy`.
        """
        return self._spans.fresh(login) or await self._spans.get(login, lambda: self._read_spans(login))

    async def spans_of(self, channel_id: str) -> Sequence[NameSpan]:
        """The logins of a channel, the newest first; empty when none is known. Raises TwitchAudioError `busy`."""
        return await self._database.read(lambda connection: read_spans_of(connection, channel_id))

    async def _read_spans(self, login: str) -> Sequence[NameSpan]:
        return await self._database.read(lambda connection: read_spans(connection, login))

    async def _newest(self, login: str) -> tuple[Broadcaster, datetime] | None:
        return await self._database.read(lambda connection: read_newest(connection, login))

    # --- In the background ----------------------------------------------------------------------------

    async def _run(self) -> None:
        while True:
            self._woken.clear()
            with passing(_log, "channel_names_not_stored"):
                await self._store_pending()
                if self._clock.monotonic() >= self._silent_until:
                    await self._ask_what_is_due()
            await wait_until_woken(self._woken, self._poll_seconds)

    async def _store_pending(self) -> None:
        while self._pending:
            login = next(iter(self._pending))
            heard = self._pending[login]
            try:
                await self._learn(login, heard)
            except TwitchAudioError:
                raise
            except BaseException:
                # One that cannot be stored must not hold back the others.
                self._pending.pop(login, None)
                raise
            if self._pending.get(login) is heard:
                del self._pending[login]

    async def _learn(self, login: str, heard: HeardName) -> None:
        before = await self._newest(login)
        if before is None or before[0].id == heard.account.id or self._directory is None:
            await self._store(heard)
            return
        # Sound may still come from the broadcast of a channel that has lost the login: Twitch knows.
        with contextlib.suppress(UpstreamError):
            await self._ask_login(login, before[0])

    async def _ask_what_is_due(self) -> None:
        try:
            while self._to_locate:
                await self.locate(self._to_locate.pop())
            await self._fill_in_ids()
            await self._confirm_next()
        except UpstreamError:
            self._silent_until = self._clock.monotonic() + _SILENT_SECONDS

    async def _fill_in_ids(self) -> None:
        """Give the rows without an id the id of the account that has their login now. Raises UpstreamError."""
        logins = await self._database.read(
            lambda connection: {login for follower in self._followers for login in follower.unbound(connection)}
        )
        waiting = sorted(login for login in logins if login not in self._unknown)
        for login in waiting[:_MAX_AT_ONCE]:
            found = await self.find(login)
            if found is None:
                self._unknown[login] = True
            else:
                await self._database.transact(lambda connection, found=found: self._follow(connection, found))

    async def _confirm_next(self) -> None:
        """Ask for the login of one account for which something is set up, if it was not asked for lately."""
        if self._directory is None:
            return
        ids = await self._database.read(
            lambda connection: {number for follower in self._followers for number in follower.bound(connection)}
        )
        due = next((number for number in sorted(ids) if number not in self._confirmed), None)
        if due is not None:
            await self.locate(due)

    def _follow(self, connection: Connection, account: Broadcaster) -> None:
        for follower in self._followers:
            follower.follow(connection, account)


def is_of_another(outcome: Identification | Problem, channel_id: str) -> bool:
    """Whether an answer, or the lack of one, may mean that the login that was asked for is not this channel's."""
    problem = outcome if isinstance(outcome, Problem) else outcome.problem
    if problem is not None:
        # A person who got the login may just not be live.
        return problem.code in (ProblemCode.CHANNEL_NOT_FOUND, ProblemCode.NOT_LIVE)
    return isinstance(outcome, Identification) and outcome.channel_id not in (None, channel_id)
