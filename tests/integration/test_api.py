"""The HTTP API on loopback: a real server and SQLite, a real pipeline made of fake parts."""

import asyncio
from pathlib import Path

import pytest
from aiohttp import ClientSession
from yarl import URL

from fingerprint.database import open_database
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.ports import Match
from server.access.rules.blacklist_kinds import BlacklistKind
from server.access.rules.list_store import ListStore
from tests.api_client import (
    ASK,
    CLIP,
    ask,
    assert_problem,
    next_event_with_id,
    open_api,
    read_events,
    until_metric,
)
from tests.builders import NOON, song
from tests.fakes import FakePipeline

# --- Asking -------------------------------------------------------------------------------------------


async def test_a_question_is_accepted_and_can_be_followed_to_its_answer(
    api: ClientSession, parts: FakePipeline
) -> None:
    parts.capture.gate.clear()
    response = await ask(api)
    assert response.status == 202
    body = await response.json()
    assert body["status"] in ("queued", "running")
    assert body["kind"] == "stream"
    assert body["target"] == "somechannel"
    assert body["shared"] is False
    assert response.headers["Location"] == f"{ASK}/{body['id']}"
    parts.capture.gate.set()
    answer = await api.get(response.headers["Location"], headers={"Prefer": "wait=30"})
    found = await answer.json()
    assert found["status"] == "successful"
    assert found["song"]["title"] == "Night Drive"
    assert found["timings"]["total_ms"] > 0


async def test_waiting_gives_the_answer_in_one_request(api: ClientSession) -> None:
    response = await ask(api, wait=30)
    assert response.status == 200
    assert response.headers["Preference-Applied"] == "wait=30"
    assert (await response.json())["song"]["artists"] == ["The Builders"]


async def test_waiting_ends_with_202_when_the_answer_takes_longer(api: ClientSession, parts: FakePipeline) -> None:
    parts.capture.gate.clear()
    response = await ask(api, wait=0)
    assert response.status == 202
    assert response.headers["Preference-Applied"] == "wait=0"
    assert response.headers["Retry-After"] == "1"
    parts.capture.gate.set()


@pytest.mark.parametrize(
    ("body", "kind", "target"),
    [
        ({"channel": "SomeChannel"}, "stream", "somechannel"),
        ({"clip": "AwkwardSlug-x_1"}, "clip", "AwkwardSlug-x_1"),
        ({"video": "123456789", "at": 61.5}, "video", "123456789"),
        ({"url": "https://www.twitch.tv/somechannel"}, "stream", "somechannel"),
        ({"url": "https://clips.twitch.tv/AwkwardSlug-x_1"}, "clip", "AwkwardSlug-x_1"),
        ({"url": "<https://clips.twitch.tv/AwkwardSlug-x_1/edit>"}, "clip", "AwkwardSlug-x_1"),
        ({"url": "https://www.twitch.tv/videos/123456789?t=1:02:03."}, "video", "123456789"),
    ],
)
async def test_every_form_of_question_is_understood(
    api: ClientSession, body: object, kind: str, target: str
) -> None:
    answer = await (await ask(api, body, wait=30)).json()
    assert (answer["kind"], answer["target"]) == (kind, target)
    assert answer["status"] == "successful"


async def test_a_clip_is_answered_at_once_the_second_time(api: ClientSession, parts: FakePipeline) -> None:
    first = await (await ask(api, CLIP, wait=30)).json()
    response = await ask(api, CLIP)
    assert response.status == 200
    assert await response.json() == first
    assert parts.capture.captures == 1
    stored = await api.get("/api/v1/clips/AwkwardSlug-x_1")
    assert await stored.json() == first


