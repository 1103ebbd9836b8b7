"""Everything that can be made to go wrong on the simulated Twitch is seen by those who ask."""

import asyncio
import contextlib
import io
import time

import aiohttp
import av
import av.error
import numpy as np
import pytest

from simulator.faults import Fault, FaultKind, Step
from simulator.switches import SwitchError
from tests.integration.simulator_client import (
    CLIP,
    CLIP_QUERY,
    LIVE,
    STREAM_QUERY,
    VIDEO,
    Viewer,
    a_viewer,
    decoded,
    frequency,
    signed,
)

ASK = {"query": STREAM_QUERY, "variables": {"login": LIVE}}


def fail(viewer: Viewer, step: Step, kind: FaultKind, *, times: int | None = None, **more: float) -> None:
    status, seconds = int(more.get("status", 503)), more.get("seconds", 1.0)
    fault = Fault(step=step, kind=kind, times=times, status=status, seconds=seconds)
    viewer.twitch.channel(LIVE).faults.add(fault)


# --- ads ----------------------------------------------------------------------------------------------


async def test_a_preroll_starts_each_session_and_gives_way_to_content(viewer: Viewer) -> None:
    viewer.twitch.configure_channel(LIVE, preroll_seconds=15.235)
    playlist = await viewer.playlist()
    assert len(playlist.segments) == 3
    assert playlist.live == []
    assert 'X-TV-TWITCH-AD-ROLL-TYPE="PREROLL"' in playlist.text
    assert "DURATION=15.235" in playlist.text
    assert "PREFETCH" not in playlist.text
    assert "TWITCH-LIVE-SEQUENCE" not in playlist.text
    first = playlist.sequence
    viewer.twitch.clock.advance(16)
    later = await viewer.reload(playlist.url)
    assert [round(segment.seconds, 3) for segment in later.segments] == [2.0] * 7 + [1.235, 0.765, 2.0, 2.0, 2.0]
    assert [segment.discontinuity for segment in later.segments].index(True) == 8
    assert len(later.live) == 4
    assert later.sequence == first
    assert "EXT-X-TWITCH-LIVE-SEQUENCE" in later.text
    again = await viewer.playlist()
    assert again.live == []


async def test_a_midroll_comes_to_everybody_with_other_sound(viewer: Viewer) -> None:
    playlist = await viewer.playlist()
    viewer.twitch.channel(LIVE).start_ad(30)
    announced = await viewer.reload(playlist.url)
    assert 'CLASS="twitch-stitched-ad"' in announced.text
    assert len(announced.live) == 15
    assert viewer.twitch.now_playing(LIVE) is not None
    viewer.twitch.clock.advance(8)
    running = await viewer.reload(playlist.url)
    ads = [segment for segment in running.segments if segment not in running.live]
    assert len(ads) == 3
    assert all(segment.title.startswith("Amazon|") for segment in ads)
    assert running.segments[:11] == announced.segments[4:]
    assert viewer.twitch.now_playing(LIVE) is None
    sound = await viewer.sound(*ads)
    tones = {round(frequency(sound, at / 4), -1) for at in range(1, 22)}
    assert len(tones) > 5  # a ladder has one tone a second, and nothing as lively as this
    viewer.twitch.clock.advance(40)
    assert len((await viewer.reload(playlist.url)).live) >= 7


async def test_an_ad_may_have_been_running_for_a_while(viewer: Viewer) -> None:
    viewer.twitch.channel(LIVE).start_ad(60, started_ago=40)
    playlist = await viewer.playlist()
    assert playlist.live == []
    assert len(playlist.segments) == 15


# --- broadcasts that misbehave ------------------------------------------------------------------------


async def test_a_stalled_playlist_stays_as_it_is(viewer: Viewer) -> None:
    viewer.twitch.configure_channel(LIVE, stalled=True)
    playlist = await viewer.playlist()
    viewer.twitch.clock.advance(600)
    assert (await viewer.reload(playlist.url)).text == playlist.text
    assert (await viewer.get(playlist.segments[-1].url)).status == 200
    viewer.twitch.configure_channel(LIVE, stalled=False)
    assert (await viewer.reload(playlist.url)).sequence == playlist.sequence + 300


async def test_an_ended_broadcast_says_so_and_then_is_gone(viewer: Viewer) -> None:
    playlist = await viewer.playlist()
    viewer.twitch.configure_channel(LIVE, ended=True)
    ended = await viewer.reload(playlist.url)
    assert ended.text.rstrip().endswith("#EXT-X-ENDLIST")
    viewer.twitch.clock.advance(31)
    assert (await viewer.get(playlist.url)).status == 404
    assert (await viewer.usher()).status == 404


