"""usher is asked in several ways, each judged by the same rules."""

import json
from collections import Counter

import pytest
from yarl import URL

from fingerprint.domain.problems import ProblemCode, TwitchAudioError, UpstreamError
from fingerprint.media.fetch import Fetched, HostWantsPauseError
from fingerprint.twitch import usher
from fingerprint.twitch.answers import PlaybackToken
from fingerprint.twitch.usher import PlaylistKind, Usher
from tests.unit.twitch.scripted import AUDIO, HTML, SMALL, ScriptedFetcher, Sent, good, refusal

BASE = URL("https://usher.example")
WAYS = ("v2 token", "v1 token", "v2 nauth", "v1 nauth")
EMPTY = Fetched(200, b"#EXTM3U\n")
LEADS_ON = {
    "a proxy's 403": Fetched(403, HTML.encode(), "text/html"),
    "a bare 403": Fetched(403, b""),
    "400": Fetched(400, b"bad request"),
    "400 with a page": Fetched(400, HTML.encode()),
    "401": Fetched(401, b""),
    "401 in usher's words": refusal(401, "invalid_signature", "nope"),
    "404 without a reason": Fetched(404, b"Not found"),
    "405": Fetched(405, b""),
    "410": Fetched(410, b""),
    "a redirect to nowhere": Fetched(302, b""),
    "a 403 that nobody knows": refusal(403, "brand_new"),
    "a page": Fetched(200, HTML.encode()),
    "nothing": Fetched(200, b""),
    "an empty list": EMPTY,
    "segments": Fetched(200, b"#EXTM3U\n#EXTINF:2,live\nhttps://x/y.ts\n"),
    "an error that nobody knows": refusal(200, "brand_new"),
    "a 404 of another server": Fetched(404, b'{"error": "Not Found", "status": 404}'),
    "no error": Fetched(200, b"[]"),
    "addresses that are none": Fetched(200, b"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nfile:///etc/passwd\n"),
    "a picture alone": Fetched(200, b'#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1,CODECS="avc1.4D"\nhttps://x/y\n'),
    "503": Fetched(503, b""),
    "silence": UpstreamError("usher", "too slow", code=ProblemCode.TIMEOUT),
}


def way_of(sent: Sent) -> str:
    version = "v2" if "/v2/" in sent.url.path else "v1"
    return f"{version} {'nauth' if 'nauth' in sent.url.query else 'token'}"


class Asked:
    """An usher that answers each way as the script says, `good` otherwise."""

    def __init__(self, answers: dict[str, Fetched | UpstreamError], *, otherwise: Fetched | None = None) -> None:
        self._answers = answers
        self._otherwise = otherwise or good()
        self.fetcher = ScriptedFetcher(self._answer)
        self.counted: Counter[str] = Counter()
        self.tokens = 0

    def _answer(self, sent: Sent) -> Fetched | UpstreamError:
        return self._answers.get(way_of(sent), self._otherwise)

    @property
    def ways(self) -> list[str]:
        return [way_of(sent) for sent in self.fetcher.sent]

    async def token(self) -> PlaybackToken:
        self.tokens += 1
        return PlaybackToken(value=json.dumps({"n": self.tokens}), signature="ab" * 20)

    async def playlists(self, kind: PlaylistKind = PlaylistKind.CHANNEL, *, first_way: int = 0) -> usher.Playlists:
        def count(_step: str, outcome: str) -> None:
            self.counted[outcome] += 1

        asking = Usher(self.fetcher, BASE, on_outcome=count)
        return await asking.playlists(kind, "12345", self.token, first_way=first_way)

    async def refused(self, kind: PlaylistKind = PlaylistKind.CHANNEL) -> TwitchAudioError:
        with pytest.raises(TwitchAudioError) as caught:
            await self.playlists(kind)
        assert len(self.fetcher.sent) <= 5, "four ways, and one new token"
        return caught.value


