"""What the evidence of the learned catalog promises on each database: bounded, shared, forgotten when asked."""

from datetime import timedelta

import pytest

from fingerprint.catalog.learning import CaptureOrigin, SongCapture
from fingerprint.database import Database
from fingerprint.domain.channel_traces import ChannelTraces, UsedName
from fingerprint.domain.identification import ExternalIds, IdentificationId, Kind, Song
from server.learning import store as learned_store
from server.learning.store import LearnedStore, NewCapture, forget_learned, learned_key
from tests.builders import NOON, song

KEY = "isrc:ZZN992100042"


@pytest.fixture
def store(database: Database) -> LearnedStore:
    return LearnedStore(database, max_bytes=1 << 20)


async def add(
    store: LearnedStore,
    name: str,
    channel: str = "a",
    *,
    after: float = 0.0,
    offset: float = 10.0,
    isrc: str = "ZZN992100042",
    content: bytes = b"\x00\xffpeaks",
) -> None:
    capture = SongCapture(
        fingerprint=content,
        offset_seconds=offset,
        origin=CaptureOrigin(channel=channel, channel_id=f"id-{channel}", song_began=NOON.timestamp()),
    )
    new = NewCapture(
        identification_id=IdentificationId(name),
        number=0,
        kind=Kind.STREAM,
        target=channel,
        song=song("Paper Lanterns", isrc=isrc),
        capture=capture,
        seconds=6.0,
    )
    await store.add(new, now=NOON + timedelta(seconds=after))


async def names(store: LearnedStore, key: str = KEY) -> list[str | None]:
    known = await store.song(key)
    return [] if known is None else [capture.origin.channel for capture in known.captures]


async def test_a_song_is_a_candidate_once_two_channels_have_it(store: LearnedStore) -> None:
    await add(store, "1")
    await add(store, "2", after=1)
    before = await store.state()
    assert await store.candidates() == {}
    await add(store, "3", "b", after=2)
    assert list(await store.candidates()) == [KEY]
    after = await store.state()
    assert after.version > before.version
    known = await store.song(KEY)
    assert known is not None
    assert known.song == song("Paper Lanterns", isrc="ZZN992100042")
    assert [(each.origin.channel, each.offset_seconds, each.fingerprint) for each in known.captures] == [
        ("a", 10.0, b"\x00\xffpeaks"), ("a", 10.0, b"\x00\xffpeaks"), ("b", 10.0, b"\x00\xffpeaks")
    ]  # fmt: skip
    assert known.captures[0].origin.song_began == NOON.timestamp()
    await add(store, "3", "b", after=3)
    assert await store.state() == after, "told twice"


async def test_each_change_has_a_version_of_its_own_whatever_the_clock_says(store: LearnedStore) -> None:
    versions: list[int] = []
    for number, after in enumerate((100.0, 0.0, 50.0)):
        await add(store, str(number), after=after)
        versions.append((await store.state()).version)
    assert versions == sorted(set(versions))


async def test_there_is_a_bound_for_a_place_a_song_and_all_together(
    store: LearnedStore, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(learned_store, "MAX_CAPTURES_AT_A_PLACE", 2)
    monkeypatch.setattr(learned_store, "MAX_CAPTURES_OF_A_SONG", 3)
    for number in range(3):
        await add(store, f"here-{number}", f"c{number}", after=number)
    assert await names(store) == ["c1", "c2"], "the oldest made room"
    for number in range(3):
        await add(store, f"there-{number}", f"d{number}", after=10 + number, offset=100.0 + 20 * number)
    assert await names(store) == ["d0", "d1", "d2"]
    small = LearnedStore(database, max_bytes=4_000)
    for number in range(4):
        isrc = f"ZZN99210010{number}"
        await add(small, f"much-{number}", after=20 + number, isrc=isrc, content=b"x" * 1_200)
    captures, size = await small.size()
    assert size <= 4_000
    assert captures == 2
    assert await names(small) == [], "its captures were the oldest"


async def test_what_is_forgotten_is_gone_at_once(store: LearnedStore, database: Database) -> None:
    for number, channel in enumerate("abcd"):
        await add(store, channel, channel, after=number, offset=10.0 + number)
    await add(store, "else", "a", after=5, isrc="ZZN992100099")
    before = await store.state()
    assert await store.forget_answers([IdentificationId("b")], now=NOON) == 1
    assert await names(store) == ["a", "c", "d"]
    assert (await store.state()).version > before.version
    traces = ChannelTraces(
        channel_id="id-c", names=(UsedName(login="c", since=NOON),), slugs=frozenset(), videos=frozenset()
    )
    assert await database.transact(lambda connection: forget_learned(connection, traces, ["c"], now=NOON)) == 1
    assert await names(store) == ["a", "d"]
    assert await store.forget_stretch(KEY, 0.0, 9.0, now=NOON) == 0
    assert await store.forget_stretch(KEY, 15.0, 16.5, now=NOON) == 2
    assert await store.song(KEY) is None
    assert await names(store, "isrc:ZZN992100099") == ["a"]
    assert await store.forget_songs(["isrc:ZZN992100099", "isrc:unknown"], now=NOON) == 1
    assert (await store.state()).songs == 0


async def test_old_captures_are_deleted(store: LearnedStore) -> None:
    for number in range(3):
        await add(store, str(number), f"c{number}", after=number)
    await store.delete_old(before=NOON + timedelta(seconds=2), now=NOON + timedelta(days=1))
    assert await names(store) == ["c2"]
    assert await store.candidates() == {}


SPOTIFY = ExternalIds(spotify_track="A" * 22)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (song("A", isrc="zzn992100042"), song("B", isrc="ZZN992100042"), True),
        (song("A", ids=SPOTIFY), song("B", ids=SPOTIFY), True),
        (song("Paper Lanterns"), song("paper lanterns (feat. Dax)"), True),
        (song("Paper Lanterns"), song("Paper Lanterns (Dax Remix)"), False),
        (song("Paper Lanterns"), song("Paper Lanterns", "Mira Holt"), False),
    ],
)
def test_a_key_tells_recordings_apart(one: Song, other: Song, same: bool) -> None:
    assert (learned_key(one) == learned_key(other)) is same
    assert len(learned_key(song("x" * 5_000, "y" * 5_000))) <= 100
