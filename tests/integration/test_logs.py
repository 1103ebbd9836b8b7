"""What is logged of requests to a real server, and how an operator reads it."""

import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from fingerprint.clock import SystemClock
from fingerprint.database import Database, open_database
from fingerprint.upserts import insert_all
from server.access.identity.api_keys import ApiKeyStore, new_key
from server.access.rules.blacklist_kinds import BlacklistKind
from server.access.rules.codes import CodeStore
from server.access.rules.list_store import ListStore
from server.access.tables import clip_owners
from server.audit.entries import AuditEntry, AuditKind
from server.audit.search import AuditFilter
from server.audit.store import AuditStore
from server.cli import main
from tests.api_client import ASK, CLIP, ask, open_api
from tests.browser_client import PAGE, browsing, known_to_twitch
from tests.builders import NOON
from tests.fakes import FakePipeline
from tests.integration.simulator_client import a_viewer

VIC = "viewer_vic"


async def logged(database: Database, *kinds: AuditKind) -> list[AuditEntry]:
    """Everything, the oldest first; the server that wrote it has ended."""
    return list(await AuditStore(database).read(AuditFilter(kinds=kinds, limit=1_000)))[::-1]


async def use(api: ClientSession, headers: dict[str, str]) -> None:
    await (await api.post(ASK, json=CLIP, headers={**headers, "Prefer": "wait=30"})).read()
    await (await ask(api, {"channel": "loud"})).read()
    await (await api.get("/api/v1/me", headers={"X-API-Key": new_key().reveal()})).read()
    await (await api.get("/api/v1/clips/none?secret=hunter2")).read()
    await (await api.get("/", headers={"Accept": "text/html"})).read()
    for path in ("/healthz", "/metrics", "/static/site.css"):
        await (await api.get(path)).read()


async def test_hits_launches_failed_logins_and_refusals_are_logged(sql_address: str, tmp_path: Path) -> None:
    async with open_database(sql_address) as database:
        async with open_api(FakePipeline(SystemClock()), tmp_path, database_url=sql_address) as api:
            key, secret = await ApiKeyStore(database).create("a bot", now=NOON)
            await ListStore(database).block(BlacklistKind.CHANNEL, "loud", reason="", now=NOON)
            # While a channel is blocked, it matters whose a clip is; Twitch is not there to say it.
            row = {"slug": CLIP["clip"], "broadcaster_id": "1", "login": "quiet", "seen_us": 0}
            await database.transact(lambda connection: insert_all(connection, clip_owners, [row]))
            await use(api, {"X-API-Key": secret.reveal()})
        hits = await logged(database, AuditKind.API)
        assert [(hit.what, hit.status, hit.code) for hit in hits] == [
            ("POST /api/v1/identifications", 200, None),
            ("POST /api/v1/identifications", 403, "blacklisted"),
            ("GET /api/v1/me", 401, "key-invalid"),
            ("GET /api/v1/clips/{slug}", 400, "invalid-input"),
        ]
        assert (hits[0].who.id, hits[0].who.name, hits[0].who.address) == (f"key:{key.id}", "a bot", "127.0.0.1")
        assert all(hit.ms is not None and hit.request_id is not None for hit in hits)
        [page] = await logged(database, AuditKind.WEBSITE)
        assert (page.what, page.subject, page.status) == ("GET /", "/", 200)
        [launch] = await logged(database, AuditKind.LAUNCH)
        assert (launch.what, launch.subject, launch.who.id) == ("clip", CLIP["clip"], f"key:{key.id}")
        assert launch.request_id == hits[0].request_id
        [failed] = await logged(database, AuditKind.LOGIN_FAILED)
        assert (failed.what, failed.code) == ("API key", "key-invalid")
        [refusal] = await logged(database, AuditKind.REFUSAL)
        assert (refusal.what, refusal.subject, refusal.code) == ("stream", "loud", "blacklisted")
        everything = str(await logged(database))
        assert secret.reveal() not in everything
        assert "hunter2" not in everything


