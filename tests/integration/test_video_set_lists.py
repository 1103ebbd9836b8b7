"""Set lists of whole VODs over HTTP: a real server and database, and a recording that is listened to in steps."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from aiohttp import ClientSession
from yarl import URL

from fingerprint.clock import SystemClock
from fingerprint.database import Database, open_database
from fingerprint.domain.broadcasts import Broadcast
from fingerprint.domain.identification import ExternalIds
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.domain.targets import ClipTarget, Target, VideoTarget
from fingerprint.domain.tracklist import HeardPiece, Tracklist
from fingerprint.heard_before import HeardInAnswers
from fingerprint.jobs.dynamodb.client import open_client
from fingerprint.jobs.dynamodb.tables import TableNames, create_tables
from fingerprint.ports import ClipSource, MediaSource, VideoSource
from fingerprint.upstream_settings import DynamoDbSettings
from fingerprint.whole import WholeRecordings
from server.channels.video_set_list import SetListStatus, VideoSetList
from server.channels.video_set_list_store import SetListLimits, VideoSetListStore
from server.channels.video_set_lists import CheckVideo, VideoSetLists, WorkLimits
from server.observability import Metrics
from tests.api_client import CLIP, ask, assert_problem, bot_headers, open_api
from tests.builders import NOON, song
from tests.databases import migrated_database
from tests.emulators import Emulator
from tests.fakes import FakeClock, FakePipeline, MemoryJobStore
from tests.integration.test_api_document import Checker

VIDEO = "2210987009"
SET_LIST = f"/api/v1/videos/{VIDEO}/set-list"
PATH = "/api/v1/videos/{id}/set-list"
EVIL = '=1+1"\nINDEX 01 00:00:00'


def now() -> datetime:
    return datetime.now(UTC)


class SteppedRecording:
    """A VOD of five minutes, listened to one minute at a time; `steps` lets so many be heard.

    `errors`: what keeps it from going on, once each, at a second of the VOD.
    """

    def __init__(self) -> None:
        self.steps = asyncio.Semaphore(0)
        self.begun_at: list[float] = []
        self.errors: dict[float, TwitchAudioError] = {}
        self.growing = False

    async def unavailable_reason(self) -> str | None:
        return None

    async def listen(self, target: VideoTarget, so_far: Tracklist, **_limits: object) -> AsyncGenerator[Tracklist]:
        assert target.video_id == VIDEO
        self.begun_at.append(so_far.position)
        found = replace(so_far, duration=300.0, broadcast="41", channel="somechannel", growing=self.growing)
        yield found
        while found.position < 300.0:
            if (error := self.errors.pop(found.position, None)) is not None:
                raise error
            await self.steps.acquire()
            start = found.position
            if start == 120.0:
                found = found.without_sound(180.0, muted=True)
            else:
                title = EVIL if start == 60.0 else f"Song {start:.0f}"
                heard = HeardPiece(
                    start=start + 5,
                    end=start + 55,
                    song=song(title, offset_seconds=10.0, ids=ExternalIds(youtube=f"video{start:06.0f}")),
                    score=0.99,
                    recognizer="catalog",
                )
                found = found.after(start + 60.0, [heard], captured_seconds=60.0)
            yield found


@pytest.fixture
def recording() -> SteppedRecording:
    return SteppedRecording()


@pytest.fixture
def parts(recording: SteppedRecording) -> FakePipeline:
    parts = FakePipeline(SystemClock())
    parts.pipeline.whole = recording  # pyright: ignore[reportAttributeAccessIssue] - as far as it is used
    return parts


async def until_it_is(api: ClientSession, status: str, songs: int = 0) -> Any:
    async with asyncio.timeout(30):
        while True:
            async with api.get(SET_LIST) as answer:
                found = await answer.json()
            if answer.status == 200 and found["status"] == status and len(found["songs"]) >= songs:
                return found
            await asyncio.sleep(0.05)


async def test_a_set_list_is_made_step_by_step(
    api: ClientSession, database: Database, recording: SteppedRecording
) -> None:
    check = Checker(await (await api.get("/api/v1/openapi.json")).json())
    await assert_problem(await api.get(SET_LIST), ProblemCode.NOT_FOUND, 404)
    await assert_problem(await api.post(SET_LIST), ProblemCode.LOGIN_REQUIRED, 401)
    await assert_problem(
        await api.post(SET_LIST, headers=await bot_headers(database, "streams")), ProblemCode.FORBIDDEN, 403
    )
    watcher = await bot_headers(database, "watch")
    await assert_problem(
        await api.post("/api/v1/videos/none/set-list", headers=watcher), ProblemCode.INVALID_INPUT, 400
    )
    await assert_problem(await api.delete(SET_LIST, headers=watcher), ProblemCode.NOT_FOUND, 404)

    async with api.post(SET_LIST, headers=watcher) as answer:
        assert (answer.status, answer.headers["Location"]) == (202, SET_LIST)
        await check.check(answer, PATH)
    async with api.post(SET_LIST, headers=watcher) as answer:
        assert answer.status == 202
    for _ in range(5):
        recording.steps.release()
    found = await until_it_is(api, "successful")
    await check.check(await api.get(SET_LIST), PATH)
    assert recording.begun_at == [0.0]
    assert (found["progress"], found["duration"], found["muted"]) == (1.0, 300.0, [{"start": 120.0, "end": 180.0}])
    assert [each["start"] for each in found["songs"]] == [5.0, 65.0, 185.0, 245.0]
    assert found["songs"][1]["link"] == f"https://www.twitch.tv/videos/{VIDEO}?t=0h1m5s"
    async with api.post(SET_LIST, headers=watcher) as answer:
        assert (answer.status, (await answer.json())["status"]) == (200, "successful")

    expected = {
        "csv": ("text/csv", "'=1+1"),
        "json": ("application/json", '"successful"'),
        "m3u8": ("application/vnd.apple.mpegurl", "# The Builders - Song 0: no preview\n"),
        "m3u": ("audio/x-mpegurl", "#EXTINF:50,The Builders - Song 0\n"),
        "cue": ("application/x-cue", "=1+1' INDEX 01 00:00:00"),
        "chapters.txt": ("text/plain", "0:00 The Builders - Song 0\n1:05 "),
        "youtube.txt": (
            "text/plain",
            "watch_videos?video_ids=video000000,video000060,video000180,video000240\n"
            "https://www.youtube.com/watch?v=video000000\n",
        ),
        "spotify.txt": ("text/plain", ""),
    }
    for ending, (media_type, text) in expected.items():
        async with api.get(f"{SET_LIST}.{ending}") as answer:
            assert (answer.status, answer.content_type) == (200, media_type)
            assert f'filename="set-list-{VIDEO}.{ending}"' in answer.headers["Content-Disposition"]
            assert text in await answer.text()
    assert (await api.get(f"{SET_LIST}.exe")).status == 404

    async with api.get(f"/videos/{VIDEO}", headers={"Accept": "text/html"}) as page:
        text = await page.text()
        assert "Muted by Twitch: 2:00 to 3:00" in text
        assert "Song 240" in text
        assert f"{SET_LIST}.cue" in text
        assert "YouTube links" in text
        assert "Spotify links" not in text
        assert "<button" not in text.partition("<main")[2]


async def test_a_cancelled_one_keeps_what_it_found_and_goes_on_from_there(
    api: ClientSession, database: Database, recording: SteppedRecording
) -> None:
    watcher = await bot_headers(database, "watch")
    await api.post(SET_LIST, headers=watcher)
    await until_it_is(api, "running")
    assert (await api.delete(SET_LIST)).status == 401
    assert (await api.delete(SET_LIST, headers=watcher)).status == 204
    assert (await until_it_is(api, "cancelled"))["problem"] is None
    await api.post(SET_LIST, headers=watcher)
    for _ in range(10):
        recording.steps.release()
    assert len((await until_it_is(api, "successful"))["songs"]) == 4


@pytest.fixture(params=["sql", "dynamodb"])
async def jobs(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Settings of the pipeline: where jobs are."""
    if request.param == "sql":
        return {}
    emulator = cast("Emulator", request.getfixturevalue("ministack"))
    streams, clips = emulator.new_names()
    tables = DynamoDbSettings(endpoint=emulator.endpoint, stream_table=streams, clip_table=clips)
    async with open_client(emulator.endpoint) as client:
        await create_tables(client, TableNames(streams, clips))
    return {"jobs": "dynamodb", "dynamodb": tables}


