"""Composes the application: services, middlewares and routes."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from aiohttp import web
from aiohttp.typedefs import Middleware
from aiohttp_session import session_middleware
from yarl import URL

from fingerprint.clock import SystemClock
from fingerprint.pipeline import Pipeline
from fingerprint.ports import Clock
from server import api, keys
from server.access.identity.addresses import Networks
from server.access.identity.session_keys import SessionKeys, kept_keys
from server.channels.watcher import WatcherLimits
from server.identifications.encoding import Encoder
from server.identifications.limits import ServiceLimits
from server.middleware.access_log import access_log
from server.middleware.audit_requests import audit_requests
from server.middleware.problems import problem_details
from server.middleware.request_context import make_request_context
from server.middleware.request_hooks import request_hooks
from server.middleware.request_id import name_request
from server.middleware.security_headers import add_headers
from server.middleware.session import (
    SealedCookieStorage,
    check_sessions,
    keep_quiet_about_string_keys,
    public_origin,
    public_scheme,
)
from server.middleware.slow_clients import SlowClients
from server.observability import Metrics
from server.services import open_services
from server.settings import ServerSettings
from server.web import add_pages
from server.web.admin import add_admin_pages
from server.web.pages import problem_pages
from server.web.sign_in import SignIn, add_sign_in

BACKLOG: Final = 4096
"""Connections that may wait to be accepted: a herd of thousands comes within a second."""

# Not among the others: its class stands above the keys, and only this module needs it.
SLOW_CLIENTS: Final = web.AppKey("slow_clients", SlowClients)


def make_app(
    settings: ServerSettings,
    *,
    pipeline: Pipeline | None = None,
    clock: Clock | None = None,
    service_limits: ServiceLimits | None = None,
    watcher_limits: WatcherLimits | None = None,
) -> web.Application:
    """The application. Without a `pipeline` the configured one is opened with it."""
    metrics = Metrics()
    slow_clients = SlowClients(head_seconds=settings.limits.head_seconds)
    app = web.Application(client_max_size=settings.limits.body_bytes)
    session_keys = _session_keys(settings)
    app[keys.SETTINGS] = settings
    app[keys.METRICS] = metrics
    app[SLOW_CLIENTS] = slow_clients
    app[keys.ENCODER] = Encoder()
    app[keys.CLOCK] = clock or SystemClock()

    async def lifetime(app: web.Application) -> AsyncGenerator[None]:
        async with open_services(
            app,
            pipeline=pipeline,
            service_limits=service_limits,
            watcher_limits=watcher_limits,
            session_keys=session_keys,
        ):
            yield

    app.cleanup_ctx.append(lifetime)
    app.on_shutdown.append(_drain)
    api.add_routes(app)
    add_pages(app)
    trusted = Networks(settings.trusted_proxies)

    def origin(request: web.Request) -> URL:
        return public_origin(request, settings.base_url, trusted)

    add_sign_in(app, SignIn(origin))
    add_admin_pages(app)
    app.middlewares.extend(_middlewares(app, session_keys, trusted))
    app.on_response_prepare.append(add_headers)
    return app


def _middlewares(app: web.Application, session_keys: SessionKeys | None, trusted: Networks) -> list[Middleware]:
    """Everything that goes around a handler, from the outside in."""
    settings, metrics = app[keys.SETTINGS], app[keys.METRICS]
    around: list[Middleware] = [
        problem_pages,
        request_hooks(
            before=[app[SLOW_CLIENTS].note, name_request, make_request_context(settings.trusted_proxies)],
            after=[access_log(metrics), audit_requests(app)],
        ),
        problem_details(metrics),
    ]
    if session_keys is None:
        return around

    def is_secure(request: web.Request) -> bool:
        return public_scheme(request, settings.base_url, trusted) == "https"

    keep_quiet_about_string_keys()
    return [
        # Around the pages for problems, so that these keep the cookie too.
        session_middleware(SealedCookieStorage(session_keys, is_secure)),
        *around,
        check_sessions(session_keys, body_seconds=settings.limits.body_seconds),
    ]


def _session_keys(settings: ServerSettings) -> SessionKeys | None:
    """None when nobody can sign in on the website."""
    if settings.twitch_client_id is None or settings.twitch_client_secret is None:
        return None
    return SessionKeys(kept_keys(settings.session_keys, settings.pipeline.data_dir))


async def _drain(app: web.Application) -> None:
    """Before connections are closed: everyone who waits gets an answer, or is told to ask again."""
    seconds = app[keys.SETTINGS].limits.drain_seconds
    await app[keys.FEED].close()
    await asyncio.gather(app[keys.WATCHER].close(seconds), app[keys.SERVICE].close(seconds))


@asynccontextmanager
async def listening(app: web.Application, host: str, port: int) -> AsyncGenerator[URL]:
    """Serve the application while the block runs; gives the address, with the real port when 0 is asked for.

    At the end nobody new is let in, those who wait are answered or told to ask again, and everything is closed
    within `drain_seconds` + `shutdown_seconds` of the limits, and a little.

    Raises OSError when the address cannot be bound.
    """
    async with running(app) as runner:
        await web.TCPSite(runner, host, port, backlog=BACKLOG).start()
        bound: Sequence[Any] = runner.addresses[0]
        yield URL.build(scheme="http", host=str(bound[0]), port=int(bound[1]))


@asynccontextmanager
async def running(app: web.Application) -> AsyncGenerator[web.AppRunner]:
    """The application's services, open while the block runs; it listens where the block adds sites."""
    limits = app[keys.SETTINGS].limits
    runner = web.AppRunner(
        app,
        handle_signals=False,
        handler_cancellation=True,
        access_log=None,
        keepalive_timeout=limits.keep_alive_seconds,
        shutdown_timeout=limits.shutdown_seconds,
        lingering_time=2.0,
    )
    await runner.setup()
    try:
        async with app[SLOW_CLIENTS].watching(runner):
            yield runner
    finally:
        await runner.cleanup()
