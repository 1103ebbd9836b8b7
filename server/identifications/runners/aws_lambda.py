"""Runs jobs in AWS Lambda functions. The server renews the lease until the function adopts it, then only polls.

The function writes its stages to the job store, as any server does. Its answer comes back with the invocation, or
is found in the store, whichever is first.
"""

import asyncio
import json
import logging
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, cast

import aiohttp
from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from botocore.exceptions import BotoCoreError, ClientError

from fingerprint.asked_ahead import AskedAhead
from fingerprint.domain.identification import Identification
from fingerprint.domain.problems import Problem, ProblemCode, TwitchAudioError
from fingerprint.domain.recognizer_override import RecognizerOverride
from fingerprint.domain.targets import FileTarget, Target, UploadTarget
from fingerprint.job_ports import LEASE_SECONDS, JobOutcome, JobStore, Lease
from fingerprint.jobs.dynamodb.client import region_of
from fingerprint.lambda_event import JobEvent, event_to_json
from fingerprint.pipeline import JOB_SECONDS
from fingerprint.ports import Clock, OnStage
from fingerprint.tasks import cancel_and_wait
from fingerprint.wire import from_json
from server.identifications.limits import ServiceLimits

if TYPE_CHECKING:
    from aiobotocore.response import StreamingBody
    from types_aiobotocore_lambda import LambdaClient

CONNECT_SECONDS: Final = 2.0
ANSWER_SECONDS: Final = JOB_SECONDS + 15.0
"""The longest that an invocation may take, its start included."""

ANSWER_BYTES: Final = 1 << 20
CONNECTIONS: Final = 1_000

