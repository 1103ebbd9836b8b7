"""What is sent to Twitch, request by request, and the ways around what fails, on the simulated Twitch."""

import re
from typing import Any

import pytest
from aiohttp import ClientSession
from msgspec.structs import replace
from yarl import URL

from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.domain.targets import ChannelTarget, ClipTarget, Target, VideoTarget
from fingerprint.ports import Broadcaster, ClipSource, LiveSource
from fingerprint.setting_formats import DEFAULT_USER_AGENT
from fingerprint.twitch.clips import TwitchClips
from fingerprint.twitch.fetcher import twitch_allow_list, twitch_fetcher
from fingerprint.upstream_settings import TwitchSettings
from simulator.browser_demands import TABLE
from simulator.faults import ODD_DATA_KINDS, Fault, FaultKind, Step
from simulator.transport import RequestRecord
from tests.integration.capture_twitch import SLUG, VIDEO, Listener

pytestmark = pytest.mark.asyncio(loop_scope="module")
CLIP = f"https://clips.twitch.tv/{SLUG}"


# --- Request by request --------------------------------------------------------------------------------

PAGE = {
    "User-Agent": DEFAULT_USER_AGENT,
    "Accept": "*/*",
    "Accept-Language": "en-US,en;q=0.5",
    "Origin": "https://www.twitch.tv",
    "Referer": "https://www.twitch.tv/",
    "Sec-Fetch-Dest": "empty",
    "Sec-Fetch-Mode": "cors",
    "Sec-Fetch-Site": "cross-site",
}
MEDIA = {**PAGE, "Accept-Encoding": "identity"}
GQL: tuple[str, str, dict[str, str], dict[str, str]] = (
    "POST",
    "/gql",
    {},
    {
        **PAGE,
        "Client-ID": "kimne78kx3ncx6brgo4mv6wki5h1ko",
        "Content-Type": "text/plain;charset=UTF-8",
        "Sec-Fetch-Site": "same-site",
        "X-Device-Id": "<32 hexadecimal digits>",
    },
)
USHER = {
    "token": "(hidden)",
    "sig": "(hidden)",
    "p": "<a number>",
    "play_session_id": "<32 hexadecimal digits>",
    "platform": "web",
    "player": "twitchweb",
    "player_backend": "mediaplayer",
    "allow_source": "true",
    "allow_audio_only": "true",
    "playlist_include_framerate": "true",
    "reassignments_supported": "true",
    "supported_codecs": "h264",
    "transcode_mode": "cbr_v1",
    "cdm": "wv",
    "acmb": "e30=",
}


def sent(record: RequestRecord) -> tuple[str, str, dict[str, str], dict[str, str]]:
    """A request's method, path, parameters and headers, with what is random or sealed in words."""
    query = dict(record.query) | dict.fromkeys(record.hidden_parameters, "(hidden)")
    if re.fullmatch(r"\d{1,6}", query.get("p", "")):
        query["p"] = "<a number>"
    if re.fullmatch(r"[0-9a-f]{32}", query.get("play_session_id", "")):
        query["play_session_id"] = "<32 hexadecimal digits>"
    path = re.sub(r"[^/]{40,}(?=\.(m3u8|ts)$)", "<sealed>", record.path)
    path = re.sub(r"^/[0-9a-f]{20}_ladder_\d+_\d+/", "/<root>/", path)
    compressed = (
        record.headers.get("Accept-Encoding") != "identity"
    )  # which ways to compress depends on the libraries
    headers = {
        name: value for name, value in record.headers.items() if not (compressed and name == "Accept-Encoding")
    }
    if re.fullmatch(r"[0-9a-f]{32}", headers.get("X-Device-Id", "")):
        headers["X-Device-Id"] = "<32 hexadecimal digits>"
    return record.method, path, query, headers


async def requests(listener: Listener, target: str | Target) -> list[Any]:
    await listener.listen(target)
    return [sent(record) for record in listener.twitch.requests.records]


