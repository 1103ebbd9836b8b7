"""The API's JSON forms: what is not of a form is refused in words that name the member."""

import pytest

from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from server.api.json_forms import AccessCodeJson, ReportJson, RequestBody, SongTokenWish, VideoQuestion, WatchTerms
from server.api.openapi_schemas import FORMS
from server.api.requests import accepted, checked, parse_json, parse_question
from server.channels.reports import Reason

BODIES = [form for form in FORMS if issubclass(form, RequestBody)]


@pytest.mark.parametrize(
    ("form", "body", "detail"),
    [
        (ReportJson, {"reason": "late"}, '"reason" has to be one of wrong-song, other.'),
        (ReportJson, {"reason": 5}, '"reason" has to be one of wrong-song, other.'),
        (
            ReportJson,
            {"reason": "other", "note": "x" * 501},
            '"note" has to be a text of at most 500 characters.',
        ),
        (ReportJson, {}, 'Send a JSON object with "reason", "note" (optional).'),
        (ReportJson, {"reason": "other", "more": 1}, 'Send a JSON object with "reason", "note" (optional).'),
        (ReportJson, ["reason"], 'Send a JSON object with "reason", "note" (optional).'),
        (ReportJson, None, 'Send a JSON object with "reason", "note" (optional).'),
        (AccessCodeJson, {"code": 5}, '"code" has to be a text.'),
        (AccessCodeJson, {"code": None}, '"code" has to be a text.'),
        (SongTokenWish, {"note": ["x"]}, '"note" has to be a text.'),
        (WatchTerms, {"every": 14}, '"every" has to be a whole number from 15 to 3600.'),
        (WatchTerms, {"every": True}, '"every" has to be a whole number from 15 to 3600.'),
        (WatchTerms, {"every": "60"}, '"every" has to be a whole number from 15 to 3600.'),
        (WatchTerms, {"every": 60.5}, '"every" has to be a whole number from 15 to 3600.'),
        (WatchTerms, {"every": 10**400}, '"every" has to be a whole number from 15 to 3600.'),
        (WatchTerms, {"budget": 0}, '"budget" has to be a whole number from 1 to 100000.'),
        (VideoQuestion, {"video": "1", "at": -1}, '"at" has to be a number from 0 to 1000000.'),
        (VideoQuestion, {"video": "1", "at": True}, '"at" has to be a number from 0 to 1000000.'),
        (VideoQuestion, {"video": "1", "at": 10**400}, '"at" has to be a number from 0 to 1000000.'),
        (VideoQuestion, {"video": 1}, '"video" has to be a text.'),
    ],
)
def test_what_is_not_of_the_form_is_refused_by_name(form: type[RequestBody], body: object, detail: str) -> None:
    with pytest.raises(TwitchAudioError) as refused:
        checked(body, form)
    assert refused.value.code is ProblemCode.INVALID_INPUT
    assert refused.value.detail == detail


def test_what_is_of_the_form_becomes_its_value() -> None:
    assert checked({"reason": "wrong-song"}, ReportJson) == ReportJson(reason=Reason.WRONG_SONG, note="")
    assert checked({"every": 15}, WatchTerms) == WatchTerms(every=15, budget=1_000)
    assert checked({"video": "1", "at": 5}, VideoQuestion).at == 5.0


@pytest.mark.parametrize("form", BODIES)
def test_every_member_has_words_for_what_it_accepts(form: type[RequestBody]) -> None:
    assert set(accepted(form)) == set(form.__struct_fields__)


@pytest.mark.parametrize(
    "body",
    [
        b'{"channel": "a", "channel": "b"}',
        b'{"video": "123", "at": 1, "at": 1}',
        b'{"reason": "other", "note": {"x": 1, "x": 2}}',
    ],
)
def test_a_name_twice_in_one_object_is_refused(body: bytes) -> None:
    with pytest.raises(TwitchAudioError, match="a name twice"):
        parse_json(body)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"channel": "a", "clip": "b"},
        {"at": 5},
        {"channel": "a", "ago": 5, "at": "x"},
        {"ago": 5},
        {"clip": "a", "ago": 5},
        [],
        "a",
    ],
)
def test_a_question_has_one_of_six_forms(body: object) -> None:
    with pytest.raises(TwitchAudioError, match="Send one of"):
        parse_question(body)
