"""The operator's desk over HTTP: who is let in, and that what it changes holds."""

import asyncio
import html
import re
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from yarl import URL

from fingerprint.clock import SystemClock
from server.server_limits import ServerLimits
from tests.api_client import ASK, CLIP, STREAM, assert_problem, open_api
from tests.browser_client import Browser, browsing, known_to_twitch
from tests.fakes import FakePipeline
from tests.integration.simulator_client import Viewer

VIC = "viewer_vic"
PAGES = (
    "",
    "/settings",
    "/broadcasters",
    "/whitelist",
    "/blacklist",
    "/codes",
    "/keys",
    "/watches",
    "/song-tokens",
    "/unknowns",
    "/reports",
    "/catalog",
    "/recognizers",
    "/twitch",
    "/logs",
)


@pytest.fixture
def address(sql_address: str) -> str:
    return sql_address


@pytest.fixture
def options(viewer: Viewer) -> dict[str, Any]:
    return {**known_to_twitch(viewer), "admins": (VIC,)}


@pytest.fixture
async def operator(browser: Browser) -> Browser:
    await browser.sign_in()
    return browser


async def send(browser: Browser, path: str, **fields: str | list[str]) -> tuple[int, str]:
    """Send a form of the desk; gives the status and the page as a person reads it."""
    data: list[tuple[str, str]] = [("csrf_token", await browser.csrf())]
    for name, value in fields.items():
        data += [(name, each) for each in ([value] if isinstance(value, str) else value)]
    headers = {"Accept": "text/html"}
    response = await browser.post(f"/admin{path}", data=data, headers=headers)
    return response.status, html.unescape(await response.text())


def secret_of(page: str) -> str:
    found = re.search(r'<code class="secret"[^>]*>([^<]+)</code>', page)
    assert found is not None
    return found[1]


async def test_the_desk_is_for_operators_only(browser: Browser, viewer: Viewer, tmp_path: Path) -> None:
    for page in PAGES:
        assert (await browser.get(f"/admin{page}")).status == 401
    await browser.sign_in()
    for page in PAGES:
        response = await browser.get(f"/admin{page}")
        assert response.status == 200, page
        assert 'href="/admin"' in await response.text()
    parts = FakePipeline(SystemClock())
    more: dict[str, Any] = {**known_to_twitch(viewer), "admins": ("somebody_else",)}
    async with open_api(parts, tmp_path / "other", **more) as client, browsing(client, viewer) as other:
        assert f'Sign out<span class="who"> {VIC}' in await (await other.sign_in()).text()
        assert "/admin" not in await (await other.get("/")).text()
        for page in PAGES:
            assert (await other.get(f"/admin{page}")).status == 403


async def test_the_desk_warns_of_a_proxy_that_is_not_trusted(operator: Browser) -> None:
    assert "TWITCHAUDIO_TRUSTED_PROXIES" not in await (await operator.get("/admin")).text()
    await operator.client.get(operator.address.with_path("/healthz"), headers={"X-Forwarded-For": "192.0.2.1"})
    page = await (await operator.get("/admin")).text()
    assert "127.0.0.1 sends forwarding headers" in page
    assert "TWITCHAUDIO_TRUSTED_PROXIES" in page


async def test_a_change_needs_the_forms_token(operator: Browser) -> None:
    fields = {"action": "add", "value": "somebody", "note": ""}
    headers = {"Accept": "text/html"}
    assert (await operator.post("/admin/whitelist", data=fields, headers=headers)).status == 403
    wrong = {**fields, "csrf_token": "x"}
    assert (await operator.post("/admin/whitelist", data=wrong, headers=headers)).status == 403
    assert "Nothing here yet." in await (await operator.get("/admin/whitelist")).text()


