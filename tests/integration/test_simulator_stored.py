"""The simulated Twitch's clips and VODs."""

import io
import json
from typing import Any

import av
import numpy as np
import pytest

from tests.integration.simulator_client import (
    CLIP,
    CLIP_HASH,
    CLIP_QUERY,
    LIVE,
    LIVE_HASH,
    RATE,
    VIDEO,
    VIDEO_QUERY,
    MediaPlaylist,
    Viewer,
    decoded,
    frequency,
    signed,
    tone,
)


async def clip_of(viewer: Viewer, slug: str = CLIP) -> dict[str, Any] | None:
    return (await viewer.gql({"query": CLIP_QUERY, "variables": {"slug": slug}})).json["data"]["clip"]


async def known_clip(viewer: Viewer, slug: str = CLIP) -> dict[str, Any]:
    clip = await clip_of(viewer, slug)
    assert clip is not None
    return clip


def lowest(clip: dict[str, Any]) -> str:
    return [quality["sourceURL"] for quality in clip["videoQualities"] if quality["sourceURL"]][-1]


# --- clips --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("slug", [CLIP, "SignedAddress-1234567890abcdef", "OldAddressMau5"])
async def test_a_clips_file_needs_its_token_and_holds_its_sound(viewer: Viewer, slug: str) -> None:
    clip = await known_clip(viewer, slug)
    assert clip["durationSeconds"] == 10
    address = lowest(clip)
    assert (await viewer.get(address)).status == 404
    assert (await viewer.get(signed(address, {"value": "{}", "signature": "0" * 40}))).status == 404
    reply = await viewer.get(signed(address, clip["playbackAccessToken"]))
    assert (reply.status, reply.content_type) == (200, "video/mp4")
    assert reply.body.index(b"moov") < reply.body.index(b"mdat")
    sound = decoded(reply.body)
    assert sound.shape[1] / RATE == pytest.approx(10, abs=0.03)
    for second in range(10):
        playing = viewer.twitch.clip(slug).playing_at(second + 0.5)
        assert playing.offset_seconds == pytest.approx(3.5 + second)
        assert frequency(sound, second + 0.5) == pytest.approx(tone(playing.song, playing.offset_seconds), abs=5)
    with av.open(io.BytesIO(reply.body)) as container:
        assert [stream.codec_context.name for stream in container.streams.video] == ["h264"]


@pytest.mark.parametrize("slug", [CLIP, "SignedAddress-1234567890abcdef", "OldAddressMau5"])
async def test_every_quality_that_has_an_address_is_there(viewer: Viewer, slug: str) -> None:
    clip = await known_clip(viewer, slug)
    qualities = [quality for asset in clip["assets"] for quality in asset["videoQualities"]]
    addresses = {quality["sourceURL"] for quality in qualities} - {""}
    assert len(addresses) == 6
    for address in addresses:
        assert (await viewer.get(signed(address, clip["playbackAccessToken"]))).status == 200


async def test_the_three_forms_of_addresses(viewer: Viewer) -> None:
    assert f"/v2/media/{CLIP}/" in lowest(await known_clip(viewer))
    assert "&Key-Pair-Id=" in lowest(await known_clip(viewer, "SignedAddress-1234567890abcdef"))
    assert "/AT-cm%7C" in lowest(await known_clip(viewer, "OldAddressMau5"))


async def test_another_clips_token_does_not_open_a_clip(viewer: Viewer) -> None:
    other = await known_clip(viewer, "OldAddressMau5")
    reply = await viewer.get(signed(lowest(await known_clip(viewer)), other["playbackAccessToken"]))
    assert reply.status == 403


async def test_a_clips_token_lasts_twenty_hours(viewer: Viewer) -> None:
    clip = await known_clip(viewer)
    address = signed(lowest(clip), clip["playbackAccessToken"])
    viewer.twitch.clock.advance(71_999)
    assert (await viewer.get(address)).status == 200
    viewer.twitch.clock.advance(2)
    assert (await viewer.get(address)).status == 403


