"""A channel's line for chat bots, its live events, and reports on answers, over HTTP."""

import asyncio
import json
import logging
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientResponse, ClientSession
from yarl import URL

from fingerprint.database import Database
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.pipeline_settings import PipelineSettings
from fingerprint.ports import Match
from server.access.rules.blacklist_kinds import BlacklistKind
from server.access.rules.list_store import ListStore
from server.access.rules.store import RulesStore
from server.app import listening, make_app
from server.channels import song_text
from server.channels.reports import DISPUTES_PER_DAY, PER_DAY, ReportStore
from server.channels.song_tokens import MADE_PER_DAY, MOST_PER_CHANNEL, SongTokenStore
from server.settings import ServerSettings
from simulator.accounts import OWN_APPLICATION
from tests.api_client import (
    ASK,
    CLIP,
    ServerRules,
    ask,
    assert_problem,
    next_event,
    open_api,
    read_events,
    until,
    until_metric,
)
from tests.builders import NOON, song
from tests.databases import migrated_database
from tests.fakes import FakePipeline
from tests.integration.simulator_client import Viewer
from tests.integration.test_api_document import Checker
from tests.waiting import skip_time

VIC = "viewer_vic"
CHANNEL = f"/api/v1/channels/{VIC}"
SONG_TXT = f"{CHANNEL}/song.txt"
TOKENS = f"{CHANNEL}/song-tokens"


@pytest.fixture
def options(viewer: Viewer) -> dict[str, Any]:
    return {"twitch_client_id": OWN_APPLICATION.client_id, "twitch_id_url": URL(viewer.twitch.id_url)}


@pytest.fixture
def vic(viewer: Viewer) -> dict[str, str]:
    return {"Authorization": f"Bearer {viewer.twitch.accounts.token_for(VIC)}"}


async def line(api: ClientSession, address: str | URL = SONG_TXT) -> str:
    """The line; every answer has the form that chat bots need."""
    answer = await api.get(address)
    text = await answer.text()
    assert answer.status == 200
    assert answer.content_type == "text/plain"
    assert answer.headers["Cache-Control"] == "no-store"
    assert 0 < len(text) <= 400
    assert text.isprintable()
    assert text[0].isalpha(), "a chat would take it for a command"
    return text


async def until_line(api: ClientSession, part: str, address: str = SONG_TXT) -> None:
    """Ask until the line has a part, 30 s at most: servers learn of new rules within two."""
    async with asyncio.timeout(30):
        while part not in await line(api, address):  # noqa: ASYNC110 - it is the server that changes
            await asyncio.sleep(0.2)


# --- song.txt -------------------------------------------------------------------------------------------


async def test_a_chat_bot_gets_the_song_in_one_line(api: ClientSession, parts: FakePipeline) -> None:
    assert await line(api) == "Now playing: Night Drive by The Builders"
    parts.recognizers.matches = []
    assert (await line(api)).startswith("No match for what is playing on viewer_vic.")
    by_address = URL(f"/api/v1/channels/https%3A%2F%2Fwww.twitch.tv%2F{VIC}/song.txt", encoded=True)
    assert (await line(api, by_address)).startswith("No match for what is playing on viewer_vic.")
    question = {"channel": f"https://m.twitch.tv/{VIC}/videos"}
    async with api.post("/api/v1/identifications", json=question, headers={"Prefer": "wait=20"}) as response:
        assert (await response.json())["target"] == VIC


async def test_a_chat_bot_asks_what_was_played_a_moment_ago(api: ClientSession, parts: FakePipeline) -> None:
    assert await line(api, f"{SONG_TXT}?ago=90") == "Played 1:30 ago: Night Drive by The Builders"
    assert await line(api, f"{SONG_TXT}?ago=1m") == "Played 1:00 ago: Night Drive by The Builders"
    for now in ("", "0"):
        assert await line(api, f"{SONG_TXT}?ago={now}") == "Now playing: Night Drive by The Builders"
    for wrong in ("-5", "soon", "999999", "nan"):
        assert (await line(api, f"{SONG_TXT}?ago={wrong}")).startswith("Sorry: ")
    assert [getattr(target, "at", None) is None for target in parts.resolver.asked] == [False, False, True, True]


async def test_one_bot_asks_for_many_channels_at_once(parts: FakePipeline, tmp_path: Path) -> None:
    async with open_api(parts, tmp_path, jobs_per_address=1) as api:
        parts.capture.gate.clear()
        asked = [asyncio.create_task(line(api, f"/api/v1/channels/channel{n}/song.txt")) for n in range(3)]
        await until(lambda: parts.capture.running == 3)
        parts.capture.gate.set()
        assert set(await asyncio.gather(*asked)) == {"Now playing: Night Drive by The Builders"}