async def test_a_form_that_does_not_arrive_or_cannot_be_read_is_refused(viewer: Viewer, tmp_path: Path) -> None:
    async def stalled() -> AsyncGenerator[bytes]:
        yield b"action=add&value="
        await asyncio.sleep(30)

    parts, limits = FakePipeline(SystemClock()), ServerLimits(body_seconds=0.2)
    more: dict[str, Any] = {**known_to_twitch(viewer), "admins": (VIC,)}
    async with open_api(parts, tmp_path, limits=limits, **more) as client, browsing(client, viewer) as browser:
        await browser.sign_in()
        # With the token in a header nothing before the page's own handler reads the form.
        token, form = await browser.csrf(), "application/x-www-form-urlencoded"
        for data, kind, status in ((stalled(), form, 408), (b"action=add", f"{form}; charset=nonsense", 400)):
            headers = {"Content-Type": kind, "Accept": "text/html"}
            async with asyncio.timeout(30):
                response = await browser.post("/admin/whitelist", token=token, data=data, headers=headers)
            assert response.status == status


async def test_settings_are_changed_together_or_not_at_all(operator: Browser) -> None:
    texts = {"access_mode": "open", "active": "on", "maintenance": "off", "streams_enabled": "off"}
    status, page = await send(operator, "/settings", **texts, clips_enabled="on", motd="Back <soon>")
    assert (status, "Saved: streams_enabled is off, motd is Back <soon>." in page) == (200, True)
    status, page = await send(operator, "/settings", **texts | {"active": "perhaps"}, motd="lost")
    assert (status, "active takes on or off" in page) == (400, True)
    assert 'value="lost"' in page  # what was typed stays

    async def seen() -> Any:
        return await operator.api("/api/v1/status")

    state = await seen()
    while state["motd"] is None:
        state = await seen()
    assert state["motd"] == "Back <soon>"
    assert (await send(operator, "/settings", **texts, motd="Back <soon>"))[1].count("Nothing was different.") == 1


async def test_lists_take_and_give_back(operator: Browser) -> None:
    assert "friend is let in." in (await send(operator, "/whitelist", action="add", value="Friend", note="x"))[1]
    status, page = await send(operator, "/whitelist", action="add", value="not a name!", note="kept")
    assert (status, 'value="kept"' in page) == (400, True)
    page = (await send(operator, "/whitelist", action="remove", key="friend"))[1]
    assert "friend is no longer on the whitelist." in page
    added = {"action": "add", "kind": "address", "value": "192.0.2.0/24", "note": "<b>bots</b>"}
    status, _ = await send(operator, "/blacklist", **added)
    raw = await (await operator.get("/admin/blacklist")).text()
    assert "&lt;b&gt;bots&lt;/b&gt;" in raw
    page = (await send(operator, "/blacklist", action="remove", key="address 192.0.2.0/24"))[1]
    assert "address 192.0.2.0/24 is no longer blocked." in page
    assert (await send(operator, "/blacklist", action="add", kind="mood", value="x"))[0] == 400
    assert (await send(operator, "/blacklist", action="dance"))[0] == 400
    assert (await operator.get("/admin/nothing")).status == 404


async def test_a_key_is_shown_once_works_and_can_be_revoked(operator: Browser) -> None:
    status, page = await send(
        operator, "/keys", action="add", name="a bot", scope=["clips"], per_minute="5", per_day="", days="30"
    )
    assert status == 200
    key = secret_of(page)
    again = await (await operator.get("/admin/keys")).text()
    assert key not in again
    row = re.search(r'name="key" value="([0-9a-f]+)"', again)
    assert row is not None
    asked = await operator.client.post(operator.address.join(URL(ASK)), json=CLIP, headers={"X-API-Key": key})
    assert asked.status in (200, 202)
    other = await operator.client.post(operator.address.join(URL(ASK)), json=STREAM, headers={"X-API-Key": key})
    await assert_problem(other, "forbidden", 403)
    assert "is revoked." in (await send(operator, "/keys", action="remove", key=row[1]))[1]
    for wrong in ({"per_minute": "0"}, {"days": "99999999999"}, {"per_day": "many"}, {"scope": ["everything"]}):
        status, page = await send(operator, "/keys", action="add", name="b", **wrong)
        assert (status, 'class="secret"' in page) == (400, False), wrong


