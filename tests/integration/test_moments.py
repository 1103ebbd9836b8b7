"""Which seconds an answer is about, and when they were: asked over HTTP, of a simulated Twitch that knows."""

import asyncio
import dataclasses
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import ClientSession

from fingerprint.catalog.ingest import ingest
from fingerprint.domain.broadcasts import VIDEO_EXACT_SECONDS
from fingerprint.settings import read_settings
from server.app import listening, make_app
from server.settings import ServerSettings
from simulator.content import ChannelPlan, ClipPlan, Content, VideoPlan
from simulator.faults import Step
from simulator.library import own_songs
from simulator.media import TICKS
from simulator.program import Item, Playlist
from simulator.simulator import Simulator
from tests.api_client import ASK, ask
from tests.integration.test_clip_songs import write_song

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]

SONG_SECONDS = 20.0
LOGIN, SLUG, VIDEO = "momentary", "MomentaryClipOfOneSong-abc_DEF-123", "2210987555"
SECOND, THIRD, FOURTH, FIFTH = "secondchannel", "thirdchannel", "fourthchannel", "fifthchannel"
SIXTH, SEVENTH = "sixthchannel", "seventhchannel"
LATE_SLUG = "LateClipOfOneSong-abc_DEF-12345"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("moments")
    (folder / "music").mkdir()
    write_song(folder / "music", 1)
    ingest(folder / "data" / "catalog", [folder / "music"], workers=1)
    return folder


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def twitch(folder: Path) -> AsyncGenerator[Simulator]:
    songs = own_songs(folder / "music")
    playlist = Playlist(items=(Item(song=songs[0]),))
    channel = ChannelPlan(login=LOGIN, display_name="M", user_id=71_000_555, title="", game="", playlist=playlist)
    clip = ClipPlan(
        slug=SLUG, login=LOGIN, title="", playlist=Playlist(items=(Item(song=songs[0], seconds=12.0),))
    )
    late = dataclasses.replace(clip, slug=LATE_SLUG)
    thrice = Playlist(items=playlist.items * 3)
    video = VideoPlan(video_id=VIDEO, login=LOGIN, title="", playlist=thrice)
    second = dataclasses.replace(channel, login=SECOND, user_id=71_000_556)
    third = dataclasses.replace(channel, login=THIRD, user_id=71_000_557)
    fourth = dataclasses.replace(channel, login=FOURTH, user_id=71_000_558)
    fifth = dataclasses.replace(channel, login=FIFTH, user_id=71_000_559)
    sixth = dataclasses.replace(channel, login=SIXTH, user_id=71_000_560)
    seventh = dataclasses.replace(channel, login=SEVENTH, user_id=71_000_561)
    content = Content(
        channels=(channel, second, third, fourth, fifth, sixth, seventh),
        clips=(clip, late),
        videos=(video,),
        songs=songs,
    )
    async with Simulator(cache=folder / "media", content=content) as simulator:
        yield simulator


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api(twitch: Simulator, folder: Path) -> AsyncGenerator[ClientSession]:
    environment = twitch.environment() | {
        "TWITCHAUDIO_DATA_DIR": str(folder / "data"),
        "TWITCHAUDIO_FRESH_SECONDS": "0",
    }
    app = make_app(read_settings(ServerSettings, environment))
    async with listening(app, "127.0.0.1", 0) as address, ClientSession(base_url=address) as client:
        yield client


async def answer(api: ClientSession, body: dict[str, object], **headers: str) -> dict[str, Any]:
    """The finished identification; a machine that has no time left is asked again."""
    headers |= {"Prefer": "wait=30"}
    async with asyncio.timeout(100):
        while (response := await api.post(ASK, json=body, headers=headers)).status != 200:
            assert response.status in (202, 503), await response.text()
            await asyncio.sleep(1)
        return await response.json()


