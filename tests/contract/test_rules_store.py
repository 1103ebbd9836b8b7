"""What the operator's rules promise, on each database."""

import asyncio

import pytest
from sqlalchemy import insert

from fingerprint.database import Database
from fingerprint.domain.budgets import parse_budgets
from fingerprint.domain.problems import TwitchAudioError
from fingerprint.domain.recognizer_override import RecognizerOverride
from server.access.rules.recognizers import Chosen, RecognizerStore
from server.access.rules.store import RulesStore
from server.access.rules.website import FIELDS, WebsiteSettings
from server.access.tables import recognizer_overrides


async def test_without_a_row_the_defaults_hold(database: Database) -> None:
    assert (await RulesStore(database).read()).website == WebsiteSettings()


async def test_a_setting_is_read_as_it_was_set(database: Database) -> None:
    store = RulesStore(database)
    assert await store.set_website("access_mode", "login") == ("open", "login")
    assert await store.set_website("access_mode", "subscribers") == ("login", "subscribers")
    await store.set_website("motd", " Hello 🎵 'quoted' \x00")
    await store.set_website("active", "no")
    website = (await store.read()).website
    assert website.access_mode == "subscribers"
    assert website.motd is not None
    assert website.motd.startswith("Hello 🎵 'quoted'")
    assert not website.active
    await store.set_website("motd", "")
    assert (await store.read()).website.motd is None


@pytest.mark.parametrize(("name", "text"), [("access_mode", "closed"), ("active", "maybe"), ("admin", "on")])
async def test_what_a_setting_does_not_take_is_refused_with_what_it_takes(
    database: Database, name: str, text: str
) -> None:
    store = RulesStore(database)
    with pytest.raises(TwitchAudioError) as caught:
        await store.set_website(name, text)
    assert caught.value.code == "invalid-input"
    assert ("takes" in caught.value.detail) == (name in FIELDS)
    assert (await store.read()).website == WebsiteSettings()


async def test_rules_are_read_again_only_after_a_change(database: Database) -> None:
    store = RulesStore(database)
    known = await store.read()
    assert await store.read(known) is known
    await store.set_website("motd", "Hello")
    changed = await store.read(known)
    assert changed is not known
    assert changed.website.motd == "Hello"


async def test_many_changes_at_once_all_count(database: Database) -> None:
    store = RulesStore(database)
    changes = {"active": "off", "maintenance": "on", "streams_enabled": "off", "clips_enabled": "off", "motd": "x"}
    await asyncio.gather(*(store.set_website(name, text) for name, text in changes.items()))
    texts = (await store.read()).website.to_texts()
    assert {name: texts[name] for name in changes} == changes


async def test_recognizers_that_were_chosen_are_rules_until_they_are_given_back(database: Database) -> None:
    rules, store = RulesStore(database), RecognizerStore(database)
    known = await rules.read()
    assert known.recognizers == RecognizerOverride()
    await store.choose_order(["audd", "catalog"])
    await store.choose_budgets(parse_budgets("audd=10/day"))
    chosen = await rules.read(known)
    assert chosen.recognizers == RecognizerOverride(
        order=("audd", "catalog"), budgets=parse_budgets("audd=10/day")
    )
    await store.choose_budgets({})
    assert (await rules.read(chosen)).recognizers.budgets == {}, "none is a choice, too"
    assert await store.reset(Chosen.ORDER)
    assert not await store.reset(Chosen.ORDER)
    assert (await rules.read(chosen)).recognizers == RecognizerOverride(budgets={})


async def test_a_choice_that_cannot_be_read_is_none(database: Database) -> None:
    rows = [{"name": "budgets", "value": "audd=often"}, {"name": "order", "value": " , "}]
    await database.transact(lambda connection: connection.execute(insert(recognizer_overrides), rows))
    assert (await RulesStore(database).read()).recognizers == RecognizerOverride()