async def test_a_code_is_shown_once_and_lets_in(operator: Browser) -> None:
    code = secret_of((await send(operator, "/codes", action="add", uses="2", days="7", note="mods"))[1])
    redeem = "/api/v1/access-codes/redeem"
    assert (await operator.post(redeem, json={"code": code}, token=await operator.csrf())).status == 204
    assert "1 of 2" in await (await operator.get("/admin/codes")).text()


async def test_every_change_stands_in_the_logs_under_the_operators_name(operator: Browser) -> None:
    await send(operator, "/settings", motd="first")
    await send(operator, "/settings", motd="second")
    await send(operator, "/whitelist", action="add", value="friend", note="")
    page = await (await operator.get(f"/admin/logs?kind=change&who={VIC}")).text()
    rows = re.findall(r"<tr><td>.*?</tr>", page, re.DOTALL)
    assert len(rows) == 3
    assert "friend" in rows[0]
    assert "first → second" in rows[1]
    assert all(f">{VIC}<" in row for row in rows)
    assert "Nothing like that" in await (await operator.get("/admin/logs?kind=change&who=nobody")).text()
    assert (await operator.get("/admin/logs?kind=gossip")).status == 400
    assert (await operator.get("/admin/logs?until=yesterday")).status == 400


async def test_the_overview_counts_what_was_asked(operator: Browser) -> None:
    token = await operator.csrf()
    asked = await operator.post(f"{ASK}", json=CLIP, token=token, headers={"Prefer": "wait=30"})
    assert asked.status == 200
    page = ""
    async with asyncio.timeout(20):
        while "1 of 1" not in page:
            # It is counted with the logs, which are written now and then.
            await asyncio.sleep(0.05)
            page = await (await operator.get("/admin")).text()
    assert page.count('<rect class="series-0"') == 2  # a named song, and how long it took


async def test_a_watch_is_started_and_stopped_within_its_bounds(operator: Browser) -> None:
    page = (await send(operator, "/watches", action="add", channel="SomeChannel", every="60", budget="5"))[1]
    assert "somechannel is being watched." in page
    watch = await operator.api("/api/v1/channels/somechannel/watch")
    assert (watch["state"], watch["every"], watch["budget"]) == ("running", 60, 5)
    status, page = await send(operator, "/watches", action="add", channel="other", every="1", budget="5")
    assert (status, "every takes" in page) == (400, True)
    assert "no longer watched" in (await send(operator, "/watches", action="remove", key="somechannel"))[1]
    assert (await send(operator, "/watches", action="remove", key="somechannel"))[0] == 404
    assert "watched again" in (await send(operator, "/watches", action="undo", key="somechannel"))[1]
    watch = await operator.api("/api/v1/channels/somechannel/watch")
    assert (watch["state"], watch["every"], watch["budget"]) == ("running", 60, 5)
    assert (await send(operator, "/watches", action="undo", key="somechannel"))[0] == 404


async def test_a_chat_bots_token_is_shown_once_and_works(operator: Browser) -> None:
    page = (await send(operator, "/song-tokens", action="add", channel="somechannel", note="Nightbot"))[1]
    token = secret_of(page)
    again = await (await operator.get("/admin/song-tokens")).text()
    assert token not in again
    line = await operator.client.get(
        operator.address.join(URL(f"/api/v1/channels/somechannel/song.txt?token={token}"))
    )
    assert "Night Drive" in await line.text()
    row = re.search(r'name="key" value="([0-9a-f]+)"', again)
    assert row is not None
    assert "is revoked." in (await send(operator, "/song-tokens", action="remove", key=row[1]))[1]


