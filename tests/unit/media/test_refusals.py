"""Refusals that stay and refusals that pass, at each step: what is said, and when to ask again."""

import dataclasses
from contextlib import aclosing

import pytest
from yarl import URL

from fingerprint.domain.audio import Recording
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.media.capture import StreamCapture
from fingerprint.media.fetch import Fetched
from fingerprint.media.host_pauses import HostPauses
from fingerprint.media.refusals import permanent_refusal
from fingerprint.ports import MediaSource
from fingerprint.retry import retry_budget
from tests.fakes import FakeClock
from tests.unit.small_twitch import (
    CLIP_SOURCE,
    HOST,
    LIVE,
    VIDEO,
    SmallDecoder,
    SmallTwitch,
    media_list,
    small_fetcher,
)

RESTRICTED, UNAVAILABLE = ProblemCode.RESTRICTED_STREAM, ProblemCode.UPSTREAM_UNAVAILABLE
SENTENCES = {
    401: (RESTRICTED, "signed in"),
    402: (RESTRICTED, "pay"),
    407: (UNAVAILABLE, "proxy"),
    410: (UNAVAILABLE, "no longer"),
    418: (UNAVAILABLE, "refuses"),
    421: (UNAVAILABLE, "wrong machine"),
    451: (RESTRICTED, "legal reasons"),
}
OWN = {("video", 410): ProblemCode.VIDEO_NOT_FOUND, ("clip", 410): ProblemCode.CLIP_NOT_FOUND}
SOURCES: dict[str, MediaSource] = {"live": LIVE, "video": VIDEO, "clip": CLIP_SOURCE}
PLACES = {
    "playlist": ("list.m3u8", False),
    "segment": (".ts", False),
    "fragment": (".mp4", True),
    "init": ("init.mp4", True),
    "clip": ("clip.mp4", False),
}
"""How the path ends of what is refused, and whether segments are fMP4."""

STEPS = [
    *((name, step) for name in ("live", "video") for step in ("playlist", "segment", "fragment", "init")),
    ("clip", "clip"),
]


class StillClock(FakeClock):
    """Lets nobody wait."""

    async def sleep(self, seconds: float) -> None:
        await self.advance(seconds)


async def heard(twitch: SmallTwitch, source: MediaSource) -> Recording:
    with retry_budget(0):  # nothing waits to be repeated
        return await _heard(twitch, source)


async def _heard(twitch: SmallTwitch, source: MediaSource) -> Recording:
    async with small_fetcher(twitch) as fetcher:
        capture = StreamCapture(fetcher, SmallDecoder(), StillClock())
        async with aclosing(capture.takes(source, 6.0)) as takes:
            return await anext(takes)


def refusing(step: str, status: int, *, only: str = "", body: bytes = b"") -> SmallTwitch:
    """A Twitch that refuses a step; `only` in a rendition."""
    end, init = PLACES[step]

    async def fault(_step: str, url: URL) -> Fetched | None:
        init_too = step != "fragment" or url.name != "init.mp4"
        refused = url.path.endswith(end) and init_too and only in url.path
        return Fetched(status, body) if refused else None

    return SmallTwitch(fault=fault, init=init)


async def failure(twitch: SmallTwitch, source: MediaSource) -> TwitchAudioError:
    with pytest.raises(TwitchAudioError) as caught:
        await heard(twitch, source)
    return caught.value


@pytest.mark.parametrize("init", [False, True])
@pytest.mark.parametrize("name", SOURCES)
async def test_what_nothing_refuses_is_heard(name: str, init: bool) -> None:
    recording = await heard(SmallTwitch(init=init), SOURCES[name])
    assert recording.pcm.duration_seconds > 5


@pytest.mark.parametrize("status", SENTENCES)
@pytest.mark.parametrize(("name", "step"), STEPS)
async def test_what_stays_refused_says_why_and_not_when_to_ask_again(name: str, step: str, status: int) -> None:
    page = b"<!DOCTYPE html><title>No</title>" if status % 2 else b""
    error = await failure(refusing(step, status, body=page), SOURCES[name])
    code, words = SENTENCES[status]
    assert error.retry_after_seconds is None
    if (name, status) in OWN:
        assert error.code is OWN[name, status]
    else:
        assert (error.code, words in error.detail) == (code, True), error.detail
        assert str(status) in error.detail
    assert "moment" not in error.detail