async def test_an_answer_of_a_moment_ago_is_given_again_unless_that_is_not_wanted(
    parts: FakePipeline, tmp_path: Path
) -> None:
    async with open_api(parts, tmp_path, fresh_seconds=300) as api:
        first = await ask(api, wait=10)
        assert "Age" not in first.headers
        answer = await first.json()
        assert answer["shared"] is False
        for headers in ({}, {"Cache-Control": "max-age=300"}, {"Cache-Control": "max-age=soon, only-if-cached"}):
            again = await api.post(ASK, json={"channel": "SomeChannel"}, headers=headers)
            assert again.status == 200, "at once, without waiting"
            assert 0 <= int(again.headers["Age"]) <= 300
            assert await again.json() == answer | {"shared": True}
        for target in ({"channel": "somechannel"}, CLIP, CLIP):
            anew = await api.post(ASK, json=target, headers={"Cache-Control": "no-cache", "Prefer": "wait=10"})
            assert "Age" not in anew.headers
            assert (await anew.json())["shared"] is False
        clip = await ask(api, CLIP)
        assert int(clip.headers["Age"]) <= 300
        assert "Age" in (await api.get(f"/api/v1/clips/{CLIP['clip']}")).headers
        assert parts.capture.captures == 4


async def test_what_may_not_be_asked_for_is_refused_also_when_it_was_just_answered(
    parts: FakePipeline, tmp_path: Path
) -> None:
    async with open_api(parts, tmp_path, fresh_seconds=300) as api:
        await ask(api, wait=10)
        async with open_database(f"sqlite:///{tmp_path / 'twitchaudio.sqlite3'}") as database:
            await ListStore(database).block(BlacklistKind.CHANNEL, "somechannel", reason="", now=NOON)
        async with asyncio.timeout(20):
            while (refused := await ask(api)).status == 200:  # noqa: ASYNC110 - rules are cached for a second
                await asyncio.sleep(0.1)
        await assert_problem(refused, "blacklisted", 403)


async def test_a_clip_that_nobody_asked_for_is_not_identified(api: ClientSession, parts: FakePipeline) -> None:
    await assert_problem(await api.get("/api/v1/clips/AwkwardSlug-x_1"), "not-identified", 404)
    assert parts.capture.captures == 0


async def test_a_job_that_fails_is_an_answer_with_a_problem(api: ClientSession, parts: FakePipeline) -> None:
    parts.resolver.error = TwitchAudioError(ProblemCode.NOT_LIVE, "The channel is not live.")
    response = await ask(api, wait=30)
    assert response.status == 200
    body = await response.json()
    assert body["status"] == "failed"
    assert body["problem"]["code"] == "not-live"
    assert body["problem"]["status"] == 409


async def test_without_anything_to_recognize_with_the_way_out_is_said(
    api: ClientSession, parts: FakePipeline
) -> None:
    stored = await (await ask(api, CLIP, wait=30)).json()
    parts.recognizers.missing = "Nothing can recognize music yet: add music, or set a provider's keys."
    problem = await assert_problem(await ask(api), "recognizer-unavailable", 503)
    assert problem["detail"] == parts.recognizers.missing
    status = await (await api.get("/api/v1/status")).json()
    assert status["recognizer"] == {"available": False, "detail": parts.recognizers.missing}
    # Commands and settings are the operator's.
    parts.recognizers.missing = "Nothing can recognize music yet. Add music with `twitchaudio catalog add PATH`."
    problem = await assert_problem(await ask(api), "recognizer-unavailable", 503)
    status = await (await api.get("/api/v1/status")).json()
    assert problem["detail"] == status["recognizer"]["detail"] == "Music can't be recognized here right now."
    # What is stored is still told, and what cannot be understood still comes first.
    assert await (await ask(api, CLIP)).json() == stored
    await assert_problem(await ask(api, {"channel": "no such/name"}), "invalid-input", 400)


# --- Joining and leaving ------------------------------------------------------------------------------


async def test_p3_many_share_one_job_and_one_who_leaves_cancels_nothing(
    api: ClientSession, parts: FakePipeline
) -> None:
    parts.capture.gate.clear()
    first = asyncio.create_task(ask(api, wait=30))
    others = [asyncio.create_task(ask(api, wait=30)) for _ in range(5)]
    await parts.capture.started.wait()
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    parts.capture.gate.set()
    answers = [await (await other).json() for other in others]
    assert {answer["status"] for answer in answers} == {"successful"}
    assert len({answer["id"] for answer in answers}) == 1
    assert sum(answer["shared"] for answer in answers) >= 4
    assert parts.capture.captures == 1