async def test_another_server_goes_on_where_one_was_stopped_and_answers_from_it(
    address: str, parts: FakePipeline, recording: SteppedRecording, tmp_path: Path, jobs: dict[str, Any]
) -> None:
    async def resolve(target: Target) -> MediaSource:
        began = Broadcast(id="41", started_at=NOON)
        if isinstance(target, ClipTarget):
            url = URL("https://clips.example/a.mp4")
            return ClipSource(url=url, duration_seconds=20.0, broadcast=began, offset_seconds=193.0)
        assert isinstance(target, VideoTarget)
        return VideoSource(
            video_id=VIDEO, playlist=URL("https://vod.example/"), at_seconds=target.at_seconds, broadcast=began
        )

    parts.resolver.resolve = resolve
    async with AsyncExitStack() as stack:
        async with open_api(parts, tmp_path, database_url=address, pipeline=jobs) as first:
            database = await stack.enter_async_context(open_database(address))
            await first.post(SET_LIST, headers=await bot_headers(database, "watch"))
            await until_it_is(first, "running")
            for _ in range(2):
                recording.steps.release()
            async with asyncio.timeout(30):
                while not recording.steps.locked():  # noqa: ASYNC110 - until both were heard
                    await asyncio.sleep(0.05)
        async with open_api(parts, tmp_path, database_url=address, pipeline=jobs) as second:
            for _ in range(5):
                recording.steps.release()
            found = await until_it_is(second, "successful")
            known = await (await ask(second, {"video": VIDEO, "at": 20.0}, wait=30)).json()
            clip = await (await ask(second, CLIP, wait=30)).json()
            unknown = await (await ask(second, {"video": VIDEO, "at": 130.0}, wait=30)).json()
            async with second.get(f"/?id={known['id']}", headers={"Accept": "text/html"}) as page:
                assert f'href="/videos/{VIDEO}"' in await page.text()
    assert (known["heard"], known["captured_seconds"], known["song"]["title"]) == ("video", None, "Song 0")
    assert (known["song"]["offset"], known["moment"]["seconds"]) == (25.0, 20.0)
    assert (clip["heard"], clip["captured_seconds"], clip["song"]["title"]) == ("video", None, "Song 180")
    assert (unknown["heard"], unknown["captured_seconds"]) == ("video", 6.0), "it was muted, so it is listened to"
    assert len(recording.begun_at) == 2
    assert recording.begun_at[1] >= 60.0
    assert [each["start"] for each in found["songs"]] == [5.0, 65.0, 185.0, 245.0]


