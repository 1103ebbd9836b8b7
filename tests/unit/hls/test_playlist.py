from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from fingerprint.domain.problems import UpstreamError
from fingerprint.hls.attributes import EncryptedPlaylistError, PlaylistError, address, attributes
from fingerprint.hls.playlist import (
    MAX_SEGMENTS,
    MAX_VIDEO_CHARACTERS,
    ByteRange,
    InitSection,
    by_preference,
    parse_media,
    parse_multivariant,
)
from fingerprint.media.fetch import Fetched
from fingerprint.media.playlists import fetch_playlist
from tests.unit.twitch.scripted import ScriptedFetcher

# Shapes as usher answers them, shortened: v1 names renditions in EXT-X-MEDIA, v2 in the variants themselves.
V1 = """#EXTM3U
#EXT-X-TWITCH-INFO:NODE="video-edge-x",MANIFEST-NODE-TYPE="weaver_cluster",CLUSTER="x",SERVER-TIME="1.0",B="false"
#EXT-X-MEDIA:TYPE=VIDEO,GROUP-ID="chunked",NAME="1080p60 (source)",AUTOSELECT=YES,DEFAULT=YES
#EXT-X-STREAM-INF:BANDWIDTH=8534030,RESOLUTION=1920x1080,CODECS="avc1.64002A,mp4a.40.2",VIDEO="chunked",FRAME-RATE=60.000
https://pop.playlist.ttvnw.net/v1/playlist/source.m3u8
#EXT-X-MEDIA:TYPE=VIDEO,GROUP-ID="audio_only",NAME="audio_only",AUTOSELECT=NO,DEFAULT=NO
#EXT-X-STREAM-INF:BANDWIDTH=160000,CODECS="mp4a.40.2",VIDEO="audio_only"
https://pop.playlist.ttvnw.net/v1/playlist/audio.m3u8
#EXT-X-MEDIA:TYPE=VIDEO,GROUP-ID="160p30",NAME="160p",AUTOSELECT=YES,DEFAULT=YES
#EXT-X-STREAM-INF:BANDWIDTH=230000,RESOLUTION=284x160,CODECS="avc1.4D000C,mp4a.40.2",VIDEO="160p30",FRAME-RATE=30.000
https://pop.playlist.ttvnw.net/v1/playlist/160.m3u8
"""
V2 = """#EXTM3U
#EXT-X-SESSION-DATA:DATA-ID="NODE",VALUE="x,y=z"
#EXT-X-STREAM-INF:BANDWIDTH=160000,CODECS="mp4a.40.2",STABLE-VARIANT-ID="audio_only",IVS-NAME="audio_only"
audio/index.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=3422999,RESOLUTION=1280x720,CODECS="avc1.4D401F,mp4a.40.2",FRAME-RATE=60.000,STABLE-VARIANT-ID="720p60",IVS-NAME="720p60",IVS-GROUPS="landscape,portrait",IVS-VARIANT-SOURCE="transcode"
720/index.m3u8
"""
LIVE = """#EXTM3U
#EXT-X-VERSION:3
#EXT-X-TARGETDURATION:6
#EXT-X-MEDIA-SEQUENCE:4821
#EXT-X-TWITCH-LIVE-SEQUENCE:4821
#EXT-X-TWITCH-ELAPSED-SECS:9994.338
#EXT-X-DATERANGE:ID="playlist-session-1",CLASS="twitch-session",END-ON-NEXT=YES,START-DATE="2026-11-22T10:00:00.000Z",X-TV-TWITCH-SESSIONID="1"
#EXT-X-PROGRAM-DATE-TIME:2026-11-22T10:00:00.250Z
#EXTINF:2.000,live
https://x.j.cloudfront.hls.ttvnw.net/v1/segment/a.ts?dna=a%7Cb
#EXT-X-PROGRAM-DATE-TIME:2026-11-22T10:00:02.250Z
#EXTINF:4.167,live
https://x.j.cloudfront.hls.ttvnw.net/v1/segment/b.ts
#EXTINF:2.000,live
https://x.j.cloudfront.hls.ttvnw.net/v1/segment/c.ts
#EXT-X-TWITCH-PREFETCH:https://x.j.cloudfront.hls.ttvnw.net/v1/segment/d.ts
#EXT-X-TWITCH-PREFETCH:https://x.j.cloudfront.hls.ttvnw.net/v1/segment/e.ts
"""