async def test_p4_when_all_leave_the_answer_is_stored(api: ClientSession, parts: FakePipeline) -> None:
    parts.capture.gate.clear()
    waiting = [asyncio.create_task(ask(api, CLIP, wait=30)) for _ in range(3)]
    await parts.capture.started.wait()
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    parts.capture.gate.set()
    series = 'twitchaudio_identifications_total{kind="clip",status="successful",code=""}'
    await until_metric(api, series, 1)
    stored = await (await api.get("/api/v1/clips/AwkwardSlug-x_1")).json()
    assert stored["status"] == "successful"
    assert parts.capture.captures == 1


async def test_l5_five_hundred_clients_share_one_job(api: ClientSession, parts: FakePipeline) -> None:
    parts.capture.gate.clear()
    waiting = [asyncio.create_task(ask(api, wait=25)) for _ in range(500)]
    await until_metric(api, "twitchaudio_waiters", 500)
    parts.capture.gate.set()
    answers = [await (await task).json() for task in waiting]
    assert len({answer["id"] for answer in answers}) == 1
    assert {answer["status"] for answer in answers} == {"successful"}
    assert [answer["shared"] for answer in answers].count(False) == 1
    assert parts.capture.captures == 1
    assert len(parts.resolver.asked) == 1


async def test_t5_a_herd_on_a_channel_that_is_not_live_shares_one_look_up(
    api: ClientSession, parts: FakePipeline
) -> None:
    parts.resolver.error = TwitchAudioError(ProblemCode.NOT_LIVE, "The channel is not live.")
    for _ in range(5):
        answer = await (await ask(api, wait=30)).json()
        assert answer["problem"]["code"] == "not-live"
    assert len(parts.resolver.asked) == 1


# --- Events -------------------------------------------------------------------------------------------


async def test_events_tell_each_stage_and_one_result(api: ClientSession, parts: FakePipeline) -> None:
    parts.capture.gate.clear()
    body = await (await ask(api)).json()
    async with api.get(f"{ASK}/{body['id']}/events") as response:
        assert response.headers["Content-Type"].startswith("text/event-stream")
        reading = asyncio.create_task(read_events(response))
        await asyncio.sleep(0.05)
        parts.capture.gate.set()
        events = await reading
    names = [name for name, _ in events]
    assert names == ["status"] * (len(names) - 1) + ["result"]
    stages = [state["stage"] for _, state in events]
    assert stages[-4:] == ["capturing", "fingerprinting", "recognizing", "done"]
    assert events[-1][1]["song"]["title"] == "Night Drive"


async def test_a_late_listener_gets_the_current_state_first(api: ClientSession, parts: FakePipeline) -> None:
    parts.capture.gate.clear()
    body = await (await ask(api)).json()
    await parts.capture.started.wait()
    async with api.get(f"{ASK}/{body['id']}/events") as response:
        reading = asyncio.create_task(read_events(response))
        await asyncio.sleep(0.05)
        parts.capture.gate.set()
        events = await reading
    assert events[0][1]["stage"] == "capturing"


async def test_a_listener_who_comes_back_gets_what_it_missed(api: ClientSession, parts: FakePipeline) -> None:
    parts.capture.gate.clear()
    body = await (await ask(api)).json()
    address = f"{ASK}/{body['id']}/events"
    async with api.get(address) as response:
        _, event_id, first = await next_event_with_id(response)
    parts.capture.gate.set()
    await (await api.get(f"{ASK}/{body['id']}", headers={"Prefer": "wait=30"})).read()
    stages = ["queued", "resolving", "capturing", "fingerprinting", "recognizing", "done"]
    async with api.get(address, headers={"Last-Event-ID": event_id}) as response:
        missed = [state["stage"] for _, state in await read_events(response)]
    assert missed == stages[stages.index(first["stage"]) + 1 :]
    async with api.get(address, headers={"Last-Event-ID": f"{body['id']}-done"}) as response:
        assert (response.status, await response.read()) == (204, b""), "which ends an EventSource"
    for unknown in ("what", "-done", f"{body['id']}-nothing", f"other-{first['stage']}"):
        async with api.get(address, headers={"Last-Event-ID": unknown}) as response:
            assert [name for name, _ in await read_events(response)] == ["result"]


