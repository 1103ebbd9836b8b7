"""Composes the server: services in their order of need, middlewares in theirs, routes; nothing else."""

import asyncio
import os
import secrets
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final

from aiohttp import ClientSession, DummyCookieJar, web
from aiohttp_session import session_middleware
from yarl import URL

from fingerprint.catalog.recognition_pool import RecognitionPool
from fingerprint.clock import SystemClock
from fingerprint.database import Database, database_url, open_database
from fingerprint.jobs import open_job_store
from fingerprint.jobs.sql_retention import old_answers_deleted
from fingerprint.links.store import LinkStore
from fingerprint.pipeline import Pipeline
from fingerprint.ports import Clock, JobStore
from fingerprint.providers.usage import SqlUsage
from fingerprint.settings import SettingsError
from fingerprint.wiring import make_guards, open_clip_owners, open_link_finder, open_pipeline
from server import api, keys, migrations
from server.access.identity.addresses import Networks
from server.access.identity.api_keys import ApiKeyStore
from server.access.identity.helix import HelixClient
from server.access.identity.oauth import TwitchOAuth
from server.access.identity.session_keys import SessionKeys, kept_keys
from server.access.identity.session_store import SessionStore
from server.access.identity.sessions import Sessions
from server.access.identity.tokens import TokenValidator
from server.access.quotas.admission import Running
from server.access.quotas.requests import StartLimits
from server.access.rules.subscriptions import Subscriptions
from server.access.service import Access
from server.audit.answers import audit_answers
from server.audit.store import LogStore
from server.audit.writer import LogLimits, LogWriter
from server.channels.feed import ChannelFeed
from server.channels.song_text import SongText
from server.channels.watch_store import WatchStore
from server.channels.watcher import Watcher, WatcherLimits
from server.identifications.encoding import Encoder
from server.identifications.jobs import no_enrichment
from server.identifications.limits import ServiceLimits
from server.identifications.links import LinkEnricher
from server.identifications.runners import Runner
from server.identifications.runners.aws_lambda import LambdaWork, open_lambda_client
from server.identifications.runners.inprocess import InProcessRunner
from server.identifications.runners.queued import QueuedRunner
from server.identifications.service import IdentificationService
from server.middleware.access_log import access_log
from server.middleware.hits import log_hits
from server.middleware.one_pass import in_one_pass
from server.middleware.problems import problem_details
from server.middleware.request_context import make_request_context
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
from server.settings import ServerSettings
from server.web import add_pages
from server.web.admin import add_admin_pages
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
    # From the outside in.
    around = in_one_pass(
        begin=[slow_clients.note, name_request, make_request_context(settings.trusted_proxies)],
        end=[access_log(metrics), log_hits(app)],
    )
    app.middlewares.extend([around, problem_details(metrics)])
    session_keys = _session_keys(settings)
    if session_keys is not None:
        app.middlewares.append(check_sessions(session_keys, body_seconds=settings.limits.body_seconds))
    app[keys.SETTINGS] = settings
    app[keys.METRICS] = metrics
    app[SLOW_CLIENTS] = slow_clients
    app[keys.ENCODER] = Encoder()
    app[keys.CLOCK] = clock or SystemClock()

    async def lifetime(app: web.Application) -> AsyncGenerator[None]:
        async with AsyncExitStack() as stack:
            await _open_services(app, stack, pipeline, service_limits, session_keys)
            await _open_channels(app, stack, watcher_limits)
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
    if session_keys is not None:

        def is_secure(request: web.Request) -> bool:
            return public_scheme(request, settings.base_url, trusted) == "https"

        storage = SealedCookieStorage(session_keys, is_secure)
        keep_quiet_about_string_keys()
        # Around everything, so that a page which takes the place of an answer keeps its cookie.
        app.middlewares.insert(0, session_middleware(storage))
    app.on_response_prepare.append(add_headers)
    return app


