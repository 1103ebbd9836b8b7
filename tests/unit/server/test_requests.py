"""Preferences and parameters as values."""

from datetime import UTC, datetime

import pytest
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict

from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from server.api.requests import max_age, preferred_wait, query_time
from server.server_limits import ServerLimits


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ([], None),
        (["wait=10"], 10),
        (["Wait = 5"], 5),
        (['wait="7"'], 7),
        (["respond-async, wait=3"], 3),
        (["respond-async", "wait=4"], 4),
        (["wait=2; foo=bar, wait=9"], 2),
        (["wait=31"], 30),
        (["wait=999999999"], 30),
        (["wait=0"], 0),
        (["wait=-1"], None),
        (["wait=1.5"], None),
        (["wait=99999999999999999999"], None),
        (["wait"], None),
        (["waiting=5"], None),
        (["return=minimal"], None),
    ],
)
def test_how_long_a_client_is_ready_to_wait(headers: list[str], seconds: int | None) -> None:
    request = make_mocked_request("GET", "/", CIMultiDict([("Prefer", value) for value in headers]))
    assert preferred_wait(request, ServerLimits()) == seconds


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ([], None),
        (["no-cache"], 0),
        (["No-Cache"], 0),
        (["max-age=0"], 0),
        (["max-age=30"], 30),
        (["MAX-AGE=30"], 30),
        (['max-age="30"'], 30),
        (["no-store, max-age=30"], 30),
        (["max-age=30", "no-cache"], 0),
        (["max-age=30, max-age=10"], 10),
        (["max-age=9999999999"], 9_999_999_999),
        # Malformed or unknown: ignored.
        (["max-age"], None),
        (["max-age="], None),
        (["max-age=-1"], None),
        (["max-age=1.5"], None),
        (["max-age=soon"], None),
        (['max-age="30'], None),
        (["max-age = 30"], None),
        (["max-age=\u0663"], None),
        (["max-age=" + "9" * 400], None),
        (["no-cache=x, min-fresh=5, only-if-cached, , =,"], None),
        (["max-age=x, max-age=7"], 7),
    ],
)
def test_how_old_an_answer_may_be(headers: list[str], seconds: float | None) -> None:
    request = make_mocked_request("POST", "/", CIMultiDict([("Cache-Control", value) for value in headers]))
    assert max_age(request) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-01T12:00:00Z",
        "2026-03-01T13:00:00%2B01:00",
        "2026-03-01T13:00:00+01:00",
        "2026-03-01T12:00:00.000Z",
    ],
)
def test_a_moment_is_read_with_its_offset(text: str) -> None:
    request = make_mocked_request("GET", f"/?before={text}")
    assert query_time(request, "before") == datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "text", ["", "now", "2026-03-01T12:00:00", "0001-01-01T00:00:00%2B23:59", "9" * 400, "%00"]
)
def test_what_is_no_moment_is_invalid_input(text: str) -> None:
    request = make_mocked_request("GET", f"/?before={text}")
    with pytest.raises(TwitchAudioError) as caught:
        query_time(request, "before")
    assert caught.value.code is ProblemCode.INVALID_INPUT
