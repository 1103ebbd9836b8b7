"""A server for benchmarks whose pipeline answers at once: `python -m tests.bench.access_server OPTIONS` (JSON).

Prints its port. `access` false: nobody is looked at, nothing is counted, no hit is logged.
"""

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncGenerator
from ipaddress import ip_network
from pathlib import Path
from typing import Any, cast

from aiohttp import web
from yarl import URL

from fingerprint.clock import SystemClock
from fingerprint.domain.audio import Recording
from fingerprint.domain.targets import TwitchTarget
from fingerprint.pipeline_settings import PipelineSettings
from fingerprint.ports import Listing, MediaSource
from server import keys
from server.access.identity.principal import ANONYMOUS
from server.access.request_context import RequestContext
from server.access.service import Access
from server.app import listening, make_app
from server.cli.serving import raise_open_file_limit, tune_garbage_collection
from server.middleware.access_log import access_log
from server.middleware.problems import problem_details
from server.middleware.request_context import make_request_context
from server.middleware.request_hooks import request_hooks
from server.middleware.request_id import name_request
from server.observability import configure_logging
from server.setting_formats import Rate
from server.settings import ServerSettings
from server.web.pages import problem_pages
from tests.fakes import FakePipeline

NEVER_ENDS = "neverends"
"""A channel whose capture does not end while the server runs."""


class NoAccess:
    """Lets everybody do everything."""

    async def check(self, context: RequestContext, _target: TwitchTarget) -> None:
        context.authenticated = ANONYMOUS

    async def admit(self, _context: RequestContext, _target: TwitchTarget) -> None:
        return None

    async def close(self) -> None:
        return None


def without_access(app: web.Application) -> None:
    """Take all of it out of an application that does not run yet."""
    metrics = app[keys.METRICS]
    without = request_hooks(
        before=[name_request, make_request_context(())], after=[access_log(metrics, app[keys.CLOCK])]
    )
    app.middlewares[:] = [problem_pages, without, problem_details(metrics)]

    async def replace(app: web.Application) -> AsyncGenerator[None]:
        kept = app[keys.ACCESS]
        app[keys.ACCESS] = cast("Access", NoAccess())
        yield
        app[keys.ACCESS] = kept

    app.cleanup_ctx.append(replace)


class SlowParts(FakePipeline):
    """Captures take `pause` seconds; one channel's takes for ever."""

    def __init__(self, pause: float) -> None:
        super().__init__(SystemClock())
        takes = self.capture.takes

        async def slowly(
            source: MediaSource, seconds: float, listing: Listing | None = None
        ) -> AsyncGenerator[Recording]:
            await asyncio.sleep(3_600 if NEVER_ENDS in str(source) else pause)
            async for take in takes(source, seconds, listing):
                yield take

        self.capture.takes = slowly


async def serve(options: dict[str, Any]) -> None:
    settings = ServerSettings(
        pipeline=PipelineSettings(data_dir=Path(options["folder"]), database_url=options["database"]),
        twitch_client_id="benchmark",
        twitch_id_url=URL(options.get("id_url", "http://127.0.0.1:9")),
        jobs_per_address=options.get("jobs_per_address", 1),
        starts_per_address=tuple(Rate(1_000_000, seconds) for seconds in options.get("windows", (60, 86_400))),
        starts_per_person=tuple(Rate(1_000_000, seconds) for seconds in options.get("windows", (60, 86_400))),
        captures_at_once=options.get("captures_at_once", 8),
        queue=options.get("queue", 200),
        trusted_proxies=tuple(map(ip_network, options.get("trusted_proxies", ()))),
    )
    app = make_app(settings, pipeline=SlowParts(options.get("seconds", 0.0)).pipeline)
    if not options.get("access", True):
        without_access(app)
    async with listening(app, "127.0.0.1", 0) as address:
        tune_garbage_collection()
        print(address.port, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    configure_logging("error", sys.stderr)
    raise_open_file_limit()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(json.loads(sys.argv[1])))
