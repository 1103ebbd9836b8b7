"""Blacklist, whitelist, access codes and proxies over HTTP, with people of the simulated Twitch."""

import json
from datetime import UTC, datetime
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession
from yarl import URL

from fingerprint.database import Database
from server.access.identity.api_keys import ApiKeyStore
from server.access.rules.blacklist_kinds import BlacklistKind
from server.access.rules.codes import CodeStore
from server.access.rules.list_store import ListStore
from server.access.rules.store import RulesStore
from server.cli import main
from simulator.accounts import OWN_APPLICATION
from tests.api_client import ASK, CLIP, STREAM, assert_problem
from tests.fakes import FakeClock
from tests.integration.simulator_client import Viewer

ME = "/api/v1/me"
REDEEM = "/api/v1/access-codes/redeem"
VIC = "viewer_vic"
NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(datetime.now(UTC))


@pytest.fixture
def address(sql_address: str) -> str:
    return sql_address


@pytest.fixture
def options(viewer: Viewer) -> dict[str, Any]:
    return {
        "twitch_client_id": OWN_APPLICATION.client_id,
        "twitch_id_url": URL(viewer.twitch.id_url),
        "trusted_proxies": (ip_network("127.0.0.0/8"),),
    }


@pytest.fixture
def vic(viewer: Viewer) -> dict[str, str]:
    return {"Authorization": f"Bearer {viewer.twitch.accounts.token_for(VIC)}"}


async def until_code(api: ClientSession, clock: FakeClock, headers: dict[str, str], code: str | None) -> None:
    """Within two seconds the caller's clips are refused with a code, or allowed."""
    await clock.advance(2.0)
    assert (await (await api.get(ME, headers=headers)).json())["clips"]["code"] == code


async def test_a_blacklisted_user_is_refused_by_login_number_and_pattern(
    api: ClientSession, clock: FakeClock, viewer: Viewer, database: Database, vic: dict[str, str]
) -> None:
    store = ListStore(database)
    number = viewer.twitch.accounts.people[VIC].user_id
    for kind, text in (
        (BlacklistKind.USER, VIC),
        (BlacklistKind.USER, f"id:{number}"),
        (BlacklistKind.USER_PATTERN, "viewer*"),
    ):
        await store.block(kind, text, reason="canary-reason", now=NOW)
        await until_code(api, clock, vic, "blacklisted")
        problem = await assert_problem(await api.post(ASK, json=CLIP, headers=vic), "blacklisted", 403)
        assert "canary-reason" not in str(problem)
        assert (await api.post(ASK, json=CLIP)).status in (200, 202)
        await store.unblock(kind, text)
        await until_code(api, clock, vic, None)


async def test_a_blacklisted_target_is_refused_to_everyone(
    api: ClientSession, clock: FakeClock, database: Database
) -> None:
    store = ListStore(database)
    _, key = await ApiKeyStore(database).create("a bot", now=NOW)
    await store.block(BlacklistKind.CHANNEL_PATTERN, "some*", reason="", now=NOW)
    await store.block(BlacklistKind.CLIP, CLIP["clip"], reason="", now=NOW)
    await clock.advance(1.1)
    for number, headers in enumerate(({}, {"X-API-Key": key.reveal()})):
        await assert_problem(await api.post(ASK, json=STREAM, headers=headers), "blacklisted", 403)
        await assert_problem(await api.post(ASK, json=CLIP, headers=headers), "blacklisted", 403)
        await assert_problem(await api.get(f"/api/v1/clips/{CLIP['clip']}", headers=headers), "blacklisted", 403)
        assert (await api.post(ASK, json={"channel": f"other{number}"}, headers=headers)).status == 202


async def test_c4_a_blacklisted_address_counts_as_the_trusted_proxy_says_it(
    api: ClientSession, clock: FakeClock, database: Database
) -> None:
    await ListStore(database).block(BlacklistKind.ADDRESS, "198.51.100.0/24", reason="", now=NOW)
    blocked = {"X-Forwarded-For": "203.0.113.1, 198.51.100.7"}
    await until_code(api, clock, blocked, "blacklisted")
    await assert_problem(await api.post(ASK, json=CLIP, headers=blocked), "blacklisted", 403)
    forged = {"X-Forwarded-For": "198.51.100.7, 203.0.113.1"}
    assert (await api.post(ASK, json=CLIP, headers=forged)).status in (200, 202)


async def test_the_whitelist_lets_in_where_a_subscription_is_needed(
    api: ClientSession, clock: FakeClock, database: Database, vic: dict[str, str]
) -> None:
    await RulesStore(database).set_website("access_mode", "subscribers")
    await until_code(api, clock, vic, "subscription-required")
    await ListStore(database).allow(VIC, note="", now=NOW)
    await until_code(api, clock, vic, None)
    assert (await api.post(ASK, json=CLIP, headers=vic)).status in (200, 202)
    await assert_problem(await api.post(ASK, json=CLIP), "login-required", 401)


