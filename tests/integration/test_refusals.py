"""Every refusal over HTTP: in each access mode, known in each way, by people of the simulated Twitch."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientResponse, ClientSession
from yarl import URL

from fingerprint.clock import SystemClock
from fingerprint.database import Database, open_database
from server.access import service
from server.access.identity.api_keys import ApiKeyStore
from server.access.rules import entitlements, subscriptions
from server.access.rules.blacklist_kinds import BlacklistKind
from server.access.rules.broadcasters import BroadcasterStore
from server.access.rules.list_store import ListStore
from server.access.rules.store import RulesStore
from server.access.rules.subscriptions import SCOPE
from server.cli import main
from server.setting_formats import Rate
from simulator.accounts import FOREIGN_APPLICATION, OWN_APPLICATION
from simulator.faults import Fault, FaultKind, Step
from tests.api_client import ASK, CLIP, STREAM, assert_problem, open_api
from tests.browser_client import Browser, browsing, known_to_twitch
from tests.fakes import FakePipeline
from tests.integration.simulator_client import LIVE, Viewer

ME = "/api/v1/me"
VIC, SUE = "viewer_vic", "subscriber_sue"
NOW = datetime(2026, 3, 1, tzinfo=UTC)
WAYS = ["nobody", "bearer", "key", "session"]
MODES = ["open", "login", "subscribers"]


@dataclass(frozen=True, slots=True)
class Scene:
    """A server at the simulated Twitch, its database, and somebody's browser."""

    address: URL
    database: Database
    browser: Browser
    viewer: Viewer
    parts: FakePipeline

    async def settle(self, **changes: str) -> None:
        """Change settings and wait until the server has seen it."""
        for name, text in changes.items():
            await RulesStore(self.database).set_website(name, text)
        await self.seen()

    async def seen(self) -> None:
        """Any change of the rules: the last one is seen with all before it."""
        mark = f"mark {id(object())} {datetime.now(UTC)}"
        await RulesStore(self.database).set_website("motd", mark)
        async with asyncio.timeout(20):
            while (await self.browser.api("/api/v1/status"))["motd"] != mark:  # noqa: ASYNC110 - the server's own pace
                await asyncio.sleep(0.05)

    async def list_broadcaster(self) -> None:
        """LIVE's subscribers may ask; Sue is one, Vic is not."""
        user = self.viewer.twitch.accounts.people[LIVE]
        await BroadcasterStore(self.database).add(user.user_id, user.login, note="", now=NOW)

    async def known(self, way: str, login: str = VIC) -> "Asker":
        """Somebody who is known in a way."""
        accounts = self.viewer.twitch.accounts
        headers: dict[str, str] = {}
        if way == "session":
            accounts.sign_in(login)
            await self.browser.sign_in()
            headers = {"X-CSRF-Token": await self.browser.csrf()}
            return Asker(self.browser.client, self.address, headers)
        if way == "bearer":
            headers = {"Authorization": f"Bearer {accounts.token_for(login, SCOPE)}"}
        if way == "key":
            _, key = await ApiKeyStore(self.database).create("a bot", now=NOW)
            await self.seen()
            headers = {"X-API-Key": key.reveal()}
        return Asker(self.browser.client, self.address, headers)


@dataclass(frozen=True, slots=True)
class Asker:
    """Asks as somebody."""

    client: ClientSession
    address: URL
    headers: dict[str, str]

    async def ask(self, body: object = CLIP) -> ClientResponse:
        return await self.client.post(self.address.with_path(ASK), json=body, headers=self.headers)

    async def me(self) -> dict[str, Any]:
        return await (await self.client.get(self.address.with_path(ME), headers=self.headers)).json()


