"""What the store of corrections and of what is public promises, on each database."""

import dataclasses
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from fingerprint.clock import SystemClock
from fingerprint.database import Database
from fingerprint.domain.channel_traces import ChannelTraces, UsedName
from fingerprint.domain.problems import TwitchAudioError
from fingerprint.ports import Broadcaster
from server.audit.tables import log_entries
from server.channels.retention import delete_old_rows
from server.owner_choices import store as module
from server.owner_choices.choices import CorrectedTime, Correction, Visibility
from server.owner_choices.store import ChoiceFollower, ChoiceStore, PlayChange, forget_corrections
from tests.builders import NOON, song

NIGHT = song("Night Drive", "Marlow Quay")


@pytest.fixture
def store(database: Database) -> ChoiceStore:
    return ChoiceStore(database)


def play(*, minutes: float = 0, title: str | None = None, going_on: bool = False, **more: Any) -> PlayChange:
    since = NOON + timedelta(minutes=minutes)
    time = CorrectedTime(since=since, until=since + timedelta(minutes=3), going_on=going_on)
    artists: tuple[str, ...] = ("İpek",) if title else ()
    values: dict[str, Any] = {"song": NIGHT, "time": time, "title": title, "artists": artists}
    return PlayChange(**(values | more))


async def correct(
    store: ChoiceStore, *plays: PlayChange, login: str = "somechannel", number: str | None = "7"
) -> str:
    return (await store.correct(login, number, plays, made_by="user:7", now=NOON))[0]


async def corrections(
    store: ChoiceStore, login: str = "somechannel", number: str | None = "7"
) -> list[Correction]:
    return list((await store.read(login, number)).corrections)


async def test_a_play_has_one_correction_which_is_changed_and_taken_back(
    store: ChoiceStore, database: Database
) -> None:
    number = await correct(store, play())
    assert await correct(store, play(minutes=30)) != number
    assert await correct(store, play(minutes=2, title="Harbor")) == number
    newest, mine = await corrections(store)
    assert (newest.hidden, mine.title, mine.artists, mine.was_title) == (True, "Harbor", ("İpek",), "Night Drive")
    before = await store.read("somechannel", "7")
    assert await store.read("somechannel", "7", before) is before
    await store.undo("somechannel", "7", number)
    assert [each.id for each in await corrections(store)] == [newest.id]
    with pytest.raises(TwitchAudioError, match="no correction"):
        await store.undo("somechannel", "8", newest.id)
    logged = await database.rows(select(log_entries.c.what, log_entries.c.subject).order_by(log_entries.c.id))
    assert sorted(row.what for row in logged) == [
        "correct play", "hide play", "hide play", "undo correction"
    ]  # fmt: skip


async def test_the_answer_of_a_clip_has_its_own_correction_and_keeps_it(
    store: ChoiceStore, database: Database
) -> None:
    clip = CorrectedTime(since=NOON, until=NOON, recording="clip:FancySlug-x_1")
    number = await correct(store, play(time=clip, title="Harbor"))
    other = dataclasses.replace(clip, recording="clip:FANCYSLUG-x_1")
    assert await correct(store, play(), play(time=other)) != number
    # The clip was identified again since.
    later = dataclasses.replace(clip, since=NOON + timedelta(days=3), until=NOON + timedelta(days=3))
    assert await correct(store, play(time=later)) == number
    assert len(await corrections(store)) == 3
    await delete_old_rows(database, SystemClock(), before=NOON + timedelta(days=9))
    left = [each.time.recording for each in await corrections(store)]
    assert sorted(filter(None, left)) == ["clip:FANCYSLUG-x_1", "clip:FancySlug-x_1"]
    assert len(left) == 2


async def test_a_play_that_goes_on_stays_corrected_until_another_song(store: ChoiceStore) -> None:
    await correct(store, play(going_on=True))
    (before,) = await corrections(store)
    await store.heard_on(
        "somechannel", "7", dataclasses.replace(NIGHT, isrc="USRC17607839"), NOON + timedelta(minutes=14)
    )
    (longer,) = await corrections(store)
    assert longer.time.until - before.time.until == timedelta(minutes=11)
    await store.heard_on("somechannel", "7", song("Harbor"), NOON + timedelta(minutes=15))
    (ended,) = await corrections(store)
    assert (ended.time.until, ended.time.going_on) == (longer.time.until, False)
    await store.heard_on("somechannel", "7", NIGHT, NOON + timedelta(minutes=16))
    assert await corrections(store) == [ended]


async def test_a_channel_has_a_bounded_number(store: ChoiceStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_CORRECTIONS", 2)
    await correct(store, play(), play(minutes=30))
    with pytest.raises(TwitchAudioError, match="has 2 corrections, which is the most"):
        await correct(store, play(minutes=60))
    await correct(store, play(title="Harbor"))
    await correct(store, play(minutes=60), login="another", number=None)
    assert len(await corrections(store)) == 2


async def test_it_belongs_to_the_channel_and_not_to_who_has_its_login_later(
    store: ChoiceStore, database: Database
) -> None:
    await correct(store, play(), number=None)
    await store.choose("somechannel", None, Visibility.NOTHING, made_by="user:7", now=NOON)
    follower = ChoiceFollower()
    await database.transact(
        lambda connection: follower.follow(connection, Broadcaster(id="7", login="somechannel"))
    )
    await database.transact(lambda connection: follower.follow(connection, Broadcaster(id="7", login="renamed")))
    assert await database.read(follower.unbound) == set()
    assert await database.read(follower.bound) == {"7"}
    found = await store.read("renamed", "7")
    assert (len(found.corrections), found.visibility) == (1, Visibility.NOTHING)
    other = await store.read("somechannel", "8")
    assert (other.corrections, other.visibility) == ((), Visibility.SET_LIST)
    await store.choose("renamed", "7", Visibility.NOW, made_by="user:7", now=NOON)
    assert (await store.read("renamed", "7")).visibility is Visibility.NOW
    await store.choose("renamed", "7", Visibility.SET_LIST, made_by="user:7", now=NOON)
    assert await database.read(follower.bound) == set()


async def test_a_forgotten_channel_has_none_and_keeps_what_is_public(
    store: ChoiceStore, database: Database
) -> None:
    await correct(store, play())
    await correct(store, play(), login="another", number="8")
    await store.choose("somechannel", "7", Visibility.NOTHING, made_by="user:7", now=NOON)
    traces = ChannelTraces(channel_id="7", names=(UsedName(login="somechannel", since=NOON),))
    assert await database.transact(lambda connection: forget_corrections(connection, traces, ["somechannel"])) == 1
    assert len(await corrections(store, "another", "8")) == 1
    found = await store.read("somechannel", "7")
    assert (found.corrections, found.visibility) == ((), Visibility.NOTHING)


async def test_old_corrections_go_with_the_answers(store: ChoiceStore, database: Database) -> None:
    await correct(store, play(), play(minutes=60))
    assert await delete_old_rows(database, SystemClock(), before=NOON + timedelta(minutes=30)) == 1
    (left,) = await corrections(store)
    assert left.time.since == NOON + timedelta(minutes=60)