async def test_a_vod_that_is_still_recorded_is_gone_on_with(
    api: ClientSession, database: Database, recording: SteppedRecording
) -> None:
    recording.growing = True
    watcher = await bot_headers(database, "watch")
    await api.post(SET_LIST, headers=watcher)
    for _ in range(5):
        recording.steps.release()
    found = await until_it_is(api, "successful")
    assert found["growing"]
    async with api.get(SET_LIST) as answer:
        tag = answer.headers["ETag"]
    for address in (SET_LIST, f"{SET_LIST}.csv", f"{SET_LIST}.json"):
        async with api.get(address) as answer:
            own = answer.headers["ETag"]
        async with api.get(address, headers={"If-None-Match": own}) as answer:
            assert (answer.status, await answer.read()) == (304, b"")
    recording.growing = False
    async with api.post(SET_LIST, headers=watcher) as answer:
        assert answer.status == 202
    async with api.get(SET_LIST, headers={"If-None-Match": tag}) as answer:
        assert answer.status == 200
    found = await until_it_is(api, "successful")
    assert not found["growing"]
    assert recording.begun_at == [0.0, 300.0]


@pytest.mark.parametrize("code", [ProblemCode.VIDEO_NOT_FOUND, ProblemCode.RESTRICTED_STREAM])
async def test_what_keeps_it_from_the_end_is_told_and_the_songs_up_to_there_stay(
    api: ClientSession, database: Database, recording: SteppedRecording, code: ProblemCode
) -> None:
    recording.errors[120.0] = TwitchAudioError(code, "It is gone.")
    watcher = await bot_headers(database, "watch")
    for _ in range(2):
        recording.steps.release()
    await api.post(SET_LIST, headers=watcher)
    found = await until_it_is(api, "failed")
    assert (found["problem"]["code"], found["position"]) == (code, 120.0)
    assert [each["start"] for each in found["songs"]] == [5.0, 65.0]
    assert "Song 0" in await (await api.get(f"{SET_LIST}.chapters.txt")).text()
    # When it is there again, it goes on from there.
    for _ in range(3):
        recording.steps.release()
    assert (await api.post(SET_LIST, headers=watcher)).status == 202
    assert len((await until_it_is(api, "successful"))["songs"]) == 4
    assert recording.begun_at == [0.0, 120.0]