@pytest.mark.parametrize("prefetch", [False, True])
async def test_a_live_answer_tells_when_the_song_was_where(
    api: ClientSession, twitch: Simulator, prefetch: bool
) -> None:
    twitch.configure_channel(LOGIN, prefetch=prefetch)
    found = await answer(api, {"channel": LOGIN})
    assert found["status"] == "successful", found["problem"]
    assert found["captured_from"] is None
    assert 5.9 <= found["captured_seconds"] <= 8.2
    heard_at = datetime.fromisoformat(found["captured_at"])
    # Where the song began again in these seconds, it is the second part of them that is longer.
    playing = twitch.now_playing(LOGIN, heard_at + timedelta(seconds=found["song"]["position"]))
    assert playing is not None
    assert found["song"]["title"] == playing.song.tags.title
    assert apart(found["song"]["offset"], playing.offset_seconds) < 0.15
    asked_at = datetime.fromisoformat(found["created_at"])
    assert (asked_at - heard_at).total_seconds() < 8.5, "the newest seconds"
    finished_at = datetime.fromisoformat(found["finished_at"])
    heard_until = heard_at + timedelta(seconds=found["captured_seconds"])
    assert heard_until <= finished_at + timedelta(seconds=0.5), "nothing that was not broadcast yet"


async def test_an_answer_about_a_video_tells_where_in_it_the_sound_begins(api: ClientSession) -> None:
    found = await answer(api, {"url": f"https://www.twitch.tv/videos/{VIDEO}?t=0h0m35s"})
    assert found["status"] == "successful", found["problem"]
    assert found["at"] == 35.0
    assert found["captured_from"] == pytest.approx(30.0, abs=0.1), "where its segment begins"
    assert found["captured_at"] is None
    assert found["song"]["offset"] == pytest.approx(found["captured_from"] % SONG_SECONDS, abs=0.3)


async def test_an_answer_about_a_clip_is_about_all_of_it(api: ClientSession) -> None:
    found = await answer(api, {"clip": SLUG})
    assert found["status"] == "successful", found["problem"]
    assert found["captured_from"] == 0.0
    assert found["captured_seconds"] == pytest.approx(12.0, abs=0.1)


async def test_a_clip_whose_sound_begins_late_tells_where(api: ClientSession, twitch: Simulator) -> None:
    twitch.clip(LATE_SLUG).configure(sound_from=4.0)
    found = await answer(api, {"clip": LATE_SLUG})
    assert found["status"] == "successful", found["problem"]
    assert found["captured_from"] == pytest.approx(4.0, abs=0.1)
    assert found["captured_seconds"] == pytest.approx(8.0, abs=0.1)
    assert found["song"]["position"] == pytest.approx(4.0, abs=0.1)
    assert found["song"]["offset"] == pytest.approx(4.0, abs=0.3)


async def test_without_sound_at_the_moment_the_nearest_is_told(api: ClientSession, twitch: Simulator) -> None:
    twitch.video(VIDEO).configure(broken="5", broken_as="empty")
    found = await answer(api, {"video": VIDEO, "at": 58})
    assert found["status"] == "successful", found["problem"]
    assert found["captured_from"] == pytest.approx(30.0, abs=0.1)
    assert found["captured_seconds"] == pytest.approx(20.0, abs=0.1)
    assert found["song"]["offset"] == pytest.approx(10.0, abs=0.3)


# --- The time line of a broadcast ---------------------------------------------------------------------


def offset_at(twitch: Simulator, seconds: float, login: str = LOGIN) -> float:
    """How far into its song the channel was at a second of its broadcast."""
    playing = twitch.now_playing(login, twitch.channel(login).moment(round(seconds * TICKS)))
    assert playing is not None
    return playing.offset_seconds


def middle_of_a_song(twitch: Simulator, ago: float, login: str = LOGIN) -> datetime:
    """The last moment that is at least so long ago and in the middle of a song."""
    channel = twitch.channel(login)
    second = channel.ticks // TICKS - ago
    return channel.moment(round((second - (second - SONG_SECONDS / 2) % SONG_SECONDS) * TICKS))


def apart(one: float, other: float) -> float:
    """How far apart two offsets in a song are that begins again when it ends."""
    return min((one - other) % SONG_SECONDS, (other - one) % SONG_SECONDS)


