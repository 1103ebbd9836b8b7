"""`/api/v1/channels/{login}/watch` and `/api/v1/watches`: channels that are identified at an interval."""

from dataclasses import dataclass
from typing import Final

from aiohttp import web

from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.ports import Broadcaster
from server import keys
from server.access.identity.principal import Principal
from server.access.scopes import WATCH
from server.api.json_forms import WatchesJson, WatchJson, WatchTerms
from server.api.owners import owner_of
from server.api.requests import channel_login, no_unknown_query, read_body
from server.api.responses import BASE, json_response
from server.audit.changes import ChangeLog
from server.channels.owner_watches import start_own_watch
from server.channels.watch_store import WatchStore
from server.channels.watcher import KEY


@dataclass(frozen=True, slots=True, kw_only=True)
class _Caller:
    """Who may watch channels: the name for `made_by`, and the store that records changes under it."""

    made_by: str
    store: WatchStore
    owner: Broadcaster | None = None
    """The account of somebody who may watch this channel alone, because it is theirs."""


async def _allowed(request: web.Request, login: str | None = None) -> _Caller:
    """The caller, who may watch channels, or the one with the login.

    Raises TwitchAudioError `login-required`, `forbidden`, and what `Access.check_sender` raises.
    """
    access = request.app[keys.ACCESS]
    context = request[keys.CONTEXT]
    await access.check_sender(context)
    principal = context.principal
    changes = ChangeLog(context.audit_subject)
    operator = principal.user is not None and access.admins.contain(principal.user)
    store = WatchStore(request.app[keys.DATABASE], changes=changes)
    if login is not None and principal.user is not None and not operator:
        owner = await owner_of(request, principal.user, login)
        if owner is not None:
            return _Caller(made_by="", store=store, owner=owner)
    return _Caller(made_by=_name(principal, operator=operator), store=store)


def _name(principal: Principal, *, operator: bool) -> str:
    if operator and principal.user is not None:
        return f"user:{principal.user.id}"
    if principal.key is not None and WATCH in principal.key.scopes:
        return f"{KEY}{principal.key.id}"
    if principal.key is None and principal.user is None:
        raise TwitchAudioError(
            ProblemCode.LOGIN_REQUIRED,
            "Only the channel's owner, operators and API keys with the scope `watch` can do this.",
        )
    raise TwitchAudioError(ProblemCode.FORBIDDEN, f"Watching takes an API key with the scope {WATCH!r}.")


async def get(request: web.Request) -> web.Response:
    """The channel's watch; 404 when it was never watched."""
    no_unknown_query(request)
    watch = await WatchStore(request.app[keys.DATABASE]).get(await channel_login(request))
    if watch is None:
        raise TwitchAudioError(ProblemCode.NOT_FOUND, "This channel was never watched.")
    return json_response(WatchJson.of(watch))


async def put(request: web.Request) -> web.Response:
    """Watch a channel from now on; 201 when it was not watched before."""
    no_unknown_query(request)
    login = await channel_login(request)
    caller = await _allowed(request, login)
    settings, now = request.app[keys.SETTINGS], request.app[keys.CLOCK].now()
    terms = await read_body(request, settings.limits, WatchTerms)
    if caller.owner is not None:
        watch, started = await start_own_watch(
            caller.store,
            request.app[keys.ACCESS],
            caller.owner,
            every_seconds=terms.every,
            budget=terms.budget,
            most=settings.watches,
            now=now,
        )
    else:
        watch, started = await caller.store.start(
            login,
            every_seconds=terms.every,
            budget=terms.budget,
            made_by=caller.made_by,
            most=settings.watches,
            now=now,
        )
    request.app[keys.NAMES].wake()
    request.app[keys.WATCHER].wake()
    return json_response(WatchJson.of(watch), status=201 if started else 200)


async def delete(request: web.Request) -> web.Response:
    """Stop watching a channel; 404 when it is not being watched."""
    no_unknown_query(request)
    login = await channel_login(request)
    caller = await _allowed(request, login)
    number = None if caller.owner is None else caller.owner.id
    if not await caller.store.stop(login, now=request.app[keys.CLOCK].now(), channel_id=number):
        raise TwitchAudioError(ProblemCode.NOT_FOUND, "This channel is not being watched.")
    return web.Response(status=204, headers={"Cache-Control": "no-store"})


async def all_watches(request: web.Request) -> web.Response:
    """Every watch, the running ones first."""
    no_unknown_query(request)
    caller = await _allowed(request)
    return json_response(WatchesJson(watches=[WatchJson.of(watch) for watch in await caller.store.newest()]))


ROUTES: Final = (
    web.get(f"{BASE}/channels/{{login}}/watch", get),
    web.put(f"{BASE}/channels/{{login}}/watch", put),
    web.delete(f"{BASE}/channels/{{login}}/watch", delete),
    web.get(f"{BASE}/watches", all_watches),
)