async def test_a_chat_bot_says_how_a_song_is_written(api: ClientSession, parts: FakePipeline) -> None:
    parts.recognizers.matches = [Match(song=song("/ban everybody", "A", "B"), score=0.9)]
    for form, expected in (
        ("{artist} - {title}", "A, B - /ban everybody"),
        ("{title} by {artist} {link}{ago}", "Song: /ban everybody by A, B"),
        ("{title} on {channel}", f"Song: /ban everybody on {VIC}"),
    ):
        assert await line(api, str(URL(SONG_TXT).with_query(format=form))) == expected
    for form in ("{artist.__class__}", "{}", "{title", "{nothing}", "x" * 201):
        assert (await line(api, str(URL(SONG_TXT).with_query(format=form)))).startswith("Sorry: The format ")


@pytest.mark.parametrize("title", ["/ban everybody", "!so x", "x" * 500, "a\nb\r/me c", "\u202ereversed", "<b>&"])
async def test_no_title_can_be_a_command_or_break_the_line(
    api: ClientSession, parts: FakePipeline, title: str
) -> None:
    parts.recognizers.matches = [Match(song=song(title, *(f"Artist {n}" for n in range(50))), score=0.9)]
    text = await line(api)
    assert text.startswith("Now playing: ")
    assert "\n" not in text


async def test_problems_are_a_plain_line_with_status_200(api: ClientSession, parts: FakePipeline) -> None:
    parts.resolver.error = TwitchAudioError(ProblemCode.NOT_LIVE, "The channel is not live.")
    assert await line(api) == "Sorry: The channel is not live."
    assert (await line(api, "/api/v1/channels/no%20channel/song.txt")).startswith("Sorry: ")
    assert "colour" in await line(api, f"{SONG_TXT}?colour=red")
    parts.resolver.error = RuntimeError("canary")
    other = await line(api, "/api/v1/channels/other/song.txt")
    assert "canary" not in other


async def test_chat_bots_that_ask_at_the_same_time_share_one_job(api: ClientSession, parts: FakePipeline) -> None:
    parts.capture.gate.clear()
    waiting = [asyncio.create_task(line(api)) for _ in range(3)]
    await parts.capture.started.wait()
    await asyncio.sleep(0.2)
    parts.capture.gate.set()
    assert set(await asyncio.gather(*waiting)) == {"Now playing: Night Drive by The Builders"}
    assert parts.capture.captures == 1


async def test_the_line_comes_within_eight_seconds_while_the_job_goes_on(
    api: ClientSession, parts: FakePipeline
) -> None:
    parts.capture.gate.clear()
    asking = asyncio.create_task(line(api))
    await until_metric(api, "twitchaudio_waiters", 1)
    skip_time(8)
    async with asyncio.timeout(30):
        assert await asking == "Still listening to viewer_vic. Try again in a few seconds."
    # Whoever came after the end would have another job begun.
    asking = asyncio.create_task(line(api))
    await until_metric(api, "twitchaudio_waiters", 1)
    parts.capture.gate.set()
    assert await asking == "Now playing: Night Drive by The Builders"
    assert parts.capture.captures == 1


