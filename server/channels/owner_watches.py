"""A channel's owner has it watched while it is live: who may, how often a day, and how each try asks."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

from fingerprint.domain.identification import Identification, Status, is_fresh, new_identification_id
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.domain.targets import ChannelTarget, asked_now
from fingerprint.pipeline import Pipeline
from fingerprint.ports import Broadcaster, Clock
from server.access.identity.principal import ANONYMOUS
from server.access.identity.twitch_user import TwitchUser
from server.access.limit_status import Limit
from server.access.request_context import RequestContext
from server.access.rules.store import Rules
from server.access.rules.website import AccessMode
from server.access.service import Access
from server.audit.entries import Who
from server.channels.rules import check_is_on
from server.channels.watch import LOOK_SECONDS, OWNER, Watch, left_of_day
from server.channels.watch_store import WatchStore
from server.identifications.service import IdentificationService

DAY_SECONDS: Final = 86_400
LOOKS_A_DAY: Final = 2 * int(DAY_SECONDS / LOOK_SECONDS)
"""Jobs a day that may find a channel not live, beside its captures."""


def may_watch(rules: Rules, owner_id: str) -> bool:
    """Whether the rules let a channel's owner have it watched; in `subscribers` mode only listed broadcasters."""
    if not rules.website.owner_watches:
        return False
    listed = any(each.id == owner_id for each in rules.broadcasters)
    return listed or rules.website.access_mode is not AccessMode.SUBSCRIBERS


def check_may_watch(rules: Rules, owner_id: str) -> None:
    """Raise TwitchAudioError `forbidden` unless the rules let the owner have their channel watched."""
    if not may_watch(rules, owner_id):
        detail = "The operator does not have this channel watched for its owner."
        raise TwitchAudioError(ProblemCode.FORBIDDEN, detail)


async def start_own_watch(
    store: WatchStore,
    access: Access,
    owner: Broadcaster,
    *,
    every_seconds: int,
    budget: int,
    most: int,
    now: datetime,
) -> tuple[Watch, bool]:
    """Watch the channel of a signed-in user whose it is: its watch, and whether it was not watched before.

    `budget`: captures a day; the operator's setting is the most.

    Raises TwitchAudioError `forbidden`, `busy`, and what `check_is_on` raises.
    """
    rules = await access.rules()
    check_may_watch(rules, owner.id)
    await check_is_on(access, ChannelTarget(owner.login), users=(_user(owner.id, owner.login),))
    return await store.start(
        owner.login,
        every_seconds=every_seconds,
        budget=min(budget, rules.website.owner_watch_captures),
        made_by=f"{OWNER}{owner.id}",
        most=most,
        now=now,
        channel_id=owner.id,
    )


class OwnerTries:
    """Makes the tries of owners' watches. `free` asks the recognizers that cost nothing; None without any here.

    `paid` names those in use that may cost money.
    """

    def __init__(
        self,
        service: IdentificationService,
        access: Access,
        *,
        free: Pipeline | None,
        paid: Callable[[], Sequence[str]],
        clock: Clock,
    ) -> None:
        self._service = service
        self._access = access
        self._free = free
        self._paid = paid
        self._clock = clock

    async def captures_a_day(self) -> int:
        """The operator's budget for each channel. Raises TwitchAudioError `busy`."""
        return (await self._access.rules()).website.owner_watch_captures

    async def ask(self, watch: Watch, owner_id: str, wait_seconds: float) -> Identification:
        """The channel's answer of now.

        Raises TwitchAudioError `forbidden` when the rules no longer allow the watch, `rate-limited` when its day's
        captures are used, and what `check_is_on`, `IdentificationService.ask` and `Access.admit` raise.
        """
        rules = await self._access.rules()
        check_may_watch(rules, owner_id)
        target = ChannelTarget(watch.channel)
        await check_is_on(self._access, target, users=(_user(owner_id, watch.channel),))
        if watch.used > watch.budget:
            detail = "The captures of this day are used."
            raise TwitchAudioError(
                ProblemCode.RATE_LIMITED, detail, retry_after_seconds=left_of_day(watch.last_at)
            )
        if self._paid() and not rules.website.owner_watch_paid:
            return await self._listen(target, watch, owner_id)
        asked = await self._service.ask(
            target,
            caller="watches",
            admit=lambda: self._access.admit(_context(watch), target, own_limits=_limits(watch, owner_id)),
        )
        return await self._service.wait(asked, wait_seconds)

    async def _listen(self, target: ChannelTarget, watch: Watch, owner_id: str) -> Identification:
        """Ask the free recognizers, and store the song that they find; no "no song", as others may know it."""
        newest = await self._service.answer(target)
        if newest is not None and is_fresh(newest, self._clock.now(), watch.every_seconds / 2):
            return newest
        if self._free is None or await self._free.unavailable_reason() is not None:
            raise TwitchAudioError(ProblemCode.RECOGNIZER_UNAVAILABLE, "No free recognizer can be asked here.")
        if self._service.is_busy:
            raise TwitchAudioError(ProblemCode.BUSY, "Visitors are asking.", retry_after_seconds=5.0)
        admission = await self._access.admit(_context(watch), target, own_limits=_limits(watch, owner_id))
        try:
            if admission is not None:
                admission.job_started()
            asked = asked_now(target, self._clock.now(), new_identification_id())
            heard = await self._free.identify(asked, target)
        finally:
            if admission is not None:
                admission.job_ended()
        if heard.status is Status.SUCCESSFUL:
            await self._service.add_answer(target, heard)
        return heard


def _user(owner_id: str, login: str) -> TwitchUser:
    return TwitchUser(id=owner_id, login=login, scopes=frozenset())


def _context(watch: Watch) -> RequestContext:
    return RequestContext(authenticated=ANONYMOUS, known_subject=Who(id="watch", name=watch.made_by))


def _limits(watch: Watch, owner_id: str) -> Sequence[Limit]:
    """A bound that holds even if the watch is deleted and started again, which `Watch.used` does not."""
    return [Limit(f"{OWNER}{owner_id}:watch", watch.budget + LOOKS_A_DAY, DAY_SECONDS)]