async def test_a_live_stream_is_asked_for_as_a_browser_asks(listener: Listener) -> None:
    listener.twitch.configure_channel("ladder", prefetch=True)
    gql, usher, playlist, *segments = await requests(listener, "Ladder")
    assert gql == GQL
    assert usher == ("GET", "/api/v2/channel/hls/ladder.m3u8", {**USHER, "fast_bread": "true"}, PAGE)
    assert playlist == ("GET", "/v1/playlist/<sealed>.m3u8", {}, PAGE)
    assert len(segments) >= 3
    for segment in segments:
        assert segment == ("GET", "/v1/segment/<sealed>.ts", {"dna": "sim"}, MEDIA)


async def test_a_video_is_asked_for_as_a_browser_asks(listener: Listener) -> None:
    gql, usher, playlist, *segments = await requests(listener, VideoTarget(VIDEO, 5.0))
    assert gql == GQL
    assert usher == ("GET", f"/vod/v2/{VIDEO}.m3u8", USHER, PAGE)
    assert playlist == ("GET", "/<root>/audio_only/index-muted-SIMULATED0.m3u8", {}, PAGE)
    assert [segment[1] for segment in segments] == ["/<root>/audio_only/0.ts", "/<root>/audio_only/1.ts"]
    assert all(segment[2:] == ({}, MEDIA) for segment in segments)


async def test_the_older_usher_is_asked_for_all_codecs(listener: Listener) -> None:
    listener.twitch.configure_channel("ladder", hevc_alone=True, audio="missing")
    ushers = [sent for sent in await requests(listener, "ladder") if "/channel/hls/" in sent[1]]
    every_codec = {**USHER, "fast_bread": "true", "supported_codecs": "av1,h265,h264"}
    assert ushers[1] == ("GET", "/api/channel/hls/ladder.m3u8", every_codec, PAGE)
    assert len(ushers) == 2


async def test_a_clip_is_asked_for_as_a_browser_asks(listener: Listener) -> None:
    gql, clip = await requests(listener, CLIP)
    assert gql == GQL
    method, path, query, headers = clip
    assert (method, path.rpartition("/")[2]) == ("GET", "360.mp4")
    assert query.keys() == {"Policy", "Signature", "Key-Pair-Id", "sig", "token"}
    assert headers == MEDIA


async def test_the_segments_that_are_being_made_are_listed_because_they_are_asked_for(listener: Listener) -> None:
    listener.twitch.configure_channel("ladder", prefetch=True)
    source = await listener.resolver.resolve(ChannelTarget("ladder"))
    assert isinstance(source, LiveSource)
    listed = await listener.media.get(source.playlist, step="playlist", max_bytes=1 << 20, total_seconds=3.0)
    assert listed.text.count("#EXT-X-TWITCH-PREFETCH:") == 2
    assert listed.text.count("#EXTINF:") == 15


DEMANDS = [demand.name for demand in TABLE]


@pytest.mark.parametrize("demands", [*([name] for name in DEMANDS), DEMANDS], ids=[*DEMANDS, "all"])
async def test_a_twitch_that_serves_only_browsers_serves_us_in_the_first_way(
    listener: Listener, demands: list[str]
) -> None:
    twitch = listener.twitch
    async with ClientSession() as client:
        control = f"{twitch.control_url}/browser"
        for names, status in (["unheard-of"], 400), (demands, 200):
            assert (await client.post(control, json={"demands": names})).status == status
        assert (await (await client.get(twitch.control_url)).json())["browser"] == {"demands": sorted(demands)}
        bare = await client.post(twitch.gql_url, json={}, headers={"Client-ID": "kimne78kx3ncx6brgo4mv6wki5h1ko"})
        assert bare.status == 403 or "errors" in await bare.json()
    twitch.configure_channel("ladder", prefetch=True)
    twitch.requests.clear()
    for target in ("ladder", VideoTarget(VIDEO, 5.0), CLIP):
        assert (await listener.listen(target)).pcm.duration_seconds >= 5.0
    counts = twitch.requests.counts
    assert (counts["gql"], counts["usher"]) == (3, 2)
    assert {record.status for record in twitch.requests.records} == {200}


