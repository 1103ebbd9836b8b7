"""What is written into DynamoDB, its expiry, and races between processes; on emulators that are not moto alone."""

import asyncio
import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import AsyncGenerator, Awaitable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fingerprint.domain.identification import (
    ExternalIds,
    Identification,
    IdentificationId,
    Kind,
    Song,
    Stage,
    Status,
)
from fingerprint.domain.problems import Problem, ProblemCode
from fingerprint.domain.targets import ChannelTarget, ClipTarget, Target
from fingerprint.job_ports import Claimed, Finished
from fingerprint.jobs.dynamodb.client import open_client
from fingerprint.jobs.dynamodb.items import seat_key, song_attributes
from fingerprint.jobs.dynamodb.store import DynamoDbJobStore
from fingerprint.jobs.dynamodb.tables import TableNames
from tests.builders import NOON, song
from tests.emulators import Emulator, create_lasting_tables
from tests.fakes import FakeClock

if TYPE_CHECKING:
    from types_aiobotocore_dynamodb import DynamoDBClient

ROOT = Path(__file__).parents[2]
LEASE = 5.0
CHANNEL = ChannelTarget("somechannel")
CLIP = ClipTarget("AwkwardSlug-x_1")
FULL = Song(
    title="Night Drive",
    artists=("Zoe", "Abel"),
    album="Roads",
    label="Asphalt",
    ids=ExternalIds(
        spotify_track="4uLU6hMCjMI75M1A2tKUQC",
        spotify_artists=("s2", "s1"),
        youtube="dQw4w9WgXcQ",
        deezer_track="3135556",
        deezer_artists=("27",),
    ),
)
ORIGINAL = {
    "Title": {"S": "Night Drive"},
    "Album": {"S": "Roads"},
    "Artists": {"SS": ["Abel", "Zoe"]},
    "Label": {"S": "Asphalt"},
    "SpotifyTrackingId": {"S": "4uLU6hMCjMI75M1A2tKUQC"},
    "SpotifyArtistsId": {"SS": ["s1", "s2"]},
    "YouTubeId": {"S": "dQw4w9WgXcQ"},
    "DeezerTrackId": {"S": "3135556"},
    "DeezerArtistsIds": {"SS": ["27"]},
}


class World:
    """A store with a clock of its own, and the client that reads what it wrote."""

    def __init__(self, client: "DynamoDBClient", names: TableNames, keep: timedelta | None) -> None:
        self.client = client
        self.names = names
        self.clock = FakeClock()
        self.store = DynamoDbJobStore(client, names, clock=self.clock, keep=keep, call_seconds=60)

    async def item(self, table: str, key: str) -> dict[str, Any] | None:
        found: Any = await self.client.get_item(TableName=table, Key={"Id": {"S": key}}, ConsistentRead=True)
        return found.get("Item")

    async def claim(self, target: Target, *, owner: str = "a") -> Claimed:
        work = await self.store.claim(target, owner=owner, now=self.clock.now(), lease_seconds=LEASE)
        assert isinstance(work, Claimed)
        return work

    async def answer(self, target: Target, found: Song | None, **more: Any) -> Identification:
        work = await self.claim(target)
        answer = dataclasses.replace(
            work.identification,
            status=Status.NO_MATCH if found is None else Status.SUCCESSFUL,
            stage=Stage.DONE,
            finished_at=self.clock.now(),
            song=found,
            songs=() if found is None else (found,),
            **more,
        )
        assert await self.store.finish(work.lease, answer)
        return answer


@pytest.fixture(params=["ministack", "dynalite", pytest.param("moto", marks=pytest.mark.nightly)])
def emulator(request: pytest.FixtureRequest) -> Emulator:
    return request.getfixturevalue(request.param)


@pytest.fixture
async def world(emulator: Emulator) -> AsyncGenerator[World]:
    names = TableNames(*emulator.new_names())
    async with open_client(emulator.endpoint, read_seconds=30) as client:
        assert await create_lasting_tables(client, names) == [names.streams, names.clips]
        yield World(client, names, timedelta(days=30))


async def test_items_carry_the_original_services_attributes(world: World) -> None:
    stream = await world.answer(CHANNEL, FULL, score=0.9)
    clip = await world.answer(CLIP, FULL)
    streams, clips = world.names.streams, world.names.clips
    for table, index, name, answer in (
        (streams, "ChannelId", CHANNEL.login, stream),
        (clips, "ClipId", CLIP.slug, clip),
    ):
        item = await world.item(table, answer.id)
        assert item is not None
        item = {key: {"SS": sorted(value["SS"])} if "SS" in value else value for key, value in item.items()}
        expected = {
            **ORIGINAL,
            "Id": {"S": answer.id},
            index: {"S": name},
            "CreatedAt": {"S": "2026-03-01T12:00:00.000000Z"},
            "Status": {"S": "successful"},
        }
        assert {name: item[name] for name in expected} == expected
        others = {"Kind", "Target", "Stage", "StageNumber", "Fence", "FinishedAt", "Answer", "Seat"}
        assert set(item) - set(expected) - {"ExpiresAt"} == others
    # What sets lose, the answer keeps: the order of artists.
    assert await world.store.get(stream.id) == stream


