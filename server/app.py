"""Composes the web application: services, middlewares and routes."""

import asyncio
import socket
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from ipaddress import IPv6Address, ip_address
from typing import Any, Final

from aiohttp import web
from aiohttp.typedefs import Middleware
from aiohttp_session import session_middleware
from yarl import URL

from fingerprint.background import Background
from fingerprint.clock import SystemClock
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.pipeline import Pipeline
from fingerprint.ports import ChannelDirectory, Clock
from server import api, keys
from server.access.identity.addresses import Networks
from server.access.identity.forwarding import UntrustedForwarding
from server.access.identity.operator_link import OperatorLink
from server.access.identity.session_keys import SessionKeys, kept_keys
from server.access.quotas.budgets import Allowance
from server.api.health import operator_app
from server.audit.changes import system_user
from server.channels.hot_channels import HotLimits
from server.channels.watcher import WatcherLimits
from server.identifications.encoding import Encoder
from server.identifications.limits import ServiceLimits
from server.middleware.access_log import access_log
from server.middleware.audit_requests import audit_requests
from server.middleware.blocked_channels import refuse_blocked_channels
from server.middleware.connections import BoundedRunner, ConnectionBounds, ConnectionLimits
from server.middleware.cross_origin import add_cross_origin, answer_preflights
from server.middleware.expectations import ignore_unknown_expectations
from server.middleware.foreign_forms import refuse_foreign_forms
from server.middleware.forms import ignore_form_warnings
from server.middleware.operator_sessions import operator_sessions
from server.middleware.path_prefix import prefix_locations
from server.middleware.problems import problem_details
from server.middleware.request_budget import limit_requests
from server.middleware.request_context import make_request_context
from server.middleware.request_hooks import request_hooks
from server.middleware.request_id import name_request
from server.middleware.request_turns import TURNS, RequestTurns, take_turns
from server.middleware.security_headers import add_headers
from server.middleware.session import (
    SealedCookieStorage,
    check_sessions,
    keep_quiet_about_string_keys,
    public_origin,
    public_scheme,
)
from server.observability import Metrics
from server.services import open_services
from server.settings import ServerSettings
from server.web import add_pages
from server.web.admin import add_admin_pages
from server.web.admin.operator_sign_in import add_operator_sign_in
from server.web.headers import add_page_headers
from server.web.pages import problem_pages
from server.web.sign_in import SignIn, add_sign_in

BACKLOG: Final = 4096
"""Maximum number of connections waiting to be accepted: thousands of clients may connect within a second."""

# Not in `server.keys`: only this module uses it, and its class is in a layer above.
CONNECTIONS: Final = web.AppKey("connections", ConnectionBounds)