# --- One rendition fails alone --------------------------------------------------------------------------

SPOILED: dict[str, dict[str, Any]] = {
    "403": {"kind": FaultKind.STATUS, "status": 403},
    "404": {"kind": FaultKind.STATUS, "status": 404},
    "410": {"kind": FaultKind.STATUS, "status": 410},
    "500": {"kind": FaultKind.STATUS, "status": 500},
    "a page": {"kind": FaultKind.HTML},
    "a refusal with a page": {"kind": FaultKind.HTML_STATUS, "status": 403},
    "nothing": {"kind": FaultKind.EMPTY},
    "no segments": {"kind": FaultKind.EMPTY_LIST},
    "another host": {"kind": FaultKind.FOREIGN_HOST},
    "no end": {"kind": FaultKind.ENDLESS},
}


@pytest.mark.parametrize("fault", SPOILED.values(), ids=SPOILED.keys())
async def test_a_playlist_that_fails_alone_is_passed_over(listener: Listener, fault: dict[str, Any]) -> None:
    listener.twitch.fail(Fault(step=Step.PLAYLIST, only="audio_only", **fault), login="ladder")
    recording = await listener.listen("ladder")
    assert recording.pcm.duration_seconds == pytest.approx(6.0, abs=0.1)
    assert listener.twitch.requests.counts["usher"] == 1
    listener.twitch.video(VIDEO).faults.add(Fault(step=Step.PLAYLIST, only="audio_only", **fault))
    if fault["kind"] is not FaultKind.FOREIGN_HOST:  # a VOD's playlist is fine, its segments are elsewhere
        assert (await listener.listen(VideoTarget(VIDEO, 5.0))).from_seconds == 0.0


async def test_a_kept_source_passes_it_over_each_time_and_begins_no_new_session(listener: Listener) -> None:
    fault = Fault(step=Step.PLAYLIST, kind=FaultKind.STATUS, status=404, only="audio_only")
    listener.twitch.fail(fault, login="ladder")
    for _ in range(3):
        await listener.listen("ladder")
    assert listener.twitch.requests.counts["usher"] == 1


async def test_the_smallest_rendition_that_plays_is_taken(listener: Listener) -> None:
    for name in ("audio_only", "160p30", "480p30", "720p60"):
        fault = Fault(step=Step.PLAYLIST, kind=FaultKind.STATUS, status=404, only=name)
        listener.twitch.fail(fault, login="ladder")
    listener.twitch.configure_channel("ladder", audio="listed")
    assert (await listener.listen("ladder")).pcm.duration_seconds == pytest.approx(6.0, abs=0.1)


SPOILED_SEGMENTS: dict[str, dict[str, Any]] = {
    "403": {"kind": FaultKind.STATUS, "status": 403},
    "404": {"kind": FaultKind.STATUS, "status": 404},
    "503": {"kind": FaultKind.STATUS, "status": 503},
    "a page": {"kind": FaultKind.HTML},
    "nothing": {"kind": FaultKind.EMPTY},
    "broken off": {"kind": FaultKind.CUT},
    "noise": {"kind": FaultKind.BINARY},
}
SMALLER = ("audio_only", "160p30", "480p30", "720p60")