@pytest.mark.parametrize(
    ("text", "names"), [(V1, ["1080p60 (source)", "audio_only", "160p"]), (V2, ["audio_only", "720p60"])]
)
def test_both_forms_of_multivariant_playlists(text: str, names: list[str]) -> None:
    playlist = parse_multivariant(text)
    assert [rendition.name for rendition in playlist.renditions] == names
    chosen = by_preference(playlist)[0]
    assert chosen.audio_only
    assert chosen.name == "audio_only"
    assert chosen.bandwidth == 160_000
    assert "audio" in chosen.uri
    assert chosen.uri not in repr(chosen)


def variant(
    uri: str, *, bandwidth: int = 1000, codecs: str | None = None, resolution: str | None = None, more: str = ""
) -> str:
    inf = f"#EXT-X-STREAM-INF:BANDWIDTH={bandwidth}"
    inf += f',CODECS="{codecs}"' if codecs else ""
    inf += f",RESOLUTION={resolution}" if resolution else ""
    return f"{inf}{more}\n{uri}\n"


@pytest.mark.parametrize(
    ("variants", "chosen"),
    [
        # a name means nothing when the codecs tell
        (
            [
                variant("v", codecs="avc1.4D,mp4a.40.2", more=',IVS-NAME="audio_only"'),
                variant("a", bandwidth=9000, codecs="mp4a.40.2"),
            ],
            "a",
        ),
        # no audio rendition: the smallest one that has sound
        (
            [
                variant("hd", bandwidth=9000, codecs="avc1.4D,mp4a.40.2", resolution="1x1"),
                variant("sd", codecs="hvc1.1,mp4a.40.2", resolution="1x1"),
            ],
            "sd",
        ),
        # pictures alone are passed over
        (
            [
                variant("mute", codecs="avc1.4D", resolution="1x1"),
                variant("loud", bandwidth=9000, codecs="avc1.4D,opus", resolution="1x1"),
            ],
            "loud",
        ),
        ([variant("mute", codecs="av01.0", resolution="1x1")], None),
        # so is text, and a resolution of nothing is none
        ([variant("v", codecs="avc1.4D,mp4a.40.2", resolution="1x1"), variant("words", codecs="stpp.ttml")], "v"),
        ([variant("words", codecs="wvtt"), variant("a", bandwidth=9000, codecs="mp4a.40.5")], "a"),
        (
            [
                variant("v", codecs="avc1.4D,mp4a.40.2", resolution="1x1"),
                variant("a", bandwidth=9000, codecs="mp4a.40.2", resolution="0x0"),
            ],
            "a",
        ),
        # without codecs the name decides, and not for renditions with pictures
        ([variant("v", bandwidth=10, resolution="1x1"), variant("a", more=',VIDEO="Audio_Only"')], "a"),
        ([variant("v", bandwidth=10)], "v"),
        # an unreadable bandwidth comes last
        (
            [
                variant("x", codecs="mp4a.40.2").replace("=1000", "=NaN"),
                variant("y", bandwidth=10**9, codecs="mp4a.40.2"),
            ],
            "y",
        ),
    ],
)
def test_the_audio_rendition_is_told_by_its_codecs(variants: list[str], chosen: str | None) -> None:
    found = by_preference(parse_multivariant("#EXTM3U\n" + "".join(variants)))
    assert [each.uri for each in found][:1] == ([] if chosen is None else [chosen])


def test_live_media_playlist() -> None:
    playlist = parse_media(LIVE)
    a, b, c = playlist.segments
    assert [segment.sequence for segment in playlist.segments] == [4821, 4822, 4823]
    assert [segment.duration_seconds for segment in playlist.segments] == [2.0, 4.167, 2.0]
    assert a.started_at == datetime(2026, 11, 22, 10, 0, 0, 250_000, UTC)
    assert b.ended_at == c.started_at == datetime(2026, 11, 22, 10, 0, 6, 417_000, UTC), (
        "reckoned where it is not said"
    )
    assert a.title == "live"
    assert len(playlist.prefetch) == 2
    assert playlist.target_seconds == 6
    assert not playlist.ended
    assert [found.kind for found in playlist.date_ranges] == ["twitch-session"]
    assert "dna" not in repr(playlist), "addresses are signed and stay out of logs"