async def test_what_is_empty_is_left_out(world: World) -> None:
    bare = Song(title="x", artists=("", ""), album="", ids=ExternalIds(deezer_artists=("",)))
    assert song_attributes(bare) == {"Title": {"S": "x"}}
    answer = await world.answer(CHANNEL, bare)
    item = await world.item(world.names.streams, answer.id)
    assert item is not None
    assert set(item) & set(ORIGINAL) == {"Title"}
    nothing = await world.answer(CLIP, None)
    item = await world.item(world.names.clips, nothing.id)
    assert item is not None
    assert not set(item) & set(ORIGINAL)


async def test_one_query_lists_a_channels_running_job_and_those_before_it(world: World) -> None:
    await world.answer(CHANNEL, song("One"))
    await world.clock.advance(60)
    await world.answer(CHANNEL, song("Two"))
    await world.clock.advance(60)
    running = await world.claim(CHANNEL)
    found: Any = await world.client.query(
        TableName=world.names.streams,
        IndexName="ByChannel",
        KeyConditionExpression="ChannelId = :channel",
        ExpressionAttributeValues={":channel": {"S": CHANNEL.login}},
        ScanIndexForward=False,
    )
    assert [(item["Status"]["S"], item.get("Title", {}).get("S")) for item in found["Items"]] == [
        ("queued", None),
        ("successful", "Two"),
        ("successful", "One"),
    ]
    assert found["Items"][0]["Id"]["S"] == running.identification.id


async def test_what_the_work_on_a_job_and_looking_at_it_cost_in_calls(world: World) -> None:
    calls: list[str] = []

    def note(model: Any, **_: Any) -> None:
        calls.append(model.name)

    world.client.meta.events.register("before-call.dynamodb", note)

    async def cost(call: Awaitable[object]) -> list[str]:
        calls.clear()
        await call
        return calls.copy()

    clip = await world.answer(CLIP, FULL)
    now = world.clock.now()
    # A clip's answer by its slug, and an identification by its id.
    assert await cost(world.store.answer(CLIP)) == ["GetItem"]
    assert await cost(world.store.get(clip.id)) == ["GetItem"]
    work: list[Claimed] = []

    async def claim() -> None:
        work.append(await world.claim(CHANNEL))

    claiming = await cost(claim())
    assert await cost(world.store.get(work[0].identification.id)) == ["GetItem"]
    # A channel's seat and the job that has it; its history, the running job among it.
    assert await cost(world.store.running(CHANNEL, now=now)) == ["GetItem", "GetItem"]
    assert await cost(world.store.history(CHANNEL.login, limit=50)) == ["Query"]
    # What docs/aws.md reckons with.
    assert claiming == ["GetItem", "UpdateItem", "UpdateItem"]
    assert await cost(world.store.progress(work[0].lease, Stage.CAPTURING)) == ["UpdateItem"]
    assert await cost(world.store.renew(work[0].lease, now=now, lease_seconds=LEASE)) == ["UpdateItem"]
    finished = dataclasses.replace(
        work[0].identification, status=Status.NO_MATCH, stage=Stage.DONE, finished_at=now
    )
    assert sorted(await cost(world.store.finish(work[0].lease, finished))) == ["UpdateItem", "UpdateItem"]


async def test_history_reads_on_past_what_found_nothing(world: World) -> None:
    for minute in range(12):
        await world.answer(CHANNEL, song(f"Song {minute}") if minute % 4 == 0 else None)
        await world.clock.advance(60)
    rows = await world.store.history(CHANNEL.login, limit=3)
    assert [row.song.title for row in rows if row.song] == ["Song 8", "Song 4", "Song 0"]


async def test_items_of_the_original_service_are_read(world: World) -> None:
    item: Any = {
        **ORIGINAL,
        "Id": {"S": "0b0e9f3c-1"},
        "ChannelId": {"S": CHANNEL.login},
        "CreatedAt": {"S": "2024-05-01T10:00:00.000Z"},
        "Status": {"S": "SUCCESSFUL"},
    }
    await world.client.put_item(TableName=world.names.streams, Item=item)
    found = await world.store.get(IdentificationId("0b0e9f3c-1"))
    assert found is not None
    assert (found.kind, found.target, found.status) == (Kind.STREAM, CHANNEL.login, Status.SUCCESSFUL)
    assert found.song == dataclasses.replace(
        FULL, artists=("Abel", "Zoe"), ids=dataclasses.replace(FULL.ids, spotify_artists=("s1", "s2"))
    )


async def test_d8_what_has_expired_is_not_given_though_it_is_still_there(world: World) -> None:
    stream, nothing = await world.answer(CHANNEL, FULL), await world.answer(CLIP, None)
    kept = await world.answer(ClipTarget("Kept"), FULL)
    item = await world.item(world.names.streams, stream.id)
    assert item is not None
    assert int(item["ExpiresAt"]["N"]) == int((NOON + timedelta(days=30)).timestamp())
    await world.clock.advance(timedelta(days=31).total_seconds())
    assert await world.store.get(stream.id) is None
    assert await world.store.get(nothing.id) is None
    assert await world.store.answer(CHANNEL) is None
    assert await world.store.answer(CLIP) is None
    assert await world.store.history(CHANNEL.login, limit=5) == []
    # A song found in a clip stays, and so does the count of fencing tokens.
    assert await world.store.get(kept.id) == kept
    assert await world.store.answer(ClipTarget("Kept")) == kept
    again = await world.claim(CHANNEL)
    assert again.lease.fence == 2
    assert await world.store.answer(CHANNEL) is None


