"""What readiness says of services that it does not try itself."""

from dataclasses import replace
from typing import Any, cast

import aiohttp
import pytest

from fingerprint.domain.identification import Identification, Kind
from fingerprint.domain.problems import Problem, ProblemCode, TwitchAudioError
from fingerprint.job_ports import JobOutcome
from server.identifications.limits import ServiceLimits
from server.identifications.runners.aws_lambda import LambdaWork
from server.recent_calls import IN_A_ROW, LATELY_SECONDS, TwitchAnswers
from tests.builders import NOON, identification
from tests.fakes import FakeClock


def failed(code: ProblemCode, kind: Kind = Kind.STREAM) -> JobOutcome:
    problem = Problem(code=code, detail="Twitch answers 503.")
    return JobOutcome(replace(identification(kind=kind), problem=problem, finished_at=NOON))


def good(kind: Kind = Kind.STREAM) -> JobOutcome:
    answer: Identification = replace(identification(kind=kind), problem=None, finished_at=NOON)
    return JobOutcome(answer)


async def test_twitch_counts_as_away_once_several_questions_in_a_row_failed_there() -> None:
    clock = FakeClock()
    twitch = TwitchAnswers(clock)
    refusal = failed(ProblemCode.UPSTREAM_UNAVAILABLE)
    for _ in range(IN_A_ROW - 1):
        twitch(refusal)
        await twitch.attempt()
    # What is no question to Twitch, or ends before one, says nothing about it.
    twitch(failed(ProblemCode.UPSTREAM_UNAVAILABLE, Kind.FILE))
    twitch(good(Kind.FILE))
    twitch(failed(ProblemCode.BUSY))
    await twitch.attempt()
    twitch(refusal)
    with pytest.raises(TwitchAudioError, match=f"newest {IN_A_ROW} questions failed at Twitch.*answers 503"):
        await twitch.attempt()
    twitch(failed(ProblemCode.NOT_LIVE))  # which Twitch has said
    await twitch.attempt()
    for _ in range(IN_A_ROW):
        twitch(refusal)
    await clock.advance(LATELY_SECONDS)
    await twitch.attempt()


class Client:
    """A client of AWS, where there is no such function at first."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.missing = True

    async def invoke(self, **call: Any) -> dict[str, Any]:
        self.asked.append(call)
        if self.missing:
            raise aiohttp.ClientConnectionError("Function not found")
        return {"StatusCode": 204}


async def test_a_function_that_is_missing_is_named_until_it_is_there() -> None:
    client = Client()
    work = LambdaWork(
        cast("Any", client),
        function="identify",
        store=cast("Any", None),
        clock=FakeClock(),
        limits=ServiceLimits(),
        chosen=cast("Any", None),
        tried_at_start=True,
    )
    for _ in range(2):
        with pytest.raises(TwitchAudioError, match=r"identify cannot be invoked.*Function not found"):
            await work.check()
    client.missing = False
    for _ in range(2):
        await work.check()
    assert [call["InvocationType"] for call in client.asked] == ["DryRun"] * 3