def test_fragmented_mp4_and_byte_ranges() -> None:
    playlist = parse_media(
        '#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-MAP:URI="init-0.mp4",BYTERANGE="700@0"\n'
        "#EXTINF:10.000,\n#EXT-X-BYTERANGE:100@700\n0.mp4\n#EXTINF:10.000,\n#EXT-X-BYTERANGE:50\n0.mp4\n"
        '#EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI="init-1.mp4"\n#EXTINF:10.000,\n1.mp4\n#EXT-X-ENDLIST\n'
    )
    first, second, third = playlist.segments
    assert first.init == second.init == InitSection(uri="init-0.mp4", byte_range=ByteRange(0, 700))
    assert (first.byte_range, second.byte_range) == (ByteRange(700, 100), ByteRange(800, 50))
    assert third.init == InitSection(uri="init-1.mp4")
    assert (second.discontinuity, third.discontinuity) == (False, True)
    assert playlist.ended


def test_byte_order_mark_and_windows_line_ends_are_no_obstacle() -> None:
    assert parse_media("\ufeff" + LIVE.replace("\n", "\r\n")) == parse_media(LIVE)


def test_two_days_are_no_hostile_playlist() -> None:
    uri = (
        "https://d1m7jfoe9zdc1j.cloudfront.net/0123456789abcdef0123_login_41234567890_1700000000/chunked/{}.ts?"
        + "x" * 180
    )
    text = "#EXTM3U\n" + "".join(f"#EXTINF:2.000,\n{uri.format(number)}\n" for number in range(86_400))
    assert len(text) > 20 << 20
    playlist = parse_media(text)
    assert len(playlist.segments) == 86_400
    assert playlist.duration_seconds == 172_800


async def test_a_video_beyond_two_days_is_said_to_be_too_long_and_not_to_be_tried_again() -> None:
    text = "#EXTM3U\n" + "#EXTINF:2.000,\n1.ts\n" * (MAX_SEGMENTS + 1)
    fetcher = ScriptedFetcher(lambda _sent: Fetched(200, text.encode()))
    with pytest.raises(UpstreamError, match="too long for this server") as caught:
        await fetch_playlist(fetcher, URL("https://a.example/index-dvr.m3u8"), video=True)
    assert caught.value.retry_after_seconds is None


HOSTILE = {
    "nothing": ("", "does not begin"),
    "a web page": ("<html><body>Sorry</body></html>", "does not begin"),
    "binary": ("G\x40\x11\x10\x00" * 40, "does not begin"),
    "too much": ("#EXTM3U\n" + "#" * MAX_VIDEO_CHARACTERS, "absurdly long"),
    "a million lines": ("#EXTM3U\n" + "a\n" * 500_000, "neither a tag"),
    "not a number": ("#EXTM3U\n#EXTINF:nan,\na.ts\n", "absurd"),
    "infinite": ("#EXTM3U\n#EXTINF:inf,\na.ts\n", "absurd"),
    "negative": ("#EXTM3U\n#EXTINF:-2.0,\na.ts\n", "absurd"),
    "very long": ("#EXTM3U\n#EXTINF:1e9,\na.ts\n", "absurd"),
    "segments without end": ("#EXTM3U\n" + "#EXTINF:1,\na\n" * 100_001, "absurdly many"),
    "nested": ("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nself.m3u8\n", "renditions where segments"),
    "encrypted": ('#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI="k"\n#EXTINF:1,\na\n', "encrypted"),
    "bad range": ("#EXTM3U\n#EXTINF:1,\n#EXT-X-BYTERANGE:-1@x\na\n", "byte range"),
    "nameless init": ("#EXTM3U\n#EXT-X-MAP:BYTERANGE=1@0\n", "no address"),
}


