"""The session's cookie, the viewer of a page, and the address under which visitors know the website."""

import json
import time
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import Mock

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from aiohttp_session import SESSION_KEY, Session
from yarl import URL

from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.setting_formats import Secret
from server import keys
from server.access.identity.addresses import Networks, parse_network
from server.access.identity.credentials import RequestCredentials
from server.access.identity.session_keys import SessionKeys
from server.access.identity.twitch_user import TwitchUser
from server.access.request_context import RequestContext
from server.middleware.session import (
    NOBODY,
    SESSION_ID,
    Account,
    SealedCookieStorage,
    account,
    check_sessions,
    public_origin,
    public_scheme,
    session_id,
)

KEYS = SessionKeys([Secret("a key of at least 32 characters, which is enough")])
PROXIES = Networks((parse_network("10.0.0.0/8"),))
pytestmark = pytest.mark.filterwarnings("ignore:It is recommended to use web.RequestKey")


def requested(
    headers: dict[str, str] | None = None, *, peer: str | None = "10.1.2.3", method: str = "GET", path: str = "/"
) -> web.Request:
    told = None if peer is None else (peer, 1)

    def said(name: str, default: object = None) -> object:
        return told if name == "peername" else default

    transport = Mock()
    transport.get_extra_info = said
    return make_mocked_request(method, path, headers=headers or {}, transport=transport)


# --- The website's address ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "peer", "scheme"),
    [
        ({}, "10.1.2.3", "http"),
        ({"X-Forwarded-Proto": "https"}, "10.1.2.3", "https"),
        ({"X-Forwarded-Proto": "HTTPS"}, "10.1.2.3", "https"),
        ({"X-Forwarded-Proto": "http, https"}, "10.1.2.3", "https"),
        ({"X-Forwarded-Proto": "https,http"}, "10.1.2.3", "http"),
        ({"X-Forwarded-Proto": "ftp"}, "10.1.2.3", "http"),
        ({"X-Forwarded-Proto": ""}, "10.1.2.3", "http"),
        ({"X-Forwarded-Proto": "https"}, "192.0.2.1", "http"),
        ({"X-Forwarded-Proto": "https"}, None, "http"),
        ({"X-Forwarded-Proto": "https"}, "nonsense", "http"),
    ],
)
def test_the_scheme_is_what_a_trusted_proxy_says(headers: dict[str, str], peer: str | None, scheme: str) -> None:
    assert public_scheme(requested(headers, peer=peer), None, PROXIES) == scheme
    assert public_scheme(requested(headers, peer=peer), URL("https://songs.example"), PROXIES) == "https"


@pytest.mark.parametrize(
    ("headers", "peer", "origin"),
    [
        ({"Host": "songs.example"}, "192.0.2.1", "http://songs.example"),
        ({"Host": "songs.example:8080"}, "192.0.2.1", "http://songs.example:8080"),
        ({"Host": "[::1]:80"}, "192.0.2.1", "http://[::1]"),
        ({"Host": "a", "X-Forwarded-Host": "songs.example"}, "10.1.2.3", "http://songs.example"),
        ({"Host": "a", "X-Forwarded-Host": "evil.example, songs.example"}, "10.1.2.3", "http://songs.example"),
        ({"Host": "a", "X-Forwarded-Host": "evil.example"}, "192.0.2.1", "http://a"),
        (
            {"Host": "a", "X-Forwarded-Host": "songs.example", "X-Forwarded-Proto": "https"},
            "10.1.2.3",
            "https://songs.example",
        ),
        ({}, "10.1.2.3", None),
        ({"Host": ""}, "10.1.2.3", None),
        ({"Host": "a b"}, "10.1.2.3", None),
        ({"Host": "evil.example/path"}, "10.1.2.3", None),
        ({"Host": "user@evil.example"}, "10.1.2.3", None),
        ({"Host": "a:99999"}, "10.1.2.3", None),
        ({"Host": "<b>"}, "10.1.2.3", None),
    ],
)
def test_the_origin_is_the_host_that_was_asked_for_or_a_trusted_proxys(
    headers: dict[str, str], peer: str, origin: str | None
) -> None:
    request = requested(headers, peer=peer)
    if origin is None:
        with pytest.raises(TwitchAudioError) as raised:
            public_origin(request, None, PROXIES)
        assert raised.value.problem.code is ProblemCode.INVALID_INPUT
    else:
        assert str(public_origin(request, None, PROXIES)).rstrip("/") == origin
    configured = URL("https://songs.example/below")
    assert public_origin(request, configured, PROXIES) == configured


