"""`/api/v1/channels/{login}/watch` and `/api/v1/watches`: channels that are identified at an interval."""

from typing import Final

from aiohttp import web

from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from server import keys
from server.access.identity.principal import Principal
from server.access.scopes import WATCH
from server.api.json_forms import WatchesJson, WatchJson, WatchTerms
from server.api.requests import channel_login, no_unknown_query, read_body
from server.api.responses import BASE, json_response
from server.audit.changes import ChangeLog
from server.channels.watch_store import WatchStore
from server.channels.watcher import KEY


async def _allowed(request: web.Request) -> tuple[str, WatchStore]:
    """The name for `made_by` of a caller who may watch channels, and the store of watches.

    Raises TwitchAudioError `login-required`, `forbidden`, and what `Access.check_sender` raises.
    """
    access = request.app[keys.ACCESS]
    context = request[keys.CONTEXT]
    await access.check_sender(context)
    principal = context.principal
    changes = ChangeLog(context.audit_subject)
    operator = principal.user is not None and access.admins.contain(principal.user)
    return _name(principal, operator=operator), WatchStore(request.app[keys.DATABASE], changes=changes)


def _name(principal: Principal, *, operator: bool) -> str:
    if operator and principal.user is not None:
        return f"user:{principal.user.id}"
    if principal.key is not None and WATCH in principal.key.scopes:
        return f"{KEY}{principal.key.id}"
    if principal.key is None and principal.user is None:
        raise TwitchAudioError(
            ProblemCode.LOGIN_REQUIRED, "Only operators and API keys with the scope `watch` can do this."
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
    made_by, store = await _allowed(request)
    settings = request.app[keys.SETTINGS]
    terms = await read_body(request, settings.limits, WatchTerms)
    watch, started = await store.start(
        login,
        every_seconds=terms.every,
        budget=terms.budget,
        made_by=made_by,
        most=settings.watches,
        now=request.app[keys.CLOCK].now(),
    )
    request.app[keys.NAMES].wake()
    request.app[keys.WATCHER].wake()
    return json_response(WatchJson.of(watch), status=201 if started else 200)


async def delete(request: web.Request) -> web.Response:
    """Stop watching a channel; 404 when it is not being watched."""
    no_unknown_query(request)
    login = await channel_login(request)
    _, store = await _allowed(request)
    if not await store.stop(login, now=request.app[keys.CLOCK].now()):
        raise TwitchAudioError(ProblemCode.NOT_FOUND, "This channel is not being watched.")
    return web.Response(status=204, headers={"Cache-Control": "no-store"})


async def all_watches(request: web.Request) -> web.Response:
    """Every watch, the running ones first."""
    no_unknown_query(request)
    _, store = await _allowed(request)
    return json_response(WatchesJson(watches=[WatchJson.of(watch) for watch in await store.newest()]))


ROUTES: Final = (
    web.get(f"{BASE}/channels/{{login}}/watch", get),
    web.put(f"{BASE}/channels/{{login}}/watch", put),
    web.delete(f"{BASE}/channels/{{login}}/watch", delete),
    web.get(f"{BASE}/watches", all_watches),
)