async def test_going_offline_ends_the_playlist(viewer: Viewer) -> None:
    playlist = await viewer.playlist()
    viewer.twitch.configure_channel(LIVE, offline=True)
    assert (await viewer.get(playlist.url)).status == 404


async def test_sequence_jumps_short_windows_and_stray_discontinuities(viewer: Viewer) -> None:
    playlist = await viewer.playlist()
    viewer.twitch.configure_channel(
        LIVE, sequence_offset=5000, window_segments=2, discontinuity_every=2, prefetch=False
    )
    changed = await viewer.reload(playlist.url)
    assert changed.sequence == playlist.sequence + 5000 + 13
    assert len(changed.segments) == 2
    assert "PREFETCH" not in changed.text
    viewer.twitch.configure_channel(LIVE, window_segments=15)
    assert sum(segment.discontinuity for segment in (await viewer.reload(playlist.url)).segments) == 7


async def test_switches_are_checked(viewer: Viewer) -> None:
    for changes in (
        {"segment_seconds": 13.0},
        {"broken": "some"},
        {"offline": 1},
        {"no_such_switch": True},
        {"window_segments": 0},
    ):
        with pytest.raises(SwitchError):
            viewer.twitch.configure_channel(LIVE, **changes)
    assert viewer.twitch.channel(LIVE).switches == type(viewer.twitch.channel(LIVE).switches)()


# --- answers that are no answers ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (FaultKind.SERVICE_ERROR, "service error"),
        (FaultKind.SERVICE_TIMEOUT, "service timeout"),
        (FaultKind.SERVER_ERROR, "server error"),
        (FaultKind.FAILED_INTEGRITY, "failed integrity check"),
    ],
)
async def test_errors_inside_a_200(viewer: Viewer, kind: FaultKind, message: str) -> None:
    fail(viewer, Step.GQL, kind, times=1)
    reply = await viewer.gql(ASK)
    assert reply.status == 200
    assert reply.json["errors"][0] == {"message": message, "path": ["streamPlaybackAccessToken"]}
    assert reply.json["data"] == {"streamPlaybackAccessToken": None}
    assert (reply.json["extensions"].get("challenge") is not None) is (kind is FaultKind.FAILED_INTEGRITY)
    assert (await viewer.gql(ASK)).json["data"]["streamPlaybackAccessToken"]


async def test_data_that_is_null_or_missing_and_queries_that_are_not_found(viewer: Viewer) -> None:
    for kind in (FaultKind.NULL_DATA, FaultKind.MISSING_DATA, FaultKind.PERSISTED_QUERY_NOT_FOUND):
        fail(viewer, Step.GQL, kind, times=1)
    null, missing, unknown = [(await viewer.gql(ASK)).json for _ in range(3)]
    assert null["data"] is None
    assert missing.keys() == {"extensions"}
    assert unknown["errors"] == [{"message": "PersistedQueryNotFound"}]


async def test_bodies_that_are_no_json(viewer: Viewer) -> None:
    for kind in (FaultKind.HTML, FaultKind.CUT_JSON, FaultKind.EMPTY, FaultKind.BINARY):
        fail(viewer, Step.GQL, kind, times=1)
        reply = await viewer.gql(ASK)
        assert reply.status == 200
        with pytest.raises(ValueError):  # noqa: PT011 - JSON and Unicode errors
            _ = reply.json
    assert (await viewer.gql(ASK)).json["data"]


@pytest.mark.parametrize("step", [Step.GQL, Step.USHER, Step.PLAYLIST, Step.SEGMENT])
async def test_a_status_once_twice_and_always(viewer: Viewer, step: Step) -> None:
    playlist = await viewer.playlist()
    token = await viewer.token()

    async def ask() -> int:
        match step:
            case Step.GQL:
                return (await viewer.gql(ASK)).status
            case Step.USHER:
                return (await viewer.usher(LIVE, token)).status
            case Step.PLAYLIST:
                return (await viewer.get(playlist.url)).status
            case _:
                return (await viewer.get(playlist.segments[-1].url)).status

    fail(viewer, step, FaultKind.STATUS, status=404, times=1)
    fail(viewer, step, FaultKind.STATUS, status=502, times=2)
    assert [await ask() for _ in range(4)] == [404, 502, 502, 200]
    fail(viewer, step, FaultKind.STATUS, status=500)
    assert {await ask() for _ in range(3)} == {500}
    viewer.twitch.reset()
    viewer.twitch.clock.freeze()
    assert await ask() == 200


async def test_faults_for_one_channel_spare_the_others(viewer: Viewer) -> None:
    fail(viewer, Step.USHER, FaultKind.STATUS)
    assert (await viewer.usher()).status == 503
    assert (await viewer.usher("picture")).status == 200
    viewer.twitch.fail(Fault(step=Step.USHER, kind=FaultKind.STATUS, status=500))
    assert (await viewer.usher("picture")).status == 500


