"""Opens the server's services in the order of their dependencies; they are closed in reverse order."""

import asyncio
import os
import secrets
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from importlib import import_module

from aiohttp import ClientSession, DummyCookieJar, web

from fingerprint.canary import open_canary
from fingerprint.catalog.recognition_pool import RecognitionPool
from fingerprint.configured_database import open_configured_database
from fingerprint.database import Database
from fingerprint.domain.identification import Identification
from fingerprint.heard_before import HeardInAnswers
from fingerprint.jobs import open_job_store
from fingerprint.jobs.sql_retention import old_answers_deleted
from fingerprint.links.store import LinkStore
from fingerprint.media.decoder import DecoderPool
from fingerprint.pipeline import Pipeline
from fingerprint.ports import ChannelDirectory, HeardBefore, JobStore
from fingerprint.providers.usage import SqlUsage
from fingerprint.recognizers import REGISTRY
from fingerprint.settings import SettingsError
from fingerprint.whole import WholeRecordings
from fingerprint.wiring import (
    checked_names,
    make_guards,
    open_channel_directory,
    open_clip_owners,
    open_link_finder,
    open_link_media,
    open_pipeline,
)
from server import keys, migrations
from server.access.identity.admins import pinned
from server.access.identity.api_keys import ApiKeyStore
from server.access.identity.helix import HelixClient
from server.access.identity.oauth import TwitchOAuth
from server.access.identity.session_keys import SessionKeys
from server.access.identity.session_store import SessionStore
from server.access.identity.sessions import Sessions
from server.access.identity.tokens import TokenValidator
from server.access.quotas.admission import Running
from server.access.quotas.redis_quotas import RedisQuotas
from server.access.quotas.requests import StartLimits
from server.access.quotas.store import QuotaStore, QuotasWithFallback, SqlQuotas
from server.access.rules.broadcasters import BroadcasterFollower
from server.access.rules.list_store import ListFollower
from server.access.rules.subscriptions import Subscriptions
from server.access.service import Access
from server.artwork import ArtworkStore
from server.audit.answers import AnswerRecords
from server.audit.store import AuditStore
from server.audit.writer import AuditLimits, AuditWriter
from server.canary import TwitchCanary
from server.channel_names import ChannelNames
from server.channels.feed import ChannelFeed
from server.channels.forget import ChannelForgetter, swept
from server.channels.heard_before import HeardInAnswersAndVideos
from server.channels.hot_channels import LISTEN_SECONDS, HotChannels, HotLimits, every_seconds
from server.channels.hot_store import HotStore
from server.channels.retention import old_rows_deleted
from server.channels.set_lists import SetLists
from server.channels.song_text import SongText
from server.channels.song_tokens import SongTokenFollower
from server.channels.unknown_store import Unknown, UnknownStore
from server.channels.unknowns import UnknownLimits, Unknowns
from server.channels.video_set_list_store import VideoSetListStore
from server.channels.video_set_lists import VideoSetLists, WorkLimits
from server.channels.watch_store import WatchFollower, WatchStore
from server.channels.watcher import Watcher, WatcherLimits
from server.data_folder import served
from server.identifications.jobs import AnswerEnricher
from server.identifications.limits import ServiceLimits
from server.identifications.links import LinkEnricher
from server.identifications.news import JobNews, NoNews, RedisNews
from server.identifications.runners import Runner
from server.identifications.runners.inprocess import InProcessRunner
from server.identifications.runners.queued import QueuedRunner
from server.identifications.service import IdentificationService, target_of
from server.learning.service import LearnedFolder, Learner, LearningLimits
from server.learning.store import LearnedStore
from server.music_folders import FolderTimes, MusicFolders, sync_command
from server.readiness import (
    Readiness,
    Trial,
    background_trial,
    database_trial,
    job_trial,
    redis_trial,
    worker_trials,
)
from server.redis_link import RedisLink, open_redis
from server.songs.store import SongStore
from server.sqlite_space import space_given_back
from server.vitals import Vitals
from server.webhooks.sender import WebhookSender
from server.webhooks.service import Webhooks
from server.webhooks.store import WebhookStore


