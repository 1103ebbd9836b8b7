"""The box on a channel's page in which its owner has it watched while it is live."""

from dataclasses import dataclass

from aiohttp import web

from fingerprint.domain.problems import ProblemCode, TwitchAudioError, invalid_input
from fingerprint.ports import Broadcaster
from server import keys
from server.api.owners import owner_of
from server.audit.changes import ChangeLog
from server.channels.owner_watches import may_watch, start_own_watch
from server.channels.watch import Watch, WatchState
from server.channels.watch_store import WatchStore
from server.channels.watch_terms import EVERY_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnWatch:
    """What the owner sees: the watch that runs, or on which terms one can be started."""

    running: Watch | None
    captures: int
    """Identifications a day that a new one may take."""


async def shown_own_watch(request: web.Request, login: str, watch: Watch | None) -> OwnWatch | None:
    """The box for the channel's owner; None for others, and where there is nothing to start or stop.

    Raises TwitchAudioError `busy`.
    """
    try:
        owner = await _owner(request, login)
        if owner is None:
            return None
        rules = await request.app[keys.ACCESS].rules()
    except TwitchAudioError:
        # Without knowing the visitor, the set list can be shown all the same.
        return None
    running = watch if watch is not None and watch.state is WatchState.RUNNING else None
    if running is not None and running.channel_id not in (None, owner.id):
        # Of the channel that had this login before, which it is about to follow.
        running = None
    if running is None and not may_watch(rules, owner.id):
        return None
    return OwnWatch(running=running, captures=rules.website.owner_watch_captures)


async def change_own_watch(request: web.Request, login: str, action: str) -> None:
    """Start or stop the watch of the visitor's channel.

    Raises TwitchAudioError `invalid-input`, `forbidden`, `blacklisted`, and what `start_own_watch` raises.
    """
    access, context, now = request.app[keys.ACCESS], request[keys.CONTEXT], request.app[keys.CLOCK].now()
    await access.check_sender(context)
    owner = await _owner(request, login)
    if owner is None:
        detail = "Only the channel's owner, signed in with Twitch, can have it watched here."
        raise TwitchAudioError(ProblemCode.FORBIDDEN, detail)
    store = WatchStore(request.app[keys.DATABASE], changes=ChangeLog(context.audit_subject))
    if action == "stop":
        await store.stop(login, now=now, channel_id=owner.id)
        return
    if action != "start":
        raise invalid_input("`action` is start or stop.")
    captures = (await access.rules()).website.owner_watch_captures
    await start_own_watch(
        store,
        access,
        owner,
        every_seconds=EVERY_SECONDS,
        budget=captures,
        most=request.app[keys.SETTINGS].watches,
        now=now,
    )
    request.app[keys.WATCHER].wake()


async def _owner(request: web.Request, login: str) -> Broadcaster | None:
    """The visitor's account, if the channel is theirs. Raises what `Access.authenticate` raises."""
    user = (await request.app[keys.ACCESS].authenticate(request[keys.CONTEXT])).user
    return None if user is None else await owner_of(request, user, login)
