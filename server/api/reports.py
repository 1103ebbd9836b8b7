"""`/api/v1/identifications/{id}/reports`: reports that an answer is wrong."""

from typing import Final

from aiohttp import web

from fingerprint.domain.identification import IdentificationId
from fingerprint.domain.problems import ProblemCode, TwitchAudioError, invalid_input
from server import keys
from server.access.request_context import RequestContext
from server.api.identifications import ID_LIMIT
from server.api.json_forms import ReportJson
from server.api.requests import no_unknown_query, read_body
from server.api.responses import BASE
from server.channels.reports import Reason, ReportStore, reporter
from server.identifications.service import target_of


async def report(request: web.Request) -> web.Response:
    """204 when the report is stored. Callers who may identify the target may report its answer."""
    no_unknown_query(request)
    app = request.app
    body = await read_body(request, app[keys.SETTINGS].limits, ReportJson)
    await file_report(app, request[keys.CONTEXT], request.match_info["id"], reason=body.reason, note=body.note)
    return web.Response(status=204, headers={"Cache-Control": "no-store"})


async def file_report(
    app: web.Application, context: RequestContext, text: str, *, reason: Reason, note: str
) -> None:
    """Store a report of the caller on the answer with an id.

    Raises TwitchAudioError `not-found`, `invalid-input`, `rate-limited`, and what the access check raises.
    """
    found = await app[keys.SERVICE].find(IdentificationId(text)) if len(text) <= ID_LIMIT else None
    target = None if found is None else target_of(found.identification)
    if found is None or target is None:
        raise TwitchAudioError(ProblemCode.NOT_FOUND, "There is no identification with this id.")
    await app[keys.ACCESS].check(context, target)
    answer = found.identification
    if not answer.status.finished:
        raise invalid_input("This is still being identified: report its answer once it is there.")
    disputed = await ReportStore(app[keys.DATABASE]).add(
        answer,
        reason=reason,
        note=note,
        who=reporter(context.principal, context.credentials.address, answer),
        now=app[keys.CLOCK].now(),
    )
    if disputed:
        await app[keys.SERVICE].mark_disputed(answer)
    if reason is Reason.WRONG_SONG:
        await app[keys.LEARNER].reported(answer)


ROUTES: Final = (web.post(f"{BASE}/identifications/{{id}}/reports", report),)