async def test_connections_that_break(viewer: Viewer) -> None:
    playlist = await viewer.playlist()
    # A client may repeat a GET by itself when a connection that it used before is dropped.
    for kind, times in ((FaultKind.RESET, 2), (FaultKind.CUT, 1)):
        fail(viewer, Step.SEGMENT, kind, times=times)
        with pytest.raises(aiohttp.ClientError):
            await viewer.get(playlist.segments[-1].url)
    assert (await viewer.get(playlist.segments[-1].url)).status == 200


async def test_truncated_segments_are_shorter(viewer: Viewer) -> None:
    playlist = await viewer.playlist()
    whole = await viewer.get(playlist.segments[-1].url)
    fail(viewer, Step.SEGMENT, FaultKind.TRUNCATED, times=1)
    cut = await viewer.get(playlist.segments[-1].url)
    assert cut.status == 200
    assert cut.body == whole.body[: len(whole.body) // 3]
    with av.open(io.BytesIO(cut.body), "r") as container:
        heard = 0
        with contextlib.suppress(av.error.InvalidDataError):  # the last frame is cut in two
            for frame in container.decode(container.streams.audio[0]):
                heard += frame.samples
    assert 0.2 < heard / decoded(whole.body).shape[1] < 0.4


@pytest.mark.parametrize("step", [Step.USHER, Step.PLAYLIST])
async def test_malformed_playlists(viewer: Viewer, step: Step) -> None:
    playlist = await viewer.playlist()

    async def ask() -> bytes:
        return (await viewer.usher() if step is Step.USHER else await viewer.get(playlist.url)).body

    right = await ask()
    fail(viewer, step, FaultKind.EMPTY, times=1)
    assert await ask() == b""
    fail(viewer, step, FaultKind.BINARY, times=1)
    assert b"#EXTM3U" not in await ask()
    fail(viewer, step, FaultKind.HUGE, times=1)
    assert len(await ask()) > 30_000_000
    for kind, address in (
        (FaultKind.FOREIGN_HOST, b"\nhttps://media.example.com/"),
        (FaultKind.FILE_URI, b"\nfile:///etc/"),
        (FaultKind.SELF_REFERENCE, b".m3u8"),
    ):
        fail(viewer, step, kind, times=1)
        bent = await ask()
        assert address in bent
        assert bent.count(b"\n") == right.count(b"\n")
    fail(viewer, step, FaultKind.GZIP, times=1)
    assert (await ask()).startswith(b"#EXTM3U")  # the client unpacks it


async def test_renditions_and_segments_without_sound(viewer: Viewer) -> None:
    fail(viewer, Step.USHER, FaultKind.NO_AUDIO, times=1)
    text = (await viewer.usher()).text
    assert "mp4a" not in text
    silent = await viewer.reload(text.splitlines()[-1])
    with pytest.raises(IndexError):
        await viewer.sound(silent.segments[0])
    fail(viewer, Step.PLAYLIST, FaultKind.NO_AUDIO, times=1)
    with pytest.raises(IndexError):
        await viewer.sound((await viewer.playlist()).segments[0])


async def test_clips_and_videos_fail_too(viewer: Viewer) -> None:
    viewer.twitch.clip(CLIP).faults.add(Fault(step=Step.GQL, kind=FaultKind.SERVICE_ERROR, times=1))
    asked = {"query": CLIP_QUERY, "variables": {"slug": CLIP}}
    assert (await viewer.gql(asked)).json["errors"]
    clip = (await viewer.gql(asked)).json["data"]["clip"]
    address = signed(clip["videoQualities"][-1]["sourceURL"], clip["playbackAccessToken"])
    viewer.twitch.clip(CLIP).faults.add(Fault(step=Step.CLIP, kind=FaultKind.STATUS, status=404, times=1))
    assert [(await viewer.get(address)).status for _ in range(2)] == [404, 200]
    viewer.twitch.video(VIDEO).faults.add(Fault(step=Step.USHER, kind=FaultKind.STATUS, status=502))
    assert (await viewer.get(f"{viewer.twitch.usher_url}/vod/{VIDEO}.m3u8")).status == 502


# --- time ---------------------------------------------------------------------------------------------


async def test_latency_is_one_delay_for_each_answer(viewer: Viewer) -> None:
    viewer.twitch.latency.set(30, {Step.USHER: 50})
    started = time.perf_counter()
    token = await viewer.token()
    between = time.perf_counter()
    await viewer.usher(LIVE, token)
    assert between - started >= 0.03
    assert time.perf_counter() - between >= 0.08
    assert [record.delay_seconds for record in viewer.twitch.requests.records] == [0.03, 0.08]
    viewer.twitch.latency.set(0)
    segments = (await viewer.playlist()).segments[-4:]
    viewer.twitch.latency.set(100)
    started = time.perf_counter()
    await asyncio.gather(*(viewer.get(segment.url) for segment in segments))
    assert time.perf_counter() - started >= 0.1
    assert [record.delay_seconds for record in viewer.twitch.requests.records[-4:]] == [0.1] * 4


async def test_slow_answers_and_drips(viewer: Viewer) -> None:
    playlist = await viewer.playlist()
    whole = (await viewer.get(playlist.segments[-1].url)).body
    fail(viewer, Step.SEGMENT, FaultKind.SLOW, seconds=0.2, times=1)
    fail(viewer, Step.SEGMENT, FaultKind.DRIP, seconds=0.2, times=1)
    started = time.perf_counter()
    assert (await viewer.get(playlist.segments[-1].url)).body == whole
    assert time.perf_counter() - started >= 0.4


# --- the control endpoint -----------------------------------------------------------------------------


async def test_everything_can_be_switched_over_http(viewer: Viewer) -> None:
    fault = {"step": "segment", "kind": "status", "status": 404, "times": 1}
    reply = await viewer.control(
        f"channels/{LIVE}", {"audio": "missing", "faults": [fault], "ad": {"seconds": 20}}
    )
    assert reply.status == 200
    assert reply.json["switches"]["audio"] == "missing"
    assert reply.json["faults"][0]["kind"] == "status"
    assert (await viewer.control(f"clips/{CLIP}", {"missing": True})).json["switches"]["missing"] is True
    assert (await viewer.control(f"videos/{VIDEO}", {"recording": True})).status == 200
    assert (await viewer.control("faults", {"faults": [{"step": "gql", "kind": "html"}]})).status == 200
    assert (await viewer.gql(ASK)).body.startswith(b"<!DOCTYPE")
    assert (await viewer.control("latency", {"all_ms": 5, "by_step": {"gql": 1}})).json["all_ms"] == 5
    before = viewer.twitch.clock.time()
    assert (await viewer.control("clock", {"advance": 60})).json["frozen"] is True
    assert viewer.twitch.clock.time() == before + 60
    state = (await viewer.get(viewer.twitch.control_url)).json
    assert state["channels"][LIVE]["now_playing"] is not None
    requests = (await viewer.get(f"{viewer.twitch.control_url}/requests")).json
    assert requests["counts"] == {"gql": 1}
    assert requests["requests"][0]["fault"] == "html"
    assert (await viewer.control("reset", {})).status == 200
    assert (await viewer.get(f"{viewer.twitch.control_url}/requests")).json["counts"] == {}
    assert not viewer.twitch.clock.frozen
    assert (await viewer.gql(ASK)).json["data"]


@pytest.mark.parametrize(
    ("path", "body", "named"),
    [
        (f"channels/{LIVE}", {"ofline": True}, "ofline"),
        (f"channels/{LIVE}", {"offline": "yes"}, "offline"),
        (f"channels/{LIVE}", {"faults": [{"step": "segment", "kind": "explodes"}]}, "explodes"),
        (f"channels/{LIVE}", {"faults": [{"step": "segment", "kind": "html", "often": 1}]}, "often"),
        (f"channels/{LIVE}", {"faults": [{"step": "segment", "kind": "null_data"}]}, "null_data"),
        (f"channels/{LIVE}", {"ad": {"minutes": 1}}, "minutes"),
        (f"clips/{CLIP}", {"offline": True}, "offline"),
        ("clock", {"forward": 1}, "forward"),
        ("latency", {"all_ms": -1}, "latency"),
        ("latency", {"by_step": {"sofa": 1}}, "sofa"),
        ("faults", {"fault": []}, "fault"),
        (f"channels/{LIVE}", [1], "object"),
    ],
)
async def test_what_the_control_endpoint_does_not_know_is_named(
    viewer: Viewer, path: str, body: object, named: str
) -> None:
    before = viewer.twitch.channel(LIVE).switches
    reply = await viewer.control(path, body)
    assert reply.status == 400
    assert named in reply.json["error"]
    assert viewer.twitch.channel(LIVE).switches == before


async def test_things_that_do_not_exist_cannot_be_switched(viewer: Viewer) -> None:
    for path in ("channels/nobody_here", "clips/NoSuchClip", "videos/1"):
        assert (await viewer.control(path, {})).status == 404


async def test_two_simulators_do_not_know_each_others_tokens(
    viewer: Viewer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    async with a_viewer(tmp_path_factory.getbasetemp() / "simulator-media") as other:
        assert (await other.usher(LIVE, await viewer.token())).status == 403
        mine, theirs = await viewer.playlist(), await other.playlist()
        assert np.all([segment.url not in theirs.text for segment in mine.segments])
