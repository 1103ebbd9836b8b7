"""The AWS Lambda function: one event, one whole identification, state and answer stored by the function itself.

    handler: fingerprint.lambda_handler.handler

The settings are the server's (`TWITCHAUDIO_JOBS=dynamodb` and so on). What takes time to start is reused between
invocations: the event loop, connections, and the memory-mapped catalog. Decoder processes are ended with each
invocation, since what is left running is frozen with the function.

An event may come twice, or late. Its lease can be adopted once; a job that has ended is answered from the store;
and one that came too late is ignored.
"""

import asyncio
import logging
import secrets
from contextlib import AsyncExitStack
from datetime import datetime
from functools import partial
from typing import Final, Protocol

from fingerprint.clock import SystemClock
from fingerprint.domain.identification import Identification, abandoned
from fingerprint.domain.problems import Problem, ProblemCode, TwitchAudioError
from fingerprint.job_ports import LEASE_SECONDS, Claimed, JobOutcome, JobStore
from fingerprint.jobs import open_job_store
from fingerprint.jobs.clean import clean
from fingerprint.lambda_event import JobEvent, event_from_json
from fingerprint.media.decoder import DecoderPool
from fingerprint.pipeline import JOB_SECONDS, Pipeline
from fingerprint.pipeline_settings import PipelineSettings
from fingerprint.ports import Clock
from fingerprint.providers.guard import ProviderGuards
from fingerprint.recognizer_choice import RecognizerChoice, chosen_instead, unusable_reason
from fingerprint.remote_catalogs.follower import CatalogFollower
from fingerprint.settings import read_settings, runs_in_lambda
from fingerprint.tasks import cancel_and_wait
from fingerprint.wire import Json, to_json
from fingerprint.wiring import choice_of, open_guards, open_pipeline

MARGIN_SECONDS: Final = 1.5
"""How long before the function's time limit a job is cancelled, to leave time to store that it took too long."""

FIRST_COPIES_SECONDS: Final = 20.0
"""How long a new process waits for its first copies of the catalogs in object storage."""

_log = logging.getLogger(__name__)


class Context(Protocol):
    """The part of Lambda's context object that is used."""

    aws_request_id: str

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until Lambda ends the process."""
        ...


class Function:
    """One process of the Lambda function, opened at its start or its first event, and then reused."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner()
        self._opened: _Opened | None = None

    def invoke(self, event: object, context: Context) -> Json:
        """Run the job of an event. Raises InvalidEventError, SettingsError, and TwitchAudioError `busy`."""
        return self._runner.run(self._invoke(event_from_json(event), context))

    def open(self) -> None:
        """Open everything before the first event: Lambda gives a process a core of its own until then.

        What fails is tried again, and told, at the first event.
        """
        try:
            self._opened = self._runner.run(_open(read_settings(PipelineSettings)))
        except Exception:  # noqa: BLE001 - a process that ends here is started again and again
            _log.exception("not_opened_at_start")

    async def _invoke(self, event: JobEvent, context: Context) -> Json:
        if self._opened is None:
            self._opened = await _open(read_settings(PipelineSettings))
        outcome = await self._opened.identify(event, context)
        answer = to_json(outcome.identification)
        return answer if outcome.stored else {**answer, "stored": False}

    def close(self) -> None:
        """Close everything; for tests, since Lambda just stops the process."""
        if self._opened is not None:
            self._runner.run(self._opened.stack.aclose())
        self._runner.close()


async def _open(settings: PipelineSettings) -> "_Opened":
    async with AsyncExitStack() as stack:
        clock = SystemClock()
        decoder = DecoderPool()
        store = await stack.enter_async_context(open_job_store(settings, clock))
        catalogs = await stack.enter_async_context(CatalogFollower(settings))
        guards = await stack.enter_async_context(open_guards(settings, clock))
        choice = EventChoice(settings, guards)
        pipeline = await stack.enter_async_context(
            open_pipeline(
                settings, guards=guards, decoder=decoder, catalog_follower=catalogs, choice=choice.current
            )
        )
        return _Opened(stack.pop_all(), store, pipeline, decoder, clock, catalogs=catalogs, choice=choice)


