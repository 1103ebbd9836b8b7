"""The simulated Twitch's live channels, asked as real players ask and decoded with FFmpeg's libraries."""

import io
import json
from collections.abc import AsyncGenerator
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from tests.integration.simulator_client import (
    LIVE,
    LIVE_HASH,
    RATE,
    STREAM_QUERY,
    VIDEO,
    Listed,
    Viewer,
    a_viewer,
    decoded,
    frequency,
    tone,
)


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.getbasetemp() / "simulator-media"


@pytest.fixture
async def viewer(media: Path) -> AsyncGenerator[Viewer]:
    async with a_viewer(media) as viewer:
        yield viewer


def persisted(sha: str = LIVE_HASH, **variables: object) -> dict[str, object]:
    given = {"isLive": True, "login": LIVE, "isVod": False, "vodID": "", "playerType": "embed", "platform": "site"}
    return {
        "operationName": "PlaybackAccessToken",
        "extensions": {"persistedQuery": {"version": 1, "sha256Hash": sha}},
        "variables": {**given, **variables},
    }


def playing(viewer: Viewer, segment: Listed, after: float) -> float:
    assert segment.at is not None
    now = viewer.twitch.now_playing(LIVE, segment.at + timedelta(seconds=after))
    assert now is not None
    return tone(now.song, now.offset_seconds)


# --- gql ----------------------------------------------------------------------------------------------


async def test_both_query_forms_give_a_signed_token_for_the_channel(viewer: Viewer) -> None:
    text = await viewer.token()
    hashed = (await viewer.gql(persisted(login="LADDERS"))).json["data"]["streamPlaybackAccessToken"]
    for token in (text, hashed):
        assert len(token["signature"]) == 40
        content = json.loads(token["value"])
        assert content["channel"] == LIVE
        assert content["expires"] == int(viewer.twitch.clock.time()) + 1200


@pytest.mark.parametrize("content_type", ["application/json", "text/plain;charset=UTF-8"])
async def test_both_content_types_are_taken(viewer: Viewer, content_type: str) -> None:
    reply = await viewer.gql(persisted(), **{"Content-Type": content_type})
    assert reply.json["data"]["streamPlaybackAccessToken"]["value"]


async def test_literals_in_the_query_text_count_like_variables(viewer: Viewer) -> None:
    query = '{ streamPlaybackAccessToken(channelName: "ladders", params: {platform: "web"}) { value } }'
    answer = (await viewer.gql({"query": query})).json
    assert list(answer["data"]["streamPlaybackAccessToken"]) == ["value"]


async def test_a_retired_hash_is_not_found_and_has_no_data(viewer: Viewer) -> None:
    retired = "0828119ded1c13477966434e15800ff57ddacf13ba1911c129dc2200705b0712"
    answer = (await viewer.gql(persisted(retired))).json
    assert answer["errors"] == [{"message": "PersistedQueryNotFound"}]
    assert "data" not in answer


async def test_the_persisted_query_needs_every_variable(viewer: Viewer) -> None:
    answer = (await viewer.gql(persisted(platform=None))).json
    assert "platform" in answer["errors"][0]["message"]


async def test_a_missing_channel_is_null_and_an_offline_one_gets_a_token(viewer: Viewer) -> None:
    assert await viewer.token("nobody_here") is None
    assert (await viewer.token("asleep"))["value"]


async def test_batches_are_answered_in_order_up_to_35(viewer: Viewer) -> None:
    batch = [{"query": STREAM_QUERY, "variables": {"login": name}} for name in (LIVE, "nobody_here", "asleep")]
    answers = (await viewer.gql(batch)).json
    assert [answer["data"]["streamPlaybackAccessToken"] is None for answer in answers] == [False, True, False]
    assert (await viewer.gql(batch[:1] * 35)).status == 200
    assert (await viewer.gql(batch[:1] * 36)).status == 400


async def test_client_ids_and_foreign_tokens_are_refused_as_twitch_does(viewer: Viewer) -> None:
    unknown = await viewer.gql(persisted(), client="abcdefghijklmnopqrstuvwxyz1234")
    assert (unknown.status, unknown.json["message"]) == (400, 'The "Client-ID" header is invalid.')
    assert (await viewer.gql(persisted(), client=None)).status == 400
    foreign = await viewer.gql(persisted(), Authorization="OAuth abcdefghijklmnopqrstuvwxyz1234")
    assert foreign.status == 401
    assert foreign.json["message"] == 'The "Authorization" token is invalid.'