@pytest.fixture
async def store(address: str) -> AsyncGenerator[VideoSetListStore]:
    """The store without a server, which would take what waits."""
    async with migrated_database(address) as database:
        yield VideoSetListStore(database)


async def test_leases_and_limits(store: VideoSetListStore) -> None:
    terms: dict[str, Any] = {"made_by": "user:1", "channel_id": None, "limits": SetListLimits(per_person=1)}
    await store.start("1", now=now(), **terms)
    with pytest.raises(TwitchAudioError) as refused:
        await store.start("2", now=now(), **terms)
    assert refused.value.code is ProblemCode.RATE_LIMITED
    later = now() + timedelta(hours=1)
    killed = await store.take(owner="a", now=later, lease_seconds=60)
    assert killed is not None
    assert await store.take(owner="b", now=later, lease_seconds=60) is None
    heard = Tracklist(position=40.0, captured_seconds=7200.0)
    assert await store.save(killed, heard, now=later, lease_seconds=60)
    over = later + timedelta(seconds=61)
    taken = await store.take(owner="b", now=over, lease_seconds=60)
    assert taken is not None
    assert taken.tracklist == heard
    assert not await store.save(killed, Tracklist(), now=over, lease_seconds=60)
    assert not await store.finish(killed, Tracklist(), now=over)
    assert await store.finish(taken, heard, now=over)
    made = await store.get("1")
    assert made is not None
    assert (made.status, made.tracklist) == (SetListStatus.SUCCESSFUL, heard)
    used_up: dict[str, Any] = {**terms, "limits": SetListLimits(hours_a_day=2)}
    with pytest.raises(TwitchAudioError) as refused:
        await store.start("3", now=now(), **used_up)
    assert refused.value.code is ProblemCode.RATE_LIMITED
    three_hours: dict[str, Any] = {**terms, "limits": SetListLimits(hours_a_day=3)}
    # Who has one VOD listened to over and over uses the day up as well.
    again = await store.start("1", now=now(), again=True, **three_hours)
    assert (again.tracklist.position, again.tracklist.captured_seconds) == (0.0, 0.0)
    half = await store.take(owner="b", now=over, lease_seconds=60)
    assert half is not None
    heard = replace(half.tracklist, position=20.0, captured_seconds=3600.0)
    assert await store.finish(half, heard, now=over)
    with pytest.raises(TwitchAudioError) as refused:
        await store.start("1", now=now(), again=True, **three_hours)
    assert refused.value.code is ProblemCode.RATE_LIMITED
    tomorrow = now() + timedelta(days=2)
    fresh = await store.start("1", now=tomorrow, again=True, **used_up)
    assert fresh.tracklist == Tracklist()