def _session_keys(settings: ServerSettings) -> SessionKeys | None:
    """None when nobody can sign in on the website."""
    if settings.twitch_client_id is None or settings.twitch_client_secret is None:
        return None
    return SessionKeys(kept_keys(settings.session_keys, settings.pipeline.data_dir))


async def _open_services(
    app: web.Application,
    stack: AsyncExitStack,
    pipeline: Pipeline | None,
    limits: ServiceLimits | None,
    session_keys: SessionKeys | None,
) -> None:
    """Database, schema, job store, pipeline, service: each closed in the reverse order."""
    settings = app[keys.SETTINGS]
    database = await stack.enter_async_context(open_database(database_url(settings.pipeline)))
    await stack.enter_async_context(migrations.kept_upgraded(database))
    app[keys.DATABASE] = database
    clock = app[keys.CLOCK]
    store = await stack.enter_async_context(open_job_store(settings.pipeline, clock, database))
    app[keys.JOBS] = store
    if settings.pipeline.jobs == "sql" and settings.pipeline.keep_days is not None:
        await stack.enter_async_context(
            old_answers_deleted(database, clock, keep_days=settings.pipeline.keep_days)
        )
    app[keys.PROVIDERS] = make_guards(settings.pipeline, clock, usage=SqlUsage(database))
    limits = limits or ServiceLimits()
    runner, unavailable = await _open_runner(app, stack, pipeline, limits)
    log_limits = LogLimits(keep_days=settings.log_days, whole_address_days=settings.log_address_days)
    logs = LogWriter(LogStore(database), clock=clock, metrics=app[keys.METRICS], limits=log_limits)
    stack.push_async_callback(logs.close)
    app[keys.LOGS] = logs
    app[keys.ACCESS] = await _open_access(
        app, stack, database, logs, session_keys, running=lambda target: store.running(target, now=clock.now())
    )
    links = await _open_links(app, stack, database, store)
    service = IdentificationService(
        store=store,
        enrich=no_enrichment if links is None else links.enrich,
        runner=runner,
        unavailable=unavailable,
        clock=clock,
        owner=_owner(),
        metrics=app[keys.METRICS],
        limits=limits,
    )
    if links is not None:
        links.add_listener(service.forget_answer)
    service.add_outcome_listener(audit_answers(logs, clock))
    app[keys.SERVICE] = await stack.enter_async_context(service)


async def _open_runner(
    app: web.Application, stack: AsyncExitStack, pipeline: Pipeline | None, limits: ServiceLimits
) -> tuple[Runner, Callable[[], Awaitable[str | None]]]:
    """Where jobs run, and what says why none can."""
    settings, store, clock = app[keys.SETTINGS], app[keys.JOBS], app[keys.CLOCK]
    bounds = {"max_running": settings.captures_at_once, "max_queued": settings.queue}
    if settings.runner == "lambda":
        if settings.pipeline.jobs == "sql" and not app[keys.DATABASE].remote:
            takes = "inprocess, unless job state is where the function reaches it: in DynamoDB, MySQL or MariaDB"
            raise SettingsError("TWITCHAUDIO_RUNNER", settings.runner, takes)
        client = await stack.enter_async_context(open_lambda_client(settings.lambda_endpoint))
        work = LambdaWork(client, function=settings.lambda_function, store=store, clock=clock, limits=limits)
        return QueuedRunner(work, store=store, clock=clock, **bounds), _nothing_missing
    if pipeline is None:
        upstream = app[keys.METRICS].counter(
            "twitchaudio_upstream_total",
            "What came of calls to Twitch and to providers, by step.",
            "step",
            "outcome",
        )
        guards = app[keys.PROVIDERS]
        pipeline = await stack.enter_async_context(
            open_pipeline(
                settings.pipeline,
                guards=guards,
                on_outcome=upstream.add,
                recognition_pool=RecognitionPool(settings.pipeline.catalog_dir),
            )
        )
    runner = InProcessRunner(pipeline=pipeline, store=store, clock=clock, **bounds)
    return runner, pipeline.unavailable_reason