async def test_an_earlier_moment_is_heard_in_the_window_then_in_the_recording_and_then_known(
    api: ClientSession, twitch: Simulator
) -> None:
    twitch.reset()
    channel = twitch.channel(THIRD)
    # Two minutes, so that the moment does not leave it while a busy machine gets there.
    twitch.configure_channel(THIRD, window_segments=60)
    # In the live playlist, which lists half a minute.
    moment = middle_of_a_song(twitch, 6, THIRD)
    earlier = await answer(api, {"channel": THIRD, "at": moment.isoformat()})
    assert earlier["status"] == "successful", earlier["problem"]
    assert (earlier["heard"], earlier["shared"]) == ("live", False)
    behind = datetime.fromisoformat(earlier["created_at"]) - moment
    assert earlier["moment"]["behind_live"] == pytest.approx(behind.total_seconds(), abs=0.1)
    assert apart(earlier["song"]["offset"], offset_at(twitch, earlier["moment"]["seconds"], THIRD)) < 0.3
    asked_at = datetime.fromisoformat(earlier["asked_at"])
    start = datetime.fromisoformat(earlier["captured_at"])
    assert start <= asked_at <= start + timedelta(seconds=earlier["captured_seconds"])

    # In the recording: its address tells its start in whole seconds, so it is less exact.
    ago = (datetime.now(UTC) - middle_of_a_song(twitch, 200, THIRD)).total_seconds()
    before = await answer(api, {"channel": THIRD, "ago": ago})
    assert before["status"] == "successful", before["problem"]
    assert (before["heard"], before["captured_from"]) == ("video", None)
    assert (
        apart(before["song"]["offset"], offset_at(twitch, before["moment"]["seconds"], THIRD))
        < VIDEO_EXACT_SECONDS
    )

    # Heard already: a second of the same sound, for somebody else.
    segments = twitch.count(Step.SEGMENT)
    middle = moment + timedelta(seconds=1.5)
    known = await answer(api, {"channel": THIRD, "at": middle.isoformat()})
    assert known["status"] == "successful", known["problem"]
    assert (known["heard"], known["recognizer"], known["captured_seconds"]) == ("live", "catalog", None)
    assert apart(known["song"]["offset"], offset_at(twitch, known["moment"]["seconds"], THIRD)) < 0.8
    assert twitch.count(Step.SEGMENT) == segments
    again = await ask(api, {"channel": THIRD, "at": middle.isoformat()})
    assert (again.status, (await again.json())["id"]) == (200, known["id"])

    # Last, so that nothing of it is known before.
    now = await answer(api, {"channel": THIRD})
    assert (now["heard"], now["moment"]["broadcast"]) == ("now", str(channel.broadcast_id))
    captured_at = datetime.fromisoformat(now["captured_at"])
    began = (captured_at - channel.moment(0)).total_seconds()
    assert now["moment"]["seconds"] == pytest.approx(began, abs=0.05)
    assert 0 <= now["moment"]["behind_live"] < 10


# A channel each: what is known of one for a moment may not be from ten minutes later.
@pytest.mark.parametrize(("ahead", "login"), [(300.0, FOURTH), (-300.0, FIFTH)])
async def test_so_long_ago_counts_from_the_live_edge_also_when_clocks_differ(
    api: ClientSession, twitch: Simulator, ahead: float, login: str
) -> None:
    twitch.reset()
    twitch.configure_channel(login, window_segments=60)
    twitch.clock.advance(ahead)
    asked_at = twitch.clock.now()
    found = await answer(api, {"channel": login, "ago": 40})
    latest = twitch.clock.now()
    assert found["status"] == "successful", found["problem"]
    assert (found["heard"], found["moment"]["behind_live"]) == ("live", 40)
    heard_from = datetime.fromisoformat(found["captured_at"])
    heard_to = heard_from + timedelta(seconds=found["captured_seconds"])
    assert heard_from <= latest - timedelta(seconds=40)
    assert heard_to >= asked_at - timedelta(seconds=40 + 6), "the edge is at most some segments behind the clock"
    twitch.clock.reset()


async def test_a_vod_of_what_was_heard_live_is_answered_without_its_sound(
    api: ClientSession, twitch: Simulator
) -> None:
    twitch.reset()
    channel = twitch.channel(SECOND)
    # Two minutes, so that the moment does not leave it while a busy machine gets there.
    twitch.configure_channel(SECOND, window_segments=60)
    # So long ago that the VOD, which is some segments of 10 s behind, has it, too.
    heard = await answer(api, {"channel": SECOND, "at": middle_of_a_song(twitch, 40, SECOND).isoformat()})
    middle = heard["moment"]["seconds"] + heard["captured_seconds"] / 2
    twitch.configure_channel(SECOND, recording_muted=True)
    segments = twitch.count(Step.SEGMENT)
    found = await answer(api, {"video": channel.recording_id, "at": round(middle, 1)})
    assert found["status"] == "successful", found["problem"]
    assert (found["heard"], found["moment"]["broadcast"]) == ("live", str(channel.broadcast_id))
    assert apart(found["song"]["offset"], offset_at(twitch, middle, SECOND)) < VIDEO_EXACT_SECONDS
    assert twitch.count(Step.SEGMENT) == segments
    # Who does not believe that has it listened to.
    twitch.configure_channel(SECOND, recording_muted=False)
    headers = {"Cache-Control": "no-cache"}
    anew = await answer(api, {"video": channel.recording_id, "at": round(middle, 1)}, **headers)
    assert anew["heard"] == "video", anew["problem"]
    twitch.configure_channel(SECOND, recording_muted=True)
    # What was not heard stays unknown: the recording is muted.
    other = await answer(api, {"video": channel.recording_id, "at": round(middle) - 2_000})
    assert (other["status"], other["problem"]["code"]) == ("failed", "no-audio")