@pytest.mark.parametrize("fault", SPOILED_SEGMENTS.values(), ids=SPOILED_SEGMENTS.keys())
@pytest.mark.parametrize("spoiled", [1, 4])
async def test_segments_that_fail_in_some_renditions_are_taken_from_another(
    listener: Listener, fault: dict[str, Any], spoiled: int
) -> None:
    faults = [Fault(step=Step.SEGMENT, only=name, **fault) for name in SMALLER[:spoiled]]
    listener.twitch.channel("ladder").faults.set(*faults)
    listener.twitch.video(VIDEO).faults.set(*faults)
    assert (await listener.listen("ladder")).pcm.duration_seconds == pytest.approx(6.0, abs=0.1)
    recording = await listener.listen(VideoTarget(VIDEO, 47.0))
    assert recording.from_seconds == pytest.approx(40.0, abs=0.1)
    assert recording.pcm.duration_seconds == pytest.approx(20.0, abs=0.1)
    assert listener.twitch.requests.counts["usher"] == 2


async def test_a_moment_that_one_rendition_lacks_is_heard_in_another(listener: Listener) -> None:
    # Of the first rendition the second segment that is asked for fails: 50 to 60 s.
    faults = [Fault(step=Step.SEGMENT, kind=FaultKind.STATUS, status=404, only="audio_only", times=1)]
    listener.twitch.video(VIDEO).faults.set(*faults)
    recording = await listener.listen(VideoTarget(VIDEO, 41.0))
    assert recording.from_seconds == pytest.approx(40.0, abs=0.1)


@pytest.mark.parametrize("step", [Step.PLAYLIST, Step.SEGMENT])
@pytest.mark.parametrize("status", [403, 404, 503])
async def test_where_no_rendition_plays_usher_is_asked_in_another_way(
    listener: Listener, step: Step, status: int
) -> None:
    for target in ("ladder", VideoTarget(VIDEO, 47.0)):
        fresh = listener.afresh()
        fresh.twitch.fail(Fault(step=step, kind=FaultKind.STATUS, status=status))
        await failure(fresh, target)
        ways = [record.path for record in listener.twitch.requests.records if record.step == "usher"]
        assert len(ways) == 2
        assert len(set(ways)) == 2
        assert listener.twitch.requests.counts["gql"] == 2, "with another token"


async def test_sound_that_is_a_rendition_of_its_own_is_heard(listener: Listener) -> None:
    listener.twitch.configure_channel("ladder", audio="apart")
    assert (await listener.listen("ladder")).pcm.duration_seconds == pytest.approx(6.0, abs=0.1)
    listener.twitch.video(VIDEO).configure(audio="apart")
    assert (await listener.listen(VideoTarget(VIDEO, 5.0))).pcm.duration_seconds == pytest.approx(20.0, abs=0.1)


async def failure(listener: Listener, target: str | Target) -> TwitchAudioError:
    with pytest.raises(TwitchAudioError) as caught:
        await listener.listen(target)
    return caught.value


async def test_playlists_that_are_all_refused_are_no_proof_that_a_channel_is_not_live(listener: Listener) -> None:
    listener.twitch.fail(Fault(step=Step.PLAYLIST, kind=FaultKind.STATUS, status=404))
    error = await failure(listener, "ladder")
    assert error.code is ProblemCode.UPSTREAM_UNAVAILABLE
    assert error.retry_after_seconds
    assert listener.twitch.requests.counts["usher"] == 2, "another way was tried"
    assert listener.twitch.requests.counts["playlist"] == 10
    assert [record.path for record in listener.twitch.requests.records if record.step == "usher"] == [
        "/api/v2/channel/hls/ladder.m3u8",
        "/api/channel/hls/ladder.m3u8",
    ]


@pytest.mark.parametrize(
    ("status", "code"), [(403, ProblemCode.RESTRICTED_STREAM), (404, ProblemCode.VIDEO_NOT_FOUND)]
)
async def test_a_video_whose_playlists_are_all_refused_is_not_to_be_asked_for_again(
    listener: Listener, status: int, code: ProblemCode
) -> None:
    listener.twitch.fail(Fault(step=Step.PLAYLIST, kind=FaultKind.STATUS, status=status))
    error = await failure(listener, VideoTarget(VIDEO, 5.0))
    assert error.code is code
    assert error.retry_after_seconds is None