@asynccontextmanager
async def open_services(
    app: web.Application,
    *,
    pipeline: Pipeline | None,
    directory: ChannelDirectory | None,
    service_limits: ServiceLimits | None,
    watcher_limits: WatcherLimits | None,
    hot_limits: HotLimits | None,
    session_keys: SessionKeys | None,
) -> AsyncGenerator[None]:
    """Open all services and set them in the application under `server.keys`, while the block runs."""
    app[keys.UNKNOWN] = app[keys.METRICS].counter(
        "twitchaudio_twitch_unknown_total",
        "What Twitch sent that this version does not know: it may have changed.",
        "kind",
        "value",
    )
    async with AsyncExitStack() as stack:
        in_use = served(app[keys.SETTINGS].pipeline.data_dir)
        await asyncio.to_thread(in_use.__enter__)
        stack.push(in_use)
        if directory is None and pipeline is None:
            directory = await stack.enter_async_context(open_channel_directory(app[keys.SETTINGS].pipeline))
        limits = service_limits or ServiceLimits()
        free = await _open_jobs(app, stack, pipeline, limits, session_keys, directory=directory)
        await _open_channels(app, stack, watcher_limits, hot_limits, free)
        await _open_music_folders(app, stack)
        artwork = ArtworkStore(
            app[keys.SETTINGS].pipeline.catalog_dirs, clock=app[keys.CLOCK], media=app.get(keys.LINK_MEDIA)
        )
        app[keys.ARTWORK] = await stack.enter_async_context(artwork)
        app[keys.CANARY] = await stack.enter_async_context(
            TwitchCanary(
                app[keys.SETTINGS].canary,
                open_canary=partial(
                    open_canary, app[keys.SETTINGS].pipeline.twitch, on_unknown=app[keys.UNKNOWN].add
                ),
                clock=app[keys.CLOCK],
                metrics=app[keys.METRICS],
                background=app[keys.BACKGROUND],
            )
        )
        yield


def _both(first: AnswerEnricher, second: AnswerEnricher) -> AnswerEnricher:
    """An enricher that does what two do, one after the other."""

    async def enrich(finished: Identification) -> Identification:
        return await second(await first(finished))

    return enrich