async def test_after_a_pause_a_vods_seconds_are_not_taken_for_those_of_the_broadcast(
    api: ClientSession, twitch: Simulator
) -> None:
    """The VOD leaves the pause out, so a second of it is later in the broadcast."""
    twitch.reset()
    channel = twitch.channel(SEVENTH)
    # Two minutes, so that the moment does not leave it while a busy machine gets there.
    twitch.configure_channel(SEVENTH, window_segments=60)
    live = await answer(api, {"channel": SEVENTH, "at": middle_of_a_song(twitch, 60, SEVENTH).isoformat()})
    middle = live["moment"]["seconds"] + live["captured_seconds"] / 2
    recording = twitch.video(channel.recording_id)
    resumed_at = middle // 10 * 10 - 100
    recording.configure(paused_at=resumed_at, paused_seconds=27.0)
    # What was heard live at this second of the broadcast is 27 s earlier in the VOD.
    found = await answer(api, {"video": channel.recording_id, "at": round(middle, 1)})
    assert (found["status"], found["heard"], found["moment"]) == ("successful", "video", None)
    start = found["captured_from"] + 27.0
    assert apart(found["song"]["offset"], offset_at(twitch, start, SEVENTH)) < 0.3
    before = await answer(api, {"video": channel.recording_id, "at": resumed_at - 40})
    assert (before["heard"], before["moment"]["broadcast"]) == ("video", str(channel.broadcast_id))
    # Of the recording, nobody knows where a moment after the pause is.
    twitch.configure_channel(SEVENTH, window_segments=6)
    ago = (datetime.now(UTC) - channel.moment(round((resumed_at + 40) * TICKS))).total_seconds()
    assert (await answer(api, {"channel": SEVENTH, "ago": ago}))["problem"]["code"] == "moment-gone"


async def test_a_stream_that_begins_anew_has_a_time_line_of_its_own(api: ClientSession, twitch: Simulator) -> None:
    twitch.reset()
    channel = twitch.channel(SIXTH)
    twitch.configure_channel(SIXTH, window_segments=60)
    assert (await answer(api, {"channel": SIXTH}))["status"] == "successful"
    moment = middle_of_a_song(twitch, 6, SIXTH)
    before = await answer(api, {"channel": SIXTH, "at": moment.isoformat()})
    first, recording = str(channel.broadcast_id), channel.recording_id
    assert (before["status"], before["moment"]["broadcast"]) == ("successful", first)
    # The playlists that the server has are gone in the middle of it, and the new ones list what comes now.
    twitch.restart(SIXTH)
    twitch.clock.advance(40)
    found = await answer(api, {"channel": SIXTH})
    assert (found["status"], found["moment"]["broadcast"]) == ("successful", str(channel.broadcast_id))
    assert found["moment"]["broadcast"] != first
    assert apart(found["song"]["offset"], offset_at(twitch, found["moment"]["seconds"], SIXTH)) < 0.3
    # What was heard before stays known: by the time at which it was broadcast, and in the VOD of then.
    segments = twitch.count(Step.SEGMENT)
    middle = moment + timedelta(seconds=1.0)
    earlier = await answer(api, {"channel": SIXTH, "at": middle.isoformat()})
    assert (earlier["heard"], earlier["moment"]["broadcast"]) == ("live", first)
    at = before["moment"]["seconds"] + before["captured_seconds"] / 2
    known = await answer(api, {"video": recording, "at": round(at, 1)})
    assert (known["heard"], known["moment"]["broadcast"]) == ("live", first)
    assert twitch.count(Step.SEGMENT) == segments
    gone = await answer(api, {"channel": SIXTH, "at": (moment - timedelta(seconds=200)).isoformat()})
    assert gone["problem"]["code"] == "moment-gone", "the newest VOD is of another broadcast"
    twitch.clock.reset()