@asynccontextmanager
async def staged(viewer: Viewer, sql_address: str, folder: Path, **limits: Any) -> AsyncGenerator[Scene]:
    more: dict[str, Any] = {**known_to_twitch(viewer), **limits}
    parts = FakePipeline(SystemClock())
    with pytest.MonkeyPatch.context() as patch:
        # Many changes of the rules follow each other here.
        patch.setattr(service, "RULES_SECONDS", 0.02)
        async with open_api(parts, folder, database_url=sql_address, **more) as client:
            address = (await client.get("/healthz")).url.origin()
            async with open_database(sql_address) as database, browsing(address, viewer) as browser:
                yield Scene(address, database, browser, viewer, parts)


@pytest.fixture
async def scene(viewer: Viewer, tmp_path: Path) -> AsyncGenerator[Scene]:
    async with staged(viewer, f"sqlite:///{tmp_path / 'twitchaudio.sqlite3'}", tmp_path) as scene:
        yield scene


@pytest.fixture
async def each_scene(viewer: Viewer, sql_address: str, tmp_path: Path) -> AsyncGenerator[Scene]:
    """On each database in turn."""
    async with staged(viewer, sql_address, tmp_path) as scene:
        yield scene


async def test_who_may_ask_in_each_mode_known_in_each_way(each_scene: Scene) -> None:
    scene = each_scene
    await scene.list_broadcaster()
    # The scope is asked for at sign-in only while subscriptions decide.
    await scene.settle(access_mode="subscribers")
    expected: dict[str, dict[str, str | None]] = {
        "nobody": {"open": None, "login": "login-required", "subscribers": "login-required"},
        "session": {"open": None, "login": None, "subscribers": "subscription-required"},
        "bearer": {"open": None, "login": None, "subscribers": "subscription-required"},
        "key": {"open": None, "login": None, "subscribers": None},
    }
    statuses = {"login-required": 401, "subscription-required": 403}
    askers = {way: await scene.known(way) for way in WAYS}
    async with ClientSession() as stranger:
        askers["nobody"] = Asker(stranger, scene.address, {})
        askers["bearer"] = Asker(stranger, scene.address, askers["bearer"].headers)
        askers["key"] = Asker(stranger, scene.address, askers["key"].headers)
        for mode in MODES:
            await scene.settle(access_mode=mode)
            for way, asker in askers.items():
                code = expected[way][mode]
                for question in (CLIP, STREAM):
                    answer = await asker.ask(question)
                    if code is None:
                        assert answer.status in (200, 202), (mode, way, await answer.text())
                    else:
                        await assert_problem(answer, code, statuses[code])
                me = await asker.me()
                how = {"nobody": None, "bearer": "token"}.get(way, way)
                assert (me["known_by"], me["clips"]["code"], me["clips"]["allowed"]) == (how, code, code is None)


async def test_what_refuses_everybody_does_so_in_each_mode_known_in_each_way(each_scene: Scene) -> None:
    scene = each_scene
    lists = ListStore(scene.database)
    askers = {way: await scene.known(way) for way in WAYS}
    async with ClientSession() as stranger:
        askers = {
            way: asker if way == "session" else Asker(stranger, scene.address, asker.headers)
            for way, asker in askers.items()
        }

        async def refused_to_all(code: str, status: int, question: object = CLIP) -> None:
            for mode in MODES:
                await scene.settle(access_mode=mode)
                for asker in askers.values():
                    await assert_problem(await asker.ask(question), code, status)

        for name, text, code, status, question in (
            ("maintenance", "on", "maintenance", 503, CLIP),
            ("active", "off", "inactive", 503, CLIP),
            ("clips_enabled", "off", "clips-disabled", 403, CLIP),
            ("streams_enabled", "off", "streams-disabled", 403, STREAM),
        ):
            await scene.settle(**{name: text})
            await refused_to_all(code, status, question)
            await scene.settle(**{name: "off" if text == "on" else "on"})
        for kind, value, question in (
            (BlacklistKind.CLIP, CLIP["clip"], CLIP),
            (BlacklistKind.ADDRESS, "127.0.0.0/8", CLIP),
            (BlacklistKind.CHANNEL, STREAM["channel"], STREAM),
            (BlacklistKind.CHANNEL_PATTERN, "*channel", STREAM),
        ):
            await lists.block(kind, value, reason="", now=NOW)
            await refused_to_all("blacklisted", 403, question)
            await lists.unblock(kind, value)


