"""API keys over HTTP: who may, how often, and how they are told."""

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from fingerprint.database import Database, open_database
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.pipeline_settings import PipelineSettings
from server import keys
from server.access.identity.api_keys import ApiKeyStore, new_key
from server.access.identity.credentials import RequestCredentials
from server.access.request_context import RequestContext
from server.access.service import RULES_SECONDS
from server.app import listening, make_app
from server.cli import main
from server.settings import ServerSettings
from tests.api_client import ASK, CLIP, STREAM, ServerRules, assert_problem, open_api
from tests.fakes import FakeClock, FakePipeline

ME = "/api/v1/me"


@pytest.fixture
def address(sql_address: str) -> str:
    return sql_address


def now() -> datetime:
    return datetime.now(UTC)


async def make(database: Database, **more: Any) -> dict[str, str]:
    _, secret = await ApiKeyStore(database).create("a bot", now=now(), **more)
    return {"X-API-Key": secret.reveal()}


async def test_a_key_lets_in_where_others_have_to_sign_in(
    api: ClientSession, database: Database, rules: ServerRules
) -> None:
    key = await make(database, scopes=["clips"])
    await rules.set(access_mode="subscribers")
    bearer = {"Authorization": f"Bearer {key['X-API-Key']}"}
    for headers in (key, bearer):
        assert (await api.post(ASK, json=CLIP, headers=headers)).status in (200, 202)
        await assert_problem(await api.post(ASK, json=STREAM, headers=headers), "forbidden", 403)
        me = await (await api.get(ME, headers=headers)).json()
        assert (me["known_by"], me["clips"]["allowed"], me["streams"]["code"]) == ("key", True, "forbidden")
    await assert_problem(await api.post(ASK, json=CLIP), "login-required", 401)