async def test_a_playlist_host_that_wants_a_pause_is_asked_no_more(listener: Listener) -> None:
    listener.twitch.fail(Fault(step=Step.PLAYLIST, kind=FaultKind.STATUS, status=429, retry_after=30))
    for target in ("ladder", VideoTarget(VIDEO, 5.0)):
        listener.twitch.requests.clear()
        assert (await failure(listener, target)).retry_after_seconds == pytest.approx(30, abs=5)
        assert listener.twitch.count(Step.PLAYLIST) <= 1


# --- usher and gql --------------------------------------------------------------------------------------

REFUSED: dict[str, dict[str, Any]] = {
    "a refusal with a page": {"kind": FaultKind.HTML_STATUS, "status": 403},
    "400": {"kind": FaultKind.STATUS, "status": 400},
    "401": {"kind": FaultKind.STATUS, "status": 401},
    "a page": {"kind": FaultKind.HTML},
    "an empty list": {"kind": FaultKind.EMPTY_LIST},
    "binary": {"kind": FaultKind.BINARY},
}


@pytest.mark.parametrize("fault", REFUSED.values(), ids=REFUSED.keys())
@pytest.mark.parametrize("target", ["ladder", VideoTarget(VIDEO, 5.0)], ids=["live", "video"])
async def test_where_one_version_of_usher_fails_the_other_is_asked(
    listener: Listener, target: str | Target, fault: dict[str, Any]
) -> None:
    listener.twitch.fail(Fault(step=Step.USHER, only="v2", **fault))
    await listener.listen(target)
    assert listener.twitch.requests.counts["usher"] == 2
    assert listener.twitch.requests.counts["gql"] == 1


@pytest.mark.parametrize("target", ["ladder", VideoTarget(VIDEO, 5.0)], ids=["live", "video"])
async def test_where_one_version_of_usher_leads_to_hosts_that_are_not_listed_the_other_is_asked(
    listener: Listener, target: str | Target
) -> None:
    fault = Fault(step=Step.USHER, kind=FaultKind.FOREIGN_HOST, only="v2")
    listener.twitch.fail(fault)
    await listener.listen(target)
    fresh = listener.afresh()
    fresh.twitch.fail(replace(fault, only=None))
    error = await failure(fresh, target)
    assert "not on the list of hosts" in error.detail
    assert error.retry_after_seconds is None
    assert listener.twitch.requests.counts["usher"] == 2


async def test_the_other_names_of_the_token_are_tried(listener: Listener) -> None:
    listener.twitch.configure_channel("ladder", token_names="nauth")
    await listener.listen("ladder")
    listener.twitch.video(VIDEO).configure(token_names="nauth")
    await listener.listen(VideoTarget(VIDEO, 5.0))
    assert listener.twitch.requests.counts["usher"] == 2 * 4, (
        "v2, and again with a new token, v1, v2 with the others"
    )
    assert listener.twitch.requests.counts["gql"] == 2 * 2


async def test_an_usher_behind_a_wall_is_said_to_be_behind_one(listener: Listener) -> None:
    listener.twitch.fail(Fault(step=Step.USHER, kind=FaultKind.HTML_STATUS, status=403))
    error = await failure(listener, "ladder")
    assert error.code is ProblemCode.UPSTREAM_UNAVAILABLE
    assert "proxy or a firewall" in error.detail
    assert error.retry_after_seconds is None


@pytest.mark.parametrize("step", [Step.GQL, Step.USHER])
async def test_a_host_that_wants_a_pause_is_asked_no_more(listener: Listener, step: Step) -> None:
    listener.twitch.fail(Fault(step=step, kind=FaultKind.STATUS, status=429, retry_after=20))
    error = await failure(listener, "ladder")
    assert error.retry_after_seconds == 20
    assert listener.twitch.requests.counts[str(step)] == 1