async def test_an_access_code_lets_its_user_in_until_it_is_revoked(
    api: ClientSession, clock: FakeClock, database: Database, vic: dict[str, str]
) -> None:
    await RulesStore(database).set_website("access_mode", "subscribers")
    await until_code(api, clock, vic, "subscription-required")
    code_id, secret = await CodeStore(database).create(now=NOW)
    body = {"code": secret.reveal()}
    await assert_problem(await api.post(REDEEM, json=body), "login-required", 401)
    await assert_problem(await api.post(REDEEM, json={"code": "wrong"}, headers=vic), "code-invalid", 422)
    for _ in range(2):
        assert (await api.post(REDEEM, json=body, headers=vic)).status == 204
        assert (await api.post(ASK, json=CLIP, headers=vic)).status in (200, 202)
    await assert_problem(await api.post(ASK, json=CLIP), "login-required", 401)
    await CodeStore(database).revoke(code_id, NOW)
    await until_code(api, clock, vic, "subscription-required")


async def test_after_twenty_wrong_codes_their_user_waits_and_a_neighbor_does_not(
    api: ClientSession, database: Database, viewer: Viewer, vic: dict[str, str]
) -> None:
    _, secret = await CodeStore(database).create(now=NOW)
    right = {"code": secret.reveal()}
    for _ in range(20):
        await assert_problem(await api.post(REDEEM, json={"code": "wrong"}, headers=vic), "code-invalid", 422)
    for body in ({"code": "wrong"}, right):
        await assert_problem(await api.post(REDEEM, json=body, headers=vic), "rate-limited", 429)
    neighbor = {"Authorization": f"Bearer {viewer.twitch.accounts.token_for('subscriber_sue')}"}
    assert (await api.post(REDEEM, json=right, headers=neighbor)).status == 204


@pytest.mark.parametrize("body", [{}, {"code": 5}, {"code": None}, {"code": "x", "user": "y"}, [], "x"], ids=str)
async def test_a_redemption_that_is_none_is_refused(api: ClientSession, vic: dict[str, str], body: object) -> None:
    await assert_problem(await api.post(REDEEM, json=body, headers=vic), "invalid-input", 400)


def test_lists_and_codes_on_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TWITCHAUDIO_DATA_DIR", str(tmp_path))
    assert main(["admin", "blacklist", "add", "channel", "SomeChannel", "--reason", "loud"]) == 0
    assert main(["admin", "blacklist"]) == 0
    *_, heading, entry = capsys.readouterr().out.splitlines()
    assert heading.split() == ["KIND", "VALUE", "SINCE", "REASON"]
    assert entry.split()[:2] == ["channel", "somechannel"]
    assert main(["admin", "blacklist", "remove", "channel", "somechannel"]) == 0
    assert main(["admin", "blacklist", "remove", "channel", "somechannel"]) == 1
    assert main(["admin", "blacklist", "add", "address", "nowhere"]) == 2
    assert main(["admin", "whitelist", "add", "Viewer_Vic", "--note", "a friend"]) == 0
    capsys.readouterr()
    assert main(["admin", "whitelist"]) == 0
    assert capsys.readouterr().out.splitlines()[1].startswith("viewer_vic  ")
    assert main(["admin", "whitelist", "remove", "viewer_vic"]) == 0
    capsys.readouterr()
    assert main(["admin", "codes", "create", "--uses", "3", "--days", "7", "--note", "friends"]) == 0
    code = capsys.readouterr().out.strip()
    assert main(["admin", "codes", "--json"]) == 0
    listed = capsys.readouterr().out
    assert code not in listed
    made = json.loads(listed)
    assert (made["used"], made["of"], made["state"], made["note"]) == (0, 3, "valid", "friends")
    assert datetime.fromisoformat(made["expires"]) > datetime.now(UTC)
    assert main(["admin", "codes", "revoke", made["id"]]) == 0


LISTS = (
    "keys",
    "blacklist",
    "whitelist",
    "codes",
    "sessions",
    "broadcasters",
    "song-tokens",
    "reports",
    "watches",
)


@pytest.mark.parametrize(
    "words", [["logs"], *([name, *more] for name in (*LISTS, "unknowns") for more in ([], ["list"]))], ids=" ".join
)
def test_each_list_of_the_command_line_is_a_table_or_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    monkeypatch.setenv("TWITCHAUDIO_DATA_DIR", str(tmp_path))
    assert main(["admin", *words]) == 0
    assert capsys.readouterr() == ("", "twitchaudio: the list is empty\n")
    assert main(["admin", *words, "--json"]) == 0
    assert capsys.readouterr() == ("", "")
    assert main(["admin", words[0], "--json", *words[1:]]) == 0
    assert capsys.readouterr() == ("", "")
