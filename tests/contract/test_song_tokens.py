"""What tokens for `song.txt` promise, on each database."""

from collections.abc import Sequence
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from fingerprint.database import Database
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.ports import Broadcaster
from server.access.identity.api_keys import new_key
from server.audit.changes import ChangeLog
from server.audit.entries import Who
from server.audit.tables import log_entries
from server.channels.song_tokens import (
    MADE_PER_DAY,
    MOST_PER_CHANNEL,
    PREFIX,
    SongToken,
    SongTokenFollower,
    SongTokenStore,
)
from server.channels.tables import song_tokens
from tests.builders import NOON

DAY = timedelta(days=1)


@pytest.fixture
def store(database: Database) -> SongTokenStore:
    return SongTokenStore(database)


async def refused(store: SongTokenStore, channel: str, *, days: float = 0.0, channel_id: str | None = None) -> str:
    """The code with which another token is refused, and the wait if one helps; empty when it is made."""
    try:
        await store.create(channel, now=NOON + days * DAY, channel_id=channel_id)
    except TwitchAudioError as error:
        wait = error.retry_after_seconds
        return f"{error.code}" if wait is None else f"{error.code} {wait:g}"
    return ""


async def test_a_token_is_for_its_channel_and_only_its_hash_is_stored(
    store: SongTokenStore, database: Database
) -> None:
    token, secret = await store.create("vic", now=NOON, note=" a bot\n", made_by="42", channel_id="7")
    assert (token.channel, token.channel_id, token.note, token.made_by) == ("vic", "7", "a bot", "42")
    assert (token.created_at, token.revoked_at, token.used_at) == (NOON, None, None)
    assert secret.reveal().startswith(PREFIX)
    assert await store.find(secret.reveal(), now=NOON) == token
    for wrong in (new_key(PREFIX).reveal(), new_key().reveal(), secret.reveal()[:-1], "", secret.reveal() + "x"):
        assert await store.find(wrong, now=NOON) is None
    [row] = await database.rows(select(song_tokens))
    assert secret.reveal() not in str(row)


async def test_a_use_is_recorded_to_the_minute(store: SongTokenStore) -> None:
    _, secret = await store.create("vic", now=NOON)

    async def used_at(seconds: float) -> timedelta:
        assert await store.find(secret.reveal(), now=NOON + timedelta(seconds=seconds)) is not None
        [token] = await store.all()
        assert token.used_at is not None
        return token.used_at - NOON

    assert await used_at(5) == timedelta(seconds=5)
    assert await used_at(65) == timedelta(seconds=5)
    assert await used_at(66) == timedelta(seconds=66)


async def test_a_revoked_token_is_nobodys_and_can_come_back_within_a_minute(store: SongTokenStore) -> None:
    token, secret = await store.create("vic", now=NOON, channel_id="7")
    for elsewhere in ({"channel": "other"}, {"channel": "vic", "channel_id": "8"}):
        with pytest.raises(TwitchAudioError) as raised:
            await store.revoke(token.id, now=NOON, **elsewhere)
        assert raised.value.code is ProblemCode.NOT_FOUND
    assert await store.find(secret.reveal(), now=NOON) is not None
    for later in (0, 1):
        await store.revoke(token.id, now=NOON + later * DAY, channel="vic", channel_id="7")
    assert await store.find(secret.reveal(), now=NOON) is None
    [listed] = await store.all("vic", channel_id="7")
    assert listed.revoked_at == NOON
    await store.undo_revoke(token.id, now=NOON + timedelta(seconds=30))
    assert await store.find(secret.reveal(), now=NOON) is not None
    with pytest.raises(TwitchAudioError):
        await store.revoke("nothing", now=NOON)


async def test_a_channel_has_so_many_tokens_at_a_time(store: SongTokenStore) -> None:
    for _ in range(MOST_PER_CHANNEL):
        assert await refused(store, "vic") == ""
    assert await refused(store, "vic") == "invalid-input"
    assert await refused(store, "vic", days=30) == "invalid-input"
    assert await refused(store, "other") == ""
    # Those without an id count as its own, and another channel of this login has its own.
    assert await refused(store, "vic", channel_id="7") == "invalid-input"
    [first, *_] = await store.all("vic")
    await store.revoke(first.id, now=NOON)
    assert await refused(store, "vic") == ""


async def test_a_channel_gets_so_many_tokens_a_day_also_when_it_revokes_them(
    store: SongTokenStore, database: Database
) -> None:
    for _ in range(MADE_PER_DAY):
        assert await refused(store, "vic") == ""
        await database.change(update(song_tokens).values(revoked_us=1))
    assert await refused(store, "vic", days=0.99) == "rate-limited 3600"
    assert await refused(store, "other") == ""
    assert await refused(store, "vic", days=1) == ""


async def test_a_channel_sees_its_own_tokens_and_none_of_an_earlier_owners(store: SongTokenStore) -> None:
    made: dict[str, str] = {}
    for name, channel, channel_id in (("a", "vic", "7"), ("b", "vic", "8"), ("c", "vic", None), ("d", "x", None)):
        token, _ = await store.create(channel, now=NOON + timedelta(seconds=len(made)), channel_id=channel_id)
        made[token.id] = name

    def names(tokens: Sequence[SongToken]) -> str:
        return "".join(made[token.id] for token in tokens)

    assert names(await store.all()) == "abcd"
    assert names(await store.all("vic")) == "abc"
    assert names(await store.all("vic", channel_id="8")) == "bc"
    assert names(await store.all("nobody")) == ""


async def test_what_is_done_with_tokens_is_in_the_log_once(database: Database) -> None:
    store = SongTokenStore(database, changes=ChangeLog(Who("desk", "an operator")))
    token, _ = await store.create("vic", now=NOON, note="a bot")
    for _ in range(2):
        await store.revoke(token.id, now=NOON)
    await store.undo_revoke(token.id, now=NOON)
    columns = (log_entries.c.what, log_entries.c.subject)
    rows = await database.rows(select(*columns))
    assert sorted(row.what for row in rows) == [
        "create song token",
        "revoke song token",
        "undo revoking song token",
    ]


async def test_tokens_follow_their_channel_to_its_new_login(store: SongTokenStore, database: Database) -> None:
    follower = SongTokenFollower()
    made = [
        await store.create(channel, now=NOON, channel_id=channel_id)
        for channel, channel_id in (("vic", None), ("old_name", "7"), ("vic", "8"), ("other", None), ("gone", "9"))
    ]
    await store.revoke(made[4][0].id, now=NOON)
    assert await database.read(follower.unbound) == {"vic", "other"}
    assert await database.read(follower.bound) == {"7", "8"}
    await database.transact(lambda connection: follower.follow(connection, Broadcaster(id="7", login="vic")))
    named = {(token.channel, token.channel_id) for token in await store.all()}
    assert named == {("vic", "7"), ("vic", "8"), ("other", None), ("gone", "9")}


async def test_a_note_is_cut_and_a_missing_token_is_named(store: SongTokenStore) -> None:
    token, _ = await store.create("vic", now=NOON, note="n" * 300)
    assert len(token.note) == 200
    with pytest.raises(TwitchAudioError, match="'" + "x" * 50 + "'"):
        await store.revoke("x" * 80, now=NOON)
