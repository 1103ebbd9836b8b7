"""A Lambda function asks the recognizers that its event names, within the budgets that it names."""

import pytest

from fingerprint.domain.budgets import parse_budgets
from fingerprint.domain.identification import IdentificationId
from fingerprint.domain.recognizer_override import RecognizerOverride
from fingerprint.domain.targets import ChannelTarget
from fingerprint.lambda_event import JobEvent
from fingerprint.lambda_handler import EventChoice
from fingerprint.pipeline_settings import PipelineSettings
from fingerprint.providers.guard import ProviderGuards
from fingerprint.settings import read_settings
from tests.fakes import FakeClock

pytestmark = pytest.mark.unit


def event(**chosen: object) -> JobEvent:
    override = RecognizerOverride(**chosen)  # pyright: ignore[reportArgumentType] - the tests name its fields
    return JobEvent(job_id=IdentificationId("1"), target=ChannelTarget("somechannel"), chosen=override)


async def test_each_event_says_what_is_asked_and_one_that_says_nothing_leaves_it_to_the_settings() -> None:
    settings = read_settings(PipelineSettings, {"AUDD_API_TOKEN": "token"})
    guards = ProviderGuards(FakeClock())
    choice = EventChoice(settings, guards)
    choice.follow(event(order=("audd", "acrcloud"), budgets=parse_budgets("audd=5/day")))
    assert (await choice.current()).names == ("audd",), "acrcloud has no keys here"
    assert guards.of("audd").suspension() is not None, "a budget cannot be counted without a database"
    choice.follow(event())
    assert (await choice.current()).names == ("catalog", "audd")
    assert guards.of("audd").suspension() is None
