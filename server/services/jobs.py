"""Opens the database, the job store and what works on identifications."""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from functools import partial

from aiohttp import web

from fingerprint.configured_database import open_configured_database
from fingerprint.database import Database
from fingerprint.domain.identification import Identification, Kind
from fingerprint.domain.recognizer_override import RecognizerOverride
from fingerprint.heard_before import HeardInAnswers
from fingerprint.job_ports import HeardBefore, JobStore
from fingerprint.jobs import open_job_store
from fingerprint.jobs.sql_retention import old_answers_deleted
from fingerprint.links.store import LinkStore
from fingerprint.pipeline import Pipeline
from fingerprint.ports import ChannelDirectory
from fingerprint.providers.usage import SqlUsage
from fingerprint.whole import WholeRecordings
from fingerprint.wiring import make_guards, open_link_finder, open_link_media
from server import keys, migrations
from server.access.identity.session_keys import SessionKeys
from server.access.quotas.redis_quotas import RedisQuotas
from server.access.quotas.store import QuotaStore, QuotasWithFallback, SqlQuotas
from server.access.rules.broadcasters import BroadcasterFollower
from server.access.rules.list_store import ListFollower
from server.audit.answers import AnswerRecords
from server.audit.store import AuditStore
from server.audit.writer import AuditLimits, AuditWriter
from server.channel_names import ChannelNames
from server.channels.heard_before import HeardInAnswersAndVideos
from server.channels.retention import old_rows_deleted
from server.channels.rules import check_is_on
from server.channels.song_tokens import SongTokenFollower
from server.channels.video_set_list_store import VideoSetListStore
from server.channels.video_set_lists import VideoSetLists, WorkLimits
from server.channels.watch_store import WatchFollower
from server.identifications.jobs import AnswerEnricher
from server.identifications.limits import ServiceLimits
from server.identifications.links import LinkEnricher
from server.identifications.news import JobNews, NoNews, RedisNews
from server.identifications.service import IdentificationService
from server.owner_choices.service import OwnerChoices
from server.owner_choices.store import ChoiceFollower
from server.readiness import Readiness, Trial
from server.readiness_trials import (
    background_trial,
    clock_trial,
    database_trial,
    job_trial,
    noted_trial,
    redis_trial,
    temporary_files_trial,
)
from server.recent_calls import TwitchAnswers
from server.recognizer_choices import RecognizerChoices
from server.redis_link import RedisLink, open_redis
from server.services.access import open_access
from server.services.owner import lease_owner
from server.services.runners import open_runner
from server.songs.store import SongStore
from server.sqlite_space import space_given_back
from server.vitals import Vitals
from server.webhooks.store import WebhookFollower


