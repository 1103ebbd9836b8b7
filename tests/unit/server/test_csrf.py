"""Requests that another website may have caused: which are refused, as a table of what browsers say about them."""

from collections.abc import Awaitable
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from aiohttp_session import SESSION_KEY, Session
from yarl import URL

from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.setting_formats import Secret
from server import keys
from server.access.identity.session_keys import SessionKeys
from server.access.request_context import RequestContext
from server.middleware.foreign_forms import refuse_foreign_forms
from server.middleware.session import SESSION_ID, check_sessions, wants_page
from server.settings import ServerSettings

KEYS = SessionKeys([Secret("a key of at least 32 characters, which is enough")])
MULTIPART = {"Content-Type": "multipart/form-data; boundary=x"}
HOST = {"Host": "songs.example"}


async def _passes(_request: web.Request) -> web.StreamResponse:
    return web.Response(text="passed")


def _app(base_url: str | None) -> Any:
    app = web.Application()
    app[keys.SETTINGS] = cast(
        "ServerSettings", SimpleNamespace(base_url=None if base_url is None else URL(base_url))
    )
    return app


async def _refused(method: str, path: str, headers: dict[str, str], base_url: str | None = None) -> bool:
    request = make_mocked_request(method, path, headers=headers, app=_app(base_url))
    return await _is_refused(refuse_foreign_forms(request, _passes))


async def _is_refused(answer: Awaitable[web.StreamResponse]) -> bool:
    code = None
    try:
        assert (await answer).status == 200
    except TwitchAudioError as error:
        code = error.problem.code
    assert code in (None, ProblemCode.CSRF)
    return code is not None


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize(
    ("headers", "refused"),
    [
        # What browsers say themselves counts, and nothing else does then.
        ({"Sec-Fetch-Site": "same-origin"}, False),
        ({"Sec-Fetch-Site": "none"}, False),
        ({"Sec-Fetch-Site": "same-site"}, True),
        ({"Sec-Fetch-Site": "cross-site"}, True),
        ({"Sec-Fetch-Site": ""}, True),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "https://evil.example"}, False),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "https://songs.example"}, True),
        # Without it, the origin does.
        ({}, False),
        ({"Origin": "https://songs.example"}, False),
        ({"Origin": "http://songs.example"}, False),
        ({"Origin": "https://songs.example:443"}, False),
        ({"Origin": "https://songs.example:8443"}, True),
        ({"Origin": "https://sub.songs.example"}, True),
        ({"Origin": "https://songs.example.evil.example"}, True),
        ({"Origin": "https://evil.example"}, True),
        ({"Origin": "null"}, True),
        ({"Origin": ""}, True),
        ({"Origin": "https://"}, True),
        ({"Origin": "https://[::"}, True),
        ({"Origin": "moz-extension://x"}, True),
    ],
)
async def test_forms_of_other_websites_are_refused(method: str, headers: dict[str, str], refused: bool) -> None:
    assert await _refused(method, "/identify", {**HOST, **headers}) is refused


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
async def test_what_changes_nothing_may_come_from_anywhere(method: str) -> None:
    assert not await _refused(method, "/identify", {**HOST, "Sec-Fetch-Site": "cross-site"})


@pytest.mark.parametrize(
    ("path", "headers", "refused"),
    [
        ("/api/v1/identifications", MULTIPART, True),
        ("/api/v1/identifications", {"Content-Type": "application/json"}, False),
        ("/api/v1/identifications", {}, False),
        ("/api/v1/identifications", {**MULTIPART, "Authorization": "Bearer x"}, False),
        ("/api/v1/identifications", {**MULTIPART, "X-API-Key": "x"}, False),
        # A page is concerned whatever it brings.
        ("/apis", {"Content-Type": "application/json", "X-API-Key": "x"}, True),
    ],
)
async def test_of_the_api_only_uploads_without_a_key_are_concerned(
    path: str, headers: dict[str, str], refused: bool
) -> None:
    assert await _refused("POST", path, {**HOST, **headers, "Sec-Fetch-Site": "cross-site"}) is refused