async def limited_askers(scene: Scene, stranger: ClientSession, **limits: Any) -> dict[str, tuple[str, "Asker"]]:
    """Whoever may ask, by mode and way; a whitelisted user is let in by every mode."""
    await ListStore(scene.database).allow(VIC, note="", now=NOW)
    _, key = await ApiKeyStore(scene.database).create("a bot", now=NOW, **limits)
    bearer, session = await scene.known("bearer"), await scene.known("session")
    found: dict[str, Asker] = {
        "nobody": Asker(stranger, scene.address, {}),
        "bearer": Asker(stranger, scene.address, bearer.headers),
        "session": session,
        "key": Asker(stranger, scene.address, {"X-API-Key": key.reveal()}),
    }
    return {
        f"{way} in {mode}": (mode, asker)
        for mode in MODES
        for way, asker in found.items()
        if way != "nobody" or mode == "open"
    }


async def test_a_second_job_is_refused_in_each_mode_known_in_each_way(viewer: Viewer, tmp_path: Path) -> None:
    address = f"sqlite:///{tmp_path / 'twitchaudio.sqlite3'}"
    async with ClientSession() as stranger, staged(viewer, address, tmp_path, jobs_per_address=1) as scene:
        for name, (mode, asker) in (await limited_askers(scene, stranger, at_once=1)).items():
            await scene.settle(access_mode=mode)
            scene.parts.capture.gate.clear()
            first = await asker.ask({"channel": "first"})
            assert first.status == 202, name
            refused = await asker.ask({"channel": "second"})
            await assert_problem(refused, "job-in-progress", 409)
            assert refused.headers["Location"] == first.headers["Location"]
            scene.parts.capture.gate.set()
            ended = scene.address.join(URL(first.headers["Location"]))
            assert (await (await stranger.get(ended, headers={"Prefer": "wait=30"})).json())["finished_at"], name


async def test_too_many_starts_are_refused_in_each_mode_known_in_each_way(viewer: Viewer, tmp_path: Path) -> None:
    address = f"sqlite:///{tmp_path / 'twitchaudio.sqlite3'}"
    limits: dict[str, Any] = {"starts_per_address": (Rate(1, 86_400),)}
    async with ClientSession() as stranger, staged(viewer, address, tmp_path, **limits) as scene:
        askers = await limited_askers(scene, stranger, per_day=1)
        await scene.seen()
        for way in ("nobody", "key"):
            assert (await askers[f"{way} in open"][1].ask({"channel": f"first_of_{way}"})).status == 202
        for mode, asker in askers.values():
            await scene.settle(access_mode=mode)
            refused = await asker.ask({"channel": "second"})
            await assert_problem(refused, "rate-limited", 429)
            assert int(refused.headers["Retry-After"]) > 0


async def test_a_blacklisted_user_is_refused_however_they_sign_in_and_in_each_mode(scene: Scene) -> None:
    await scene.list_broadcaster()
    await scene.settle(access_mode="subscribers")
    askers = [await scene.known("session", SUE), await scene.known("bearer", SUE)]
    await ListStore(scene.database).block(BlacklistKind.USER, SUE, reason="", now=NOW)
    for mode in MODES:
        await scene.settle(access_mode=mode)
        for asker in askers:
            await assert_problem(await asker.ask(), "blacklisted", 403)


@pytest.mark.parametrize("way", ["session", "bearer"])
async def test_a_subscriber_may_ask_and_one_who_has_just_subscribed_soon(scene: Scene, way: str) -> None:
    await scene.list_broadcaster()
    await scene.settle(access_mode="subscribers")
    sue = await scene.known(way, SUE)
    assert (await sue.ask()).status in (200, 202)
    me = await sue.me()
    assert (me["login"], me["missing_scopes"]) == (SUE, [])
    status = await scene.browser.api("/api/v1/status")
    assert status["twitch_scopes"] == [SCOPE]