@pytest.mark.parametrize(
    "removed",
    [
        "PlaybackAccessToken.authorization",
        "Clip.assets",
        "Clip.videoQualities",
        "Clip.durationSeconds",
        "ClipVideoQuality.quality",
        "ClipVideoQuality.bitrate",
        "ClipAsset.aspectRatio",
        "Query.videoPlaybackAccessToken",
    ],
)
async def test_a_field_that_twitch_removes_costs_a_request_and_no_answer(listener: Listener, removed: str) -> None:
    listener.twitch.world.remove_fields(removed)
    for target in ("ladder", CLIP):
        assert (await listener.listen(target)).pcm.duration_seconds > 5
    assert listener.twitch.requests.counts["gql"] <= 5


@pytest.mark.parametrize("kind", sorted(ODD_DATA_KINDS))
async def test_data_that_suffices_is_used_whatever_is_odd_about_it(listener: Listener, kind: FaultKind) -> None:
    twitch = listener.twitch
    twitch.clip(SLUG).configure(offset=5.0)
    twitch.fail(Fault(step=Step.GQL, kind=kind))
    for target in ("ladder", CLIP, VideoTarget(VIDEO, 5.0)):
        await listener.listen(target)
    # A clip's VOD, which is remembered, takes one more.
    assert twitch.requests.counts["gql"] in (3, 4)
    source = await listener.resolver.resolve(ClipTarget(SLUG))
    assert isinstance(source, ClipSource)
    assert (source.offset_seconds, source.duration_seconds, source.channel) == (5.0, 20.0, "ladder")
    live = await listener.resolver.resolve(ChannelTarget("ladder"))
    assert isinstance(live, LiveSource)
    assert live.channel_id is not None
    assert await listener.resolver.is_current(live)
    assert await listener.resolver.recording(live) is not None
    settings = TwitchSettings(gql_url=URL(twitch.gql_url), usher_url=URL(twitch.usher_url))
    async with twitch_fetcher(twitch_allow_list(settings)) as fetcher:
        clips = TwitchClips(fetcher, settings)
        owners = [await clips.broadcaster(SLUG), await clips.video_owner(VIDEO)]
    for owner in owners:
        assert owner == Broadcaster(id=live.channel_id, login="ladder")


async def test_a_null_beside_warnings_is_no_fact(listener: Listener) -> None:
    listener.twitch.fail(Fault(step=Step.GQL, kind=FaultKind.NULL_WITH_WARNINGS))
    for target in ("ladder", CLIP, VideoTarget(VIDEO, 5.0)):
        with pytest.raises(TwitchAudioError) as refused:
            await listener.listen(target)
        assert refused.value.code is ProblemCode.UPSTREAM_UNAVAILABLE


async def test_the_control_endpoint_throws_these_switches_too(listener: Listener) -> None:
    control = listener.twitch.control_url
    fault = {"step": "usher", "kind": "html_status", "status": 403, "only": "v2"}
    async with ClientSession() as client:
        state = await client.post(f"{control}/channels/ladder", json={"token_names": "both", "faults": [fault]})
        assert (await state.json())["faults"][0]["only"] == "v2"
        removed = await client.post(f"{control}/gql", json={"removed": ["PlaybackAccessToken.authorization"]})
        assert await removed.json() == {"removed": ["PlaybackAccessToken.authorization"]}
        for path, body, named in (
            ("gql", {"removed": ["Clip.sofa"]}, "Clip.sofa"),
            ("gql", {}, "removed"),
            ("faults", {"faults": [{**fault, "only": "v3"}]}, "v3"),
            ("faults", {"faults": [{"step": "helix", "kind": "html", "only": "v2"}]}, "v2"),
            ("channels/ladder", {"token_names": "cookies"}, "token_names"),
            ("channels/ladder", {"audio": "loud"}, "audio"),
        ):
            refused = await client.post(f"{control}/{path}", json=body)
            assert refused.status == 400
            assert named in (await refused.json())["error"]
    await listener.listen("ladder")
    assert listener.twitch.count(Step.USHER) == 2
    assert listener.twitch.count(Step.GQL) == 2
