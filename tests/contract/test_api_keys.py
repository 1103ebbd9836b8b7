"""What API keys and rate limits promise, on each database."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import select

from fingerprint.database import Database
from fingerprint.domain.problems import TwitchAudioError
from server.access.identity.api_keys import ApiKey, ApiKeyStore, key_hash, new_key
from server.access.identity.authenticator import Authenticator
from server.access.identity.credentials import RequestCredentials
from server.access.limit_status import Limit
from server.access.quotas.rate_limits import RateLimitedError, count_start, delete_old_counters
from server.access.rules.store import RulesStore
from server.access.scopes import SCOPES
from server.access.tables import api_keys, rate_counters
from server.audit.changes import ChangeLog
from server.audit.entries import Who
from server.audit.tables import log_entries
from tests.builders import NOON
from tests.fakes import FakeClock

LIMIT = Limit("key:a:minute", 3, 60)


async def test_a_key_is_found_by_its_text_and_only_its_hash_is_stored(database: Database) -> None:
    store = ApiKeyStore(database)
    key, secret = await store.create("a bot 🤖", now=NOON, scopes=["clips"], per_day=5)
    assert await store.find(secret.reveal()) == key
    assert await store.find(new_key().reveal()) is None
    [row] = await database.rows(select(api_keys))
    assert secret.reveal() not in str(row)
    assert key_hash(secret.reveal()) in str(row)


async def test_a_key_may_have_all_scopes_and_is_listed_by_its_first_signs(database: Database) -> None:
    store = ApiKeyStore(database)
    key, secret = await store.create("a bot", now=NOON, scopes=SCOPES)
    assert key.scopes == set(SCOPES)
    assert (len(key.id), key.shown) == (12, secret.reveal()[:11])
    assert await store.get(key.id) == key
    assert await store.get("another") is None
    for wrong in ([], ["made-up"], [*SCOPES, "made-up"]):
        with pytest.raises(TwitchAudioError, match="scopes"):
            await store.create("a bot", now=NOON, scopes=wrong)
    with pytest.raises(TwitchAudioError, match="name"):
        await store.create(" ", now=NOON)


async def test_a_revocation_is_logged_once_and_undone_within_a_minute(database: Database) -> None:
    store = ApiKeyStore(database)
    key, secret = await store.create("a bot", now=NOON, per_day=5, expires_at=NOON + timedelta(days=1))
    for _ in range(2):
        await store.revoke(key.id, NOON)
    query = select(log_entries.c.what, log_entries.c.before_value, log_entries.c.after_value)
    said = "a bot, clips+streams, 5 a day, until 2026-"
    logged = {row.what: str(row.before_value or row.after_value) for row in await database.rows(query)}
    assert sorted(logged) == ["create API key", "revoke API key"]
    assert len(await database.rows(query)) == 2
    assert all(text.startswith(said[:25]) for text in logged.values()), logged
    assert await store.valid_hashes() == frozenset()
    await store.undo_revoke(key.id, NOON + timedelta(seconds=60))
    found = await store.find(secret.reveal())
    assert found is not None
    assert found.revoked_at is None
    assert found.valid(NOON + timedelta(days=1) - timedelta(seconds=1))
    assert not found.valid(NOON + timedelta(days=1))
    assert await store.valid_hashes() == {key_hash(secret.reveal())}
    await store.revoke(key.id, NOON)
    with pytest.raises(TwitchAudioError, match="for a minute"):
        await store.undo_revoke(key.id, NOON + timedelta(seconds=61))


async def test_a_revoked_key_stays_revoked_and_says_when(database: Database) -> None:
    store = ApiKeyStore(database)
    key, secret = await store.create("a bot", now=NOON)
    for hours in (1, 2):
        await store.revoke(key.id, NOON + timedelta(hours=hours))
    found = await store.find(secret.reveal())
    assert found is not None
    assert found.revoked_at == NOON + timedelta(hours=1)
    assert not found.valid(NOON)
    with pytest.raises(TwitchAudioError, match="no API key"):
        await store.revoke("nobody", NOON)


async def test_a_key_that_is_revoked_while_it_is_looked_up_is_not_remembered_as_valid(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = ApiKeyStore(database)
    key, secret = await store.create("a bot", now=NOON)
    found, goes_on, find = asyncio.Event(), asyncio.Event(), ApiKeyStore.find

    async def find_slowly(self: ApiKeyStore, text: str) -> ApiKey | None:
        seen = await find(self, text)
        found.set()
        await goes_on.wait()
        return seen

    monkeypatch.setattr(ApiKeyStore, "find", find_slowly)
    authenticator = Authenticator(database, clock=FakeClock(), tokens=None, sessions=None)
    credentials = RequestCredentials(key=secret)
    try:
        first = asyncio.create_task(authenticator.authenticate(credentials))
        await found.wait()
        await store.revoke(key.id, NOON)
        # What each server does when it sees that the rules have changed.
        authenticator.forget_keys()
        goes_on.set()
        await first
        with pytest.raises(TwitchAudioError) as caught:
            await authenticator.authenticate(credentials)
        assert caught.value.code == "key-invalid"
    finally:
        await authenticator.close()


async def test_a_key_is_valid_until_it_expires(database: Database) -> None:
    key, _ = await ApiKeyStore(database).create("a bot", now=NOON, expires_at=NOON + timedelta(days=1))
    assert key.valid(NOON + timedelta(hours=23))
    assert not key.valid(NOON + timedelta(days=1))


@pytest.mark.parametrize(("name", "scopes"), [("", ["clips"]), ("a bot", []), ("a bot", ["everything"])])
async def test_a_key_without_name_or_with_odd_scopes_is_refused(
    database: Database, name: str, scopes: list[str]
) -> None:
    with pytest.raises(TwitchAudioError) as caught:
        await ApiKeyStore(database).create(name, now=NOON, scopes=scopes)
    assert caught.value.code == "invalid-input"


async def test_making_and_revoking_keys_tells_all_servers(database: Database) -> None:
    rules = RulesStore(database)
    versions = [(await rules.read()).version]
    key, _ = await ApiKeyStore(database).create("a bot", now=NOON)
    versions.append((await rules.read()).version)
    await ApiKeyStore(database).revoke(key.id, NOON)
    versions.append((await rules.read()).version)
    assert len(set(versions)) == 3


async def test_last_uses_are_noted(database: Database) -> None:
    store = ApiKeyStore(database)
    key, _ = await store.create("a bot", now=NOON)
    await store.record_uses({key.id: NOON + timedelta(minutes=1), "gone": NOON})
    assert [each.used_at for each in await store.all()] == [NOON + timedelta(minutes=1)]


async def test_of_many_who_start_at_once_as_many_as_allowed_may(database: Database) -> None:
    async def start() -> int | None:
        """How many more are allowed; None when refused."""
        try:
            status = await count_start(database, [LIMIT], NOON)
        except RateLimitedError:
            return None
        assert status is not None
        return status.left

    left = await asyncio.gather(*(start() for _ in range(20)))
    assert sorted(each for each in left if each is not None) == [0, 1, 2]


async def test_a_window_ends_and_says_when(database: Database) -> None:
    at = NOON + timedelta(seconds=15)
    for left in (2, 1, 0):
        status = await count_start(database, [LIMIT], at)
        assert status is not None
        assert (status.left, status.reset_seconds) == (left, 45)
    with pytest.raises(RateLimitedError) as caught:
        await count_start(database, [LIMIT], at)
    assert caught.value.retry_after_seconds == 45
    assert await count_start(database, [LIMIT], NOON + timedelta(seconds=60)) is not None


async def test_what_one_limit_refuses_no_other_counts(database: Database) -> None:
    day = Limit("key:a:day", 100, 86_400)
    for _ in range(3):
        await count_start(database, [LIMIT, day], NOON)
    with pytest.raises(RateLimitedError):
        await count_start(database, [LIMIT, day], NOON)
    status = await count_start(database, [day], NOON)
    assert status is not None
    assert status.left == 96


async def test_old_counters_are_forgotten(database: Database) -> None:
    await count_start(database, [LIMIT], NOON)
    await delete_old_counters(database, NOON + timedelta(days=3))
    assert await database.rows(select(rate_counters)) == []


async def test_what_is_done_with_keys_is_in_the_log_once_in_words(database: Database) -> None:
    store = ApiKeyStore(database, changes=ChangeLog(Who("desk", "an operator")))
    key, _ = await store.create(
        "a bot", now=NOON, scopes=["clips", "streams"], at_once=3, per_day=5, expires_at=NOON + timedelta(days=1)
    )
    for _ in range(2):
        await store.revoke(key.id, NOON)
    await store.undo_revoke(key.id, NOON)
    rows = await database.rows(select(log_entries.c.what, log_entries.c.before_value, log_entries.c.after_value))
    said = {row.what: row.before_value or row.after_value for row in rows}
    assert sorted(row.what for row in rows) == ["create API key", "revoke API key", "undo revoking API key"]
    until = f"until {NOON + timedelta(days=1):%Y-%m-%d %H:%M}"
    assert said["revoke API key"] == f"a bot, clips+streams, 5 a day, 3 at once, {until}"
    with pytest.raises(TwitchAudioError, match="'" + "x" * 50 + "'"):
        await store.revoke("x" * 80, NOON)


async def test_the_hashes_of_keys_are_those_that_are_not_revoked(database: Database) -> None:
    store = ApiKeyStore(database)
    (_, good), (revoked, _) = [await store.create("a bot", now=NOON) for _ in range(2)]
    await store.revoke(revoked.id, NOON)
    assert await store.valid_hashes() == {key_hash(good.reveal())}
