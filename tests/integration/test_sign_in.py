"""Signing in on the website at the simulated Twitch, and everything that may go wrong with it (A1, A2)."""

import asyncio
import logging
import socket
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientResponse, ClientSession, CookieJar, DummyCookieJar
from yarl import URL

from fingerprint.clock import SystemClock
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.pipeline_settings import PipelineSettings
from fingerprint.setting_formats import Secret
from fingerprint.step_report import Outcome
from server.access.identity.failed_attempts import MAX_FAILURES
from server.access.identity.limits import SESSION_CACHE_SECONDS
from server.access.identity.session_store import SessionStore
from server.access.identity.turns import AT_ONCE
from server.app import listening, make_app
from server.cli import main
from server.proxy_check import check_redirect
from server.settings import ServerSettings
from server.sign_in_check import check_application
from server.web.sign_in import ATTEMPT_SECONDS
from simulator.accounts import OWN_APPLICATION
from simulator.faults import Fault, FaultKind, Step
from tests.api_client import ASK, CLIP, assert_problem, open_api
from tests.browser_client import PAGE, Browser, browsing, known_to_twitch
from tests.fakes import AheadClock, FakeClock, FakePipeline
from tests.integration.simulator_client import Viewer

VIC = "viewer_vic"


@asynccontextmanager
async def serving(
    viewer: Viewer, folder: Path, database_url: str | None = None, **more: Any
) -> AsyncGenerator[URL]:
    """A server whose sign-in is at the simulated Twitch."""
    known = {**known_to_twitch(viewer), **more}
    async with open_api(FakePipeline(SystemClock()), folder, database_url=database_url, **known) as client:
        yield (await client.get("/healthz")).url.origin()


@pytest.fixture
async def address(viewer: Viewer, tmp_path: Path) -> AsyncGenerator[URL]:
    async with serving(viewer, tmp_path) as address:
        yield address


@pytest.fixture
async def browser(address: URL, viewer: Viewer) -> AsyncGenerator[Browser]:
    async with browsing(address, viewer) as browser:
        yield browser


async def test_signing_in_and_out(viewer: Viewer, tmp_path: Path, sql_address: str) -> None:
    async with serving(viewer, tmp_path, sql_address) as address, browsing(address, viewer) as browser:
        await sign_in_and_out(browser, viewer)


async def sign_in_and_out(browser: Browser, viewer: Viewer) -> None:
    assert (await browser.api())["known_by"] is None
    assert "Sign in with Twitch" in await (await browser.get("/")).text()
    page = await browser.sign_in()
    assert page.status == 200
    assert page.url == browser.address.with_path("/")
    assert f'Sign out<span class="who"> {VIC}' in await page.text()
    me = await browser.api()
    assert (me["login"], me["known_by"]) == (VIC, "session")
    kept = browser.cookie
    assert kept is not None
    page = await browser.sign_out()
    assert page.status == 200
    assert "Sign in with Twitch" in await page.text()
    assert browser.cookie is None
    # The cookie from before is of no use any more, and Twitch has the token back.
    browser.client.cookie_jar.update_cookies({"twitchaudio": kept}, browser.address)
    assert (await browser.api())["known_by"] is None
    assert len([record for record in viewer.twitch.requests.records if record.path == "/oauth2/revoke"]) == 1


async def test_signing_out_everywhere_ends_the_sign_ins_of_this_user_alone(viewer: Viewer, tmp_path: Path) -> None:
    async with (
        serving(viewer, tmp_path) as address,
        browsing(address, viewer) as one,
        browsing(address, viewer) as two,
        browsing(address, viewer) as other,
    ):
        for browser in (one, two):
            await browser.sign_in()
        viewer.twitch.accounts.sign_in("subscriber_sue")
        await other.sign_in()
        form = {"csrf_token": await one.csrf(), "everywhere": "1"}
        assert (await one.post("/logout", data=form)).status == 200
        assert [(await each.api())["login"] for each in (one, two, other)] == [None, None, "subscriber_sue"]