async def test_parts_of_a_clip_can_be_fetched(viewer: Viewer) -> None:
    clip = await known_clip(viewer)
    address = signed(lowest(clip), clip["playbackAccessToken"])
    whole = (await viewer.get(address)).body
    part = await viewer.get(address, Range="bytes=100-299")
    assert (part.status, part.body) == (206, whole[100:300])
    assert part.headers["Content-Range"] == f"bytes 100-299/{len(whole)}"
    assert (await viewer.get(address, Range="bytes=-10")).body == whole[-10:]
    assert (await viewer.get(address, Range=f"bytes={len(whole)}-")).status == 416


async def test_landscape_and_portrait_assets_with_an_hevc_top_and_an_empty_address(viewer: Viewer) -> None:
    landscape, portrait = (await known_clip(viewer))["assets"]
    assert landscape["aspectRatio"] > 1 > portrait["aspectRatio"]
    assert landscape["videoQualities"][0]["videoCodec"] == "HEVC"
    assert "" in [quality["sourceURL"] for quality in portrait["videoQualities"]]
    viewer.twitch.clip(CLIP).configure(empty_source_urls=True)
    assert {quality["sourceURL"] for quality in (await known_clip(viewer))["videoQualities"]} == {""}


async def test_missing_and_unfinished_clips(viewer: Viewer) -> None:
    assert await clip_of(viewer, "NoSuchClip") is None
    assert await clip_of(viewer, CLIP.lower()) is None
    address = lowest(await known_clip(viewer))
    viewer.twitch.clip(CLIP).configure(not_ready=True)
    unready = await known_clip(viewer)
    assert unready["videoQualities"] == []
    viewer.twitch.clip(CLIP).configure(missing=True)
    assert await clip_of(viewer) is None
    assert (await viewer.get(address)).status == 404


async def test_the_persisted_clip_query_gives_what_players_need(viewer: Viewer) -> None:
    persisted = {"version": 1, "sha256Hash": CLIP_HASH}
    body = {"operationName": "VideoAccessToken_Clip", "variables": {"slug": CLIP, "platform": "web"}}
    clip = (await viewer.gql({**body, "extensions": {"persistedQuery": persisted}})).json["data"]["clip"]
    assert {"signature", "value"} <= clip["playbackAccessToken"].keys()
    assert {"frameRate", "quality", "sourceURL"} <= clip["videoQualities"][0].keys()


# --- VODs ---------------------------------------------------------------------------------------------


async def video_token(viewer: Viewer, video_id: str = VIDEO) -> dict[str, Any] | None:
    reply = await viewer.gql({"query": VIDEO_QUERY, "variables": {"id": video_id}})
    return reply.json["data"]["videoPlaybackAccessToken"]


async def video_playlist(viewer: Viewer, rendition: str = "audio_only") -> tuple[str, MediaPlaylist]:
    token = await video_token(viewer)
    assert token is not None
    usher = f"{viewer.twitch.usher_url}/vod/v2/{VIDEO}.m3u8?allow_audio_only=true&allow_source=true"
    text = (await viewer.get(signed(usher, token))).text
    address = next(line for line in text.splitlines() if f"/{rendition}/" in line)
    return address.rpartition("/")[0], await viewer.reload(address)


@pytest.mark.parametrize("path", ["vod/{}", "vod/{}.m3u8", "vod/v2/{}", "vod/v2/{}.m3u8"])
@pytest.mark.parametrize("names", [("sig", "token"), ("nauthsig", "nauth")])
async def test_every_address_and_both_pairs_of_names_work(
    viewer: Viewer, path: str, names: tuple[str, str]
) -> None:
    token = await video_token(viewer)
    assert token is not None
    assert json.loads(token["value"])["vod_id"] == int(VIDEO)
    renamed = signed("", token).lstrip("?").replace("sig=", f"{names[0]}=").replace("token=", f"{names[1]}=")
    address = f"{viewer.twitch.usher_url}/{path.format(VIDEO)}?allow_audio_only=true&{renamed}"
    reply = await viewer.get(address)
    assert reply.status == 200
    assert "/audio_only/index-muted-" in reply.text
    assert (
        await viewer.get(address.replace("&sig=", "&sig=0").replace("&nauthsig=", "&nauthsig=0"))
    ).status == 403