async def _nothing_missing() -> str | None:
    """The function itself knows what it can recognize with."""
    return None


async def _open_channels(
    app: web.Application, stack: AsyncExitStack, watcher_limits: WatcherLimits | None
) -> None:
    """The services around channels: chat bots' line, live events, and watches."""
    settings, clock, metrics = app[keys.SETTINGS], app[keys.CLOCK], app[keys.METRICS]
    database, service, access = app[keys.DATABASE], app[keys.SERVICE], app[keys.ACCESS]
    app[keys.SONG_TEXT] = SongText(database, service=service, access=access, clock=clock)
    app[keys.FEED] = await stack.enter_async_context(ChannelFeed(service, metrics=metrics))
    watcher = Watcher(
        WatchStore(database),
        service=service,
        access=access,
        api_keys=ApiKeyStore(database),
        clock=clock,
        owner=_owner(),
        metrics=metrics,
        limits=watcher_limits or WatcherLimits(at_once=max(1, settings.captures_at_once // 2)),
    )
    app[keys.WATCHER] = await stack.enter_async_context(watcher)


async def _open_access(
    app: web.Application,
    stack: AsyncExitStack,
    database: Database,
    logs: LogWriter,
    session_keys: SessionKeys | None,
    *,
    running: Running,
) -> Access:
    """Access control, with what Twitch knows of people when the operator has an application there."""
    settings, clock = app[keys.SETTINGS], app[keys.CLOCK]
    tokens = sessions = subscriptions = None
    if settings.twitch_client_id is not None:
        session = await stack.enter_async_context(ClientSession(cookie_jar=DummyCookieJar()))
        tokens = TokenValidator(
            session, id_url=settings.twitch_id_url, client_id=settings.twitch_client_id, clock=clock
        )
        stack.push_async_callback(tokens.close)
        helix = HelixClient(
            session, helix_url=settings.twitch_helix_url, client_id=settings.twitch_client_id, clock=clock
        )
        subscriptions = Subscriptions(helix, clock=clock)
        stack.push_async_callback(subscriptions.close)
        if session_keys is not None and settings.twitch_client_secret is not None:
            oauth = TwitchOAuth(
                session,
                id_url=settings.twitch_id_url,
                client_id=settings.twitch_client_id,
                client_secret=settings.twitch_client_secret,
            )
            sessions = Sessions(SessionStore(database, session_keys), oauth=oauth, tokens=tokens, clock=clock)
            sessions.start()
            stack.push_async_callback(sessions.close)
    access = Access(
        database,
        clock=clock,
        tokens=tokens,
        logs=logs,
        limits=StartLimits(
            jobs_per_address=settings.jobs_per_address,
            per_address=settings.starts_per_address,
            per_person=settings.starts_per_person,
        ),
        running=running,
        clip_owners=await stack.enter_async_context(open_clip_owners(settings.pipeline)),
        subscriptions=subscriptions,
        sessions=sessions,
        admins=settings.admins,
    )
    stack.push_async_callback(access.close)
    return access


async def _open_links(
    app: web.Application, stack: AsyncExitStack, database: Database, store: JobStore
) -> LinkEnricher | None:
    """What adds links to answers; None unless the settings name services for it."""
    clock = app[keys.CLOCK]
    finder = await stack.enter_async_context(open_link_finder(app[keys.SETTINGS].pipeline, clock))
    if finder is None:
        return None
    links = LinkEnricher(finder, LinkStore(database), store, clock)
    return await stack.enter_async_context(links)


def _owner() -> str:
    """Who holds our leases: readable for an operator, and different for each start."""
    return f"{socket.gethostname()[:100]}:{os.getpid()}:{secrets.token_hex(4)}"


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