@pytest.mark.parametrize("kind", list(PlaylistKind))
@pytest.mark.parametrize("answer", LEADS_ON.values(), ids=LEADS_ON.keys())
async def test_an_answer_that_is_none_leads_to_the_next_way(
    kind: PlaylistKind, answer: Fetched | UpstreamError
) -> None:
    asked = Asked({"v2 token": answer})
    found = await asked.playlists(kind)
    assert [str(url) for url in found.urls] == [AUDIO, SMALL], "audio only comes first"
    assert list(dict.fromkeys(asked.ways)) == ["v2 token", "v1 token"]
    assert found.way == 1


@pytest.mark.parametrize("kind", list(PlaylistKind))
@pytest.mark.parametrize(
    "answer",
    [answer for name, answer in LEADS_ON.items() if name not in ("503", "silence")],
    ids=[name for name in LEADS_ON if name not in ("503", "silence")],
)
async def test_the_other_names_of_the_token_are_tried_too(kind: PlaylistKind, answer: Fetched) -> None:
    asked = Asked({"v2 token": answer, "v1 token": answer})
    assert (await asked.playlists(kind)).way == 2
    assert list(dict.fromkeys(asked.ways)) == list(WAYS[:3])


async def test_a_server_that_fails_is_asked_in_two_ways_only() -> None:
    asked = Asked({}, otherwise=Fetched(502, b""))
    error = await asked.refused()
    assert asked.ways == list(WAYS[:2])
    assert error.code is ProblemCode.UPSTREAM_UNAVAILABLE
    assert error.retry_after_seconds


async def test_a_host_that_wants_a_pause_is_asked_no_more() -> None:
    asked = Asked({"v2 token": HostWantsPauseError("usher", "Twitch", 40.0)})
    error = await asked.refused()
    assert asked.ways == ["v2 token"]
    assert error.retry_after_seconds == 40.0


OWN_WORDS = [
    (PlaylistKind.CHANNEL, refusal(404, "transcode_does_not_exist"), ProblemCode.NOT_LIVE, "not live"),
    (PlaylistKind.CHANNEL, refusal(404, "", "Can not find channel"), ProblemCode.NOT_LIVE, "not live"),
    (PlaylistKind.VIDEO, refusal(404, "not_found"), ProblemCode.VIDEO_NOT_FOUND, "no such video"),
    (PlaylistKind.CHANNEL, refusal(403, "content_geoblocked"), ProblemCode.RESTRICTED_STREAM, "region"),
    (
        PlaylistKind.VIDEO,
        refusal(403, "?", "Content Restricted In Region"),
        ProblemCode.RESTRICTED_STREAM,
        "region",
    ),
    (
        PlaylistKind.CHANNEL,
        refusal(403, "unauthorized_entitlements"),
        ProblemCode.RESTRICTED_STREAM,
        "subscribers",
    ),
    (PlaylistKind.VIDEO, refusal(404, "vod_manifest_restricted"), ProblemCode.RESTRICTED_STREAM, "subscribers"),
    (PlaylistKind.VIDEO, refusal(403, "", "Manifest is resticted"), ProblemCode.RESTRICTED_STREAM, "subscribers"),
    (PlaylistKind.CHANNEL, refusal(403, "anonymizer_blocked"), ProblemCode.RESTRICTED_STREAM, "proxy"),
    (PlaylistKind.CHANNEL, refusal(403, "cdm_not_supported"), ProblemCode.RESTRICTED_STREAM, "DRM"),
    # Its words with another status, or in another shape.
    (PlaylistKind.CHANNEL, refusal(200, "transcode_does_not_exist"), ProblemCode.NOT_LIVE, "not live"),
    (PlaylistKind.CHANNEL, refusal(403, "transcode_does_not_exist"), ProblemCode.NOT_LIVE, "not live"),
    (PlaylistKind.CHANNEL, refusal(400, "", "Can not find channel"), ProblemCode.NOT_LIVE, "not live"),
    (PlaylistKind.VIDEO, refusal(410, "vod_expired"), ProblemCode.VIDEO_NOT_FOUND, "no such video"),
    (PlaylistKind.CHANNEL, refusal(200, "content_geoblocked"), ProblemCode.RESTRICTED_STREAM, "region"),
    (PlaylistKind.VIDEO, refusal(200, "vod_manifest_restricted"), ProblemCode.RESTRICTED_STREAM, "subscribers"),
    (
        PlaylistKind.VIDEO,
        Fetched(403, b'{"error_code": "unauthorized_entitlements"}'),
        ProblemCode.RESTRICTED_STREAM,
        "subscribers",
    ),
]


