"""`/healthz`, `/readyz` and `/metrics`, for monitoring. Metrics and details are for the operator alone."""

import asyncio
import hmac
from collections.abc import Mapping
from typing import Final

from aiohttp import web

from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from server import keys
from server.api.health_forms import (
    AliveJson,
    DependenciesJson,
    DependencyJson,
    ProviderJson,
    ReadinessJson,
    TwitchCheckJson,
)
from server.api.proxy_probe import answer_probe
from server.api.responses import is_operator, json_response
from server.middleware.own_machine import is_public

_METRICS_HEADERS: Final[Mapping[str, str]] = {
    "Content-Type": "text/plain; version=0.0.4; charset=utf-8",
    "Cache-Control": "no-store",
}


async def healthz(request: web.Request) -> web.Response:
    """200 as long as the process answers."""
    return json_response(AliveJson(), headers=answer_probe(request))


async def readyz(request: web.Request) -> web.Response:
    """Whether requests can be served: 200 or 503, for the operator with each dependency named."""
    return await _readiness(request.app, details=await _may_see(request))


async def metrics(request: web.Request) -> web.Response:
    """All metrics in the text format of Prometheus. Raises TwitchAudioError `forbidden`."""
    if not await _may_see(request):
        detail = (
            "The metrics are for the operator: send TWITCHAUDIO_METRICS_TOKEN as a bearer token, or ask at the "
            "address that TWITCHAUDIO_METRICS_LISTEN names."
        )
        raise TwitchAudioError(ProblemCode.FORBIDDEN, detail)
    return _metrics(request.app)


def operator_app(app: web.Application) -> web.Application:
    """What is served at `TWITCHAUDIO_METRICS_LISTEN`: the metrics and all details of `app`."""

    async def details(_request: web.Request) -> web.Response:
        return await _readiness(app, details=True)

    async def text(_request: web.Request) -> web.Response:
        return _metrics(app)

    own = web.Application()
    own.router.add_routes([web.get("/healthz", healthz), web.get("/readyz", details), web.get("/metrics", text)])
    return own


async def _may_see(request: web.Request) -> bool:
    """Whether the operator sends the request, as far as their settings tell.

    Without any setting for a public server, a program on the same machine is the operator: then nothing but the
    machine's own users can be on the other side.
    """
    settings = request.app[keys.SETTINGS]
    token = settings.metrics_token
    if token is not None:
        sent = request.headers.get("Authorization", "").encode("utf-8", "surrogatepass")
        if hmac.compare_digest(sent, f"Bearer {token.reveal()}".encode()):
            return True
    elif settings.metrics_listen is None and not is_public(request):
        return True
    return await is_operator(request)


def _metrics(app: web.Application) -> web.Response:
    return web.Response(body=app[keys.METRICS].render().encode(), headers=_METRICS_HEADERS)


async def _readiness(app: web.Application, *, details: bool) -> web.Response:
    """A server without a recognizer is ready, too: its answers say what the operator has to do."""
    states, recognizers = await asyncio.gather(app[keys.READINESS].states(), _recognizers(app))
    ready = all(state.ready or not state.required for state in states.values())
    body = ReadinessJson(status="ready" if ready else "not ready")
    if details:
        parts = {name: DependencyJson.of(state) for name, state in states.items()}
        body.dependencies = DependenciesJson(recognizers=recognizers, **parts)
        statuses = await app[keys.RECOGNIZERS].statuses()
        body.providers = {status.name: ProviderJson.of(status) for status in statuses}
        body.twitch = TwitchCheckJson.of(app[keys.CANARY].newest)
    return json_response(body, status=200 if ready else 503)


async def _recognizers(app: web.Application) -> DependencyJson:
    missing = await app[keys.SERVICE].unavailable_reason()
    return DependencyJson(ready=missing is None, required=False, detail=missing)


ROUTES: Final = (web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", metrics))