@pytest.mark.parametrize("way", ["session", "bearer"])
async def test_a_helix_failure_is_not_called_a_missing_subscription(scene: Scene, way: str) -> None:
    await scene.list_broadcaster()
    await scene.settle(access_mode="subscribers")
    # Before anything is known: the start page, where a sign-in ends, asks too.
    scene.viewer.twitch.fail(Fault(step=Step.HELIX, kind=FaultKind.STATUS, status=503))
    sue = await scene.known(way, SUE)
    problem = await assert_problem(await sue.ask(), "upstream-unavailable", 503)
    assert "Twitch is not telling us" in problem["detail"]
    assert problem["retry_after_seconds"]
    me = await sue.me()
    assert (me["clips"]["code"], me["login"]) == ("upstream-unavailable", SUE)


async def test_during_a_helix_failure_those_whose_answer_is_known_may_ask(scene: Scene) -> None:
    await scene.list_broadcaster()
    await scene.settle(access_mode="subscribers")
    sue = await scene.known("bearer", SUE)
    assert (await sue.ask()).status in (200, 202)
    scene.viewer.twitch.fail(Fault(step=Step.HELIX, kind=FaultKind.RESET))
    assert (await sue.ask(STREAM)).status in (200, 202)
    vic = await scene.known("bearer", VIC)
    await assert_problem(await vic.ask(), "upstream-unavailable", 503)


async def test_a_sign_in_without_the_scope_is_told_to_sign_in_again(scene: Scene) -> None:
    # Signed in while nothing was asked of Twitch.
    asker = await scene.known("session", SUE)
    assert (await scene.browser.api("/api/v1/status"))["twitch_scopes"] == []
    await scene.list_broadcaster()
    await scene.settle(access_mode="subscribers")
    problem = await assert_problem(await asker.ask(), "subscription-required", 403)
    assert "Sign in again" in problem["detail"]
    assert (await asker.me())["missing_scopes"] == [SCOPE]
    again = await scene.known("session", SUE)
    assert (await again.ask()).status in (200, 202)
    assert (await again.me())["missing_scopes"] == []


async def test_credentials_that_do_not_count_are_refused_in_each_mode(scene: Scene) -> None:
    accounts = scene.viewer.twitch.accounts
    foreign = accounts.token_for(VIC, client_id=FOREIGN_APPLICATION.client_id)
    wrong = [
        ({"Authorization": f"Bearer {foreign}"}, "token-wrong-client"),
        ({"Authorization": f"Bearer {accounts.token_for(VIC, seconds=-1)}"}, "token-invalid"),
        ({"X-API-Key": "ta_wrong"}, "key-invalid"),
    ]
    for mode in MODES:
        await scene.settle(access_mode=mode)
        for headers, code in wrong:
            await assert_problem(await Asker(scene.browser.client, scene.address, headers).ask(), code, 401)


async def test_a_bearer_token_that_helix_refuses_is_validated_again(scene: Scene) -> None:
    await scene.list_broadcaster()
    await scene.settle(access_mode="subscribers")
    token = scene.viewer.twitch.accounts.token_for(SUE, SCOPE)
    asker = Asker(scene.browser.client, scene.address, {"Authorization": f"Bearer {token}"})
    scene.viewer.twitch.fail(Fault(step=Step.HELIX, kind=FaultKind.STATUS, status=401, times=1))
    # Twitch's two services disagree: not known.
    await assert_problem(await asker.ask(), "upstream-unavailable", 503)
    other = scene.viewer.twitch.accounts.token_for(SUE, SCOPE)
    asker = Asker(scene.browser.client, scene.address, {"Authorization": f"Bearer {other}"})
    await scene.settle(access_mode="login")
    assert (await asker.ask()).status in (200, 202)
    scene.viewer.twitch.accounts.revoke(other, OWN_APPLICATION.client_id)
    await scene.settle(access_mode="subscribers")
    await assert_problem(await asker.ask(), "token-invalid", 401)