async def test_the_operator_ends_all_sign_ins_of_a_user(
    viewer: Viewer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TWITCHAUDIO_DATA_DIR", str(tmp_path))
    clock = AheadClock()
    async with serving(viewer, tmp_path, clock=clock) as address, browsing(address, viewer) as browser:
        await browser.sign_in()
        assert await asyncio.to_thread(main, ["admin", "sessions"]) == 0
        assert capsys.readouterr().out.splitlines()[1].split()[:3] == ["id:72000001", VIC, "1"]
        assert await asyncio.to_thread(main, ["admin", "sessions", "end", VIC]) == 0
        assert capsys.readouterr().out == f"1 sign-in of {VIC} ended.\n"
        clock.ahead += SESSION_CACHE_SECONDS
        assert (await browser.api())["login"] is None
        assert await asyncio.to_thread(main, ["admin", "sessions", "end", "id:72000001"]) == 1


async def begin(browser: Browser, path: str = "/login") -> tuple[URL, dict[str, str]]:
    """Go to /login only: where Twitch would be, and what it is told."""
    response = await browser.get(path, allow_redirects=False)
    assert response.status == 302
    assert response.headers["Cache-Control"] == "no-store"
    location = URL(response.headers["Location"])
    return location, dict(location.query)


async def finish(browser: Browser, location: URL) -> ClientResponse:
    """Twitch's answer to where `begin` leads: the callback's."""
    at_twitch = await browser.client.get(location, allow_redirects=False)
    return await browser.client.get(at_twitch.headers["Location"], headers=PAGE, allow_redirects=False)


async def test_what_twitch_is_told_and_that_the_way_back_is_ours(browser: Browser, viewer: Viewer) -> None:
    location, told = await begin(browser, "/login?next=/channels/somechannel%3Fa%3D1")
    assert location.path == "/oauth2/authorize"
    state = told.pop("state")
    assert len(state) >= 32
    # PKCE: what Twitch is told now is the hash of what the exchange of the code sends.
    assert (len(told.pop("code_challenge")), told.pop("code_challenge_method")) == (43, "S256")
    assert told == {
        "client_id": OWN_APPLICATION.client_id,
        "redirect_uri": f"{browser.address.origin()}/login/callback",
        "response_type": "code",
        "scope": "",
    }
    assert (await begin(browser))[1]["state"] != state
    back = await finish(browser, location)
    assert (back.status, back.headers["Location"]) == (303, "/channels/somechannel?a=1")


EVIL = [
    "//evil.example",
    "/\\evil.example",
    "https://evil.example",
    "https:evil.example",
    "/\r\nSet-Cookie:x=y",
    "\\\\evil",
    "/a b",
    "",
    "x",
    "/login",
    "/logout",
    "/" + "x" * 500,
    "/\u202eevil",
]


@pytest.mark.parametrize("evil", EVIL)
async def test_the_way_back_never_leaves_our_pages(browser: Browser, evil: str) -> None:
    location, _ = await begin(browser, str(URL("/login").with_query(next=evil)))
    back = await finish(browser, location)
    assert (back.status, back.headers["Location"]) == (303, "/")


async def test_a1_a_callback_that_was_not_begun_here_signs_nobody_in(
    browser: Browser, address: URL, viewer: Viewer
) -> None:
    location, told = await begin(browser)
    at_twitch = await browser.client.get(location, allow_redirects=False)
    callback = URL(at_twitch.headers["Location"])
    async with browsing(address, viewer) as other:
        # Another browser, the right one with another state, and one without any.
        for person, query in (
            (other, callback.query),
            (browser, {**callback.query, "state": "x" * 32}),
            (browser, {"code": callback.query["code"]}),
        ):
            response = await person.client.get(callback.with_query(query))
            await assert_problem(response, "csrf", 403)
            assert (await person.api())["known_by"] is None
    page = await browser.get(str(callback.with_query({**callback.query, "state": "y"}).relative()))
    assert page.status == 403
    assert "Sign in again from the start" in await page.text()
    # None of it has used up what the right browser began.
    assert (await browser.client.get(callback, allow_redirects=False)).status == 303
    assert (await browser.api())["login"] == VIC
    assert told["state"] == callback.query["state"]


async def test_a1_a_callback_counts_once(browser: Browser) -> None:
    location, _ = await begin(browser)
    at_twitch = await browser.client.get(location, allow_redirects=False)
    callback = at_twitch.headers["Location"]
    assert (await browser.client.get(callback, allow_redirects=False)).status == 303
    await browser.sign_out()
    await assert_problem(await browser.client.get(callback), "csrf", 403)
    assert (await browser.api())["known_by"] is None


async def test_a1_a_sign_in_that_takes_too_long_begins_anew(
    browser: Browser, viewer: Viewer, tmp_path: Path
) -> None:
    clock = FakeClock()
    settings = ServerSettings(pipeline=PipelineSettings(data_dir=tmp_path / "slow"), **known_to_twitch(viewer))
    app = make_app(settings, pipeline=FakePipeline(SystemClock()).pipeline, clock=clock)
    async with listening(app, "127.0.0.1", 0) as address, browsing(address, viewer) as slow:
        location, _ = await begin(slow)
        await clock.advance(ATTEMPT_SECONDS + 1)
        assert (await finish(slow, location)).status == 403
        location, _ = await begin(slow)
        assert (await finish(slow, location)).status == 303


async def test_a1_who_says_no_is_told_that_nothing_changed(browser: Browser, viewer: Viewer) -> None:
    viewer.twitch.accounts.sign_in(None)
    page = await browser.sign_in()
    assert page.status == 401
    text = await page.text()
    assert "did not agree" in text
    assert "Sign in with Twitch" in text
    viewer.twitch.accounts.sign_in(VIC)
    assert (await browser.sign_in()).status == 200


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ("redirect_mismatch", "has to add {callback} to the OAuth redirect URLs"),
        ("unauthorized_client", "check TWITCH_CLIENT_ID"),
        ("server_error", "Try again in a moment"),
    ],
)
async def test_what_twitch_refuses_is_not_told_as_the_visitors_no(browser: Browser, error: str, said: str) -> None:
    callback = browser.address.with_path("/login/callback")
    location, told = await begin(browser)
    assert told["redirect_uri"] == str(callback)
    page = await browser.get(str(callback.with_query(error=error, state=told["state"])))
    text = await page.text()
    assert page.status == 503
    assert said.format(callback=callback) in text
    assert "did not agree" not in text
    del location