class EventChoice:
    """The recognizers that the event in progress names, or else those of the settings."""

    def __init__(self, settings: PipelineSettings, guards: ProviderGuards) -> None:
        self._settings = settings
        self._guards = guards
        self._of_settings = self._known = choice_of(settings)

    async def current(self) -> RecognizerChoice:
        """The choice that holds now."""
        return self._known

    def follow(self, event: JobEvent) -> None:
        """Ask what this event names from now on."""
        unusable = partial(unusable_reason, self._settings)
        self._known = chosen_instead(self._of_settings, event.chosen, unusable)
        self._guards.set_budgets(self._known.budgets)


class _Opened:
    """The open resources that invocations share."""

    def __init__(
        self,
        stack: AsyncExitStack,
        store: JobStore,
        pipeline: Pipeline,
        decoder: DecoderPool,
        clock: Clock,
        *,
        catalogs: CatalogFollower,
        choice: EventChoice,
    ) -> None:
        self._choice = choice
        self.stack = stack
        self._store = store
        self._pipeline = pipeline
        self._decoder = decoder
        self._clock = clock
        self._catalogs = catalogs
        self._catalogs_are_here = False

    async def identify(self, event: JobEvent, context: Context) -> JobOutcome:
        """Run a job, and end everything that it started."""
        before = asyncio.all_tasks()
        self._choice.follow(event)
        self._decoder.start_workers()
        # Beside the capture, which takes longer; only the first copies are waited for.
        refreshed = asyncio.create_task(self._catalogs.refresh())
        try:
            if not self._catalogs_are_here:
                await asyncio.wait([refreshed], timeout=FIRST_COPIES_SECONDS)
                self._catalogs_are_here = refreshed.done()
            return await self._identify(event, context)
        finally:
            await self._decoder.end_workers()
            await cancel_and_wait(*asyncio.all_tasks() - before)

    async def _identify(self, event: JobEvent, context: Context) -> JobOutcome:
        stored = await self._store.get(event.job_id)
        if stored is not None and stored.status.finished:
            return JobOutcome(stored)
        now = self._clock.now()
        late = event.deadline is not None and event.deadline < now
        if stored is not None and (late or abandoned(stored, now)):
            _log.info("event_came_late", extra={"job_id": event.job_id})
            return JobOutcome(_given_up(stored, now))
        owner = f"lambda:{context.aws_request_id}:{secrets.token_hex(4)}"
        claimed = await self._claimed(event, stored, owner, now)
        if not isinstance(claimed, Claimed):
            return JobOutcome(claimed)
        left = context.get_remaining_time_in_millis() / 1000 - MARGIN_SECONDS
        pipeline = self._pipeline.within(max(0.0, min(JOB_SECONDS, left)))
        outcome = await pipeline.run(claimed.lease, claimed.identification, event.target, store=self._store)
        if outcome is not None:
            return JobOutcome(clean(outcome.identification), stored=outcome.stored)
        return JobOutcome(await self._store.get(claimed.identification.id) or claimed.identification)

    async def _claimed(
        self, event: JobEvent, stored: Identification | None, owner: str, now: datetime
    ) -> Claimed | Identification:
        """The claimed work, or the state of the job when another owner has it."""
        if event.lease is not None:
            adopted = await self._store.adopt(event.lease, owner=owner, now=now, lease_seconds=LEASE_SECONDS)
            if adopted is not None:
                return adopted
            _log.info("lease_not_adopted", extra={"job_id": event.job_id})
            current = await self._store.get(event.job_id)
            if current is None:
                detail = "The job of this event is not in the store."
                raise TwitchAudioError(ProblemCode.NOT_FOUND, detail)
            return current
        claim = await self._store.claim(
            event.target,
            owner=owner,
            now=now,
            lease_seconds=LEASE_SECONDS,
            identification_id=event.job_id if stored is None else None,
        )
        return claim if isinstance(claim, Claimed) else claim.identification


def _given_up(stored: Identification, now: datetime) -> Identification:
    detail = "This was given up: it was asked for too long ago."
    return stored.failed(Problem(code=ProblemCode.TIMEOUT, detail=detail, retry_after_seconds=0.0), now)


# Lambda keeps a process and its modules between invocations: this is the only state that is kept that way.
_function: Final = Function()
if runs_in_lambda():
    _function.open()


def handler(event: object, context: Context) -> Json:
    """Lambda's entry point; see `fingerprint.lambda_event` for the event.

    Returns the Identification, with an additional `"stored": false` when it could not be stored.
    """
    return _function.invoke(event, context)
