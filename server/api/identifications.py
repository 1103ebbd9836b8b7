"""`/api/v1/identifications`: start, read and follow identifications."""

import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

from aiohttp import web

from fingerprint.domain.identification import Identification, IdentificationId
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from server import keys
from server.access.service import fair_share_key
from server.api.event_streams import RETRY, open_stream, write
from server.api.requests import no_unknown_query, preferred_wait, read_question
from server.api.responses import BASE, identification_response
from server.identifications.encoding import Encoder
from server.identifications.service import IdentificationHandle
from server.settings import ServerLimits

ID_LIMIT: Final = 64

_log = logging.getLogger(__name__)


async def ask(request: web.Request) -> web.Response:
    """Start an identification, join the one that runs, or give the answer that is stored."""
    limits = request.app[keys.SETTINGS].limits
    service = request.app[keys.SERVICE]
    no_unknown_query(request)
    target = await read_question(request, limits)
    access = request.app[keys.ACCESS]
    context = request[keys.CONTEXT]
    await access.check(context, target)
    asked = await service.ask(target, caller=fair_share_key(context), admit=lambda: access.admit(context, target))
    wait = preferred_wait(request, limits)
    identification = asked.identification
    if wait is not None:
        identification = await service.wait(asked, wait)
    return identification_response(
        request,
        identification,
        status=200 if identification.status.finished else 202,
        shared=asked.shared,
        waited=wait,
        with_location=True,
    )


async def get(request: web.Request) -> web.Response:
    """An identification in its current state; with `Prefer: wait`, once it is finished or the wait is over."""
    no_unknown_query(request)
    asked = await _find(request)
    wait = preferred_wait(request, request.app[keys.SETTINGS].limits)
    identification = asked.identification
    if wait is not None:
        identification = await request.app[keys.SERVICE].wait(asked, wait)
    return identification_response(request, identification, waited=wait)


async def events(request: web.Request) -> web.StreamResponse:
    """Server-sent events: `status` for each state from the current one on, then one `result`."""
    no_unknown_query(request)
    limits = request.app[keys.SETTINGS].limits
    asked = await _find(request)
    states = request.app[keys.SERVICE].states(asked, limits.events_keep_alive_seconds)
    response = await open_stream(request)
    # From here on the answer has begun: an error can only end it.
    try:
        async with aclosing(states):
            await _send_events(response, states, request.app[keys.ENCODER], limits)
            await response.write_eof()
    except (TimeoutError, ConnectionError) as error:
        _log.info("listener_dropped", extra={"error": type(error).__name__})
    except TwitchAudioError as error:
        _log.info("listener_refused", extra={"code": str(error.code)})
    return response


async def _send_events(
    response: web.StreamResponse,
    states: AsyncGenerator[Identification | None],
    encoder: Encoder,
    limits: ServerLimits,
) -> None:
    await write(response, RETRY, limits)
    async for state in states:
        await write(response, b": still here\n\n" if state is None else _event(state, encoder), limits)


def _event(state: Identification, encoder: Encoder) -> bytes:
    name = b"result" if state.status.finished else b"status"
    return b"event: %s\ndata: %s\n\n" % (name, encoder.encode(state))


async def _find(request: web.Request) -> IdentificationHandle:
    text = request.match_info["id"]
    found = None
    if len(text) <= ID_LIMIT:
        found = await request.app[keys.SERVICE].find(IdentificationId(text))
    if found is None:
        raise TwitchAudioError(ProblemCode.NOT_FOUND, "There is no identification with this id.")
    return found


ROUTES: Final = (
    web.post(f"{BASE}/identifications", ask),
    web.get(f"{BASE}/identifications/{{id}}", get),
    web.get(f"{BASE}/identifications/{{id}}/events", events, allow_head=False),
)