async def test_a_sign_in_that_fails_says_so_once_and_offers_another(browser: Browser) -> None:
    page = await (await browser.get("/login/callback?error=access_denied&state=x")).text()
    assert "<h1>You are not signed in</h1>" in page
    assert "Sign in again from the start." in page
    assert "Reload" not in page, "that would fail again"
    assert '<a class="button primary" href="/login"' in page
    asked = await (await browser.get("/admin/keys")).text()
    assert '<a class="button primary" href="/login?next=/admin/keys"' in asked


async def test_a_redirect_address_that_is_not_registered_is_told_without_our_cookie(browser: Browser) -> None:
    page = await browser.get("/login/callback?error=redirect_mismatch&state=x")
    assert (page.status, "OAuth redirect URLs" in await page.text()) == (503, True)


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (Fault(step=Step.ID, kind=FaultKind.STATUS, status=503, times=1), 503),
        (Fault(step=Step.ID, kind=FaultKind.STATUS, status=400, times=1), 401),
        (Fault(step=Step.ID, kind=FaultKind.STATUS, status=403, times=1), 503),
        (Fault(step=Step.ID, kind=FaultKind.RESET, times=1), 503),
        (Fault(step=Step.ID, kind=FaultKind.BINARY, times=1), 503),
        (Fault(step=Step.ID, kind=FaultKind.HUGE, times=1), 503),
    ],
    ids=lambda value: f"{value.kind}-{value.status}" if isinstance(value, Fault) else "",
)
async def test_a1_a_code_that_is_not_exchanged_signs_nobody_in_and_says_what_to_do(
    browser: Browser, viewer: Viewer, fault: Fault, status: int
) -> None:
    location, _ = await begin(browser)
    at_twitch = await browser.client.get(location, allow_redirects=False)
    viewer.twitch.fail(fault)
    page = await browser.client.get(at_twitch.headers["Location"], headers=PAGE)
    assert page.status == status
    assert "gain" in await page.text()
    assert (await browser.api())["known_by"] is None
    assert (await browser.sign_in()).status == 200
    assert (await browser.api())["login"] == VIC


