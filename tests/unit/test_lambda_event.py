"""The event of a Lambda function is read back as it was written; another is refused by the member's name."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from fingerprint.domain.budgets import parse_budgets
from fingerprint.domain.identification import IdentificationId
from fingerprint.domain.recognizer_override import RecognizerOverride
from fingerprint.domain.targets import ChannelTarget, ClipTarget, TwitchTarget, VideoTarget
from fingerprint.job_ports import Lease
from fingerprint.lambda_event import InvalidEventError, JobEvent, event_from_json, event_to_json

ID = IdentificationId("job-1")
NOW = datetime(2026, 3, 1, 12, 0, 30, tzinfo=UTC)
LEASE = Lease(identification_id=ID, target_key="clip:x", owner="server", fence=7, expires_at=NOW)
CHOSEN = RecognizerOverride(order=("audd", "catalog"), budgets=parse_budgets("audd=10/day"))
GOOD: dict[str, Any] = {"JobId": "job-1", "Type": "stream", "Identifier": "somechannel"}


@pytest.mark.parametrize("target", [ChannelTarget("somechannel"), ClipTarget("Slug-x"), VideoTarget("123", 61.5)])
@pytest.mark.parametrize("deadline", [None, NOW])
@pytest.mark.parametrize("lease", [None, LEASE])
@pytest.mark.parametrize("chosen", [RecognizerOverride(), CHOSEN])
def test_what_is_written_is_read_back(
    target: TwitchTarget, deadline: datetime | None, lease: Lease | None, chosen: RecognizerOverride
) -> None:
    event = JobEvent(job_id=ID, target=target, deadline=deadline, lease=lease, chosen=chosen)
    written = event_to_json(event)
    assert event_from_json(json.loads(json.dumps(written))) == event
    assert event_from_json(json.dumps(written)) == event


def test_the_form_is_the_contracts() -> None:
    event = JobEvent(job_id=ID, target=VideoTarget("123", 61.5), deadline=NOW, lease=LEASE)
    assert event_to_json(event) == {
        "JobId": "job-1",
        "Type": "video",
        "Identifier": "123",
        "Extra": {
            "At": 61.5,
            "Deadline": "2026-03-01T12:00:30Z",
            "Lease": {
                "TargetKey": "clip:x",
                "Owner": "server",
                "Fence": 7,
                "ExpiresAt": "2026-03-01T12:00:30Z",
            },
        },
    }
    assert event_to_json(JobEvent(job_id=ID, target=ChannelTarget("x")))["Extra"] == {}


def test_extra_and_what_is_in_it_may_be_missing_and_more_may_be_there() -> None:
    empty: dict[str, Any] = {}
    partly: dict[str, Any] = {"At": None, "Lease": None, "New": 1}
    more: list[dict[str, Any]] = [empty, {"Extra": None}, {"Extra": empty}, {"Extra": partly}, {"New": 1}]
    for extra in more:
        assert event_from_json(GOOD | extra) == JobEvent(job_id=ID, target=ChannelTarget("somechannel"))


@pytest.mark.parametrize(
    ("event", "named"),
    [
        ("no JSON", "not JSON"),
        ("[]", "Expected"),
        (None, "Expected"),
        ({}, "JobId"),
        (GOOD | {"JobId": "a b"}, "JobId"),
        (GOOD | {"JobId": "x" * 129}, "JobId"),
        (GOOD | {"JobId": "x\n"}, "JobId"),
        (GOOD | {"JobId": 5}, "JobId"),
        (GOOD | {"Type": "file"}, "Type"),
        (GOOD | {"Identifier": None}, "Identifier"),
        (GOOD | {"Identifier": "not a channel"}, "Identifier"),
        (GOOD | {"Extra": "x"}, "Extra"),
        (GOOD | {"Type": "video", "Identifier": "123", "Extra": {"At": True}}, "At"),
        (GOOD | {"Extra": {"Deadline": "soon"}}, "Deadline"),
        (GOOD | {"Extra": {"Deadline": "2026-03-01T12:00:30"}}, "Deadline"),
        (GOOD | {"Extra": {"Lease": {"Fence": "1"}}}, "Lease"),
        (GOOD | {"Extra": {"Lease": {"TargetKey": "x", "Owner": "x", "Fence": "1", "ExpiresAt": "x"}}}, "Fence"),
    ],
)
def test_another_event_is_refused_by_name(event: object, named: str) -> None:
    with pytest.raises(InvalidEventError, match=named):
        event_from_json(event)
