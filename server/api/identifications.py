"""`/api/v1/identifications`: start, read and follow identifications."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

from aiohttp import web

from fingerprint.domain.identification import Identification, IdentificationId, Kind, Stage
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.domain.targets import AskedTarget, UploadTarget
from server import keys
from server.access.identity.addresses import widely_counted
from server.access.service import fair_share_key
from server.api.event_streams import encode_event, last_event_id, send_events
from server.api.requests import max_age, no_unknown_query, preferred_wait, read_question
from server.api.responses import BASE, identification_response, is_operator
from server.api.uploads import UploadRoom, read_upload
from server.api.webhooks import webhook_owner
from server.identifications.service import IdentificationHandle, target_of
from server.middleware.request_turns import end_turn

ID_LIMIT: Final = 64

# Not in `server.keys`: its class is in a layer above.
UPLOADS: Final = web.AppKey("uploads", UploadRoom)


async def ask_if_allowed(
    request: web.Request, target: AskedTarget, *, max_age: float | None = None
) -> IdentificationHandle:
    """The stored answer, the running job, or a new one, for a request that may ask for the target.

    `max_age`: see `IdentificationService.ask`.

    Raises what `Access.check`, `Access.admit` and `IdentificationService.ask` raise.
    """
    access, context = request.app[keys.ACCESS], request[keys.CONTEXT]
    await access.check(context, target)
    asked = await request.app[keys.SERVICE].ask(
        target,
        caller=fair_share_key(context),
        admit=lambda: access.admit(context, target),
        max_age=max_age,
    )
    request.app[keys.WEBHOOKS].asked(asked, webhook_owner(context.principal))
    request.app[keys.HOT].asked(target, fair_share_key(context))
    request.app[keys.UNKNOWNS].asked(asked)
    return asked


async def ask(request: web.Request) -> web.Response:
    """Start an identification, join the one that runs, or give the answer that is stored."""
    limits = request.app[keys.SETTINGS].limits
    no_unknown_query(request)
    uploaded = request.content_type == "multipart/form-data"
    target = await _uploaded(request) if uploaded else await read_question(request, limits)
    asked = await ask_if_allowed(request, target, max_age=max_age(request))
    wait = preferred_wait(request, limits)
    identification = asked.identification
    if wait is not None:
        end_turn(request)
        identification = await request.app[keys.SERVICE].wait(asked, wait, source=source_of(request))
        await _check_shown(request, identification)
    return await identification_response(
        request,
        identification,
        status=200 if identification.status.finished else 202,
        shared=asked.shared,
        waited=wait,
        with_location=True,
        age_seconds=asked.age_seconds,
    )


async def _uploaded(request: web.Request) -> UploadTarget:
    """The recording that is sent, if the client may send one. Raises as `read_upload` and `Access.check` do."""
    context = request[keys.CONTEXT]
    if request.app[keys.SETTINGS].runner == "lambda":
        detail = "This server identifies in functions elsewhere, which cannot read uploaded files."
        raise TwitchAudioError(ProblemCode.RECOGNIZER_UNAVAILABLE, detail)
    await request.app[keys.ACCESS].check_kind(context, Kind.FILE)
    end_turn(request)
    with request.app[UPLOADS].place(fair_share_key(context)):
        return await read_upload(request)


async def get(request: web.Request) -> web.Response:
    """An identification in its current state; with `Prefer: wait`, once it is finished or the wait is over."""
    no_unknown_query(request)
    asked = await _find(request)
    wait = preferred_wait(request, request.app[keys.SETTINGS].limits)
    identification = asked.identification
    if wait is not None:
        end_turn(request)
        identification = await request.app[keys.SERVICE].wait(asked, wait, source=source_of(request))
        await _check_shown(request, identification)
    if identification.status.finished:
        # So that `song.id` leads to a page.
        await request.app[keys.SONGS].note_old(identification)
    return await identification_response(request, identification, waited=wait)


async def events(request: web.Request) -> web.StreamResponse:
    """Server-sent events: `status` for each state from the current one on, then one `result`.

    A client that comes back with `Last-Event-ID` gets the states that followed; 204, which ends an `EventSource`,
    when it has had the result.
    """
    no_unknown_query(request)
    asked = await _find(request)
    known = asked.identification
    after = _stage_of(last_event_id(request), known)
    if after is Stage.DONE and known.status.finished:
        return web.Response(status=204, headers={"Cache-Control": "no-store"})
    keep_alive = request.app[keys.SETTINGS].limits.events_keep_alive_seconds
    encoder = request.app[keys.ENCODER]
    paths = await is_operator(request)

    def encode(state: Identification) -> bytes:
        name = b"result" if state.status.finished else b"status"
        return encode_event(name, encoder.encode(state, paths=paths), event_id=f"{state.id}-{state.stage}")

    states = request.app[keys.SERVICE].states(asked, keep_alive, after=after, source=source_of(request))
    return await send_events(request, _shown(request, states), encode, first_is_there=True)


async def _shown(
    request: web.Request, states: AsyncGenerator[Identification | None]
) -> AsyncGenerator[Identification | None]:
    """The states as long as they may be shown. Raises as `find_shown` does."""
    async with aclosing(states):
        async for state in states:
            if state is not None:
                await _check_shown(request, state)
            yield state


def source_of(request: web.Request) -> str | None:
    """Whose room a request takes while it waits: its address's, or its /56's; None for a Unix socket."""
    address = request[keys.CONTEXT].credentials.address
    return None if address is None else widely_counted(address)


def _stage_of(event_id: str | None, identification: Identification) -> Stage | None:
    """The stage in the id of an event about this identification; None for any other text.

    No state is lost with that, on whichever server: there is one for each stage, and they come in order.
    """
    job, _, stage = (event_id or "").rpartition("-")
    return Stage(stage) if job == identification.id and stage in list(Stage) else None


async def _find(request: web.Request) -> IdentificationHandle:
    found = await find_shown(request, request.match_info["id"])
    if found is None:
        raise TwitchAudioError(ProblemCode.NOT_FOUND, "There is no identification with this id.")
    return found


async def find_shown(request: web.Request, text: str) -> IdentificationHandle | None:
    """The identification with an id; None when there is none.

    Raises TwitchAudioError `busy`, and `blacklisted` when it is about a channel, clip or VOD that is.
    """
    found = await request.app[keys.SERVICE].find(IdentificationId(text)) if len(text) <= ID_LIMIT else None
    if found is not None:
        await _check_shown(request, found.identification)
    return found


async def _check_shown(request: web.Request, identification: Identification) -> None:
    """Also after a wait, in which what it is about may have been blocked. Raises as `find_shown` does."""
    target = target_of(identification)
    if target is not None:
        await request.app[keys.ACCESS].check_shown(target)


ROUTES: Final = (
    web.post(f"{BASE}/identifications", ask),
    web.get(f"{BASE}/identifications/{{id}}", get),
    web.get(f"{BASE}/identifications/{{id}}/events", events),
)