async def test_text_that_is_no_query_is_an_error_and_a_body_that_is_no_json_too(viewer: Viewer) -> None:
    answer = (await viewer.gql({"query": "query { clip(slug: "})).json
    assert "Syntax Error" in answer["errors"][0]["message"]
    assert "data" not in answer
    assert (await viewer.gql(["not", "objects"])).status == 400


# --- usher --------------------------------------------------------------------------------------------


async def test_both_versions_list_the_same_renditions_in_no_order(viewer: Viewer) -> None:
    one, two = await viewer.usher(version=1), await viewer.usher(version=2)
    assert one.content_type == two.content_type == "application/vnd.apple.mpegurl"
    assert 'GROUP-ID="audio_only",NAME="audio_only",AUTOSELECT=NO,DEFAULT=NO' in one.text
    assert 'BANDWIDTH=160000,CODECS="mp4a.40.2",VIDEO="audio_only"' in one.text
    assert "EXT-X-MEDIA" not in two.text
    assert 'BANDWIDTH=160000,CODECS="mp4a.40.2",STABLE-VARIANT-ID="audio_only",IVS-NAME="audio_only"' in two.text
    names = list(await viewer.renditions())
    assert 'GROUP-ID="chunked",NAME="1080p60 (source)"' in one.text
    assert set(names) == {"1080p60", "720p60", "480p30", "160p30", "audio_only"}
    assert names[0] != "audio_only" != names[-1]


async def test_wishes_filter_renditions(viewer: Viewer) -> None:
    assert "audio_only" not in await viewer.renditions(allow_audio_only="false")
    assert "1080p60" not in await viewer.renditions(allow_source="false")
    assert list(await viewer.renditions(supported_codecs="av1")) == ["audio_only"]
    assert "FRAME-RATE=60.000" in (await viewer.usher(playlist_include_framerate="true")).text
    viewer.twitch.configure_channel(LIVE, enhanced=True, portrait=True, session_data=True)
    assert "1440p60" in await viewer.renditions(supported_codecs="h265,h264")
    assert "1440p60" not in await viewer.renditions()
    assert "portrait_852p30" in await viewer.renditions(multigroup_video="true")
    assert '#EXT-X-SESSION-DATA:DATA-ID="NODE",VALUE=' in (await viewer.usher()).text
    assert "com.amazon.ivs.unavailable-media" in (await viewer.usher(include_unavailable="true")).text


@pytest.mark.parametrize(("audio", "listed"), [("missing", {"1080p60"}), ("only", {"audio_only"})])
async def test_channels_without_audio_only_and_with_nothing_else(
    viewer: Viewer, audio: str, listed: set[str]
) -> None:
    viewer.twitch.configure_channel(LIVE, audio=audio)
    assert set(await viewer.renditions()) == listed


async def test_tokens_are_refused_when_changed_borrowed_or_old(viewer: Viewer) -> None:
    good = await viewer.token()
    changed = {**good, "value": good["value"].replace('"mature":false', '"mature":true')}
    assert changed["value"] != good["value"]
    for token in (changed, {}, {**good, "signature": "0" * 40}, await viewer.token("picture")):
        reply = await viewer.usher(LIVE, token)
        assert (reply.status, reply.body) == (403, b"")
    viewer.twitch.clock.advance(1199)
    assert (await viewer.usher(LIVE, good)).status == 200
    viewer.twitch.clock.advance(2)
    assert (await viewer.usher(LIVE, good)).status == 403


async def test_the_path_takes_lower_case_only(viewer: Viewer) -> None:
    reply = await viewer.usher("LADDERS", await viewer.token())
    assert (reply.status, reply.json[0]["error_code"]) == (404, "transcode_does_not_exist")