async def test_segments_of_ten_seconds_hold_the_programme(viewer: Viewer) -> None:
    folder, playlist = await video_playlist(viewer)
    assert [segment.seconds for segment in playlist.segments] == [10, 10, 10, pytest.approx(6, abs=0.02)]
    assert playlist.text.rstrip().endswith("#EXT-X-ENDLIST")
    assert playlist.tag("EXT-X-PLAYLIST-TYPE") == "EVENT"
    assert "PROGRAM-DATE-TIME" not in playlist.text
    sound = decoded((await viewer.get(f"{folder}/{playlist.segments[0].url}")).body)
    assert sound.shape[1] / RATE == pytest.approx(10, abs=0.02)
    assert frequency(sound, 4.5) == pytest.approx(480, abs=5)
    assert decoded((await viewer.get(f"{folder}/2.ts")).body).shape[1] / RATE == pytest.approx(10, abs=0.02)


async def test_muted_segments_are_silent_and_must_be_asked_for_by_their_real_name(viewer: Viewer) -> None:
    folder, playlist = await video_playlist(viewer)
    assert [segment.url for segment in playlist.segments] == ["0.ts", "1-unmuted.ts", "2.ts", "3.ts"]
    assert (await viewer.get(f"{folder}/1-unmuted.ts")).status == 403
    silence = decoded((await viewer.get(f"{folder}/1-muted.ts")).body)
    assert silence.shape[1] / RATE == pytest.approx(10, abs=0.02)
    assert float(np.abs(silence).max()) < 0.001


async def test_a_vod_that_is_being_recorded_grows(viewer: Viewer) -> None:
    viewer.twitch.video(VIDEO).configure(recording=True, recorded_seconds=10.0)
    _, playlist = await video_playlist(viewer)
    assert len(playlist.segments) == 1
    assert "ENDLIST" not in playlist.text
    viewer.twitch.clock.advance(10)
    assert len((await viewer.reload(playlist.url)).segments) == 2


async def test_restricted_and_missing_vods(viewer: Viewer) -> None:
    assert await video_token(viewer, "999") is None
    video = viewer.twitch.video(VIDEO)
    video.configure(subscriber_only=True)
    token = await video_token(viewer)
    assert token is not None
    assert json.loads(token["value"])["authorization"]["forbidden"] is True
    reply = await viewer.get(signed(f"{viewer.twitch.usher_url}/vod/{VIDEO}.m3u8", token))
    assert (reply.status, reply.content_type) == (403, "application/json")
    assert reply.json[0]["error_code"] == "vod_manifest_restricted"
    video.configure(subscriber_only=False, geoblocked=True)
    reply = await viewer.get(signed(f"{viewer.twitch.usher_url}/vod/{VIDEO}.m3u8", token))
    assert reply.json[0]["error_code"] == "content_geoblocked"


async def test_fragmented_vods(viewer: Viewer) -> None:
    viewer.twitch.video(VIDEO).configure(fragmented=True)
    folder, playlist = await video_playlist(viewer)
    assert playlist.tag("EXT-X-MAP") == 'URI="init-0.mp4"'
    content = (await viewer.get(f"{folder}/init-0.mp4")).body + (await viewer.get(f"{folder}/0.mp4")).body
    assert decoded(content).shape[1] / RATE == pytest.approx(10, abs=0.03)


async def test_a_batch_may_mix_live_and_stored(viewer: Viewer) -> None:
    token: dict[str, Any] = {
        "operationName": "PlaybackAccessToken",
        "extensions": {"persistedQuery": {"version": 1, "sha256Hash": LIVE_HASH}},
        "variables": {
            "isLive": False,
            "login": "",
            "isVod": True,
            "vodID": VIDEO,
            "playerType": "embed",
            "platform": "site",
        },
    }
    query = """query($id: ID!, $login: String!) {
      video(id: $id) { title lengthSeconds owner { login } }
      user(login: $login) { id stream { type } }
    }"""
    described = {"query": query, "variables": {"id": VIDEO, "login": LIVE}}
    first, second = (await viewer.gql([token, described])).json
    assert first["data"]["videoPlaybackAccessToken"]["signature"]
    assert second["data"]["video"] == {"title": "last week", "lengthSeconds": 36, "owner": {"login": LIVE}}
    assert second["data"]["user"]["stream"] == {"type": "live"}