def make_app(
    settings: ServerSettings,
    *,
    pipeline: Pipeline | None = None,
    directory: ChannelDirectory | None = None,
    clock: Clock | None = None,
    service_limits: ServiceLimits | None = None,
    watcher_limits: WatcherLimits | None = None,
    hot_limits: HotLimits | None = None,
) -> web.Application:
    """Create the application. Without a `pipeline`, it opens the one that the settings describe.

    `directory`: who says which channel has which login; Twitch, unless the pipeline is given, too.
    """
    metrics = Metrics()
    app = web.Application(client_max_size=settings.limits.body_bytes)
    session_keys = _session_keys(settings)
    app[keys.SETTINGS] = settings
    app[keys.METRICS] = metrics
    app[keys.CLOCK] = clock or SystemClock()
    background = app[keys.BACKGROUND] = Background(app[keys.CLOCK])
    metrics.gauge(
        "twitchaudio_background_failing",
        "Pieces of work in the background that have failed and are tried again.",
        lambda: len(background.failing),
    )
    app[CONNECTIONS] = ConnectionBounds(
        limits=ConnectionLimits(
            head_seconds=settings.limits.head_seconds, write_seconds=settings.limits.write_seconds
        ),
        metrics=metrics,
        trusted=Networks(settings.trusted_proxies),
        background=background,
    )
    app[keys.ENCODER] = Encoder()
    app[keys.FORWARDING] = UntrustedForwarding(app[keys.CLOCK])
    if settings.base_url is not None:
        app[keys.PROBE_KEYS] = session_keys or _kept_keys(settings)

    async def lifetime(app: web.Application) -> AsyncGenerator[None]:
        async with open_services(
            app,
            pipeline=pipeline,
            directory=directory,
            service_limits=service_limits,
            watcher_limits=watcher_limits,
            hot_limits=hot_limits,
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

    app[keys.ORIGIN] = origin
    app[TURNS] = RequestTurns()
    add_sign_in(app, SignIn(origin))
    if session_keys is None:
        app[keys.OPERATOR_LINK] = OperatorLink(app[keys.CLOCK], system_user())
        add_operator_sign_in(app)
    add_admin_pages(app)
    app.middlewares.extend(_middlewares(app, session_keys, trusted))
    ignore_unknown_expectations(app)
    ignore_form_warnings()
    # In this order: what one has set, the next leaves as it is.
    app.on_response_prepare.extend([add_page_headers, add_headers, add_cross_origin])
    app.on_response_prepare.append(prefix_locations(settings.path_prefix))
    return app


def _middlewares(app: web.Application, session_keys: SessionKeys | None, trusted: Networks) -> list[Middleware]:
    """All middlewares, the outermost first."""
    settings, metrics = app[keys.SETTINGS], app[keys.METRICS]
    around: list[Middleware] = [
        problem_pages,
        request_hooks(
            before=[name_request, make_request_context(settings.trusted_proxies, app[keys.FORWARDING])],
            after=[access_log(metrics, app[keys.CLOCK]), audit_requests(app)],
        ),
        *([answer_preflights(settings.cors_origins)] if settings.cors_origins else []),
        problem_details(metrics),
        limit_requests(
            app[keys.CLOCK], Allowance(settings.limits.requests_burst, settings.limits.requests_per_second)
        ),
        take_turns(app[TURNS]),
        refuse_foreign_forms,
        refuse_blocked_channels,
    ]
    if session_keys is None:
        return [*around, operator_sessions(body_seconds=settings.limits.body_seconds)]

    def is_secure(request: web.Request) -> bool:
        return public_scheme(request, settings.base_url, trusted) == "https"

    keep_quiet_about_string_keys()
    return [
        # Outside of `problem_pages`, so that these responses set the cookie, too.
        session_middleware(SealedCookieStorage(session_keys, is_secure, settings.path_prefix)),
        *around,
        check_sessions(session_keys, body_seconds=settings.limits.body_seconds),
    ]


def _session_keys(settings: ServerSettings) -> SessionKeys | None:
    """The keys of the website's sessions; None when sign-in is not configured."""
    if settings.twitch_client_id is None or settings.twitch_client_secret is None:
        return None
    return _kept_keys(settings)


def _kept_keys(settings: ServerSettings) -> SessionKeys:
    return SessionKeys(kept_keys(settings.session_keys, settings.pipeline.data_dir))


async def _drain(app: web.Application) -> None:
    """Before connections are closed, answer all waiting requests, at least with a request to retry."""
    seconds = app[keys.SETTINGS].limits.drain_seconds
    await app[keys.FEED].close()
    await app[keys.HOT].close()
    await asyncio.gather(app[keys.WATCHER].close(seconds), app[keys.SERVICE].close(seconds))


def is_any_address(host: str) -> bool:
    """Whether a host is `::`, in any spelling: all addresses of this machine, of IPv6 and of IPv4."""
    try:
        return ip_address(host) == IPv6Address(0)
    except ValueError:
        return False


def dual_stack_socket(port: int) -> socket.socket:
    """A socket that takes connections over IPv6 and IPv4. Raises OSError.

    On systems whose sockets are of one kind alone, it takes IPv6 only.
    """
    both = socket.has_dualstack_ipv6()
    return socket.create_server(("::", port), family=socket.AF_INET6, backlog=BACKLOG, dualstack_ipv6=both)


@asynccontextmanager
async def listening(app: web.Application, host: str, port: int) -> AsyncGenerator[URL]:
    """Serve the application while the block runs; yields its address, with the actual port when `port` is 0.

    At the end it accepts no new connections, answers waiting requests (at least with a request to retry), and
    closes everything within about `drain_seconds` + `shutdown_seconds` of the limits.

    Raises OSError when the address cannot be bound.
    """
    async with running(app) as runner:
        if is_any_address(host):
            site = web.SockSite(runner, dual_stack_socket(port), backlog=BACKLOG)
        else:
            site = web.TCPSite(runner, host, port, backlog=BACKLOG)
        await site.start()
        bound: Sequence[Any] = runner.addresses[0]
        yield URL.build(scheme="http", host=str(bound[0]), port=int(bound[1]))


@asynccontextmanager
async def _operators_address(app: web.Application) -> AsyncGenerator[None]:
    """Serve metrics and details at `TWITCHAUDIO_METRICS_LISTEN` while the block runs, if it is set.

    Raises TwitchAudioError with one line for the operator when it cannot listen there.
    """
    address = app[keys.SETTINGS].metrics_listen
    if address is None:
        yield
        return
    runner = web.AppRunner(
        operator_app(app), handle_signals=False, access_log=None, auto_decompress=False, shutdown_timeout=0.5
    )
    await runner.setup()
    try:
        # The workers of one server share it: each scrape reads one of them, as at the server's own address.
        site = web.TCPSite(runner, *address, reuse_port=sys.platform == "linux" or None)
        try:
            await site.start()
        except OSError as error:
            reason = f"cannot listen on TWITCHAUDIO_METRICS_LISTEN: {error.strerror or error}"
            raise TwitchAudioError(ProblemCode.INTERNAL, reason) from error
        yield
    finally:
        await runner.cleanup()


@asynccontextmanager
async def running(app: web.Application) -> AsyncGenerator[web.AppRunner]:
    """Run the application's services while the block runs; the block adds the sites to listen on."""
    limits = app[keys.SETTINGS].limits
    runner = BoundedRunner(
        app,
        app[CONNECTIONS],
        path_prefix=app[keys.SETTINGS].path_prefix,
        handle_signals=False,
        handler_cancellation=True,
        access_log=None,
        auto_decompress=False,
        keepalive_timeout=limits.keep_alive_seconds,
        shutdown_timeout=limits.shutdown_seconds,
        lingering_time=2.0,
    )
    await runner.setup()
    try:
        async with app[CONNECTIONS].watching(), _operators_address(app):
            yield runner
    finally:
        await runner.cleanup()