async def _open_jobs(
    app: web.Application,
    stack: AsyncExitStack,
    pipeline: Pipeline | None,
    limits: ServiceLimits,
    session_keys: SessionKeys | None,
    *,
    directory: ChannelDirectory | None,
) -> Pipeline | None:
    """Open the database, its schema, the job store, access control, the runner and the identification service.

    Returns the pipeline that asks the free recognizers alone; None where this process works on no jobs.
    """
    settings, background = app[keys.SETTINGS], app[keys.BACKGROUND]
    database = await stack.enter_async_context(open_configured_database(settings.pipeline))
    await stack.enter_async_context(migrations.kept_upgraded(database, background))
    app[keys.DATABASE] = database
    clock = app[keys.CLOCK]
    followers = (ListFollower(), BroadcasterFollower(), WatchFollower(), SongTokenFollower())
    names = ChannelNames(database, directory, clock=clock, followers=followers, background=background)
    app[keys.NAMES] = await stack.enter_async_context(names)
    store = await stack.enter_async_context(open_job_store(settings.pipeline, clock, database))
    app[keys.JOBS] = store
    keep_days = settings.pipeline.keep_days
    if settings.pipeline.jobs == "sql":
        await stack.enter_async_context(
            old_answers_deleted(database, clock, keep_days=keep_days, background=background)
        )
    await stack.enter_async_context(old_rows_deleted(database, clock, keep_days=keep_days, background=background))
    await stack.enter_async_context(space_given_back(database, clock, background))
    app[keys.PROVIDERS] = make_guards(settings.pipeline, clock, usage=SqlUsage(database))
    vitals = app[keys.VITALS] = Vitals(
        database,
        app[keys.PROVIDERS],
        data_dir=settings.pipeline.data_dir,
        clock=clock,
        metrics=app[keys.METRICS],
        background=background,
    )
    await stack.enter_async_context(vitals.measured())
    heard_before = HeardInAnswersAndVideos(HeardInAnswers(store), VideoSetListStore(database))
    runner, unavailable, trials, free, whole = await _open_runner(app, stack, pipeline, limits, heard_before)
    link = await _open_redis(app, stack)
    if link is not None:
        trials = (*trials, redis_trial(link, seconds=settings.limits.ready_seconds))
    app[keys.READINESS] = await stack.enter_async_context(_readiness(app, trials))
    log_limits = AuditLimits(
        keep_days=settings.log_days, whole_address_days=settings.log_address_days, max_mb=settings.log_max_mb
    )
    writer = AuditWriter(
        AuditStore(database), clock=clock, metrics=app[keys.METRICS], limits=log_limits, background=background
    )
    audit = await stack.enter_async_context(writer)
    quotas: QuotaStore = SqlQuotas(database)
    news: JobNews = NoNews()
    if link is not None:
        quotas = QuotasWithFallback(RedisQuotas(link), quotas)
        news = RedisNews(link, app[keys.METRICS])
        await stack.enter_async_context(news.running(background))
    app[keys.ACCESS] = await _open_access(
        app,
        stack,
        database,
        audit,
        session_keys,
        running=lambda target: store.running(target, now=clock.now()),
        quotas=quotas,
    )
    links = await _open_links(app, stack, database, store)
    songs = app[keys.SONGS] = SongStore(database)
    completed = names.name_renamed
    service = IdentificationService(
        store=store,
        enrich=_both(completed if links is None else _both(links.enrich, completed), songs.note),
        runner=runner,
        unavailable=unavailable,
        clock=clock,
        owner=_owner(),
        metrics=app[keys.METRICS],
        limits=limits,
        names=names,
        fresh_seconds=settings.fresh_seconds,
        news=news,
    )
    if links is not None:
        links.add_listener(service.forget_answer)
    service.add_outcome_listener(names.heard)
    answers = AnswerRecords(audit, clock)
    stack.callback(answers.close)
    service.add_outcome_listener(answers)
    service.add_outcome_listener(vitals.job_ended)
    app[keys.SERVICE] = await stack.enter_async_context(service)
    set_lists = VideoSetLists(
        VideoSetListStore(database),
        whole=whole,
        heard_before=heard_before,
        clock=clock,
        owner=_owner(),
        metrics=app[keys.METRICS],
        limits=WorkLimits(at_once=settings.set_lists, max_hours=settings.set_list_hours),
        background=background,
    )
    app[keys.VIDEO_SET_LISTS] = await stack.enter_async_context(set_lists)
    return free


async def _open_redis(app: web.Application, stack: AsyncExitStack) -> RedisLink | None:
    """The link to Redis; None without TWITCHAUDIO_REDIS_URL. Raises SettingsError."""
    url = app[keys.SETTINGS].redis_url
    if url is None:
        return None
    return await stack.enter_async_context(open_redis(url, clock=app[keys.CLOCK], metrics=app[keys.METRICS]))