async def test_a_wrong_key_is_refused_alike_whatever_is_wrong_with_it(
    api: ClientSession, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    store = ApiKeyStore(database)
    revoked, revoked_secret = await store.create("a bot", now=now())
    await store.revoke(revoked.id, now())
    _, expired = await store.create("a bot", now=now(), expires_at=now() - timedelta(seconds=1))
    wrong = [new_key().reveal(), "ta_", "ta_typo", "", "a key", revoked_secret.reveal(), expired.reveal()]
    with caplog.at_level(logging.DEBUG):
        told = [
            await assert_problem(await api.get(ME, headers={"X-API-Key": text}), "key-invalid", 401)
            for text in wrong
        ]
        told += [
            await assert_problem(
                await api.post(ASK, json=CLIP, headers={"X-API-Key": wrong[0]}), "key-invalid", 401
            )
        ]
    assert len({body["detail"] for body in told}) == 1
    assert not any(text in caplog.text for text in wrong if len(text) > 10)


async def test_a_new_key_counts_and_a_revoked_one_ends_within_two_seconds(
    sql_address: str, tmp_path: Path
) -> None:
    clock = FakeClock(now())
    async with (
        open_api(FakePipeline(clock), tmp_path, database_url=sql_address, clock=clock) as api,
        open_database(sql_address) as database,
    ):
        store = ApiKeyStore(database)
        assert (await api.get(ME)).status == 200
        key, secret = await store.create("a bot", now=now())
        headers = {"X-API-Key": secret.reveal()}
        await clock.advance(2.0)
        assert (await api.get(ME, headers=headers)).status == 200
        await store.revoke(key.id, now())
        await clock.advance(2.0)
        assert (await api.get(ME, headers=headers)).status == 401


async def test_the_first_question_after_a_key_was_revoked_is_refused_whoever_asks_for_the_rules(
    tmp_path: Path,
) -> None:
    """Also where nothing before has read the rules again, with which keys are forgotten that were valid."""
    clock = FakeClock(now())
    settings = ServerSettings(pipeline=PipelineSettings(data_dir=tmp_path))
    app = make_app(settings, pipeline=FakePipeline(clock).pipeline, clock=clock)
    async with listening(app, "127.0.0.1", 0):
        access, store = app[keys.ACCESS], ApiKeyStore(app[keys.DATABASE])
        key, secret = await store.create("a bot", now=now())
        credentials = RequestCredentials(key=secret)
        await clock.advance(RULES_SECONDS)
        principal = await access.authenticate(RequestContext(credentials=credentials))
        assert principal.key is not None
        await store.revoke(key.id, now())
        await clock.advance(RULES_SECONDS)
        with pytest.raises(TwitchAudioError) as refused:
            await access.authenticate(RequestContext(credentials=credentials))
        assert refused.value.code is ProblemCode.KEY_INVALID


async def test_a_limit_counts_starts_and_says_what_is_left(
    api: ClientSession, parts: FakePipeline, database: Database
) -> None:
    headers = await make(database, per_day=2)
    parts.capture.gate.clear()
    first = await api.post(ASK, json={"channel": "one"}, headers=headers)
    assert first.headers["RateLimit"].startswith('"starts";r=1;t=')
    assert first.headers["RateLimit-Policy"] == '"starts";q=2;w=86400'
    for _ in range(5):
        joined = await api.post(ASK, json={"channel": "one"}, headers=headers)
        assert (await joined.json())["shared"] is True
        assert "RateLimit" not in joined.headers
    assert (await api.post(ASK, json={"channel": "two"}, headers=headers)).status == 202
    refused = await api.post(ASK, json={"channel": "three"}, headers=headers)
    await assert_problem(refused, "rate-limited", 429)
    assert 0 < int(refused.headers["Retry-After"]) <= 86_400
    assert refused.headers["RateLimit"].startswith('"starts";r=0;t=')
    assert (await api.post(ASK, json={"channel": "three"})).status == 202
    parts.capture.gate.set()


async def test_of_a_herd_with_one_key_only_the_first_counts(
    api: ClientSession, parts: FakePipeline, database: Database
) -> None:
    headers = await make(database, per_minute=1)
    parts.capture.gate.clear()
    answers = await asyncio.gather(*(api.post(ASK, json=STREAM, headers=headers) for _ in range(200)))
    assert {answer.status for answer in answers} == {202}
    assert sum("RateLimit" in answer.headers for answer in answers) == 1
    parts.capture.gate.set()


async def test_a_bearer_token_that_is_no_key_is_refused(api: ClientSession) -> None:
    headers = {"Authorization": "Bearer abcdefghijklmnopqrstuvwxyz0123"}
    await assert_problem(await api.get(ME, headers=headers), "token-invalid", 401)
    assert (await api.get(ME, headers={"Authorization": "Basic abc"})).status == 200


async def test_the_last_use_is_recorded(parts: FakePipeline, sql_address: str, tmp_path: Path) -> None:
    async with open_api(parts, tmp_path, database_url=sql_address) as api, open_database(sql_address) as database:
        headers = await make(database)
        assert (await api.get(ME, headers=headers)).status == 200
    async with open_database(sql_address) as database:
        [key] = await ApiKeyStore(database).all()
        assert key.used_at is not None


def test_keys_on_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TWITCHAUDIO_DATA_DIR", str(tmp_path))
    assert main(["admin", "keys", "create", "a bot", "--scope", "clips", "--per-day", "5", "--days", "30"]) == 0
    text = capsys.readouterr().out.strip()
    assert main(["admin", "keys"]) == 0
    listed = capsys.readouterr().out
    assert listed.splitlines()[1].split()[2:9] == ["a", "bot", "clips", "5", "a", "day", "valid"]
    assert text not in listed
    assert main(["admin", "keys", "revoke", listed.splitlines()[1].split()[0]]) == 0
    assert main(["admin", "keys", "list"]) == 0
    assert "revoked" in capsys.readouterr().out
    assert main(["admin", "keys", "revoke", "nobody"]) == 1


async def test_after_twenty_wrong_keys_further_ones_wait_and_right_ones_pass(
    api: ClientSession, database: Database
) -> None:
    right = await make(database)
    key, secret = await ApiKeyStore(database).create("another bot", now=now())
    await ApiKeyStore(database).revoke(key.id, now())
    revoked = {"X-API-Key": secret.reveal()}
    wrong = {"X-API-Key": new_key().reveal()}
    for _ in range(20):
        await assert_problem(await api.get(ME, headers=wrong), "key-invalid", 401)
    for headers in (wrong, {"X-API-Key": new_key().reveal()}, {"X-API-Key": "typo"}, revoked):
        refused = await api.get(ME, headers=headers)
        await assert_problem(refused, "rate-limited", 429)
        assert 0 < int(refused.headers["Retry-After"]) <= 60
    # A key that was never used before passes, too.
    assert (await (await api.get(ME, headers=right)).json())["known_by"] == "key"
    assert (await api.get(ME)).status == 200


async def test_a_revocation_can_be_undone_for_a_minute(database: Database) -> None:
    store = ApiKeyStore(database)
    key, _ = await store.create("a bot", now=now())
    moment = now()
    await store.revoke(key.id, moment)
    with pytest.raises(TwitchAudioError, match="for a minute"):
        await store.undo_revoke(key.id, moment + timedelta(seconds=61))
    await store.undo_revoke(key.id, moment + timedelta(seconds=59))
    assert [each.revoked_at for each in await store.all() if each.id == key.id] == [None]