async def test_what_is_heard_in_a_clip_is_put_on_the_time_line(api: ClientSession, twitch: Simulator) -> None:
    twitch.reset()
    channel = twitch.channel(LOGIN)
    # Where the broadcast plays what the clip has.
    begins = channel.ticks // TICKS - 900
    begins -= begins % int(SONG_SECONDS)
    twitch.clip(SLUG).configure(offset=begins)
    clip = await answer(api, {"clip": SLUG}, **{"Cache-Control": "no-cache"})
    assert clip["status"] == "successful", clip["problem"]
    assert (clip["heard"], clip["moment"]) == (
        "clip",
        {"broadcast": str(channel.broadcast_id), "seconds": begins, "behind_live": None},
    )
    found = await answer(api, {"channel": LOGIN, "at": channel.moment((begins + 6) * TICKS).isoformat()})
    assert (found["status"], found["heard"], found["captured_seconds"]) == ("successful", "clip", None)
    twitch.clip(LATE_SLUG).configure(offset=-1)
    nowhere = await answer(api, {"clip": LATE_SLUG}, **{"Cache-Control": "no-cache"})
    assert (nowhere["heard"], nowhere["moment"]) == ("clip", None), "Twitch does not tell where it is from"
    # Behind a pause, which the VOD leaves out, its place there is none in the broadcast.
    twitch.clip(LATE_SLUG).configure(offset=begins)
    for pause, broadcast in ((begins + 100, str(channel.broadcast_id)), (begins - 100, None)):
        twitch.video(channel.recording_id).configure(paused_at=pause, paused_seconds=27.0)
        placed = await answer(api, {"clip": LATE_SLUG}, **{"Cache-Control": "no-cache"})
        moment = placed["moment"]
        assert (placed["heard"], None if moment is None else moment["broadcast"]) == ("clip", broadcast)


@pytest.mark.parametrize(
    ("switches", "question"),
    [
        ({"recorded": False}, {"ago": 300}),
        ({"recording_muted": True}, {"ago": 320}),
        ({}, {"ago": 80_000}),
        ({"record_lag_seconds": 600.0}, {"ago": 330}),
    ],
    ids=["no recording", "muted", "before the broadcast", "not recorded yet"],
)
async def test_a_moment_that_nothing_has_is_gone(
    api: ClientSession, twitch: Simulator, switches: dict[str, Any], question: dict[str, Any]
) -> None:
    twitch.reset()
    twitch.configure_channel(LOGIN, **switches)
    found = await answer(api, {"channel": LOGIN, **question})
    assert (found["status"], found["problem"]["code"], found["problem"]["status"]) == (
        "failed",
        "moment-gone",
        410,
    )
    assert found["problem"]["detail"].count(".") == 1
    if "recording_muted" in switches:
        assert "may have muted it" in found["problem"]["detail"]


async def test_a_moment_whose_recording_is_for_subscribers_says_so(api: ClientSession, twitch: Simulator) -> None:
    twitch.reset()
    twitch.video(twitch.channel(LOGIN).recording_id).configure(subscriber_only=True)
    found = await answer(api, {"channel": LOGIN, "ago": 340})
    assert found["problem"]["code"] == "moment-gone"
    assert "may be for subscribers only" in found["problem"]["detail"]


async def test_the_recording_of_another_broadcast_is_not_taken_for_this_one(
    api: ClientSession, twitch: Simulator
) -> None:
    twitch.reset()
    recording = twitch.video(twitch.channel(LOGIN).recording_id)
    other = recording.root.replace(str(twitch.channel(LOGIN).broadcast_id), "39999999999")
    recording.root = other
    found = await answer(api, {"channel": LOGIN, "ago": 340})
    assert found["problem"]["code"] == "moment-gone"
    found = await answer(api, {"channel": "nobody_there", "ago": 340})
    assert found["problem"]["code"] == "channel-not-found"


async def test_an_advertisement_is_reported_with_the_seconds_left(api: ClientSession, twitch: Simulator) -> None:
    twitch.configure_channel(LOGIN, window_segments=4)
    twitch.channel(LOGIN).start_ad(60.0, started_ago=20.0)
    found = await answer(api, {"channel": LOGIN})
    problem = found["problem"]
    assert (found["status"], problem["code"]) == ("failed", "ad-break")
    assert 30 <= problem["retry_after_seconds"] <= 50
    assert "more seconds" in problem["detail"]
    assert found["song"] is None
    assert found["captured_seconds"] is None