@pytest.mark.parametrize(
    ("switch", "status", "code"),
    [
        ("offline", 404, "transcode_does_not_exist"),
        ("geoblocked", 403, "content_geoblocked"),
        ("subscriber_only", 403, "unauthorized_entitlements"),
    ],
)
async def test_refusals_are_arrays_of_exactly_json(viewer: Viewer, switch: str, status: int, code: str) -> None:
    viewer.twitch.configure_channel(LIVE, **{switch: True})
    token = await viewer.token()
    for version in (1, 2):
        reply = await viewer.usher(LIVE, token, version=version)
        assert (reply.status, reply.content_type) == (status, "application/json")
        assert reply.json[0]["error_code"] == code
        assert reply.json[0]["type"] == "error"
    content = json.loads(token["value"])
    assert content["authorization"]["forbidden"] is (switch == "subscriber_only")
    assert bool(content["geoblock_reason"]) is token["authorization"]["isForbidden"] is (switch == "geoblocked")


# --- media playlists and segments ---------------------------------------------------------------------


async def test_a_playlist_is_a_window_of_thirty_seconds_with_twitchs_tags(viewer: Viewer) -> None:
    playlist = await viewer.playlist()
    assert [segment.seconds for segment in playlist.segments] == [2.0] * 15
    assert {segment.title for segment in playlist.segments} == {"live"}
    times = [segment.at for segment in playlist.segments if segment.at is not None]
    assert {(b - a).total_seconds() for a, b in pairwise(times)} == {2.0}
    assert 0 <= (viewer.twitch.clock.now() - times[-1]).total_seconds() - 2 < 2
    tags = [line.partition(":")[0] for line in playlist.text.splitlines() if line.startswith("#")]
    assert tags[:6] == [
        "#EXTM3U",
        "#EXT-X-VERSION",
        "#EXT-X-TARGETDURATION",
        "#EXT-X-MEDIA-SEQUENCE",
        "#EXT-X-TWITCH-LIVE-SEQUENCE",
        "#EXT-X-TWITCH-ELAPSED-SECS",
    ]
    assert tags[-2:] == ["#EXT-X-TWITCH-PREFETCH"] * 2
    assert "#EXT-X-ENDLIST" not in tags
    assert "stitched-ad" not in playlist.text
    elapsed, total = playlist.tag("EXT-X-TWITCH-ELAPSED-SECS"), playlist.tag("EXT-X-TWITCH-TOTAL-SECS")
    assert float(total or 0) - float(elapsed or 0) == 34.0


async def test_the_window_moves_with_the_clock_and_numbers_stay_with_segments(viewer: Viewer) -> None:
    before = await viewer.playlist()
    viewer.twitch.clock.advance(6)
    after = await viewer.reload(before.url)
    assert after.sequence == before.sequence + 3
    assert [segment.url for segment in after.segments[:12]] == [segment.url for segment in before.segments[3:]]


async def test_sound_is_what_the_schedule_says_at_every_moment(viewer: Viewer) -> None:
    """Across a change of song and the program's seam, with and without what came before."""
    viewer.twitch.configure_channel(LIVE, window_segments=30)
    playlist = await viewer.playlist()
    sound = await viewer.sound(*playlist.segments)
    assert sound.shape[1] == pytest.approx(60 * RATE, abs=1024)
    for half in range(1, 119):
        # A note changes each second: what is heard is the one just before or just after.
        around = {playing(viewer, playlist.segments[0], half / 2 + by) for by in (-0.13, 0.13)}
        assert any(abs(frequency(sound, half / 2) - note) < 5 for note in around), half / 2
    alone = await viewer.sound(playlist.segments[7])
    around = {playing(viewer, playlist.segments[7], 1 + by) for by in (-0.13, 0.13)}
    assert any(abs(frequency(alone, 1.0) - note) < 5 for note in around)