async def test_a1_a_code_that_somebody_else_used_is_refused(browser: Browser) -> None:
    location, told = await begin(browser)
    made_up = URL(told["redirect_uri"]).with_query(code="made-up", state=told["state"])
    await assert_problem(await browser.client.get(made_up), "token-invalid", 401)
    long = URL(told["redirect_uri"]).with_query(code="x" * 5_000, state=(await begin(browser))[1]["state"])
    await assert_problem(await browser.client.get(long), "token-invalid", 401)
    del location


async def test_a_cookie_that_is_sent_with_made_up_codes_does_not_use_up_twitch_for_others(
    viewer: Viewer, tmp_path: Path
) -> None:
    proxies = (ip_network("127.0.0.0/8"),)
    async with (
        serving(viewer, tmp_path, trusted_proxies=proxies) as address,
        browsing(address, viewer) as stranger,
        browsing(address, viewer) as honest,
    ):
        _, told = await begin(stranger)
        # The cookie as it was at the beginning, each time.
        cookies = {"Cookie": f"twitchaudio={stranger.cookie}", "X-Forwarded-For": "198.51.100.9"}
        async with ClientSession(cookie_jar=DummyCookieJar()) as client:
            made_up = [
                URL(told["redirect_uri"]).with_query(code=f"c{number}", state=told["state"])
                for number in range(2 * MAX_FAILURES)
            ]
            answers = await asyncio.gather(*(client.get(each, headers=cookies) for each in made_up))
            statuses = Counter(answer.status for answer in answers)
            assert set(statuses) == {401, 429}
        asked = [record for record in viewer.twitch.requests.records if record.path == "/oauth2/token"]
        assert len(asked) == statuses[401] < MAX_FAILURES + AT_ONCE
        assert (await honest.sign_in()).status == 200
        assert (await honest.api())["login"] == VIC


async def test_a2_a_restart_and_a_new_key_change_nothing_for_a_sign_in_under_way(
    viewer: Viewer, tmp_path: Path
) -> None:
    old, new = (Secret(f"{name} key of at least thirty-two characters") for name in ("an old", "a new"))
    port = free_port()

    def with_keys(*keys: Secret) -> ServerSettings:
        pipeline = PipelineSettings(data_dir=tmp_path)
        return ServerSettings(pipeline=pipeline, session_keys=keys, **known_to_twitch(viewer))

    jar, (location, _) = await one_visit(viewer, with_keys(old), port, None, begin)
    rotated = with_keys(new, old)
    jar, response = await one_visit(viewer, rotated, port, jar, lambda browser: finish(browser, location))
    assert response.status == 303
    jar, me = await one_visit(viewer, with_keys(new), port, jar, Browser.api)
    assert me["login"] == VIC
    # A key that nobody knows any more: somebody unknown, and no fault of ours.
    unknown = Secret("yet another key of thirty-two characters")
    jar, me = await one_visit(viewer, with_keys(unknown), port, jar, Browser.api)
    assert me["known_by"] is None
    _, page = await one_visit(viewer, with_keys(unknown), port, jar, lambda browser: browser.get("/"))
    assert page.status == 200