@pytest.mark.parametrize(("text", "said"), HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_media_playlists_are_refused(text: str, said: str) -> None:
    with pytest.raises(PlaylistError, match=said):
        parse_media(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (LIVE, "segments where renditions"),
        ("#EXTM3U\n", "no rendition"),
        ("#EXTM3U\n" + variant("v") * 300, "absurdly many"),
    ],
)
def test_hostile_multivariant_playlists_are_refused(text: str, said: str) -> None:
    with pytest.raises(PlaylistError, match=said):
        parse_multivariant(text)


def test_dates_at_the_end_of_the_calendar_do_no_harm() -> None:
    playlist = parse_media(
        '#EXTM3U\n#EXT-X-DATERANGE:ID="stitched-ad-1",START-DATE="9999-12-31T23:59:59Z",DURATION=60\n'
        "#EXT-X-PROGRAM-DATE-TIME:9999-12-31T23:59:59Z\n#EXTINF:2,live\na.ts\n#EXTINF:2,live\nb.ts\n"
    )
    assert [segment.ended_at for segment in playlist.segments] == [None, None]


BASE = URL("https://pop.playlist.ttvnw.net/v1/playlist/x.m3u8?token=1")


@pytest.mark.parametrize(
    ("uri", "resolved"),
    [
        ("a.ts", "https://pop.playlist.ttvnw.net/v1/playlist/a.ts"),
        ("../a.ts?b=c%7Cd", "https://pop.playlist.ttvnw.net/v1/a.ts?b=c%7Cd"),
        ("/a.ts", "https://pop.playlist.ttvnw.net/a.ts"),
        ("//other.example/a.ts", "https://other.example/a.ts"),
        ("https://other.example/a%2Fb.ts", "https://other.example/a%2Fb.ts"),
    ],
)
def test_uris_are_resolved_and_keep_their_encoding(uri: str, resolved: str) -> None:
    assert str(address(BASE, uri)) == resolved


@pytest.mark.parametrize("uri", ["file:///etc/passwd", "data:text/plain,x", "https://[/", "x" * 20_000])
def test_uris_that_are_no_web_address_are_refused(uri: str) -> None:
    with pytest.raises(PlaylistError):
        address(BASE, uri)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('A=1,B="x,y=z",C=', {"A": "1", "B": "x,y=z", "C": ""}),
        ('A="never closed', {"A": "never closed"}),
        (" A = 1 , A=2", {"A": "1"}),
        ("nonsense", {}),
        ("=x,B=1", {"B": "1"}),
    ],
)
def test_attribute_lists(text: str, found: dict[str, str]) -> None:
    assert attributes(text) == found


LINES = st.sampled_from(
    [
        *V1.splitlines(),
        *V2.splitlines(),
        *LIVE.splitlines(),
        "#EXT-X-ENDLIST",
        "#EXT-X-DISCONTINUITY",
        "#EXT-X-BYTERANGE:5",
    ]
)


@given(st.text() | st.lists(LINES | st.text(max_size=40)).map(lambda lines: "\n".join(["#EXTM3U", *lines])))
def test_any_text_is_a_playlist_or_one_error(text: str) -> None:
    for parse in (parse_media, parse_multivariant):
        try:
            playlist = parse(text)
        except PlaylistError:
            continue
        for entry in getattr(playlist, "segments", ()) or getattr(playlist, "renditions", ()):
            try:
                assert address(BASE, entry.uri).scheme in ("http", "https")
            except PlaylistError:
                continue


# --- Sound that is a rendition of its own --------------------------------------------------------------

APART = """#EXTM3U
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="Deutsch",DEFAULT=NO,URI="german.m3u8"
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="English",DEFAULT=YES,URI="english.m3u8"
#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="s",NAME="English",URI="text.m3u8"
#EXT-X-STREAM-INF:BANDWIDTH=100,RESOLUTION=1x1,CODECS="avc1.4D,mp4a.40.2",AUDIO="a"
small.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=900,RESOLUTION=1x1,CODECS="avc1.4D,mp4a.40.2"
with-sound.m3u8
"""


def uris(text: str) -> list[str]:
    return [rendition.uri for rendition in by_preference(parse_multivariant(text))]


def test_sound_in_media_tags_is_tried_before_pictures_whose_sound_is_elsewhere() -> None:
    assert uris(APART) == ["english.m3u8", "german.m3u8", "with-sound.m3u8", "small.m3u8"]