async def test_the_website_is_known_by_its_configured_address_and_by_a_proxys() -> None:
    origin = {"Host": "10.0.0.1:8080", "Origin": "https://songs.example"}
    assert await _refused("POST", "/identify", origin)
    assert not await _refused("POST", "/identify", origin, "https://songs.example")
    assert await _refused("POST", "/identify", origin, "https://other.example")
    assert not await _refused("POST", "/identify", {**origin, "X-Forwarded-Host": "songs.example"})
    assert await _refused("POST", "/identify", {"Origin": "https://songs.example"}), "it says no host at all"


async def _session_refused(method: str, path: str, headers: dict[str, str], session: str | None) -> bool:
    request = make_mocked_request(method, path, headers=headers)
    request[keys.CONTEXT] = RequestContext()
    data = {} if session is None else {"created": 0, "session": {SESSION_ID: session}}
    request[SESSION_KEY] = Session(None, data=cast("Any", data), new=False)
    refused = await _is_refused(check_sessions(KEYS, body_seconds=20.0)(request, _passes))
    assert request[keys.CONTEXT].credentials.session == (None if refused else session)
    return refused


TOKEN = KEYS.csrf_token("mine")


@pytest.mark.filterwarnings("ignore:It is recommended to use web.RequestKey")
@pytest.mark.parametrize(
    ("method", "headers", "session", "refused"),
    [
        ("GET", {}, "mine", False),
        ("HEAD", {}, "mine", False),
        ("OPTIONS", {}, "mine", False),
        ("POST", {}, None, False),
        ("POST", {}, "mine", True),
        ("DELETE", {}, "mine", True),
        ("POST", {"X-CSRF-Token": TOKEN}, "mine", False),
        ("POST", {"X-CSRF-Token": TOKEN}, "other", True),
        ("POST", {"X-CSRF-Token": ""}, "mine", True),
        ("POST", {"X-CSRF-Token": TOKEN[:-1]}, "mine", True),
        ("POST", {"X-CSRF-Token": TOKEN, "Sec-Fetch-Site": "same-origin"}, "mine", False),
        ("POST", {"X-CSRF-Token": TOKEN, "Sec-Fetch-Site": "none"}, "mine", False),
        ("POST", {"X-CSRF-Token": TOKEN, "Sec-Fetch-Site": "same-site"}, "mine", True),
        ("POST", {"X-CSRF-Token": TOKEN, "Sec-Fetch-Site": "cross-site"}, "mine", True),
    ],
)
async def test_what_changes_something_in_a_session_brings_its_token(
    method: str, headers: dict[str, str], session: str | None, refused: bool
) -> None:
    assert await _session_refused(method, "/api/v1/watches", headers, session) is refused


def test_pages_are_what_browsers_ask_for_outside_the_api() -> None:
    def wanted(path: str, accept: str | None) -> bool:
        headers = {} if accept is None else {"Accept": accept}
        return wants_page(make_mocked_request("GET", path, headers=headers))

    assert wanted("/", "text/html,*/*")
    assert not wanted("/", "application/json")
    assert not wanted("/", None)
    assert not wanted("/api/v1/me", "text/html")


FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.mark.filterwarnings("ignore:It is recommended to use web.RequestKey")
@pytest.mark.parametrize(
    ("path", "headers", "field", "refused"),
    [
        ("/redeem", FORM, TOKEN, False),
        ("/redeem", FORM, KEYS.csrf_token("other"), True),
        ("/redeem", FORM, "", True),
        ("/redeem", FORM, None, True),
        # The header counts, where there is one.
        ("/redeem", {**FORM, "X-CSRF-Token": "wrong"}, TOKEN, True),
        ("/redeem", {**FORM, "X-CSRF-Token": TOKEN}, "wrong", False),
        ("/redeem", {"Content-Type": "text/plain"}, TOKEN, True),
        ("/redeem", {**FORM, "Sec-Fetch-Site": "cross-site"}, TOKEN, True),
        # The API reads no forms for it: only scripts of our own pages can send the header.
        ("/api/v1/watches", FORM, TOKEN, True),
    ],
)
async def test_forms_of_pages_bring_the_token_in_a_field(
    path: str, headers: dict[str, str], field: str | None, refused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def read(_request: web.Request, _seconds: float) -> dict[str, str]:
        return {} if field is None else {"csrf_token": field}

    monkeypatch.setattr("server.middleware.session.read_form", read)
    assert await _session_refused("POST", path, headers, "mine") is refused
