"""What the canary says about Twitch's answers, and what it never says."""

import json
from datetime import timedelta

import pytest

from fingerprint.canary_checks import (
    age_notes,
    playlist_notes,
    redacted,
    rendition_notes,
    token_notes,
    video_notes,
)
from fingerprint.hls.playlist import parse_media, parse_multivariant
from tests.unit.hls.live_playlists import Builder

pytestmark = pytest.mark.unit

NOW = 1_700_000_000.0
TOKEN = {"channel": "ladder", "expires": NOW + 1200, "version": 3, "user_ip": "203.0.113.9"}


def test_a_token_as_recorded_has_no_notes() -> None:
    assert token_notes(json.dumps(TOKEN), login="ladder", now=NOW) == []


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("opaque", "no longer JSON"),
        ("[]", "no longer a JSON object"),
        (json.dumps(TOKEN | {"expires": NOW + 30}), "valid for 30 s"),
        (json.dumps(TOKEN | {"expires": "soon"}), "when it expires"),
        (json.dumps(TOKEN | {"channel": "other"}), "does not name the channel"),
        (json.dumps(TOKEN | {"version": 9}), "version is 9"),
    ],
)
def test_another_token_is_described(value: str, words: str) -> None:
    assert words in " ".join(token_notes(value, login="ladder", now=NOW))


def test_renditions_without_sound_of_their_own_are_named() -> None:
    text = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1,RESOLUTION=2x2{}\nhttps://a.example/\n"
    assert rendition_notes(
        parse_multivariant(text.format(',CODECS="avc1.4D,mp4a",STABLE-VARIANT-ID="x"')).renditions
    ) == ["no rendition is audio only, though it was asked for"]
    assert len(rendition_notes(parse_multivariant(text.format("")).renditions)) == 3


def test_a_playlist_as_recorded_has_no_notes_and_another_is_described() -> None:
    assert playlist_notes(Builder().segments(15).playlist()) == []
    odd = Builder().line('#EXT-X-MAP:URI="i"').segment(seconds=6.0, title="gone").line("#EXT-X-ENDLIST").playlist()
    told = "; ".join(playlist_notes(odd))
    for words in ("unknown title 'gone'", "6 s are listed", "segments of 6 s", "fragmented", "has ended"):
        assert words in told
    assert "no segment has a date" in playlist_notes(Builder(dated=False).segments(15).playlist())


@pytest.mark.parametrize(
    "secret",
    [
        "https://x.ttvnw.net/v1/playlist/CpEF_secret-part.m3u8?sig=aa&token=bb",
        "http://user:pass@10.1.2.3/path",
        "203.0.113.9",
        "2001:db8::17",
        "fe80::1",
        "0123456789abcdef0123456789abcdef01234567",
        "eyJhbGciOiJIUzI1NiJ9eyJzdWIiOiIxMjM0NTY3ODkwIn0",
        "abcdefghij0123456789abcdefghij",
        "mine",
    ],
)
def test_nothing_secret_stays(secret: str) -> None:
    shown = redacted(f"Twitch said {secret!r} at 10:20:30, twice {secret}.", "mine")
    for part in (secret, "secret-part", "pass", "203.0.113", "10.1.2.3", "sig=aa", "db8", "mine"):
        assert part not in shown
    assert shown.startswith("Twitch said ")
    assert "10:20:30" in shown


def test_hosts_and_words_stay() -> None:
    text = (
        "Twitch's segment points to 'a1b2c3.j.cloudfront.hls.newcdn.example', which is not on the list of hosts."
    )
    assert redacted(text) == text
    assert redacted("see https://usher.ttvnw.net/api?token=1") == "see https://usher.ttvnw.net/..."


def test_a_playlist_of_another_time_is_described() -> None:
    builder = Builder().segments(15)
    playlist = builder.playlist()
    assert age_notes(playlist, now=builder.now) == []
    assert "60 s old" in age_notes(playlist, now=builder.now + timedelta(seconds=60))[0]
    assert "ahead of this machine's clock" in age_notes(playlist, now=builder.now - timedelta(hours=1))[0]
    assert age_notes(Builder(dated=False).segments(15).playlist(), now=builder.now) == []


def test_a_videos_playlist_as_recorded_has_no_notes_and_another_is_described() -> None:
    recorded = "#EXTM3U\n" + "".join(f"#EXTINF:10.000,\n{n}.ts\n" for n in range(5)) + "#EXTINF:3.2,\n5.ts\n"
    assert video_notes(parse_media(recorded)) == []
    odd = recorded.replace("10.000", "4.0").replace("5.ts", '5.ts\n#EXT-X-MAP:URI="i"\n#EXTINF:4,\n6.ts')
    told = "; ".join(video_notes(parse_media(odd)))
    assert "segments of 3.2, 4 s" in told
    assert "several init sections" in told
    live = Builder().segments(3).ad_range(10).playlist()
    assert {"segments have dates", "it has tags of live streams"} <= set(video_notes(live))


@pytest.mark.parametrize(
    "name", ["twitch-client-side-advertisement", "streamPlaybackAccessToken", "EXT-X-TWITCH-LIVE-SEQUENCE"]
)
def test_long_names_are_no_secrets(name: str) -> None:
    assert redacted(f"unknown {name!r}") == f"unknown {name!r}"