async def test_segments_join_without_a_gap_where_the_programme_starts_again(viewer: Viewer) -> None:
    ring = viewer.twitch.channel(LIVE).program.ring
    viewer.twitch.configure_channel(LIVE, window_segments=30)
    sound = await viewer.sound(*(await viewer.playlist()).segments)
    blocks = sound[0, 4800:-4800]
    loud = np.sqrt(np.mean(np.square(blocks[: blocks.size // 480 * 480].reshape(-1, 480)), axis=1))
    assert ring.seconds < 60
    assert np.mean(loud < 0.2) < 0.005  # songs' joints fade for a moment; nothing else is ever quiet


async def test_segments_are_refused_when_made_up_or_long_gone(viewer: Viewer) -> None:
    playlist = await viewer.playlist()
    oldest = playlist.segments[0].url
    assert (await viewer.get(oldest.replace("/v1/segment/", "/v1/segment/A"))).status == 404
    viewer.twitch.clock.advance(20)
    assert (await viewer.get(oldest)).status == 200
    viewer.twitch.clock.advance(60)
    assert (await viewer.get(oldest)).status == 404
    assert (await viewer.get(playlist.url.replace("/v1/playlist/", "/v1/playlist/A"))).status == 404


async def test_a_picture_comes_with_the_same_sound(viewer: Viewer) -> None:
    seen, heard = await viewer.playlist(rendition="160p30"), await viewer.playlist()
    with_picture = await viewer.get(seen.segments[3].url)
    assert b"Lavc" not in with_picture.body[:188]
    assert with_picture.body[0] == 0x47
    assert len(with_picture.body) % 188 == 0
    sound, alone = decoded(with_picture.body), await viewer.sound(heard.segments[3])
    assert np.array_equal(sound, alone)


async def test_audio_only_may_have_a_picture(viewer: Viewer) -> None:
    viewer.twitch.configure_channel(LIVE, audio_with_video=True)
    reply = await viewer.get((await viewer.playlist()).segments[0].url)
    with av.open(io.BytesIO(reply.body)) as container:
        assert {stream.type for stream in container.streams} == {"audio", "video"}


async def test_fragmented_segments_need_their_header_and_count_time_from_the_start(viewer: Viewer) -> None:
    viewer.twitch.configure_channel(LIVE, fragmented=True)
    playlist = await viewer.playlist()
    assert playlist.tag("EXT-X-VERSION") == "6"
    address = (playlist.tag("EXT-X-MAP") or "").removeprefix('URI="').removesuffix('"')
    header = await viewer.get(address)
    assert (header.status, header.content_type) == (200, "video/mp4")
    sound = await viewer.sound(*playlist.segments[:3], head=header.body)
    assert sound.shape[1] == pytest.approx(6 * RATE, abs=1024)
    around = {playing(viewer, playlist.segments[1], 1 + by) for by in (-0.13, 0.13)}
    assert any(abs(frequency(sound, 3.0) - note) < 5 for note in around)
    segment = (await viewer.get(playlist.segments[0].url)).body
    at = segment.index(b"tfdt") + 8
    elapsed = float(playlist.tag("EXT-X-TWITCH-ELAPSED-SECS") or 0)
    assert int.from_bytes(segment[at : at + 8], "big") / RATE == pytest.approx(elapsed, abs=0.02)


async def test_long_segments(viewer: Viewer) -> None:
    viewer.twitch.configure_channel(LIVE, segment_seconds=4.167)
    playlist = await viewer.playlist()
    assert playlist.tag("EXT-X-TARGETDURATION") == "6"
    assert {segment.seconds for segment in playlist.segments} == {4.167}
    sound = await viewer.sound(*playlist.segments[-3:])
    assert sound.shape[1] / RATE == pytest.approx(12.5, abs=0.03)


async def test_a_prefetched_segment_arrives_as_it_is_made(viewer: Viewer) -> None:
    playlist = await viewer.playlist()
    address = playlist.tag("EXT-X-TWITCH-PREFETCH")
    assert address is not None
    viewer.twitch.clock.advance(2)
    whole = await viewer.get(address)
    assert (await viewer.reload(playlist.url)).segments[-1].url == address
    viewer.twitch.clock.advance(-2)
    viewer.twitch.clock.resume()
    assert (await viewer.get(address)).body == whole.body


async def test_the_request_log_counts_by_step_and_hides_tokens(viewer: Viewer) -> None:
    playlist = await viewer.playlist()
    await viewer.sound(*playlist.segments[-2:])
    log = viewer.twitch.requests
    assert log.counts == {"gql": 1, "usher": 1, "playlist": 1, "segment": 2}
    assert log.count("segment", LIVE) == 2
    usher = log.records[1]
    assert usher.query["allow_audio_only"] == "true"
    assert not {"sig", "token"} & usher.query.keys()
    assert log.records[0].headers["Client-ID"]


async def test_a_video_is_no_channel(viewer: Viewer) -> None:
    assert await viewer.token(VIDEO) is None
