"""Opens what runs jobs: the pipeline of this process, or AWS Lambda."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from importlib import import_module

from aiohttp import web

from fingerprint.catalog.recognition_pool import RecognitionPool
from fingerprint.job_ports import HeardBefore
from fingerprint.media.decoder import DecoderPool
from fingerprint.pipeline import Pipeline
from fingerprint.remote_catalogs.follower import CatalogFollower
from fingerprint.settings import SettingsError
from fingerprint.whole import WholeRecordings
from fingerprint.wiring import checked_names, open_pipeline
from server import keys
from server.channels.hot_channels import LISTEN_SECONDS
from server.identifications.limits import ServiceLimits
from server.identifications.runners.inprocess import InProcessRunner
from server.identifications.runners.queued import QueuedRunner
from server.readiness import Trial
from server.readiness_trials import noted_trial, worker_trials


async def open_runner(
    app: web.Application,
    stack: AsyncExitStack,
    pipeline: Pipeline | None,
    limits: ServiceLimits,
    heard_before: HeardBefore,
) -> tuple[
    QueuedRunner, Callable[[], Awaitable[str | None]], Sequence[Trial], Pipeline | None, WholeRecordings | None
]:
    """The runner of jobs, what tells why it cannot recognize anything (None: it can), how to try its parts, the
    pipeline of the free recognizers, and what listens to whole recordings.
    """
    settings, store, clock = app[keys.SETTINGS], app[keys.JOBS], app[keys.CLOCK]
    upstream = app[keys.METRICS].counter(
        "twitchaudio_upstream_total", "What came of calls to Twitch and to providers, by step.", "step", "outcome"
    )
    running, queued = settings.captures_at_once, settings.queue
    if settings.runner == "lambda":
        if settings.pipeline.jobs == "sql" and not app[keys.DATABASE].remote:
            takes = "inprocess, unless job state is where the function reaches it: in DynamoDB, MySQL or MariaDB"
            raise SettingsError("TWITCHAUDIO_RUNNER", settings.runner, takes)
        # AWS's library takes long to load.
        await asyncio.to_thread(import_module, "server.identifications.runners.aws_lambda")
        from server.identifications.runners.aws_lambda import LambdaWork, open_lambda_client  # noqa: PLC0415

        client = await stack.enter_async_context(open_lambda_client(settings.lambda_endpoint))
        work = LambdaWork(
            client,
            function=settings.lambda_function,
            store=store,
            clock=clock,
            limits=limits,
            chosen=app[keys.RECOGNIZERS].chosen,
            tried_at_start=settings.lambda_endpoint is None,
        )
        function = (noted_trial("function", work.check, required=True),)
        runner = QueuedRunner(work, store=store, clock=clock, max_running=running, max_queued=queued)
        return runner, _nothing_missing, function, None, None
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
        if settings.pipeline.learns:
            learned = RecognitionPool(settings.pipeline.learned_dir, workers=max(1, settings.cores // 2))
        trials = worker_trials(decoder, catalog, catalog_required=names == ("catalog",))
        follower = await stack.enter_async_context(CatalogFollower(settings.pipeline))
        follower.follow(app[keys.BACKGROUND])
        if settings.pipeline.remote_catalogs:
            trials = (*trials, noted_trial("object_storage", follower.check))
        pipeline = await stack.enter_async_context(
            open_pipeline(
                settings.pipeline,
                guards=guards,
                on_outcome=upstream.add,
                on_unknown=unknown.add,
                decoder=decoder,
                recognition_pool=searching,
                catalog_follower=follower,
                background=app[keys.BACKGROUND],
                learned_pool=learned,
                choice=app[keys.RECOGNIZERS].current,
            )
        )
    app[keys.PIPELINE] = pipeline
    runner = InProcessRunner(
        pipeline=pipeline,
        store=store,
        heard_before=heard_before,
        clock=clock,
        max_running=running,
        max_queued=queued,
    )
    return runner, pipeline.unavailable_reason, trials, pipeline.free(LISTEN_SECONDS), pipeline.whole


async def _nothing_missing() -> str | None:
    """Always None: which recognizers are available is known only to the Lambda function itself."""
    return None