@pytest.mark.parametrize("status", [408, 425, 503])
@pytest.mark.parametrize(("name", "step"), STEPS)
async def test_what_may_pass_says_when_to_ask_again(name: str, step: str, status: int) -> None:
    error = await failure(refusing(step, status), SOURCES[name])
    assert error.code is UNAVAILABLE
    assert error.retry_after_seconds


@pytest.mark.parametrize("status", [*SENTENCES, 403, 404, 408, 503, 204, 304])
@pytest.mark.parametrize("step", ["playlist", "segment", "fragment", "init"])
@pytest.mark.parametrize("source", [LIVE, VIDEO], ids=["live", "video"])
async def test_a_rendition_that_is_refused_alone_is_passed_over(
    source: MediaSource, step: str, status: int
) -> None:
    twitch = refusing(step, status, only="audio_only")
    assert (await heard(twitch, source)).pcm.duration_seconds > 5


SMALLEST = dataclasses.replace(CLIP_SOURCE, url=URL(f"{HOST}/small/clip.mp4"), alternatives=(CLIP_SOURCE.url,))


@pytest.mark.parametrize("status", [*SENTENCES, 403, 404, 408, 503, 204, 304])
async def test_a_clips_file_that_is_refused_alone_is_passed_over(status: int) -> None:
    twitch = refusing("clip", status, only="small")
    assert (await heard(twitch, SMALLEST)).pcm.duration_seconds > 5
    assert [path for _, path in twitch.sent] == ["/small/clip.mp4", "/clip.mp4"]


@pytest.mark.parametrize(("status", "asked"), [(404, 2), (429, 1)])
async def test_a_clip_none_of_whose_files_comes_is_refused_as_the_first_one(status: int, asked: int) -> None:
    twitch = refusing("clip", status)
    async with small_fetcher(twitch, pauses=HostPauses(StillClock())) as fetcher:
        takes = StreamCapture(fetcher, SmallDecoder(), StillClock()).takes(SMALLEST, 6.0)
        with retry_budget(0), pytest.raises(TwitchAudioError):
            await anext(takes)
    assert len(twitch.sent) == asked


def box(kind: str, content: bytes) -> bytes:
    return (8 + len(content)).to_bytes(4, "big") + kind.encode() + content


def init_section(sample_entry: str) -> bytes:
    """An init section of one track of sound."""
    inner = box("stsd", bytes(8) + box(sample_entry, bytes(28)))
    for kind in ("stbl", "minf", "mdia", "trak", "moov"):
        inner = box(kind, inner)
    return box("ftyp", b"isom") + inner


@pytest.mark.parametrize("source", [LIVE, VIDEO], ids=["live", "video"])
async def test_sound_that_its_init_section_says_is_encrypted_is_not_to_be_asked_for_again(
    source: MediaSource,
) -> None:
    error = await failure(SmallTwitch(init=True, head=init_section("enca")), source)
    assert (error.code, error.retry_after_seconds) == (RESTRICTED, None)
    assert "DRM" in error.detail
    await heard(SmallTwitch(init=True, head=init_section("mp4a")), source)


async def test_a_live_list_may_have_all_of_a_long_broadcast() -> None:
    count, path = 20_000, "x" * 100 + "/"
    lines = media_list(live=True, count=count).replace(".ts", f".ts?{path}")
    twitch = SmallTwitch(lists={"live": lines})
    assert len(lines) > 3 << 20
    assert (await heard(twitch, LIVE)).pcm.duration_seconds > 5
    fetched = [path for step, path in twitch.sent if step == "segment"]
    assert sorted(fetched) == [f"/live/audio_only/{number}.ts" for number in range(count - 3, count)]


def test_only_refusals_stay() -> None:
    assert all(
        permanent_refusal("clip", "Twitch", status) is None for status in (200, 301, 403, 404, 429, 500, 599)
    )