async def open_jobs(
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
    followers = (
        ListFollower(),
        BroadcasterFollower(),
        WatchFollower(),
        SongTokenFollower(),
        WebhookFollower(),
        ChoiceFollower(),
    )
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
    choices = app[keys.RECOGNIZERS] = _recognizer_choices(app)
    vitals = app[keys.VITALS] = Vitals(
        database,
        choices.known_statuses,
        data_dir=settings.pipeline.data_dir,
        clock=clock,
        metrics=app[keys.METRICS],
        background=background,
    )
    await stack.enter_async_context(vitals.measured())
    heard_before = HeardInAnswersAndVideos(HeardInAnswers(store), VideoSetListStore(database))
    runner, unavailable, trials, free, whole = await open_runner(app, stack, pipeline, limits, heard_before)
    link = await _open_redis(app, stack)
    if link is not None:
        trials = (*trials, redis_trial(link, seconds=settings.limits.ready_seconds))
    twitch = TwitchAnswers(clock)
    app[keys.READINESS] = await stack.enter_async_context(
        _readiness(app, (*trials, noted_trial("twitch", twitch.attempt)))
    )
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
    app[keys.ACCESS] = await open_access(
        app,
        stack,
        database,
        audit,
        session_keys,
        running=lambda target: store.running(target, now=clock.now()),
        quotas=quotas,
    )
    links = await _open_links(app, stack, database, store)
    songs = app[keys.SONGS] = await stack.enter_async_context(SongStore(database))
    choices = app[keys.CHOICES] = await stack.enter_async_context(OwnerChoices(database, names, clock=clock))
    completed = names.name_renamed
    service = IdentificationService(
        store=store,
        enrich=_both(completed if links is None else _both(links.enrich, completed), noting(songs, choices)),
        runner=runner,
        unavailable=unavailable,
        clock=clock,
        owner=lease_owner(),
        metrics=app[keys.METRICS],
        limits=limits,
        names=names,
        fresh_seconds=settings.fresh_seconds,
        news=news,
        choices=choices,
    )
    if links is not None:
        links.add_listener(service.forget_answer)
    answers = AnswerRecords(audit, clock)
    stack.callback(answers.close)
    for listener in (names.heard, answers, twitch, vitals.job_ended):
        service.add_outcome_listener(listener)
    app[keys.SERVICE] = await stack.enter_async_context(service)
    app[keys.VIDEO_SET_LISTS] = await stack.enter_async_context(_video_set_lists(app, whole, heard_before))
    return free


def _video_set_lists(
    app: web.Application, whole: WholeRecordings | None, heard_before: HeardBefore
) -> VideoSetLists:
    settings = app[keys.SETTINGS]
    return VideoSetLists(
        VideoSetListStore(app[keys.DATABASE]),
        whole=whole,
        heard_before=heard_before,
        check=partial(check_is_on, app[keys.ACCESS]),
        clock=app[keys.CLOCK],
        owner=lease_owner(),
        metrics=app[keys.METRICS],
        limits=WorkLimits(
            at_once=settings.set_lists,
            max_hours=settings.set_list_hours,
            hours_a_day=settings.set_list_hours_a_day,
        ),
        background=app[keys.BACKGROUND],
    )


def _recognizer_choices(app: web.Application) -> RecognizerChoices:
    settings = app[keys.SETTINGS]

    async def chosen() -> RecognizerOverride:
        access = app.get(keys.ACCESS)  # opened after what asks
        return RecognizerOverride() if access is None else (await access.rules()).recognizers

    elsewhere = settings.runner == "lambda"
    return RecognizerChoices(settings.pipeline, app[keys.PROVIDERS], chosen, elsewhere=elsewhere)


def _both(first: AnswerEnricher, second: AnswerEnricher) -> AnswerEnricher:
    """An enricher that does what two do, one after the other."""

    async def enrich(finished: Identification) -> Identification:
        return await second(await first(finished))

    return enrich


def noting(songs: SongStore, choices: OwnerChoices) -> AnswerEnricher:
    """An enricher that changes nothing: it notes where songs were heard, under corrected titles as well."""

    async def note(finished: Identification) -> Identification:
        songs.note_meanwhile(finished)
        await choices.heard(finished)
        if finished.kind is Kind.STREAM and (shown := await choices.shown(finished)) is not finished:
            songs.note_meanwhile(shown)
        return finished

    return note


async def _open_redis(app: web.Application, stack: AsyncExitStack) -> RedisLink | None:
    """The link to Redis; None without TWITCHAUDIO_REDIS_URL. Raises SettingsError."""
    url = app[keys.SETTINGS].redis_url
    if url is None:
        return None
    return await stack.enter_async_context(open_redis(url, clock=app[keys.CLOCK], metrics=app[keys.METRICS]))


def _readiness(app: web.Application, trials: Sequence[Trial]) -> Readiness:
    seconds, clock = app[keys.SETTINGS].limits.ready_seconds, app[keys.CLOCK]
    database = app[keys.DATABASE]
    if database.remote:
        trials = (*trials, clock_trial(database, seconds=seconds))
    if app[keys.SETTINGS].twitch_client_secret is not None:
        trials = (*trials, noted_trial("sign_in", partial(_check_sign_in, app)))
    return Readiness(
        [
            database_trial(database, clock=clock, seconds=seconds),
            job_trial(app[keys.JOBS], seconds=seconds),
            *trials,
            temporary_files_trial(seconds=seconds),
            background_trial(app[keys.BACKGROUND], seconds=seconds),
        ],
        clock=clock,
        wait_seconds=seconds,
    )


async def _check_sign_in(app: web.Application) -> None:
    sessions = app[keys.ACCESS].sessions
    if sessions is not None:
        await sessions.check_application()


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