async def test_a_session_whose_token_helix_refuses_is_renewed(scene: Scene) -> None:
    await scene.list_broadcaster()
    await scene.settle(access_mode="subscribers")
    sue = await scene.known("session", SUE)
    accounts = scene.viewer.twitch.accounts
    accounts.revoke_all(SUE)
    assert (await sue.ask()).status in (200, 202)
    assert (await sue.me())["login"] == SUE


@pytest.mark.parametrize(("way", "helix_calls"), [("bearer", 1), ("session", 2)])
async def test_while_helix_refuses_a_token_that_counts_twitch_is_not_asked_for_each_request(
    viewer: Viewer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str, helix_calls: int
) -> None:
    for module in (subscriptions, entitlements):
        # Longer than the test takes on a busy machine.
        monkeypatch.setattr(module, "FAILED_SECONDS", 120.0)
    async with staged(viewer, f"sqlite:///{tmp_path / 'twitchaudio.sqlite3'}", tmp_path) as scene:
        await scene.list_broadcaster()
        await scene.settle(access_mode="subscribers")
        twitch = viewer.twitch
        twitch.fail(Fault(step=Step.HELIX, kind=FaultKind.STATUS, status=401))
        sue = await scene.known(way, SUE)
        asked: set[tuple[int, int]] = set()
        for _ in range(2):
            for answer in await asyncio.gather(*(sue.ask() for _ in range(5))):
                await assert_problem(answer, "upstream-unavailable", 503)
            asked.add((twitch.count(Step.HELIX), twitch.count(Step.ID)))
        # A session's token is renewed once, and the renewed one is refused, too.
        assert [helix for helix, _ in asked] == [helix_calls]


async def test_broadcasters_on_the_command_line(
    viewer: Viewer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*words: str) -> tuple[int, str]:
        code = main(["admin", "broadcasters", *words])
        said = capsys.readouterr()
        return code, said.out + said.err

    async def admin(*words: str) -> tuple[int, str]:
        return await asyncio.to_thread(run, *words)

    monkeypatch.setenv("TWITCHAUDIO_DATA_DIR", str(tmp_path))
    code, said = await admin("add", LIVE)
    assert code == 1
    assert "TWITCH_CLIENT_ID" in said
    assert (await admin("add", "id:123", "--note", "by number"))[0] == 0
    for name, text in viewer.twitch.environment().items():
        monkeypatch.setenv(name, text)
    monkeypatch.setenv("TWITCH_CLIENT_ID", OWN_APPLICATION.client_id)
    monkeypatch.setenv("TWITCH_CLIENT_SECRET", OWN_APPLICATION.secret or "")
    assert (await admin("add", LIVE.upper()))[0] == 0
    number = viewer.twitch.accounts.people[LIVE].user_id
    _, listed = await admin()
    assert f"id:{number}  {LIVE}  " in listed
    assert "id:123       -  " in listed
    code, said = await admin("add", f"id:{number}")
    assert (code, "listed already" in said) == (1, True)
    code, said = await admin("add", "nobody_at_all")
    assert (code, "There is no Twitch user called nobody_at_all" in said) == (1, True)
    assert (await admin("remove", LIVE))[0] == 0
    assert (await admin("remove", "id:123"))[0] == 0
    assert (await admin("remove", LIVE))[0] == 1
    assert "the list is empty" in (await admin("list"))[1]
    monkeypatch.setenv("TWITCH_CLIENT_SECRET", "wrong")
    code, said = await admin("add", LIVE)
    assert code == 1
    assert "Traceback" not in said
    assert "does not accept this server's application" in said