# --- The cookie ---------------------------------------------------------------------------------------


def storage(*, secure: bool = False, path: str = "") -> SealedCookieStorage:
    return SealedCookieStorage(KEYS, lambda _request: secure, path)


async def saved(kept: SealedCookieStorage, data: dict[str, Any], created: int | None = None) -> tuple[str, Any]:
    """The name of the cookie that a session is saved in, and the cookie."""
    created = int(time.time()) if created is None else created
    session = Session(None, data=cast("Any", {"created": created, "session": data}), new=False)
    response = web.Response()
    await kept.save_session(requested(), response, session)
    [(name, cookie)] = response.cookies.items()
    return name, cookie


@pytest.mark.parametrize(
    ("secure", "path", "name"),
    [
        (False, "", "twitchaudio"),
        (True, "", "__Host-twitchaudio"),
        (False, "/songs", "twitchaudio"),
        (True, "/songs", "__Secure-twitchaudio"),
    ],
)
@pytest.mark.parametrize("data", [{SESSION_ID: "mine"}, {}])
async def test_the_cookie_is_for_this_website_alone_and_for_no_script(
    secure: bool, path: str, name: str, data: dict[str, Any]
) -> None:
    given, cookie = await saved(storage(secure=secure, path=path), data)
    assert given == name
    assert (cookie["path"], cookie["samesite"], cookie["domain"]) == (path or "/", "Lax", "")
    assert (bool(cookie["httponly"]), bool(cookie["secure"])) == (True, secure)
    assert (cookie.value == "") == (not data)
    assert int(cookie["max-age"]) == (30 * 86_400 if data else 0)


async def test_a_session_comes_back_from_its_cookie_only() -> None:
    kept = storage()
    name, cookie = await saved(kept, {SESSION_ID: "mine"})
    assert "mine" not in cookie.value

    async def loaded(value: str, by: str = name) -> Session:
        return await kept.load_session(requested({"Cookie": f"{by}={value}"}))

    session = await loaded(cookie.value)
    assert (session.new, dict(session)) == (False, {SESSION_ID: "mine"})
    _, old = await saved(kept, {SESSION_ID: "mine"}, created=1_000)
    assert dict(await loaded(old.value)) == {}, "it began longer ago than a session lasts"
    others = SessionKeys([Secret("another key of at least 32 characters")])
    foreign = others.seal_cookie(
        json.dumps({"created": int(time.time()), "session": {SESSION_ID: "mine"}}).encode()
    )
    for value, by in (
        (cookie.value, "__Host-twitchaudio"),
        (cookie.value[:-2], name),
        ("", name),
        (foreign, name),
        ("x" * 5_000, name),
    ):
        session = await loaded(value, by)
        assert (session.new, dict(session)) == (True, {})


async def test_a_cookie_that_is_longer_than_browsers_keep_is_not_opened() -> None:
    opened: list[str] = []

    class Noting(SessionKeys):
        def open_cookie(self, cookie: str, max_age_seconds: int) -> bytes | None:
            assert max_age_seconds == 30 * 86_400
            opened.append(cookie)
            return None

    kept = SealedCookieStorage(Noting([Secret("x" * 40)]), lambda _request: False)
    for length in (4_096, 4_097):
        await kept.load_session(requested({"Cookie": f"twitchaudio={'x' * length}"}))
    assert [len(cookie) for cookie in opened] == [4_096]


# --- The viewer of a page -----------------------------------------------------------------------------

VIC = TwitchUser(id="42", login="vic", scopes=frozenset())


