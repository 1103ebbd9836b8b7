"""`/healthz`, `/readyz` and `/metrics`, for monitoring."""

import asyncio
from typing import Final

from aiohttp import web

from fingerprint.domain.problems import TwitchAudioError
from server import keys, migrations
from server.api.json_forms import (
    AliveJson,
    DependenciesJson,
    DependencyJson,
    ProviderJson,
    ReadinessJson,
    TwitchCheckJson,
)
from server.api.responses import json_response


async def healthz(_request: web.Request) -> web.Response:
    """200 as long as the process answers."""
    return json_response(AliveJson())


async def readyz(request: web.Request) -> web.Response:
    """Whether requests can be served, each dependency named: 200 or 503.

    A server without a recognizer is ready, too: its answers say what the operator has to do.
    """
    database, jobs, recognizers = await asyncio.gather(_database(request), _jobs(request), _recognizers(request))
    ready = all(dependency.ready or not dependency.required for dependency in (database, jobs, recognizers))
    body = ReadinessJson(
        status="ready" if ready else "not ready",
        dependencies=DependenciesJson(database=database, jobs=jobs, recognizers=recognizers),
        providers={
            status.name: ProviderJson.of(status) for status in await request.app[keys.PROVIDERS].statuses()
        },
        twitch=TwitchCheckJson.of(request.app[keys.CANARY].newest),
    )
    return json_response(body, status=200 if ready else 503)


async def _database(request: web.Request) -> DependencyJson:
    try:
        async with asyncio.timeout(request.app[keys.SETTINGS].limits.ready_seconds):
            await migrations.check(request.app[keys.DATABASE])
    except TwitchAudioError as error:
        return DependencyJson(ready=False, required=True, detail=error.detail)
    except TimeoutError:
        return DependencyJson(ready=False, required=True, detail="The database does not answer.")
    return DependencyJson(ready=True, required=True, detail=None)


async def _jobs(request: web.Request) -> DependencyJson:
    try:
        async with asyncio.timeout(request.app[keys.SETTINGS].limits.ready_seconds):
            await request.app[keys.JOBS].check()
    except TwitchAudioError as error:
        return DependencyJson(ready=False, required=True, detail=error.detail)
    except TimeoutError:
        return DependencyJson(ready=False, required=True, detail="The job store does not answer.")
    return DependencyJson(ready=True, required=True, detail=None)


async def _recognizers(request: web.Request) -> DependencyJson:
    missing = await request.app[keys.SERVICE].unavailable_reason()
    return DependencyJson(ready=missing is None, required=False, detail=missing)


async def metrics(request: web.Request) -> web.Response:
    """All metrics in the text format of Prometheus."""
    text = request.app[keys.METRICS].render()
    headers = {"Content-Type": "text/plain; version=0.0.4; charset=utf-8", "Cache-Control": "no-store"}
    return web.Response(body=text.encode(), headers=headers)


ROUTES: Final = (web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", metrics))
