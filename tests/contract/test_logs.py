"""What the logs promise, on each database."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from fingerprint.database import Database
from fingerprint.domain.problems import TwitchAudioError
from server.access.identity.api_keys import ApiKeyStore
from server.access.rules.blacklist_kinds import BlacklistKind
from server.access.rules.codes import CodeStore
from server.access.rules.list_store import ListStore
from server.access.rules.store import RulesStore
from server.audit import figures
from server.audit.changes import ChangeLog
from server.audit.entries import AuditEntry, AuditKind, Who
from server.audit.search import AuditFilter, search
from server.audit.store import AuditStore, new_row
from tests.builders import NOON

WHO = Who(id="id:77", name="viewer_vic", address="192.0.2.7")


def entry(number: int = 0, **more: object) -> AuditEntry:
    values: dict[str, object] = {"kind": AuditKind.API, "what": "GET /", "who": WHO, **more}
    return AuditEntry(moment=NOON + timedelta(seconds=number), **values)  # pyright: ignore[reportArgumentType]


async def write(database: Database, *entries: AuditEntry) -> None:
    await AuditStore(database).write([new_row(each) for each in entries])


async def test_an_entry_comes_back_as_it_was_written(database: Database) -> None:
    whole = entry(
        kind=AuditKind.CHANGE, what="set", subject="🎺", code="busy", status=503, ms=1.25,
        before="a", after="b", request_id="0123456789abcdef",
    )  # fmt: skip
    await write(database, whole)
    assert list(await AuditStore(database).read(AuditFilter())) == [whole]


async def test_whatever_a_client_sent_fits(database: Database) -> None:
    hostile = "x\x00\x1b[31m\u202e\ud800'\"; DROP TABLE log_entries; --\r\n" + "y" * 100_000
    who = Who(id=hostile, name=hostile, address=hostile)
    await write(
        database,
        entry(
            who=who, what=hostile, subject=hostile, code=hostile, before=hostile, after=hostile, request_id=hostile
        ),
    )
    [read] = await AuditStore(database).read(AuditFilter())
    assert read.subject is not None
    assert len(read.subject) == 200
    assert read.subject.startswith("x [31m")


async def test_entries_are_found_by_what_is_known_of_them_newest_first(database: Database) -> None:
    other = Who(id="key:abc", name="a bot", address="2001:db8::1")
    entries = [
        entry(0),
        entry(1, kind=AuditKind.REFUSAL, code="blacklisted", subject="one"),
        entry(2, who=other, subject="two"),
        entry(3, kind=AuditKind.REFUSAL, who=other),
    ]
    await write(database, *entries)
    store = AuditStore(database)

    async def found(**chosen: object) -> list[int]:
        read = await store.read(AuditFilter(**chosen))  # pyright: ignore[reportArgumentType]
        return [entries.index(each) for each in read]

    assert await found() == [3, 2, 1, 0]
    assert await found(limit=2) == [3, 2]
    assert await found(kinds=[AuditKind.REFUSAL]) == [3, 1]
    assert await found(who="viewer_vic") == [1, 0]
    assert await found(who="key:abc") == [3, 2]
    assert await found(address="2001:db8::1") == [3, 2]
    assert await found(subject="two") == [2]
    assert await found(code="blacklisted") == [1]
    assert await found(since=NOON + timedelta(seconds=1), until=NOON + timedelta(seconds=3)) == [2, 1]
    assert await found(kinds=[AuditKind.REFUSAL], who="a bot") == [3]


async def test_a_batch_whose_reply_was_lost_is_not_written_twice(database: Database) -> None:
    rows = [new_row(entry(number)) for number in range(3)]
    store = AuditStore(database)
    await store.write(rows)
    await store.write(rows, again=True)
    other = [new_row(entry(number)) for number in range(3)]
    await store.write(other, again=True)
    assert len(await store.read(AuditFilter())) == 6


async def test_old_entries_are_forgotten(database: Database) -> None:
    await write(database, *(entry(number) for number in range(700)))
    store, before = AuditStore(database), NOON + timedelta(seconds=600)
    deleted = [await store.delete_old_entries(before) for _ in range(4)]
    assert deleted == [250, 250, 100, 0]
    assert len(await store.read(AuditFilter(limit=10_000))) == 100


async def test_entries_of_one_moment_are_counted_across_steps(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.audit.store._COUNT_CHUNK", 7)
    await write(database, *MANY)
    assert await AuditStore(database).count() == len(MANY)
    assert await AuditStore(database).delete_oldest(10) == 10
    kept = await AuditStore(database).read(AuditFilter(kinds=[AuditKind.CHANGE]))
    assert len(kept) == 20, "what operators changed goes last"


async def test_old_addresses_are_cut_to_their_network_and_still_found(database: Database) -> None:
    six = Who(address="2001:db8:1:2:3::4")
    await write(database, *(entry(number) for number in range(1_200)), entry(1_201, who=six), entry(1_300))
    store, before = AuditStore(database), NOON + timedelta(seconds=1_250)
    while await store.truncate_old_addresses(before):
        pass
    read = await store.read(AuditFilter(limit=10_000))
    assert [each.who.address for each in read[:3]] == ["192.0.2.7", "2001:db8:1::/48", "192.0.2.0/24"]
    assert {each.who.address for each in read[2:]} == {"192.0.2.0/24"}
    assert len(await store.read(AuditFilter(address="192.0.2.7", limit=10_000))) == 1_201


# --- Changes ------------------------------------------------------------------------------------------


async def changes(database: Database) -> list[tuple[str, str | None, str | None, str | None]]:
    read = await AuditStore(database).read(AuditFilter(kinds=[AuditKind.CHANGE]))
    assert {each.who for each in read} <= {WHO}
    return [(each.what, each.subject, each.before, each.after) for each in reversed(read)]


async def test_every_change_of_a_rule_is_recorded_with_who_made_it(database: Database) -> None:
    log = ChangeLog(WHO)
    await RulesStore(database, changes=log).set_website("motd", "Hello")
    await RulesStore(database, changes=log).set_website("motd", "Bye")
    lists = ListStore(database, changes=log)
    await lists.block(BlacklistKind.CHANNEL, "SomeChannel", reason="loud", now=NOON)
    await lists.unblock(BlacklistKind.CHANNEL, "somechannel")
    await lists.allow("somebody", note="", now=NOON)
    await lists.disallow("somebody")
    keys = ApiKeyStore(database, changes=log)
    key, secret = await keys.create("a bot", now=NOON, per_day=9)
    await keys.revoke(key.id, NOON)
    await keys.revoke(key.id, NOON)
    codes = CodeStore(database, changes=log)
    code_id, code = await codes.create(now=NOON, note="a friend", most_uses=2)
    await codes.redeem(code.reveal(), "77", NOON)
    await codes.revoke(code_id, NOON)
    recorded = await changes(database)
    assert recorded == [
        ("set website setting", "motd", "", "Hello"),
        ("set website setting", "motd", "Hello", "Bye"),
        ("add to blacklist", "channel somechannel", None, "loud"),
        ("remove from blacklist", "channel somechannel", "loud", None),
        ("add to whitelist", "somebody", None, ""),
        ("remove from whitelist", "somebody", "", None),
        ("create API key", key.id, None, "a bot, clips+streams, 9 a day"),
        ("revoke API key", key.id, "a bot, clips+streams, 9 a day", None),
        ("create access code", code_id, None, "2 uses: a friend"),
        ("revoke access code", code_id, "used 1 of 2: a friend", None),
    ]
    assert secret.reveal() not in str(recorded)
    assert code.reveal() not in str(recorded)


async def test_a_change_that_fails_leaves_no_record(database: Database) -> None:
    lists = ListStore(database, changes=ChangeLog(WHO))
    await lists.allow("somebody", note="", now=NOON)
    for failing in (lists.allow("somebody", note="", now=NOON), lists.disallow("nobody")):
        with pytest.raises(TwitchAudioError):
            await failing
    assert len(await changes(database)) == 1


async def test_answers_and_refusals_are_counted_by_day_also_when_servers_write_at_once(database: Database) -> None:
    answers = [entry(n, kind=AuditKind.ANSWER, what="stream successful", ms=240.0) for n in range(3)]
    nothing = entry(kind=AuditKind.ANSWER, what="clip no_match", ms=2_400.0)
    refused = entry(kind=AuditKind.REFUSAL, what="stream", code="rate-limited")
    tomorrow = entry(86_400, kind=AuditKind.ANSWER, what="clip no_match")
    await write(database, *answers, entry(), refused)
    await asyncio.gather(*(write(database, nothing, refused, tomorrow) for _ in range(5)))
    today = NOON.date()
    assert await figures.read(database, today) == {
        (today, "answer successful"): 3,
        (today, "answer no_match"): 5,
        (today, "latency 300"): 3,
        (today, "latency 3000"): 5,
        (today, "refusal rate-limited"): 6,
        (today + timedelta(days=1), "answer no_match"): 5,
    }
    assert set(await figures.read(database, today + timedelta(days=1))) == {
        (today + timedelta(days=1), "answer no_match")
    }


async def test_a_batch_that_is_written_again_counts_once(database: Database) -> None:
    rows = [new_row(entry(kind=AuditKind.ANSWER, what="stream successful"))]
    await AuditStore(database).write(rows)
    await AuditStore(database).write(rows, again=True)
    assert await figures.read(database, NOON.date()) == {(NOON.date(), "answer successful"): 1}


async def test_the_oldest_entries_that_clients_caused_are_dropped_first(database: Database) -> None:
    changes = [entry(number, kind=AuditKind.CHANGE, what=f"change {number}") for number in range(2)]
    await write(database, *changes, *(entry(10 + number) for number in range(8)))
    store = AuditStore(database)
    assert await store.count() == 10
    assert await store.delete_oldest(3) == 3
    left = await store.read(AuditFilter())
    assert [each.moment for each in left] == [
        each.moment for each in [*(entry(n) for n in range(17, 12, -1)), *changes[::-1]]
    ]
    assert await store.delete_oldest(100) == 5
    assert await store.delete_oldest(1) == 1
    assert [each.what for each in await store.read(AuditFilter())] == ["change 1"]


KINDS = (AuditKind.API, AuditKind.CHANGE, AuditKind.REFUSAL)
MANY = [
    # Several at each moment, as those of one batch may be.
    entry(
        number // 5,
        kind=KINDS[number % 3],
        subject=f"channel{number % 4}" if number % 2 else None,
        code="busy" if number % 7 == 0 else None,
        who=Who(id=f"id:{number % 2}", name=f"viewer{number % 2}", address=f"192.0.2.{number % 3}"),
    )
    for number in range(60)
]


def matches(chosen: AuditFilter, each: AuditEntry) -> bool:
    """What a filter selects, in the simplest words."""
    return (
        (not chosen.kinds or each.kind in chosen.kinds)
        and chosen.who in (None, each.who.id, each.who.name)
        and chosen.address in (None, each.who.address)
        and chosen.subject in (None, each.subject)
        and chosen.code in (None, each.code)
        and (chosen.since is None or each.moment >= chosen.since)
        and (chosen.until is None or each.moment < chosen.until)
    )


FILTERS = [
    AuditFilter(),
    AuditFilter(kinds=KINDS[:2]),
    AuditFilter(subject="channel3"),
    AuditFilter(code="busy", who="id:0"),
    AuditFilter(who="viewer1", kinds=KINDS[1:], subject="channel1"),
    AuditFilter(who="viewer0", subject="channel1"),
    AuditFilter(
        address="192.0.2.1", since=NOON + timedelta(seconds=2), until=NOON + timedelta(seconds=9), code="busy"
    ),
]


async def test_pages_of_a_search_in_a_hurry_show_each_entry_once_in_order(database: Database) -> None:
    await write(database, *MANY)
    for chosen in FILTERS:
        page = await search(database, replace(chosen, limit=3), seconds=0)
        seen = list(page.entries)
        while page.next is not None:
            assert len(page.entries) == 3 or page.searched_to is not None
            page = await search(database, replace(chosen, limit=3, before=page.next), seconds=0)
            seen += page.entries
        assert sorted(seen, key=str) == sorted((each for each in MANY if matches(chosen, each)), key=str), chosen
        assert [each.moment for each in seen] == sorted((each.moment for each in seen), reverse=True)
        assert await AuditStore(database).read(replace(chosen, limit=60)) == seen