@pytest.mark.parametrize(("kind", "answer", "code", "words"), OWN_WORDS)
@pytest.mark.parametrize("way", WAYS)
async def test_ushers_own_words_are_final_in_each_way(
    kind: PlaylistKind, answer: Fetched, code: ProblemCode, words: str, way: str
) -> None:
    asked = Asked({way: answer}, otherwise=EMPTY)
    error = await asked.refused(kind)
    assert error.code is code
    assert words in error.detail
    assert error.retry_after_seconds is None
    assert asked.ways == list(WAYS[: WAYS.index(way) + 1])


@pytest.mark.parametrize(
    ("answer", "code", "words", "later"),
    [
        (Fetched(403, HTML.encode()), ProblemCode.UPSTREAM_UNAVAILABLE, "proxy or a firewall", False),
        (
            Fetched(403, b"Forbidden"),
            ProblemCode.UPSTREAM_UNAVAILABLE,
            "does not accept the playback tokens",
            False,
        ),
        (refusal(403, "brand_new\x1b"), ProblemCode.RESTRICTED_STREAM, r"brand_new\x1b", False),
        (Fetched(404, b"Not found"), ProblemCode.UPSTREAM_UNAVAILABLE, "404", True),
        (Fetched(400, b""), ProblemCode.UPSTREAM_UNAVAILABLE, "400", False),
        (Fetched(200, HTML.encode()), ProblemCode.UPSTREAM_UNAVAILABLE, "does not begin", True),
        (EMPTY, ProblemCode.UPSTREAM_UNAVAILABLE, "no rendition", True),
        (LEADS_ON["a picture alone"], ProblemCode.NO_AUDIO, "has sound", False),
    ],
)
async def test_what_is_said_when_no_way_is_answered(
    answer: Fetched, code: ProblemCode, words: str, later: bool
) -> None:
    error = await Asked({}, otherwise=answer).refused()
    assert error.code is code
    assert words in error.detail
    assert (error.retry_after_seconds is not None) is later


async def test_a_channel_is_never_called_not_live_without_a_word_of_it() -> None:
    for answer in LEADS_ON.values():
        asked = Asked(dict.fromkeys(WAYS, answer))
        assert (await asked.refused()).code is not ProblemCode.NOT_LIVE


async def test_a_video_that_no_way_knows_is_gone() -> None:
    error = await Asked({}, otherwise=Fetched(404, b"Not found")).refused(PlaylistKind.VIDEO)
    assert error.code is ProblemCode.VIDEO_NOT_FOUND


async def test_a_token_that_is_refused_is_asked_for_once_more_before_other_ways_are_tried() -> None:
    asked = Asked({}, otherwise=Fetched(403, b""))
    await asked.refused()
    assert asked.tokens == 2
    assert asked.ways == ["v2 token", *WAYS]
    assert asked.counted == {"token-refused": 5}


async def test_the_first_way_can_be_another() -> None:
    asked = Asked({"v1 token": EMPTY, "v2 nauth": EMPTY, "v1 nauth": EMPTY})
    assert (await asked.playlists(first_way=1)).way == 0
    assert asked.ways == ["v1 token", "v2 nauth", "v1 nauth", "v2 token"]


async def test_a_relative_address_belongs_to_the_answer() -> None:
    text = b"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nlow/index.m3u8\n"
    found = await Asked({}, otherwise=Fetched(200, text)).playlists()
    assert found.urls[0] == BASE / "api/v2/channel/hls/low/index.m3u8"