async def one_visit(
    viewer: Viewer,
    settings: ServerSettings,
    port: int,
    jar: CookieJar | None,
    visit: Callable[[Browser], Awaitable[Any]],
) -> tuple[CookieJar, Any]:
    """A server, from its start to its end, and what one browser does meanwhile."""
    app = make_app(settings, pipeline=FakePipeline(SystemClock()).pipeline)
    async with listening(app, "127.0.0.1", port) as address, browsing(address, viewer) as browser:
        if jar is not None:
            browser.client.cookie_jar.update_cookies({cookie.key: cookie.value for cookie in jar}, address)
        found = await visit(browser)
        kept = CookieJar(unsafe=True)
        kept.update_cookies({cookie.key: cookie.value for cookie in browser.client.cookie_jar}, address)
        return kept, found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def test_the_session_is_a_new_one_at_each_sign_in_and_the_old_one_is_over(
    browser: Browser, viewer: Viewer
) -> None:
    await browser.sign_in()
    first, token = browser.cookie, await browser.csrf()
    await browser.sign_in()
    assert browser.cookie != first
    assert await browser.csrf() != token
    browser.client.cookie_jar.clear()
    browser.client.cookie_jar.update_cookies({"twitchaudio": first or ""}, browser.address)
    assert (await browser.api())["known_by"] is None
    assert revocations(viewer) == 1


def revocations(viewer: Viewer) -> int:
    return len([record for record in viewer.twitch.requests.records if record.path == "/oauth2/revoke"])


@pytest.mark.parametrize("junk", ["x", "gAAAAA" + "A" * 100, "x" * 4_000, "", "é", "null"])
async def test_a_cookie_that_is_not_ours_is_nobodys(browser: Browser, junk: str) -> None:
    headers = {"Cookie": f"twitchaudio={junk}"}
    response = await browser.client.get(browser.address.with_path("/api/v1/me"), headers=headers)
    assert response.status == 200
    assert (await response.json())["known_by"] is None
    assert (await browser.client.post(browser.address.with_path(ASK), json=CLIP, headers=headers)).status in (
        200,
        202,
    )


async def test_what_changes_something_needs_the_sessions_own_csrf_token(
    browser: Browser, address: URL, viewer: Viewer
) -> None:
    await browser.sign_in()
    token = await browser.csrf()
    async with browsing(address, viewer) as other:
        await other.sign_in()
        others = await other.csrf()
    for headers in (
        {},
        {"X-CSRF-Token": ""},
        {"X-CSRF-Token": "x"},
        {"X-CSRF-Token": others},
        {"X-CSRF-Token": token, "Sec-Fetch-Site": "cross-site"},
        {"X-CSRF-Token": token, "Sec-Fetch-Site": "same-site"},
    ):
        for path in (ASK, "/api/v1/access-codes/redeem", "/logout", "/", "/nowhere"):
            await assert_problem(await browser.post(path, json=CLIP, headers=headers), "csrf", 403)
        plain = {**headers, "Content-Type": "text/plain"}
        await assert_problem(await browser.post(ASK, data='{"clip": "x"}', headers=plain), "csrf", 403)
    await assert_problem(await browser.post("/logout", data={"csrf_token": others}), "csrf", 403)
    await assert_problem(await browser.post("/", data={"target": "x"}), "csrf", 403)
    odd = {"Content-Type": "application/x-www-form-urlencoded; charset=nonsense"}
    await assert_problem(await browser.post("/", data=b"target=%ff", headers=odd), "invalid-input", 400)
    assert (await browser.api())["login"] == VIC
    same = {"Sec-Fetch-Site": "same-origin"}
    assert (await browser.post(ASK, json=CLIP, token=token, headers=same)).status in (200, 202)
    form = {"target": "somechannel", "csrf_token": token}
    assert (await browser.post("/", data=form, allow_redirects=False)).status == 303


