"""What the lists and access codes promise, on each database."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import select

from fingerprint.database import Database
from fingerprint.domain.problems import TwitchAudioError
from server.access.rules.blacklist_kinds import BlacklistKind
from server.access.rules.codes import CodeStore, code_hash
from server.access.rules.list_store import ListStore
from server.access.rules.store import RulesStore
from server.access.tables import access_codes
from tests.builders import NOON


async def test_the_blacklist_is_part_of_the_rules(database: Database) -> None:
    store, rules = ListStore(database), RulesStore(database)
    before = await rules.read()
    assert await store.block(BlacklistKind.CHANNEL, "SomeChannel", reason="loud 🎺", now=NOON) == "somechannel"
    assert await store.block(BlacklistKind.CLIP, "Slug-a", reason="", now=NOON) == "Slug-a"
    assert await store.block(BlacklistKind.CLIP, "slug-a", reason="", now=NOON) == "slug-a"
    [entry] = [entry for entry in await store.blacklist() if entry.kind == "channel"]
    assert (entry.value, entry.note, entry.created_at) == ("somechannel", "loud 🎺", NOON)
    assert ("channel", "somechannel") in (await rules.read(before)).blacklist.exact
    await store.unblock(BlacklistKind.CHANNEL, "somechannel")
    assert [entry.kind for entry in await store.blacklist()] == ["clip", "clip"]


async def test_the_whitelist_is_part_of_the_rules(database: Database) -> None:
    store = ListStore(database)
    await store.allow("Viewer_Vic", note="a friend", now=NOON)
    await store.allow("id:77", note="", now=NOON)
    assert (await RulesStore(database).read()).whitelist == {"viewer_vic", "id:77"}
    await store.disallow("viewer_vic")
    assert [entry.value for entry in await store.whitelist()] == ["id:77"]


async def test_a_second_entry_and_a_missing_one_are_said(database: Database) -> None:
    store = ListStore(database)
    await store.allow("somebody", note="", now=NOON)
    with pytest.raises(TwitchAudioError, match="listed already"):
        await store.allow("Somebody", note="", now=NOON)
    with pytest.raises(TwitchAudioError, match="not listed"):
        await store.disallow("nobody")


async def test_a_code_is_redeemed_however_it_is_typed_and_only_its_hash_is_stored(database: Database) -> None:
    store = CodeStore(database)
    _, secret = await store.create(now=NOON, note="for a friend")
    row = str(await database.first(select(access_codes)))
    assert secret.reveal() not in row
    assert code_hash(secret.reveal()) in row
    assert not await store.redeemed("77")
    await store.redeem(f" {secret.reveal().lower().replace('-', ' ')}", "77", NOON)
    assert await store.redeemed("77")
    assert not await store.redeemed("7")


async def test_of_fifty_at_once_one_redeems_a_code_for_one(database: Database) -> None:
    store = CodeStore(database)
    _, secret = await store.create(now=NOON)

    async def redeem(number: int) -> str:
        try:
            await store.redeem(secret.reveal(), str(number), NOON)
        except TwitchAudioError as error:
            return str(error.code)
        return "redeemed"

    said = await asyncio.gather(*(redeem(number) for number in range(50)))
    assert sorted(said) == ["code-invalid"] * 49 + ["redeemed"]
    assert sum([await store.redeemed(str(number)) for number in range(50)]) == 1


async def test_redeeming_again_costs_no_use(database: Database) -> None:
    store = CodeStore(database)
    _, secret = await store.create(now=NOON, most_uses=2)
    for user in ("1", "1", "2", "1"):
        await store.redeem(secret.reveal(), user, NOON)
    assert [code.used for code in await store.all()] == [2]
    with pytest.raises(TwitchAudioError):
        await store.redeem(secret.reveal(), "3", NOON)


async def test_codes_that_do_not_count_are_refused_in_the_same_words(database: Database) -> None:
    store = CodeStore(database)
    revoked_id, revoked = await store.create(now=NOON)
    await store.revoke(revoked_id, NOON)
    _, expired = await store.create(now=NOON, expires_at=NOON + timedelta(days=1))
    said: set[str] = set()
    for text in (revoked.reveal(), expired.reveal(), "", "nonsense", "\N{ROMAN NUMERAL FIVE}", "' OR 1=1 --"):
        with pytest.raises(TwitchAudioError) as caught:
            await store.redeem(text, "77", NOON + timedelta(days=1))
        said.add(f"{caught.value.code} {caught.value.detail}")
    assert len(said) == 1


async def test_revoking_a_code_ends_what_it_gave(database: Database) -> None:
    store, rules = CodeStore(database), RulesStore(database)
    code_id, secret = await store.create(now=NOON)
    await store.redeem(secret.reveal(), "77", NOON)
    version = (await rules.read()).version
    await store.revoke(code_id, NOON)
    assert not await store.redeemed("77")
    assert (await rules.read()).version != version
    with pytest.raises(TwitchAudioError, match="no access code"):
        await store.revoke("nothing", NOON)