UNREACHABLE: Final = (BotoCoreError, ClientError, aiohttp.ClientError, TimeoutError, OSError)
"""What an invocation raises that the function never got, or did not answer."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Failure:
    """An invocation that returned no identification."""

    problem: Problem


class LambdaWork:
    """Runs a job in a Lambda function: a `server.identifications.runners.queued.Work`.

    `chosen`: what an operator chose in place of the function's recognizers and budgets; raises nothing.
    """

    def __init__(
        self,
        client: "LambdaClient",
        *,
        function: str,
        store: JobStore,
        clock: Clock,
        limits: ServiceLimits,
        chosen: Callable[[], Awaitable[RecognizerOverride]],
        tried_at_start: bool = False,
    ) -> None:
        """`tried_at_start`: `check` asks before the first invocation, too, which AWS answers without any."""
        self._chosen = chosen
        self._unsure = tried_at_start
        self._client = client
        self._function = function
        self._store = store
        self._clock = clock
        self._limits = limits

    async def __call__(
        self,
        lease: Lease,
        identification: Identification,
        target: Target,
        on_stage: OnStage,
        on_heard: Callable[[], None],
        *,
        ahead: AskedAhead | None = None,
    ) -> JobOutcome | None:
        assert ahead is None, "the function asks Twitch by itself"
        del on_heard  # the function stores the answer, and its invocation ends after that
        assert not isinstance(target, FileTarget | UploadTarget), "a function cannot read files of this machine"
        chosen = await self._chosen()
        event = JobEvent(
            job_id=identification.id,
            target=target,
            deadline=self._clock.now() + timedelta(seconds=ANSWER_SECONDS),
            lease=lease,
            chosen=chosen,
        )
        poller = _StorePoller(self._store, lease, self._clock, self._limits, on_stage)
        invoking = asyncio.create_task(self._invoke(event))
        watching = asyncio.create_task(poller.until_finished())
        starting = asyncio.create_task(self._started_late(poller))
        try:
            await asyncio.wait({invoking, watching, starting}, return_when=asyncio.FIRST_COMPLETED)
            if watching.done():
                return JobOutcome(watching.result())
            if invoking.done():
                outcome = invoking.result()
            else:
                outcome = _failure(ProblemCode.BUSY, "The function that identifies does not start.", 5.0)
            if isinstance(outcome, _Failure):
                return await self._failed(poller, identification, outcome)
            # An unfinished one has another owner by now, which is to be followed.
            answer = outcome.identification
            return outcome if answer.id == identification.id and answer.status.finished else None
        finally:
            await cancel_and_wait(invoking, watching, starting)

    async def check(self) -> None:
        """Raise TwitchAudioError while the function cannot be invoked; it is asked once the newest one failed."""
        if not self._unsure:
            return
        try:
            # Whether it is there and may be invoked, without running it.
            await self._client.invoke(FunctionName=self._function, InvocationType="DryRun")
        except UNREACHABLE as error:
            detail = f"The function {self._function} cannot be invoked: {type(error).__name__}: {error}"[:300]
            raise TwitchAudioError(ProblemCode.BUSY, detail) from error
        self._unsure = False

    async def _started_late(self, poller: "_StorePoller") -> None:
        """Returns when the function has not adopted its job in time; else never."""
        await self._clock.sleep(self._limits.function_start_seconds)
        if poller.adopted:
            await asyncio.Event().wait()

    async def _failed(
        self, poller: "_StorePoller", identification: Identification, failure: _Failure
    ) -> JobOutcome | None:
        """End the job, unless the function has adopted it: then a server that follows it takes it over in time."""
        problem = failure.problem
        _log.warning(
            "invocation_failed",
            extra={"job_id": identification.id, "code": str(problem.code), "detail": problem.detail},
        )
        failed = identification.failed(problem, self._clock.now())
        return JobOutcome(failed) if await self._store.finish(poller.lease, failed) else None

    async def _invoke(self, event: JobEvent) -> JobOutcome | _Failure:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                answer = await self._client.invoke(
                    FunctionName=self._function,
                    InvocationType="RequestResponse",
                    Payload=json.dumps(event_to_json(event)).encode(),
                )
                async with answer["Payload"] as stream:
                    payload = await _read(stream)
        except UNREACHABLE as error:
            self._unsure = True
            _log.error("invocation_refused", extra={"error": f"{type(error).__name__}: {error}"[:500]})
            detail = "The function that identifies cannot be reached. Try again in a moment."
            return _failure(ProblemCode.BUSY, detail, 5.0)
        self._unsure = False
        return _outcome(payload, answer.get("FunctionError"))


async def _read(stream: "StreamingBody") -> bytes:
    """The whole payload, up to `ANSWER_BYTES`; a single `read` returns only what has arrived so far."""
    payload = b""
    while len(payload) < ANSWER_BYTES and (piece := await stream.read(ANSWER_BYTES)):
        payload += piece
    return payload


def _failure(code: ProblemCode, detail: str, retry_after_seconds: float | None) -> _Failure:
    return _Failure(Problem(code=code, detail=detail, retry_after_seconds=retry_after_seconds))


def _outcome(payload: bytes, function_error: str | None) -> JobOutcome | _Failure:
    """The result of an invocation. Emulators do not set FunctionError, so `errorMessage` counts, too."""
    try:
        body = cast("object", json.loads(payload))
        if isinstance(body, dict) and function_error is None and "errorMessage" not in body:
            answer = cast("Mapping[str, Any]", body)
            return JobOutcome(from_json(answer), stored=answer.get("stored") is not False)
    except (ValueError, KeyError, TypeError):
        pass
    _log.error("function_failed", extra={"error": function_error, "payload": repr(payload[:500])})
    detail = "The function that identifies broke down. This is a fault of ours, and it is logged."
    return _failure(ProblemCode.INTERNAL, detail, 5.0)


class _StorePoller:
    """Polls a job in the store: one reader for all requests that wait for it here."""

    def __init__(
        self, store: JobStore, lease: Lease, clock: Clock, limits: ServiceLimits, on_stage: OnStage
    ) -> None:
        self.lease = lease
        self.adopted = False
        self._store = store
        self._clock = clock
        self._limits = limits
        self._on_stage = on_stage

    async def until_finished(self) -> Identification:
        """The answer. Reports stages meanwhile, and renews the lease until the function has adopted it."""
        renew_at = self._clock.monotonic() + LEASE_SECONDS / 3
        is_failing = False
        while True:
            await self._clock.sleep(self._limits.poll_seconds * random.uniform(2 / 3, 1.0))  # noqa: S311 - jitter
            try:
                if not self.adopted and self._clock.monotonic() >= renew_at:
                    renew_at = self._clock.monotonic() + LEASE_SECONDS / 3
                    await self._renew()
                stored = await self._store.get(self.lease.identification_id)
            except Exception as error:  # noqa: BLE001 - the store may come back; the invocation has its own end
                if not isinstance(error, TwitchAudioError) and not is_failing:
                    _log.exception("job_not_read", extra={"job_id": self.lease.identification_id})
                    is_failing = True
                continue
            if stored is not None and stored.status.finished:
                return stored
            if stored is not None:
                self._on_stage(stored.stage)

    async def _renew(self) -> None:
        renewed = await self._store.renew(self.lease, now=self._clock.now(), lease_seconds=LEASE_SECONDS)
        if renewed is None:
            self.adopted = True
        else:
            self.lease = renewed


@asynccontextmanager
async def open_lambda_client(endpoint: str | None) -> "AsyncGenerator[LambdaClient]":
    """A client that sends each invocation once. Raises SettingsError without a region."""
    session = get_session()
    config = AioConfig(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=ANSWER_SECONDS,
        max_pool_connections=CONNECTIONS,
        retries={"mode": "standard", "total_max_attempts": 1},
    )
    region = region_of(session, endpoint, "the function")
    async with session.create_client("lambda", region_name=region, endpoint_url=endpoint, config=config) as client:
        yield client