def test_sound_with_a_description_of_the_picture_comes_after_other_sound() -> None:
    described = 'DEFAULT=YES,CHARACTERISTICS="public.accessibility.describes-video",URI="english'
    assert uris(APART.replace('DEFAULT=YES,URI="english', described))[:2] == ["german.m3u8", "english.m3u8"]


def test_a_member_without_an_address_stands_for_the_sound_of_the_variants() -> None:
    text = APART.replace(',URI="english.m3u8"', "")
    assert uris(text) == ["german.m3u8", "small.m3u8", "with-sound.m3u8"]


def test_audio_only_comes_first_and_then_the_smallest() -> None:
    text = V1.replace("BANDWIDTH=160000", "BANDWIDTH=999999999")
    assert [uri.rpartition("/")[2] for uri in uris(text)] == ["audio.m3u8", "160.m3u8", "source.m3u8"]


def test_a_list_of_sound_alone_is_one() -> None:
    assert uris('#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="x",URI="a.m3u8"\n') == ["a.m3u8"]


@pytest.mark.parametrize("method", ["AES-128", "SAMPLE-AES", "SAMPLE-AES-CTR"])
def test_encrypted_segments_are_told_as_such(method: str) -> None:
    with pytest.raises(EncryptedPlaylistError):
        parse_media(f'#EXTM3U\n#EXT-X-KEY:METHOD={method},URI="skd://x"\n#EXTINF:2,live\nx.ts\n')


KEY = '#EXT-X-KEY:METHOD=AES-128,URI="k"\n'
CLEAR = "#EXT-X-KEY:METHOD=NONE\n"


@pytest.mark.parametrize(("before", "between"), [(KEY, CLEAR), ("", KEY)])
def test_where_only_some_segments_are_encrypted_the_others_are_used(before: str, between: str) -> None:
    text = f"#EXTM3U\n{before}#EXTINF:2,live\na.ts\n{between}#EXTINF:2,live\nb.ts\n#EXT-X-TWITCH-PREFETCH:c.ts\n"
    playlist = parse_media(text)
    assert [segment.gap for segment in playlist.segments] == [bool(before), not before]
    assert playlist.prefetch == (("c.ts",) if between == CLEAR else ())


@pytest.mark.parametrize("end", ["\r\n", "\r", "\n\n"])
def test_lines_may_end_in_any_way(end: str) -> None:
    text = "\ufeff#EXTM3U\n#EXTINF:2,live\na.ts\n#EXTINF:2,live\nb.ts\n".replace("\n", end)
    assert [segment.uri for segment in parse_media(text).segments] == ["a.ts", "b.ts"]


def test_what_an_address_cannot_hold_is_encoded() -> None:
    assert str(address(BASE, "my dir/\u00fc%20%C3%BC.ts?a=b%2Fc")).endswith("my%20dir/%C3%BC%20%C3%BC.ts?a=b%2Fc")


@pytest.mark.parametrize(
    "before",
    [
        "#EXT-X-KEY:METHOD=none\n",
        '#EXT-X-KEY: METHOD="NONE", URI=""\n',
        "#EXT-X-PROGRAM-DATE-TIME:2026-11-30t12:00:00.5z\n",
        "#EXT-X-PROGRAM-DATE-TIME: 2026-11-30T17:30:00,500+0530 \n",
        "#EXT-X-PROGRAM-DATE-TIME:2026-11-30 12:00:00.500000000Z\n",
        '#EXT-X-PART:DURATION=0.5,URI="part.mp4"\n#EXT-X-BITRATE:160\n# a comment\n\n',
    ],
)
@pytest.mark.parametrize("duration", ["2.000,", " 2 , live", "2.0", "2e0,", '2.0 tvg-id="a,b",title'])
def test_what_other_players_read_is_read(before: str, duration: str) -> None:
    (segment,) = parse_media(f"#EXTM3U\n{before}#EXTINF:{duration}\na.ts\n").segments
    assert (segment.duration_seconds, segment.gap) == (2.0, False)
    if "DATE" in before:
        assert segment.started_at == datetime(2026, 11, 30, 12, 0, 0, 500_000, UTC)
