"""What the server makes of a function's answer."""

import json
from typing import Any

import pytest

from fingerprint.domain.recognizer_override import RecognizerOverride
from fingerprint.domain.targets import ChannelTarget
from fingerprint.job_ports import LEASE_SECONDS, Claimed
from fingerprint.wire import to_json
from server.identifications.limits import ServiceLimits
from server.identifications.runners.aws_lambda import LambdaWork
from tests.builders import answered
from tests.fakes import FakeClock, MemoryJobStore

CHANNEL = ChannelTarget("somechannel")


class Payload:
    """The answer's bytes as the client's library gives them."""

    def __init__(self, body: bytes) -> None:
        self._rest = body

    async def __aenter__(self) -> "Payload":
        return self

    async def __aexit__(self, *_exc: object) -> None:
        pass

    async def read(self, size: int) -> bytes:
        piece, self._rest = self._rest[:size], self._rest[size:]
        return piece


class Client:
    """A function that answers at once."""

    def __init__(self, answer: object) -> None:
        self._answer = answer

    async def invoke(self, **_: object) -> dict[str, Any]:
        return {"Payload": Payload(json.dumps(self._answer).encode())}


async def nothing_chosen() -> RecognizerOverride:
    return RecognizerOverride()


@pytest.mark.parametrize("more", [{}, {"stored": False}])
async def test_a_function_says_whether_its_answer_is_stored(more: dict[str, Any]) -> None:
    clock, store = FakeClock(), MemoryJobStore()
    claim = await store.claim(CHANNEL, owner="a", now=clock.now(), lease_seconds=LEASE_SECONDS)
    assert isinstance(claim, Claimed)
    answer = answered(id=claim.identification.id)
    client: Any = Client({**to_json(answer), **more})
    work = LambdaWork(
        client, function="f", store=store, clock=clock, limits=ServiceLimits(), chosen=nothing_chosen
    )
    outcome = await work(claim.lease, claim.identification, CHANNEL, lambda _stage: None, lambda: None)
    assert outcome is not None
    assert outcome.identification == answer
    assert outcome.stored is not bool(more)