async def test_every_way_of_signing_in_is_logged_when_it_counts(
    sql_address: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    async with (
        a_viewer(tmp_path_factory.getbasetemp() / "simulator-media") as viewer,
        open_database(sql_address) as database,
    ):
        async with (
            open_api(
                FakePipeline(SystemClock()), tmp_path, database_url=sql_address, **known_to_twitch(viewer)
            ) as api,
            browsing(api, viewer) as browser,
        ):
            token = {"Authorization": f"Bearer {viewer.twitch.accounts.token_for(VIC)}"}
            for _ in range(3):
                assert (await api.get("/api/v1/me", headers=token)).status == 200
            await browser.sign_in()
            _, code = await CodeStore(database).create(now=NOON)
            redeemed = await browser.post(
                "/api/v1/access-codes/redeem", token=await browser.csrf(), json={"code": code.reveal()}
            )
            assert redeemed.status == 204
        user = viewer.twitch.accounts.people[VIC].user_id
        logins = await logged(database, AuditKind.LOGIN)
        # A token comes with every request, and counts as one login.
        assert [entry.what for entry in logins] == ["token", "website", "access code"]
        assert {(entry.who.id, entry.who.name, entry.who.address) for entry in logins} == {
            (f"id:{user}", VIC, "127.0.0.1")
        }
        assert code.reveal() not in str(await logged(database))


async def test_hits_name_whoever_is_signed_in_also_where_nobody_has_to_know_who_asks(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    songs = "/api/v1/channels/somechannel/songs"
    database_url = f"sqlite:///{tmp_path / 'twitchaudio.sqlite3'}"
    async with (
        a_viewer(tmp_path_factory.getbasetemp() / "simulator-media") as viewer,
        open_api(
            FakePipeline(SystemClock()), tmp_path, database_url=database_url, **known_to_twitch(viewer)
        ) as api,
        browsing(api, viewer) as browser,
        open_database(database_url) as database,
    ):
        token = {"Authorization": f"Bearer {viewer.twitch.accounts.token_for(VIC)}"}
        _, secret = await ApiKeyStore(database).create("a bot", now=NOON)
        for headers in (token, {"X-API-Key": secret.reveal()}):
            for path in (songs, "/api/v1/me", songs):
                assert (await api.get(path, headers=headers)).status == 200
        await browser.sign_in()
        for path in ("/docs", "/channels/somechannel"):
            assert (await browser.get(path)).status == 200
        await browser.api(songs)
        await browser.post("/logout", data={"csrf_token": await browser.csrf()}, headers=PAGE)
        assert (await browser.get("/docs")).status == 200
    async with open_database(database_url) as database:
        hits = await logged(database, AuditKind.API, AuditKind.WEBSITE)
    named = [(hit.what.removesuffix("/songs"), hit.who.name) for hit in hits]
    asked, me = "GET /api/v1/channels/{login}", "GET /api/v1/me"
    assert named == [
        # Nothing was found out yet about whoever is behind a credential that nobody has looked at.
        *((asked, None), (me, VIC), (asked, VIC)),
        *((asked, None), (me, "a bot"), (asked, "a bot")),
        ("GET /login", None),
        *(("GET /login/callback", VIC), ("GET /", VIC)),
        *(("GET /docs", VIC), ("GET /channels/{login}", VIC), (asked, VIC)),
        # The token for the form is on the start page.
        *(("GET /", VIC), ("POST /logout", VIC)),
        *(("GET /", None), ("GET /docs", None)),
    ]
    user = viewer.twitch.accounts.people[VIC].user_id
    assert {hit.who.id for hit in hits if hit.who.name == VIC} == {f"id:{user}"}
    assert {hit.who.address for hit in hits} == {"127.0.0.1"}


@pytest.fixture
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWITCHAUDIO_DATA_DIR", str(tmp_path))


def lines(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    capsys.readouterr()
    assert main(["admin", "logs", *arguments]) == 0
    return capsys.readouterr().out.splitlines()


@pytest.mark.usefixtures("in_folder")
def test_an_operator_reads_who_changed_what(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["admin", "settings", "set", "motd", "Back at noon"]) == 0
    assert main(["admin", "blacklist", "add", "channel", "loud", "--reason", "noise"]) == 0
    headings, added, changed = lines(capsys)
    assert headings.split() == ["WHEN", "KIND", "WHO", "ADDRESS", "WHAT", "STATUS", "CODE", "MS", "CHANGE"]
    assert " UTC  change  cli:" in added
    assert "  add to blacklist channel loud  " in added
    assert added.endswith("  empty -> noise")
    assert "  set website setting motd  " in changed
    assert changed.endswith("  empty -> Back at noon")
    entry: dict[str, Any] = json.loads(lines(capsys, "--json", "--subject", "motd")[0])
    assert entry["who"].startswith("cli:")
    assert (entry["kind"], entry["before"], entry["after"]) == ("change", "", "Back at noon")
    assert lines(capsys, "--kind", "api", "--kind", "launch") == []
    assert len(lines(capsys, "--kind", "change", "--since", "1h", "--limit", "1", "--json")) == 1
    assert lines(capsys, "--until", "1h") == []
    assert len(lines(capsys, "--since", "2020-01-01T00:00:00Z", "--json")) == 2


@pytest.mark.usefixtures("in_folder")
@pytest.mark.parametrize(
    "wrong", [["--since", "yesterday"], ["--since", "2020-01-01"], ["--kind", "x"], ["--limit", "0"]]
)
def test_a_filter_that_means_nothing_is_refused(wrong: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["admin", "logs", *wrong])
    assert caught.value.code == 2
