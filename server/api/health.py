"""`/healthz`, `/readyz` and `/metrics`, for whoever watches the server."""

import asyncio
from typing import Any, Final

from aiohttp import web

from fingerprint.domain.problems import TwitchAudioError
from fingerprint.providers.guard import Standing
from fingerprint.wire import time_to_json
from server import keys, migrations
from server.api.responses import json_response


async def healthz(_request: web.Request) -> web.Response:
    """The process answers."""
    return json_response({"status": "alive"})


async def readyz(request: web.Request) -> web.Response:
    """Whether requests can be served, each dependency named: 200 or 503.

    Nothing to recognize with is said, but the server is ready all the same: it tells people what to do.
    """
    database, jobs, recognizers = await asyncio.gather(_database(request), _jobs(request), _recognizers(request))
    dependencies = {"database": database, "jobs": jobs, "recognizers": recognizers}
    ready = all(dependency["ready"] or not dependency["required"] for dependency in dependencies.values())
    body = {
        "status": "ready" if ready else "not ready",
        "dependencies": dependencies,
        "providers": {
            standing.name: provider_to_json(standing) for standing in await request.app[keys.PROVIDERS].standings()
        },
    }
    return json_response(body, status=200 if ready else 503)


def provider_to_json(standing: Standing) -> dict[str, Any]:
    """How a provider stands, and what is left of its budgets; `budgets` is null when the count cannot be read."""
    return {
        "state": str(standing.state),
        "detail": standing.detail,
        "asked_again_in_seconds": standing.seconds,
        "budgets": None
        if standing.spending is None
        else {
            str(each.period): {
                "used": each.used,
                "most": each.most,
                "left": each.left,
                "ends_at": time_to_json(each.ends_at),
            }
            for each in standing.spending
        },
    }


async def _database(request: web.Request) -> dict[str, Any]:
    try:
        async with asyncio.timeout(request.app[keys.SETTINGS].limits.ready_seconds):
            await migrations.check(request.app[keys.DATABASE])
    except TwitchAudioError as error:
        return {"ready": False, "required": True, "detail": error.detail}
    except TimeoutError:
        return {"ready": False, "required": True, "detail": "The database does not answer."}
    return {"ready": True, "required": True, "detail": None}


async def _jobs(request: web.Request) -> dict[str, Any]:
    try:
        async with asyncio.timeout(request.app[keys.SETTINGS].limits.ready_seconds):
            await request.app[keys.JOBS].check()
    except TwitchAudioError as error:
        return {"ready": False, "required": True, "detail": error.detail}
    except TimeoutError:
        return {"ready": False, "required": True, "detail": "The job store does not answer."}
    return {"ready": True, "required": True, "detail": None}


async def _recognizers(request: web.Request) -> dict[str, Any]:
    missing = await request.app[keys.SERVICE].unavailable()
    return {"ready": missing is None, "required": False, "detail": missing}


async def metrics(request: web.Request) -> web.Response:
    """Prometheus text."""
    text = request.app[keys.METRICS].render()
    headers = {"Content-Type": "text/plain; version=0.0.4; charset=utf-8", "Cache-Control": "no-store"}
    return web.Response(body=text.encode(), headers=headers)


ROUTES: Final = (web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", metrics))