async def test_who_listens_after_the_end_gets_the_result_alone(api: ClientSession) -> None:
    body = await (await ask(api, wait=30)).json()
    async with api.get(f"{ASK}/{body['id']}/events") as response:
        events = await read_events(response)
    assert events == [("result", body)]


async def test_an_unknown_identification_is_not_found(api: ClientSession) -> None:
    await assert_problem(await api.get(f"{ASK}/unknown"), "not-found", 404)
    await assert_problem(await api.get(f"{ASK}/unknown/events"), "not-found", 404)
    await assert_problem(await api.get(f"{ASK}/{'x' * 5000}"), "not-found", 404)


# --- The set list -------------------------------------------------------------------------------------


async def test_consecutive_answers_of_one_song_are_one_play(api: ClientSession, parts: FakePipeline) -> None:
    for title in ["One", "One", "Two", "One"]:
        parts.recognizers.matches = [Match(song=song(title), score=0.9)]
        await ask(api, wait=30)
    address = "/api/v1/channels/somechannel/songs"
    page = await (await api.get(address)).json()
    assert [play["song"]["title"] for play in page["plays"]] == ["One", "Two", "One"]
    assert page["next_before"] is None
    oldest = page["plays"][2]
    assert len(oldest["identifications"]) == 2
    assert oldest["first_heard"] < oldest["last_heard"]
    first = await (await api.get(address, params={"limit": "2"})).json()
    assert [play["song"]["title"] for play in first["plays"]] == ["One", "Two"]
    rest = await (await api.get(address, params={"before": first["next_before"]})).json()
    assert rest["plays"] == [oldest]


@pytest.mark.parametrize("query", ["limit=0", "limit=x", "limit=999", "before=yesterday", "befor=x"])
async def test_a_wrong_parameter_is_named(api: ClientSession, query: str) -> None:
    response = await api.get(URL(f"/api/v1/channels/somechannel/songs?{query}"))
    problem = await assert_problem(response, "invalid-input", 400)
    assert query.partition("=")[0] in problem["detail"]


# --- The rest -----------------------------------------------------------------------------------------


async def test_everyone_may_use_an_open_server(api: ClientSession) -> None:
    me = await (await api.get("/api/v1/me")).json()
    assert me["streams"] == {"allowed": True, "code": None, "detail": None}
    status = await (await api.get("/api/v1/status")).json()
    assert status["access_mode"] == "open"
    assert status["recognizer"]["available"] is True


async def test_health_names_each_dependency(api: ClientSession) -> None:
    assert (await api.get("/healthz")).status == 200
    response = await api.get("/readyz")
    assert response.status == 200
    assert (await response.json())["dependencies"]["database"]["ready"] is True


async def test_metrics_count_by_route_never_by_name(api: ClientSession) -> None:
    await ask(api, wait=30)
    await api.get("/api/v1/clips/AwkwardSlug-x_1")
    await api.get("/no/such/page")
    text = await (await api.get("/metrics")).text()
    assert 'route="/api/v1/clips/{slug}",status="404"' in text
    assert 'route="(none)",status="404"' in text
    assert 'twitchaudio_identifications_total{kind="stream",status="successful",code=""} 1' in text
    assert "AwkwardSlug" not in text
    assert "somechannel" not in text


async def test_every_answer_carries_an_id_and_is_never_guessed_at(api: ClientSession) -> None:
    ids: set[str] = set()
    for path in ["/healthz", "/api/v1/status", "/no/such/page", f"{ASK}/unknown/events", "/"]:
        response = await api.get(path)
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert "Content-Security-Policy" in response.headers
        assert "Python" not in response.headers["Server"]
        ids.add(response.headers["X-Request-Id"])
    assert len(ids) == 5
