"""What the operator's rules promise, on each database."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from fingerprint.database import Database, open_database
from fingerprint.domain.problems import TwitchAudioError
from server import migrations
from server.access.rules.store import RulesStore
from server.access.rules.website import FIELDS, WebsiteSettings


@pytest.fixture
async def database(sql_address: str) -> AsyncGenerator[Database]:
    async with open_database(sql_address) as opened:
        await migrations.upgrade(opened)
        yield opened


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