async def _open_runner(
    app: web.Application,
    stack: AsyncExitStack,
    pipeline: Pipeline | None,
    limits: ServiceLimits,
    heard_before: HeardBefore,
) -> tuple[Runner, Callable[[], Awaitable[str | None]], Sequence[Trial], Pipeline | None, WholeRecordings | None]:
    """The runner of jobs, what tells why it cannot recognize anything (None: it can), how to try its parts, the
    pipeline of the free recognizers, and what listens to whole recordings.
    """
    settings, store, clock = app[keys.SETTINGS], app[keys.JOBS], app[keys.CLOCK]
    upstream = app[keys.METRICS].counter(
        "twitchaudio_upstream_total", "What came of calls to Twitch and to providers, by step.", "step", "outcome"
    )
    bounds = {"max_running": settings.captures_at_once, "max_queued": settings.queue}
    if settings.runner == "lambda":
        if settings.pipeline.jobs == "sql" and not app[keys.DATABASE].remote:
            takes = "inprocess, unless job state is where the function reaches it: in DynamoDB, MySQL or MariaDB"
            raise SettingsError("TWITCHAUDIO_RUNNER", settings.runner, takes)
        # AWS's library takes long to load.
        await asyncio.to_thread(import_module, "server.identifications.runners.aws_lambda")
        from server.identifications.runners.aws_lambda import LambdaWork, open_lambda_client  # noqa: PLC0415

        client = await stack.enter_async_context(open_lambda_client(settings.lambda_endpoint))
        work = LambdaWork(client, function=settings.lambda_function, store=store, clock=clock, limits=limits)
        return QueuedRunner(work, store=store, clock=clock, **bounds), _nothing_missing, (), None, None
    trials: Sequence[Trial] = ()
    if pipeline is None:
        unknown = app[keys.UNKNOWN]
        guards = app[keys.PROVIDERS]
        decoder = DecoderPool(workers=settings.cores)
        searching = RecognitionPool(*settings.pipeline.catalog_dirs, workers=settings.cores)
        app[keys.VITALS].count_failures_of("decode", decoder)
        app[keys.VITALS].count_failures_of("recognize", searching)
        names = checked_names(settings.pipeline)
        catalog = searching if "catalog" in names else None
        learned = None
        if "learned" in names:
            learned = RecognitionPool(settings.pipeline.learned_dir, workers=max(1, settings.cores // 2))
        trials = worker_trials(decoder, catalog, catalog_required=names == ("catalog",))
        pipeline = await stack.enter_async_context(
            open_pipeline(
                settings.pipeline,
                guards=guards,
                on_outcome=upstream.add,
                on_unknown=unknown.add,
                decoder=decoder,
                recognition_pool=searching,
                background=app[keys.BACKGROUND],
                learned_pool=learned,
            )
        )
    app[keys.PIPELINE] = pipeline
    runner = InProcessRunner(pipeline=pipeline, store=store, heard_before=heard_before, clock=clock, **bounds)
    return runner, pipeline.unavailable_reason, trials, pipeline.free(LISTEN_SECONDS), pipeline.whole


def _readiness(app: web.Application, trials: Sequence[Trial]) -> Readiness:
    seconds, clock = app[keys.SETTINGS].limits.ready_seconds, app[keys.CLOCK]
    database = database_trial(app[keys.DATABASE], clock=clock, seconds=seconds)
    return Readiness(
        [
            database,
            job_trial(app[keys.JOBS], seconds=seconds),
            *trials,
            background_trial(app[keys.BACKGROUND], seconds=seconds),
        ],
        clock=clock,
        wait_seconds=seconds,
    )


async def _nothing_missing() -> str | None:
    """Always None: which recognizers are available is known only to the Lambda function itself."""
    return None


async def _open_channels(
    app: web.Application,
    stack: AsyncExitStack,
    watcher_limits: WatcherLimits | None,
    hot_limits: HotLimits | None,
    free: Pipeline | None,
) -> None:
    """Open the services around channels: song text for chat bots, live events, watches, and hot channels."""
    settings, clock, metrics = app[keys.SETTINGS], app[keys.CLOCK], app[keys.METRICS]
    database, service, access = app[keys.DATABASE], app[keys.SERVICE], app[keys.ACCESS]
    hot = HotChannels(
        HotStore(database),
        askers=settings.hot_askers,
        pipeline=free,
        service=service,
        access=access,
        clock=clock,
        owner=_owner(),
        metrics=metrics,
        limits=hot_limits
        or HotLimits(
            at_once=max(1, settings.captures_at_once // 4), every_seconds=every_seconds(settings.fresh_seconds)
        ),
        background=app[keys.BACKGROUND],
    )
    app[keys.HOT] = await stack.enter_async_context(hot)
    app[keys.SONG_TEXT] = SongText(
        database, service=service, access=access, names=app[keys.NAMES], clock=clock, asked=hot.asked
    )
    app[keys.FEED] = await stack.enter_async_context(ChannelFeed(service, metrics=metrics))
    app[keys.SET_LISTS] = await stack.enter_async_context(SetLists(service, clock=clock))
    sender = await stack.enter_async_context(WebhookSender(settings.webhook_hosts, clock))
    app[keys.WEBHOOKS] = await stack.enter_async_context(
        Webhooks(
            WebhookStore(database),
            sender,
            service=service,
            api_keys=ApiKeyStore(database),
            clock=clock,
            metrics=metrics,
            check_channel=access.check_channel,
            background=app[keys.BACKGROUND],
        )
    )
    await _open_forgetter(app, stack)
    await _open_unknowns(app, stack)
    await _open_learner(app, stack)
    watcher = Watcher(
        WatchStore(database),
        service=service,
        access=access,
        names=app[keys.NAMES],
        api_keys=ApiKeyStore(database),
        clock=clock,
        owner=_owner(),
        metrics=metrics,
        limits=watcher_limits or WatcherLimits(at_once=max(1, settings.captures_at_once // 2)),
        background=app[keys.BACKGROUND],
    )
    app[keys.WATCHER] = await stack.enter_async_context(watcher)


async def _open_unknowns(app: web.Application, stack: AsyncExitStack) -> None:
    """Open the notebook of unknowns, which listens to the pipeline where this process has one."""
    service, access, settings = app[keys.SERVICE], app[keys.ACCESS], app[keys.SETTINGS].pipeline
    clock, pipeline = app[keys.CLOCK], app.get(keys.PIPELINE)

    async def forbidden(unknown: Unknown) -> bool:
        stored = await app[keys.JOBS].get(unknown.id)
        target = None if stored is None else target_of(stored)
        return target is None or await access.is_blacklisted(target)

    async def show(answer: Identification) -> None:
        service.forget_answer(answer)
        app[keys.SET_LISTS].forget(answer.target)
        app[keys.FEED].song_found_later(answer)

    async def named(answer: Identification) -> None:
        await show(answer)
        await app[keys.WEBHOOKS].named_later(answer, app[keys.JOBS])

    unknowns = Unknowns(
        UnknownStore(app[keys.DATABASE]),
        None if pipeline is None else pipeline.prints,
        app[keys.JOBS],
        clock=clock,
        metrics=app[keys.METRICS],
        is_busy=lambda: service.is_busy,
        forbidden=forbidden,
        complete=service.completed,
        named=named,
        named_elsewhere=show,
        limits=UnknownLimits(days=min(settings.unknown_days, settings.keep_days or settings.unknown_days)),
        background=app[keys.BACKGROUND],
    )
    app[keys.UNKNOWNS] = await stack.enter_async_context(unknowns)
    if pipeline is not None:
        pipeline.add_no_match_listener(unknowns.no_match)


async def _open_learner(app: web.Application, stack: AsyncExitStack) -> None:
    """Open what learns from providers' answers, which listens to the pipeline where this process has one."""
    settings, clock, pipeline = app[keys.SETTINGS].pipeline, app[keys.CLOCK], app.get(keys.PIPELINE)
    learner = Learner(
        LearnedStore(app[keys.DATABASE], max_bytes=settings.learn_mb << 20),
        None if pipeline is None else pipeline.learned,
        LearnedFolder(settings.learned_dir),
        clock=clock,
        metrics=app[keys.METRICS],
        usage=SqlUsage(app[keys.DATABASE]),
        paid=[name for name in checked_names(settings) if not REGISTRY[name].free],
        prices=settings.providers.prices,
        clip_parts=settings.clip_parts,
        background=app[keys.BACKGROUND],
        limits=LearningLimits(days=min(settings.learn_days, settings.keep_days or settings.learn_days)),
    )
    app[keys.LEARNER] = await stack.enter_async_context(learner)
    if pipeline is not None:
        pipeline.add_match_listener(learner.heard)


async def _open_forgetter(app: web.Application, stack: AsyncExitStack) -> None:
    """Open what forgets channels, also in the caches of this process."""

    def forgotten(logins: Sequence[str]) -> None:
        app[keys.SERVICE].forget_all()
        for login in logins:
            app[keys.FEED].forget(login)
            app[keys.SET_LISTS].forget(login)

    clock = app[keys.CLOCK]
    forgetter = ChannelForgetter(
        app[keys.DATABASE], app[keys.JOBS], app[keys.NAMES], clock=clock, on_forgotten=forgotten
    )
    app[keys.FORGETTER] = await stack.enter_async_context(forgetter)
    await stack.enter_async_context(swept(forgetter, clock.sleep, app[keys.BACKGROUND]))


async def _open_music_folders(app: web.Application, stack: AsyncExitStack) -> None:
    """Watch the folders of music in the settings."""
    settings = app[keys.SETTINGS]
    times = FolderTimes()
    command = sync_command(
        str(settings.pipeline.catalog_places[0]),
        settings.watch_folders,
        workers=max(1, settings.cores // 2),
        settle=times.settle,
    )
    watched = MusicFolders(
        settings.watch_folders,
        command=command,
        lock=settings.pipeline.catalog_dir / "watch.lock",
        metrics=app[keys.METRICS],
        times=times,
        background=app[keys.BACKGROUND],
    )
    await stack.enter_async_context(watched)


async def _open_access(
    app: web.Application,
    stack: AsyncExitStack,
    database: Database,
    audit: AuditWriter,
    session_keys: SessionKeys | None,
    *,
    running: Running,
    quotas: QuotaStore,
) -> Access:
    """Open access control, with Twitch sign-in if the operator has configured a Twitch application."""
    settings, clock, background = app[keys.SETTINGS], app[keys.CLOCK], app[keys.BACKGROUND]
    tokens = sessions = subscriptions = None
    if settings.twitch_client_id is not None:
        session = await stack.enter_async_context(ClientSession(cookie_jar=DummyCookieJar()))
        tokens = await stack.enter_async_context(
            TokenValidator(
                session, id_url=settings.twitch_id_url, client_id=settings.twitch_client_id, clock=clock
            )
        )
        helix = HelixClient(
            session, helix_url=settings.twitch_helix_url, client_id=settings.twitch_client_id, clock=clock
        )
        subscriptions = await stack.enter_async_context(Subscriptions(helix, clock=clock))
        if session_keys is not None and settings.twitch_client_secret is not None:
            oauth = TwitchOAuth(
                session,
                id_url=settings.twitch_id_url,
                client_id=settings.twitch_client_id,
                client_secret=settings.twitch_client_secret,
            )
            store = SessionStore(database, session_keys)
            sessions = await stack.enter_async_context(
                Sessions(store, oauth=oauth, tokens=tokens, clock=clock, background=background)
            )
    access = Access(
        database,
        quotas=quotas,
        clock=clock,
        tokens=tokens,
        audit=audit,
        limits=StartLimits(
            jobs_per_address=settings.jobs_per_address,
            per_address=settings.starts_per_address,
            per_person=settings.starts_per_person,
        ),
        running=running,
        find_channel=app[keys.NAMES].find,
        known_channel=app[keys.NAMES].current,
        clip_owners=await stack.enter_async_context(open_clip_owners(settings.pipeline)),
        subscriptions=subscriptions,
        sessions=sessions,
        admins=settings.admins,
        background=background,
    )
    names = app[keys.NAMES]
    await stack.enter_async_context(
        pinned(access.admins, settings.pipeline.data_dir, names.find, clock=clock, background=background)
    )
    return await stack.enter_async_context(access)


async def _open_links(
    app: web.Application, stack: AsyncExitStack, database: Database, store: JobStore
) -> LinkEnricher | None:
    """Open the enricher that adds links to answers; None unless the settings name link services."""
    clock = app[keys.CLOCK]
    finder = await stack.enter_async_context(open_link_finder(app[keys.SETTINGS].pipeline, clock))
    if finder is None:
        return None
    media = await stack.enter_async_context(open_link_media(app[keys.SETTINGS].pipeline, clock, finder, database))
    if media is not None:
        app[keys.LINK_MEDIA] = media
    links = LinkEnricher(finder, LinkStore(database), store, clock, media)
    return await stack.enter_async_context(links)


def _owner() -> str:
    """The owner of this server's leases: readable for operators, and unique to each start."""
    return f"{socket.gethostname()[:100]}:{os.getpid()}:{secrets.token_hex(4)}"