@pytest.mark.parametrize(
    ("code", "status", "position"),
    [
        (None, SetListStatus.SUCCESSFUL, 300.0),
        (ProblemCode.MAINTENANCE, SetListStatus.SUCCESSFUL, 300.0),
        (ProblemCode.INACTIVE, SetListStatus.SUCCESSFUL, 300.0),
        (ProblemCode.STREAMS_DISABLED, SetListStatus.SUCCESSFUL, 300.0),
        (ProblemCode.BLACKLISTED, SetListStatus.FAILED, 0.0),
    ],
)
async def test_what_the_operator_switches_off_meanwhile_waits_and_what_is_blocked_ends(
    store: VideoSetListStore,
    recording: SteppedRecording,
    code: ProblemCode | None,
    status: SetListStatus,
    position: float,
) -> None:
    refusals = [None, *[code] * 7]
    heard: set[float] = set()

    async def check(target: VideoTarget) -> None:
        refused = refusals.pop(0) if refusals else None
        if refused is not None:
            job = await store.get(target.video_id)
            assert job is not None
            heard.add(job.tracklist.position)
            raise TwitchAudioError(refused, "It is off.")

    made = await _made(store, recording, check)
    assert (made.status, made.tracklist.position) == (status, position)
    assert heard == (set() if code is None else {0.0}), "nothing is listened to while it is off"


async def _allowed(target: VideoTarget) -> None:
    """Nothing is blocked or switched off."""


async def test_recognizers_that_cannot_answer_for_a_moment_end_nothing(
    store: VideoSetListStore, recording: SteppedRecording
) -> None:
    recording.errors[60.0] = TwitchAudioError(ProblemCode.RECOGNIZER_UNAVAILABLE, "It did not answer in time.")
    made = await _made(store, recording, _allowed)
    assert (made.status, recording.begun_at) == (SetListStatus.SUCCESSFUL, [0.0, 60.0])


@pytest.mark.parametrize(
    ("made_by", "channel_id", "status"),
    [
        ("key:1", None, SetListStatus.FAILED),
        ("user:1", "41", SetListStatus.FAILED),
        ("user:1", None, SetListStatus.SUCCESSFUL),
    ],
    ids=["key", "owner", "operator"],
)
async def test_several_at_once_do_not_reach_beyond_the_hours_of_a_day(
    store: VideoSetListStore,
    recording: SteppedRecording,
    made_by: str,
    channel_id: str | None,
    status: SetListStatus,
) -> None:
    terms: dict[str, Any] = {"made_by": made_by, "channel_id": channel_id}
    await store.start("1", now=now(), limits=SetListLimits(hours_a_day=2), **terms)
    other = await store.take(owner="elsewhere", now=now(), lease_seconds=6000)
    assert other is not None
    assert await store.save(other, Tracklist(captured_seconds=7080.0), now=now(), lease_seconds=6000)
    made = await _made(store, recording, _allowed, hours_a_day=2, **terms)
    assert made.status is status
    if status is SetListStatus.FAILED:
        assert made.problem is not None
        assert (made.problem.code, made.tracklist.position) == (ProblemCode.RATE_LIMITED, 120.0)
        assert len(made.tracklist.songs) == 2, "what was found stays"
        # The next day has hours of its own, and it goes on where it was.
        later = now() + timedelta(days=1, minutes=10)
        again = await _made(store, recording, _allowed, hours_a_day=2, at=later, **terms)
        assert (again.status, recording.begun_at) == (SetListStatus.SUCCESSFUL, [0.0, 120.0])


async def _made(
    store: VideoSetListStore,
    recording: SteppedRecording,
    check: CheckVideo,
    *,
    hours_a_day: int | None = None,
    made_by: str = "user:1",
    channel_id: str | None = None,
    at: datetime | None = None,
) -> VideoSetList:
    """A set list that was worked on to its end, as fast as it goes."""
    clock = FakeClock(at or now())
    terms: dict[str, Any] = {"made_by": made_by, "channel_id": channel_id, "limits": SetListLimits()}
    await store.start(VIDEO, now=clock.now(), **terms)
    for _ in range(5):
        recording.steps.release()
    lists = VideoSetLists(
        store,
        whole=cast("WholeRecordings", recording),
        heard_before=HeardInAnswers(MemoryJobStore()),
        check=check,
        clock=clock,
        owner="a",
        metrics=Metrics(),
        limits=WorkLimits(save_seconds=0.0, hours_a_day=hours_a_day),
    )
    async with lists, asyncio.timeout(30):
        while (made := await store.get(VIDEO)) is None or not made.status.finished:
            await clock.advance(10.0)
            await asyncio.sleep(0.01)
    return made