async def test_credentials_that_no_browser_adds_need_no_csrf_token(browser: Browser, viewer: Viewer) -> None:
    await browser.sign_in()
    headers = {"Authorization": f"Bearer {viewer.twitch.accounts.token_for('subscriber_sue')}"}
    assert (await browser.post(ASK, json=CLIP, headers=headers)).status in (200, 202)
    me = await browser.client.get(browser.address.with_path("/api/v1/me"), headers=headers)
    assert (await me.json())["login"] == "subscriber_sue"


async def test_a_link_alone_signs_nobody_out(browser: Browser) -> None:
    await browser.sign_in()
    page = await browser.get("/logout")
    assert "You are signed in as viewer_vic" in await page.text()
    assert (await browser.api())["login"] == VIC


async def test_the_cookie_is_what_its_address_allows(viewer: Viewer, tmp_path: Path) -> None:
    proxied = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "songs.example"}
    trusted = (ip_network("127.0.0.0/8"),)

    async def began(headers: dict[str, str], **more: Any) -> tuple[str, str]:
        async with serving(viewer, tmp_path, **more) as address, ClientSession() as client:
            response = await client.get(address.with_path("/login"), headers=headers, allow_redirects=False)
            return response.headers["Set-Cookie"], URL(response.headers["Location"]).query["redirect_uri"]

    cookie, redirect = await began({})
    assert cookie.startswith("twitchaudio=")
    assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= set(cookie.split("; "))
    assert "Secure" not in cookie
    assert redirect.startswith("http://127.0.0.1:")
    cookie, redirect = await began(proxied, trusted_proxies=trusted)
    assert cookie.startswith("__Host-twitchaudio=")
    assert {"HttpOnly", "SameSite=Lax", "Path=/", "Secure"} <= set(cookie.split("; "))
    assert "Domain" not in cookie
    assert len(cookie) < 4_096
    assert redirect == "https://songs.example/login/callback"
    # Nobody else is believed.
    cookie, redirect = await began(proxied)
    assert cookie.startswith("twitchaudio=")
    assert redirect.startswith("http://127.0.0.1:")
    # What the operator says counts, whatever a request says.
    cookie, redirect = await began({"Host": "evil.example"}, base_url=URL("https://songs.example"))
    assert cookie.startswith("__Host-twitchaudio=")
    assert redirect == "https://songs.example/login/callback"


async def test_many_sign_ins_begun_fit_into_the_cookie(browser: Browser) -> None:
    ways = [await begin(browser, f"/login?next=/{'x' * 199}") for _ in range(10)]
    assert len(browser.cookie or "") < 4_096
    assert (await finish(browser, ways[-1][0])).status == 303
    await assert_problem(
        await browser.client.get(URL(ways[0][1]["redirect_uri"]).with_query(state=ways[0][1]["state"], code="x")),
        "csrf",
        403,
    )