async def test_where_everything_is_kept_targets_without_an_answer_still_leave_nothing_for_long(
    world: World,
) -> None:
    world.store = DynamoDbJobStore(world.client, world.names, clock=world.clock, keep=None, call_seconds=60)

    async def expiries(answer: Identification, target: Target) -> list[datetime | None]:
        table = world.names.clips if isinstance(target, ClipTarget) else world.names.streams
        items = [await world.item(table, key) for key in (answer.id, seat_key(target))]
        times = [None if item is None else item.get("ExpiresAt") for item in items]
        return [None if each is None else datetime.fromtimestamp(int(each["N"]), UTC) for each in times]

    for target, found in ((CHANNEL, None), (ChannelTarget("another"), FULL), (CLIP, FULL)):
        work = await world.claim(target)
        problem = Problem(code=ProblemCode.CHANNEL_NOT_FOUND, detail="There is none.")
        failed = work.identification.failed(problem, world.clock.now())
        assert await world.store.finish(work.lease, failed)
        assert await expiries(failed, target) == [NOON + timedelta(days=7)] * 2
        assert await expiries(await world.answer(target, found), target) == [None, None]


async def test_an_answer_for_a_clip_stays_when_a_later_question_finds_nothing_out(world: World) -> None:
    kept = await world.answer(CLIP, FULL)
    seat = await world.item(world.names.clips, seat_key(CLIP))
    assert seat is not None
    assert "ExpiresAt" not in seat
    result = await world.store.claim(CLIP, owner="b", now=world.clock.now(), lease_seconds=LEASE)
    assert result == Finished(kept)


async def test_seats_are_no_identifications(world: World) -> None:
    await world.answer(CHANNEL, FULL)
    assert await world.store.get(IdentificationId(seat_key(CHANNEL))) is None


RACER = """
import asyncio, json, sys
from datetime import UTC, datetime, timedelta
from fingerprint.clock import SystemClock
from fingerprint.domain.identification import Stage
from fingerprint.domain.targets import ChannelTarget
from fingerprint.jobs.dynamodb.client import open_client
from fingerprint.jobs.dynamodb.store import DynamoDbJobStore
from fingerprint.jobs.dynamodb.tables import TableNames
from fingerprint.job_ports import Claimed

async def main(endpoint, streams, clips, name, rounds):
    noon = datetime(2126, 3, 1, 12, tzinfo=UTC)  # nothing that is written has expired by the clock of this machine
    won = []
    async with open_client(endpoint, read_seconds=30) as client:
        store = DynamoDbJobStore(client, TableNames(streams, clips), clock=SystemClock(), call_seconds=60)
        print("ready", flush=True)
        sys.stdin.readline()
        for number in range(rounds):
            # The lease of the round before is over at the next round's time; all rounds are within a minute.
            now = noon + timedelta(seconds=0.2 * number)
            claims = await asyncio.gather(*(
                store.claim(ChannelTarget("raced"), owner=f"{name}-{task}", now=now, lease_seconds=0.1)
                for task in range(4)))
            won += [(number, claim.lease.fence) for claim in claims if isinstance(claim, Claimed)]
    print(json.dumps(won), flush=True)

asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4], int(sys.argv[5])))
"""


def racer(command: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command,
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},  # noqa: TID251 - handed on, not read
    )


@pytest.mark.parametrize("emulator", ["ministack", "dynalite"], indirect=True)
async def test_d2_of_processes_that_race_for_an_expired_lease_one_wins_each_fencing_token(
    emulator: Emulator, world: World
) -> None:
    rounds, racers = 8, 4
    command = [sys.executable, "-c", RACER, emulator.endpoint, world.names.streams, world.names.clips]
    processes = [racer([*command, f"racer{number}", str(rounds)]) for number in range(racers)]
    try:
        for process in processes:
            assert process.stdout is not None
            assert (await asyncio.to_thread(process.stdout.readline)).strip() == "ready"
        outputs = await asyncio.gather(
            *(asyncio.to_thread(process.communicate, "go\n", 60) for process in processes)
        )
    finally:
        for process in processes:
            process.kill()
            process.wait(10)
    won = [tuple(entry) for out, _ in outputs for entry in json.loads(out)]
    fences = [fence for _, fence in won]
    # No token was given out twice, later moments have higher ones, and no moment had two winners. One may be left
    # out: who won it was so slow that a later moment's winner has begun the job.
    assert len(set(fences)) == len(fences)
    assert [fence for _, fence in sorted(won)] == sorted(fences)
    assert len({number for number, _ in won}) == len(won)
    assert len(won) >= rounds / 3