async def test_what_was_revoked_or_taken_off_by_mistake_is_back_within_a_minute(operator: Browser) -> None:
    for place, fields in {
        "/keys": {"name": "a bot"},
        "/codes": {"uses": "1"},
        "/song-tokens": {"channel": "somechannel"},
        "/whitelist": {"value": "somebody", "note": "a <b>friend</b>"},
        "/blacklist": {"kind": "channel", "value": "loud", "note": "noise"},
        "/broadcasters": {"value": VIC, "note": "by name"},
    }.items():
        await send(operator, place, action="add", **fields)
        row = re.search(r'name="key" value="([^"]+)"', await (await operator.get(f"/admin{place}")).text())
        assert row is not None, place
        status, page = await send(operator, place, action="remove", key=row[1])
        assert status == 200, place
        undo = page[page.index('role="status"') : page.index("Undo</button>")]
        sent = dict(re.findall(r'name="([a-z]+)" value="([^"]*)"', undo))
        status, page = await send(operator, place, **sent)
        assert status == 200, place
        again = await (await operator.get(f"/admin{place}")).text()
        assert f'name="key" value="{row[1]}"' in again, place
        assert html.escape(fields.get("note", ""), quote=False) in again, place
        if sent["action"] == "undo":  # it is valid: there is nothing to undo
            assert (await send(operator, place, **sent))[0] == 404
    assert (await send(operator, "/unknowns", action="undo", key="somechannel"))[0] == 400


async def test_a_report_is_read_and_done_with(operator: Browser) -> None:
    token = await operator.csrf()
    asked = await operator.post(ASK, json=CLIP, token=token, headers={"Prefer": "wait=30"})
    report = {"reason": "wrong-song", "note": "<i>no</i>"}
    sent = await operator.post(f"{ASK}/{(await asked.json())['id']}/reports", json=report, token=token)
    assert sent.status == 204
    page = await (await operator.get("/admin/reports")).text()
    assert "&lt;i&gt;no&lt;/i&gt;" in page
    row = re.search(r'name="key" value="([^"]+)"', page)
    assert row is not None
    assert "Nothing here yet." in (await send(operator, "/reports", action="remove", key=row[1]))[1]
    assert "&lt;i&gt;no" not in (undone := (await send(operator, "/reports", action="undo", key=row[1]))[1])
    assert row[1] in undone
    assert (await send(operator, "/reports", action="undo", key=row[1]))[0] == 404


async def test_a_broadcaster_is_looked_up_at_twitch_and_taken_off(operator: Browser, viewer: Viewer) -> None:
    login, number = "subscriber_sue", viewer.twitch.accounts.people["subscriber_sue"].user_id
    page = (await send(operator, "/broadcasters", action="add", value=login, note=""))[1]
    assert f"{login} is listed" in page
    assert f"id:{number}" in page
    status, page = await send(operator, "/broadcasters", action="add", value="nobody_has_this_name", note="")
    assert (status, "There is no Twitch user called nobody_has_this_name." in page) == (400, True)
    page = (await send(operator, "/broadcasters", action="remove", key=f"id:{number}"))[1]
    assert f"{login} is not listed any more." in page


async def test_twitch_has_a_page_though_nothing_is_asked(operator: Browser) -> None:
    page = await (await operator.get("/admin/twitch")).text()
    assert "TWITCHAUDIO_CANARY is not set" in page
    assert "Nothing since this server" in page


async def test_recognizers_are_shown_in_their_order_and_can_be_tested(operator: Browser) -> None:
    page = await (await operator.get("/admin/recognizers")).text()
    assert "<td>catalog</td><td>free</td>" in page
    assert '<button type="submit" aria-label="Test: catalog">' in page
    status, page = await send(operator, "/recognizers", recognizer="catalog")
    assert (status, "twitchaudio catalog add" in page) == (503, True), "the catalog is empty"
    for name in ("audd", ""):
        status, page = await send(operator, "/recognizers", recognizer=name, paid="yes")
        assert (status, "names no recognizer" in page) == (400, True)