async def test_no_secret_is_logged_or_stored_in_the_clear(
    viewer: Viewer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        async with serving(viewer, tmp_path) as address, browsing(address, viewer) as browser:
            location, told = await begin(browser)
            at_twitch = URL((await browser.client.get(location, allow_redirects=False)).headers["Location"])
            assert (await browser.client.get(at_twitch, allow_redirects=False)).status == 303
            secrets = [told["state"], at_twitch.query["code"], OWN_APPLICATION.secret or "", await browser.csrf()]
            secrets += [*viewer.twitch.accounts._state.grants, *viewer.twitch.accounts._state.refresh]  # pyright: ignore[reportPrivateUsage]
            await browser.sign_out()
    stored = everything_in(tmp_path)
    assert b"web_sessions" in stored
    for secret in secrets:
        assert secret not in caplog.text
        assert secret.encode() not in stored


def everything_in(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.iterdir() if "sqlite3" in file.name)


async def test_without_an_application_nobody_can_sign_in_and_pages_say_so(tmp_path: Path) -> None:
    async with open_api(FakePipeline(SystemClock()), tmp_path) as client:
        for path in ("/login", "/logout", "/login/callback"):
            await assert_problem(await client.get(path), "not-found", 404)
        assert 'href="/login' not in await (await client.get("/", headers=PAGE)).text()
        assert not (tmp_path / "session.key").exists()


async def test_a_database_that_is_away_signs_nobody_out(viewer: Viewer, tmp_path: Path) -> None:
    clock = AheadClock()
    async with serving(viewer, tmp_path, clock=clock) as address, browsing(address, viewer) as browser:
        await browser.sign_in()
        kept, token = browser.cookie, await browser.csrf()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(SessionStore, "get", away)
            answer = await browser.post("/logout", data={"csrf_token": token})
            assert answer.status == 503
            clock.ahead += SESSION_CACHE_SECONDS
            assert (await browser.get("/")).status == 200
            assert browser.cookie == kept
        clock.ahead += SESSION_CACHE_SECONDS
        assert (await browser.api())["login"] == VIC


async def away(_store: SessionStore, _sha256: str) -> None:
    raise TwitchAudioError(ProblemCode.BUSY, "Our database does not answer.", retry_after_seconds=5.0)


async def test_a_secret_that_has_expired_is_named_to_the_operator_until_it_is_renewed(
    viewer: Viewer, tmp_path: Path
) -> None:
    async with serving(viewer, tmp_path) as address, browsing(address, viewer) as browser:

        async def sign_in_part() -> dict[str, Any]:
            return (await browser.api("/readyz"))["dependencies"]["sign_in"]

        assert (await sign_in_part())["ready"]
        applications = viewer.twitch.accounts.applications
        known = applications[OWN_APPLICATION.client_id]
        applications[OWN_APPLICATION.client_id] = replace(known, secret="another")
        assert (await browser.sign_in()).status == 503
        async with asyncio.timeout(30):
            while (part := await sign_in_part())["ready"]:  # noqa: ASYNC110 - it is the server's
                await asyncio.sleep(0.1)
        assert "make a new secret" in part["detail"]
        assert not part["required"], "all else works"
        applications[OWN_APPLICATION.client_id] = known
        assert (await browser.sign_in()).status == 200
        async with asyncio.timeout(30):
            while not (await sign_in_part())["ready"]:  # noqa: ASYNC110 - it is the server's
                await asyncio.sleep(0.1)


async def test_the_operator_is_told_whether_twitch_takes_the_application(viewer: Viewer) -> None:
    settings = ServerSettings(**known_to_twitch(viewer))
    assert await check_application(settings) is None
    expired = replace(settings, twitch_client_secret=Secret("of last year"))
    failed, (note,) = await check_application(expired) or (None, ("",))
    assert failed is Outcome.FAILED
    assert "does not accept TWITCH_CLIENT_ID with TWITCH_CLIENT_SECRET" in note
    away = replace(settings, twitch_id_url=URL("http://127.0.0.1:1"))
    unsure, (note,) = await check_application(away) or (None, ("",))
    assert unsure is Outcome.DIFFERS
    assert "could not be asked" in note


@pytest.mark.parametrize(
    "other",
    [
        "http://localhost:9090/login/callback",
        "https://localhost:8080/login/callback",
        "http://localhost:8080/login/callback/",
        "http://localhost:8080/twitchaudio/login/callback",
        "http://127.0.0.2:8080/login/callback",
    ],
)
async def test_the_operator_is_told_whether_twitch_knows_the_redirect_address(viewer: Viewer, other: str) -> None:
    settings = ServerSettings(**known_to_twitch(viewer))
    assert await check_redirect(settings, URL("http://localhost:8080/login/callback")) is None
    failed, (note,) = await check_redirect(settings, URL(other)) or (None, ("",))
    assert failed is Outcome.FAILED
    assert f"Twitch does not know {other}:" in note