async def test_a_token_asks_for_its_channel_where_not_everyone_may(
    api: ClientSession, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    await RulesStore(database).set_website("access_mode", "subscribers")
    await until_line(api, "Sorry: Sign in with Twitch")
    token, secret = await SongTokenStore(database).create(VIC, now=NOON, note="Nightbot")
    asks = f"{SONG_TXT}?token={secret.reveal()}"
    with caplog.at_level(logging.DEBUG):
        assert await line(api, asks) == "Now playing: Night Drive by The Builders"
    assert secret.reveal() not in caplog.text
    held = secret.reveal()
    for wrong in ("x", held[:-1] + ("x" if held[-1] != "x" else "y"), "ta_" + held[4:]):
        assert "token is not valid" in await line(api, f"{SONG_TXT}?token={wrong}")
    # For nothing else.
    assert "token is not valid" in await line(api, f"/api/v1/channels/other/song.txt?token={secret.reveal()}")
    for header in ({"X-API-Key": secret.reveal()}, {"Authorization": f"Bearer {secret.reveal()}"}):
        assert (await api.post(ASK, json=CLIP, headers=header)).status == 401
    assert (await SongTokenStore(database).all(VIC))[0].used_at is not None
    for name, value in (("maintenance", "on"), ("maintenance", "off"), ("streams_enabled", "off")):
        await RulesStore(database).set_website(name, value)
    await until_line(api, "switched live streams", asks)
    await RulesStore(database).set_website("streams_enabled", "on")
    await ListStore(database).block(BlacklistKind.CHANNEL, VIC, reason="", now=NOON)
    await until_line(api, "blocked", asks)
    await ListStore(database).unblock(BlacklistKind.CHANNEL, VIC)
    await SongTokenStore(database).revoke(token.id, now=NOON)
    await until_line(api, "token is not valid", asks)


async def test_only_a_hash_of_the_token_is_stored(api: ClientSession, database: Database, tmp_path: Path) -> None:
    _, secret = await SongTokenStore(database).create(VIC, now=NOON)
    assert await line(api, f"{SONG_TXT}?token={secret.reveal()}") == "Now playing: Night Drive by The Builders"
    kept = await asyncio.to_thread(lambda: [file.read_bytes() for file in tmp_path.glob("twitchaudio.sqlite3*")])
    assert any(b"song_tokens" in content for content in kept)
    assert not any(secret.reveal().encode() in content for content in kept)


async def test_who_asks_too_often_with_a_token_gets_the_last_answer(
    api: ClientSession, database: Database, parts: FakePipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(song_text, "STARTS_PER_DAY", 2)
    _, secret = await SongTokenStore(database).create(VIC, now=NOON)
    lines = [await line(api, f"{SONG_TXT}?token={secret.reveal()}") for _ in range(4)]
    assert set(lines) == {"Now playing: Night Drive by The Builders"}
    assert parts.capture.captures == 2
    _, other = await SongTokenStore(database).create("other", now=NOON)
    monkeypatch.setattr(song_text, "STARTS_PER_DAY", 0)
    refused = await line(api, f"/api/v1/channels/other/song.txt?token={other.reveal()}")
    assert refused.startswith("Sorry: At most 0")


async def test_the_channels_owner_makes_and_revokes_tokens_and_nobody_else(
    api: ClientSession, vic: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    checker = Checker(await (await api.get("/api/v1/openapi.json")).json())
    path, one = "/api/v1/channels/{login}/song-tokens", "/api/v1/channels/{login}/song-tokens/{id}"
    with caplog.at_level(logging.DEBUG):
        made = await checker.check(await api.post(TOKENS, json={"note": "Nightbot"}, headers=vic), path)
    assert made["note"] == "Nightbot"
    assert made["token"] not in caplog.text
    assert await line(api, f"{SONG_TXT}?token={made['token']}") == "Now playing: Night Drive by The Builders"
    listed = (await checker.check(await api.get(TOKENS, headers=vic), path))["tokens"]
    assert [token["id"] for token in listed] == [made["id"]]
    assert "token" not in listed[0]
    await checker.check(await api.get(TOKENS), path)
    await checker.check(await api.post(TOKENS, json={}), path)
    await checker.check(await api.post(TOKENS, json={"note": 5}, headers=vic), path)
    await assert_problem(await api.delete(f"{TOKENS}/{made['id']}"), "login-required", 401)
    others = "/api/v1/channels/somechannel/song-tokens"
    await assert_problem(await api.post(others, json={}, headers=vic), "forbidden", 403)
    await assert_problem(await api.delete(f"{others}/{made['id']}", headers=vic), "forbidden", 403)
    gone = await api.delete(f"{TOKENS}/{made['id']}", headers=vic)
    assert (gone.status, await gone.read()) == (204, b"")
    await checker.check(await api.delete(f"{TOKENS}/unknown", headers=vic), one)
    assert "token is not valid" in await line(api, f"{SONG_TXT}?token={made['token']}")


async def test_a_channel_has_a_bounded_number_of_tokens_and_a_day_too(
    api: ClientSession, vic: dict[str, str]
) -> None:
    made = [await (await api.post(TOKENS, json={}, headers=vic)).json() for _ in range(MOST_PER_CHANNEL)]
    await assert_problem(await api.post(TOKENS, json={}, headers=vic), "invalid-input", 400)
    # Revoked ones make room, but not without end: each was a row, and once a fresh limit.
    for number in range(MADE_PER_DAY - MOST_PER_CHANNEL):
        await api.delete(f"{TOKENS}/{made[number]['id']}", headers=vic)
        made.append(await (await api.post(TOKENS, json={}, headers=vic)).json())
    assert all("token" in each for each in made)
    await api.delete(f"{TOKENS}/{made[-1]['id']}", headers=vic)
    await assert_problem(await api.post(TOKENS, json={}, headers=vic), "rate-limited", 429)


# --- Events ---------------------------------------------------------------------------------------------


async def next_play(response: ClientResponse) -> dict[str, Any]:
    """The next event, 30 s at most."""
    async with asyncio.timeout(30):
        async for raw in response.content:
            text = raw.decode().rstrip("\n")
            if text.startswith("event: "):
                assert text == "event: play"
            if text.startswith("data: "):
                return json.loads(text.removeprefix("data: "))
    raise AssertionError("the stream ended")


async def test_a_listener_hears_of_each_new_play_as_it_changes(api: ClientSession, parts: FakePipeline) -> None:
    first = await api.get(f"{CHANNEL}/events")
    assert first.headers["Content-Type"].startswith("text/event-stream")
    await ask(api, {"channel": VIC}, wait=30)
    play = await next_play(first)
    assert play["song"]["title"] == "Night Drive"
    late = await api.get(f"{CHANNEL}/events")
    assert await next_play(late) == play
    await ask(api, {"channel": VIC}, wait=30)
    longer = await next_play(first)
    assert len(longer["identifications"]) == 2
    assert longer["first_heard"] == play["first_heard"]
    assert longer["last_heard"] > play["last_heard"]
    parts.recognizers.matches = [Match(song=song("Dawn"), score=0.9)]
    await ask(api, {"channel": VIC}, wait=30)
    assert (await next_play(first))["song"]["title"] == "Dawn"
    await ask(api, {"channel": "other"}, wait=30)
    parts.recognizers.matches = []
    await ask(api, {"channel": VIC}, wait=30)
    # Neither of them was a play here: the next one is what is found next.
    parts.recognizers.matches = [Match(song=song("Dusk"), score=0.9)]
    await ask(api, {"channel": VIC}, wait=30)
    assert (await next_play(first))["song"]["title"] == "Dusk"
    first.close()
    late.close()
    for last, missed in (
        (play["identifications"][0], ["Night Drive", "Dawn", "Dusk"]),
        (longer["identifications"][0], ["Dawn", "Dusk"]),
        ("nothing", ["Dusk"]),
    ):
        back = await api.get(f"{CHANNEL}/events", headers={"Last-Event-ID": last})
        assert [(await next_play(back))["song"]["title"] for _ in missed] == missed
        back.close()
    await assert_problem(await api.get("/api/v1/channels/no%20channel/events"), "invalid-input", 400)


async def test_a_listener_hears_what_another_server_found(
    api: ClientSession, parts: FakePipeline, address: str, tmp_path: Path
) -> None:
    async with open_api(parts, tmp_path, database_url=address) as other:
        events = await api.get(f"{CHANNEL}/events")
        await ask(other, {"channel": VIC}, wait=30)
        assert (await next_play(events))["song"]["title"] == "Night Drive"
        events.close()


async def test_streams_end_when_the_server_stops(parts: FakePipeline, tmp_path: Path) -> None:
    settings = ServerSettings(pipeline=PipelineSettings(data_dir=tmp_path))
    async with asyncio.timeout(30), ClientSession() as client:
        async with listening(make_app(settings, pipeline=parts.pipeline), "127.0.0.1", 0) as base:

            async def follow() -> None:
                async with client.get(base / f"api/v1/channels/{VIC}/events") as events:
                    opened.set()
                    await events.content.read(-1)

            opened = asyncio.Event()
            task = asyncio.create_task(follow())
            await opened.wait()
        await task


# --- Reports --------------------------------------------------------------------------------------------


async def report(api: ClientSession, identification: str, **more: Any) -> ClientResponse:
    headers = more.pop("headers", {})
    return await api.post(
        f"{ASK}/{identification}/reports", json={"reason": "wrong-song", **more}, headers=headers
    )


async def test_a_reported_clip_is_identified_anew(
    api: ClientSession, parts: FakePipeline, database: Database
) -> None:
    wrong = await (await ask(api, CLIP, wait=30)).json()
    assert (await (await ask(api, CLIP, wait=30)).json())["id"] == wrong["id"]
    answer = await report(api, wrong["id"], note="It is <b>Dawn</b>")
    assert (answer.status, await answer.read()) == (204, b"")
    parts.recognizers.matches = [Match(song=song("Dawn"), score=0.9)]
    right = await (await ask(api, CLIP, wait=30)).json()
    assert right["song"]["title"] == "Dawn"
    assert (await (await ask(api, CLIP, wait=30)).json())["id"] == right["id"]
    stored = await (await api.get(f"{ASK}/{wrong['id']}")).json()
    assert stored["song"]["title"] == "Night Drive"
    (seen,) = await ReportStore(database).newest(handled=False)
    assert (seen.identification_id, seen.reason, seen.note) == (wrong["id"], "wrong-song", "It is <b>Dawn</b>")
    assert seen.song == "The Builders - Night Drive"
    await ReportStore(database).handle(seen.id, NOON)
    assert await ReportStore(database).newest(handled=False) == []


async def test_a_report_on_a_live_answer_is_stored_too(api: ClientSession, database: Database) -> None:
    body = await (await ask(api, wait=30)).json()
    assert (await report(api, body["id"], reason="other", note="Too late")).status == 204
    assert [seen.target for seen in await ReportStore(database).newest()] == ["somechannel"]


async def test_reports_are_bounded_so_that_nobody_can_make_recognizers_work_for_ever(
    api: ClientSession, parts: FakePipeline, vic: dict[str, str], viewer: Viewer
) -> None:
    seen: set[str] = set()
    for _ in range(DISPUTES_PER_DAY + 2):
        body = await (await ask(api, CLIP, wait=30)).json()
        seen.add(body["id"])
        for headers in ({}, {}, vic):
            assert (await report(api, body["id"], headers=headers)).status == 204
    assert len(seen) <= DISPUTES_PER_DAY + 1
    last = await ask(api, CLIP, wait=30)
    identification = (await last.json())["id"]
    answers = [await report(api, identification) for _ in range(PER_DAY)]
    refused = await assert_problem(answers[-1], "rate-limited", 429)
    assert "reports a day" in refused["detail"]
    assert (await report(api, identification, headers=vic)).status == 204


async def test_wrong_reports_are_refused_in_plain_words(
    api: ClientSession, parts: FakePipeline, rules: ServerRules
) -> None:
    checker = Checker(await (await api.get("/api/v1/openapi.json")).json())
    path = f"{ASK}/{{id}}/reports"
    body = await (await ask(api, CLIP, wait=30)).json()
    wrongs: list[object] = [{"reason": "bad"}, {}, {"reason": "other", "note": 5}, {"reason": "other", "x": 1}, []]
    for wrong in wrongs:
        await checker.check(await api.post(f"{ASK}/{body['id']}/reports", json=wrong), path)
    await checker.check(await report(api, body["id"], note="x" * 501), path)
    await checker.check(await report(api, "unknown"), path)
    await checker.check(await report(api, "x" * 200), path)
    parts.capture.gate.clear()
    running = await (await ask(api)).json()
    await assert_problem(await report(api, running["id"]), "invalid-input", 400)
    parts.capture.gate.set()
    await rules.set(access_mode="login")
    await assert_problem(await report(api, body["id"]), "login-required", 401)


async def test_reports_and_tokens_work_on_mariadb_too(sql_address: str) -> None:
    async with migrated_database(sql_address) as database:
        token, secret = await SongTokenStore(database).create("c", now=NOON)
        store = SongTokenStore(database)
        assert (await store.find(secret.reveal(), now=NOON)) is not None
        await store.revoke(token.id, now=NOON)
        await store.revoke(token.id, now=NOON)
        assert (await store.find(secret.reveal(), now=NOON)) is None
        with pytest.raises(TwitchAudioError):
            await store.revoke(token.id, now=NOON, channel="d")
        assert len(await store.all()) == 1


async def test_what_is_open_when_a_channel_is_blocked_tells_no_more_of_it(
    api: ClientSession, database: Database, parts: FakePipeline, rules: ServerRules
) -> None:
    parts.capture.gate.clear()
    begun = await (await ask(api, {"channel": VIC})).json()
    channel = await api.get(f"{CHANNEL}/events")
    states = await api.get(f"/api/v1/identifications/{begun['id']}/events")
    waiting = asyncio.create_task(ask(api, {"channel": VIC}, wait=30))
    await next_event(states)
    await ListStore(database).block(BlacklistKind.CHANNEL, VIC, reason="", now=NOON)
    rules.are_known()
    parts.capture.gate.set()
    await assert_problem(await waiting, "blacklisted", 403)
    assert "Night Drive" not in str(await read_events(states))
    assert await read_events(channel) == []