class Sessions:
    """Knows one session, or cannot say."""

    def __init__(self, *, fails: bool = False) -> None:
        self._fails = fails

    async def find(self, session: str) -> Any:
        if self._fails:
            raise TwitchAudioError(ProblemCode.BUSY, "The database is away.")
        return SimpleNamespace(user=VIC) if session == "mine" else None


async def viewed(
    session: str | None,
    *,
    sessions: Sessions | None,
    admin: bool = False,
    credentials: RequestCredentials | None = None,
    headers: dict[str, str] | None = None,
) -> tuple[web.Request, Account]:
    """The request that a handler gets, and the viewer that its page shows."""

    def is_admin(user: TwitchUser) -> bool:
        return admin and user == VIC

    def subject(_context: RequestContext) -> str:
        return "the subject"

    app = web.Application()
    access = SimpleNamespace(sessions=sessions, admins=SimpleNamespace(contain=is_admin), audit_subject=subject)
    app[keys.ACCESS] = cast("Any", access)
    request = make_mocked_request("GET", "/", headers={"Accept": "text/html", **(headers or {})}, app=app)
    context = request[keys.CONTEXT] = RequestContext()
    if credentials is not None:
        context.credentials = credentials
    data = {} if session is None else {"created": 0, "session": {SESSION_ID: session}}
    request[SESSION_KEY] = Session(None, data=cast("Any", data), new=False)
    seen: list[web.Request] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        seen.append(request)
        return web.Response(text="handled")

    answer = await check_sessions(KEYS, body_seconds=20.0)(request, handler)
    assert isinstance(answer, web.Response)
    assert answer.text == "handled"
    assert seen == [request]
    return request, account(request)


async def test_a_page_shows_who_is_signed_in() -> None:
    request, viewer = await viewed("mine", sessions=Sessions())
    token = KEYS.csrf_token("mine")
    assert viewer == Account(can_sign_in=True, login="vic", user_id="42", csrf_token=token)
    assert not viewer.admin
    assert request[keys.CONTEXT].known_subject == "the subject"
    assert request[keys.CONTEXT].credentials.session == "mine"
    assert (await viewed("mine", sessions=Sessions(), admin=True))[1].admin


async def test_a_session_that_has_ended_is_nobodys_and_leaves_the_cookie() -> None:
    request, viewer = await viewed("ended", sessions=Sessions(), admin=True)
    assert viewer == Account(can_sign_in=True)
    assert await session_id(request) is None
    assert request[keys.CONTEXT].credentials.session is None


async def test_a_session_that_cannot_be_looked_up_is_nobodys_for_now() -> None:
    request, viewer = await viewed("mine", sessions=Sessions(fails=True), admin=True)
    assert viewer == Account(can_sign_in=True)
    assert await session_id(request) == "mine"


@pytest.mark.parametrize(("session", "sessions"), [(None, Sessions()), (None, None), ("mine", None)])
async def test_without_a_session_a_viewer_is_nobody(session: str | None, sessions: Sessions | None) -> None:
    _, viewer = await viewed(session, sessions=sessions, admin=True)
    assert viewer == Account(can_sign_in=sessions is not None)
    assert (viewer.admin, viewer.login, viewer.csrf_token) == (False, None, "")


@pytest.mark.parametrize("credentials", [{"key": Secret("ta_x")}, {"token": Secret("x")}])
async def test_who_brings_a_key_or_a_token_is_not_known_by_the_cookie(credentials: dict[str, Any]) -> None:
    request, viewer = await viewed("mine", sessions=Sessions(), credentials=RequestCredentials(**credentials))
    assert viewer is NOBODY
    assert request[keys.CONTEXT].credentials.session is None


async def test_what_is_no_page_looks_up_nobody() -> None:
    request, viewer = await viewed("mine", sessions=Sessions(), headers={"Accept": "application/json"})
    assert viewer is NOBODY
    assert (NOBODY.can_sign_in, NOBODY.admin, NOBODY.login) == (False, False, None)
    assert request[keys.CONTEXT].credentials.session == "mine"
