"""Joining segments that come in any order, and what has come of one that is still being made."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from yarl import URL

from fingerprint.domain.problems import UpstreamError
from fingerprint.hls.playlist import InitSection, Segment
from fingerprint.media.ahead import DecodingAhead
from fingerprint.media.fetch import BodyFilter, Fetched, Fetcher
from fingerprint.media.hosts import AllowList
from fingerprint.media.joined import EXTRA_SECONDS, Joined
from fingerprint.media.partial_response import PartialResponse
from fingerprint.media.segments import SegmentCache
from tests.builders import NOON

BASE = URL("https://example.ttvnw.net/v1/playlist/x.m3u8")
TS = b"\x47" + bytes(186)  # and the digit of its number
HEAD, FRAGMENT = b"\0\0\0\x08ftyp", b"\0\0\0\x08moof"


class Shop(Fetcher):
    """Has contents by path; a path that it does not have is 404. `slowly` names what comes last to first."""

    def __init__(
        self, contents: Mapping[str, bytes], *, slowly: Sequence[str] = (), begun: bytes | None = None
    ) -> None:
        super().__init__(AllowList.of_origins([]))
        self._contents = contents
        self._slowly = list(slowly)
        self._begun = begun
        self.asked: list[str] = []

    async def get(
        self,
        url: URL,
        *,
        step: str,
        max_bytes: int,
        total_seconds: float,
        headers: Mapping[str, str] | None = None,
        stall_seconds: float | None = None,
        new_filter: Callable[[int], BodyFilter] | None = None,
    ) -> Fetched:
        self.asked.append(url.name)
        for _ in range(self._slowly.index(url.name) if url.name in self._slowly else 0):
            await asyncio.sleep(0)
        content = self._contents.get(url.name)
        return Fetched(404, b"") if content is None else Fetched(200, content)

    def get_partial(
        self,
        url: URL,
        *,
        step: str,
        max_bytes: int,
        total_seconds: float,
        headers: Mapping[str, str] | None = None,
    ) -> PartialResponse:
        asyncio.get_running_loop().call_soon(self.asked.append, url.name)  # as a task would
        partial = PartialResponse()
        if self._begun is not None:
            partial.status, partial.chunks = 200, [self._begun]
        return partial


class Fed(DecodingAhead):
    """Notes what it is fed."""

    def __init__(self) -> None:
        super().__init__(lambda _container: None, wall_seconds=1.0, on_failure=lambda _error: None)
        self.content = b""
        self.container = ""
        self.abandoned = False

    def feed(self, content: bytes, *, container: str) -> None:
        assert not self.abandoned
        assert self.container in ("", container)
        self.content, self.container = self.content + content, container

    def abandon(self) -> None:
        self.abandoned = True


def segments(count: int, *, init: InitSection | None = None) -> list[Segment]:
    return [
        Segment(uri=f"{number}.ts", sequence=number, duration_seconds=2.0, init=init) for number in range(count)
    ]


def contents(count: int, start: bytes = TS) -> dict[str, bytes]:
    return {f"{number}.ts": start + str(number).encode() for number in range(count)}


def encoded(joined: Joined) -> bytes:
    (part,) = joined.parts
    return part.encoded


async def join(shop: Shop, wanted: Sequence[Segment], fed: Fed, *, following: str | None = None) -> Joined:
    return await SegmentCache(shop, BASE).joined(wanted, following=following, decoding=fed)


@pytest.mark.parametrize("order", [("0.ts", "1.ts", "2.ts"), ("2.ts", "1.ts", "0.ts"), ("1.ts", "2.ts", "0.ts")])
async def test_what_comes_in_any_order_is_decoded_in_its_own(order: Sequence[str]) -> None:
    fed = Fed()
    joined = await join(Shop(contents(3), slowly=order), segments(3), fed)
    assert encoded(joined) == fed.content == TS + b"0" + TS + b"1" + TS + b"2"
    assert joined.decoding is fed
    assert not fed.abandoned


@pytest.mark.parametrize("order", [("init.mp4", "0.ts", "1.ts"), ("1.ts", "0.ts", "init.mp4")])
async def test_the_init_section_comes_first(order: Sequence[str]) -> None:
    fed = Fed()
    shop = Shop({"init.mp4": HEAD, **contents(2, FRAGMENT)}, slowly=order)
    joined = await join(shop, segments(2, init=InitSection(uri="init.mp4")), fed)
    assert encoded(joined) == fed.content == HEAD + FRAGMENT + b"0" + FRAGMENT + b"1"
    assert fed.container == joined.parts[0].container == "mp4"


async def test_where_one_is_missing_nothing_is_decoded_ahead() -> None:
    fed = Fed()
    shop = Shop({name: content for name, content in contents(3).items() if name != "1.ts"})
    joined = await join(shop, segments(3), fed)
    assert encoded(joined) == TS + b"2"
    assert joined.decoding is None
    assert fed.abandoned


async def test_where_all_are_missing_the_decoding_is_let_go() -> None:
    fed = Fed()
    with pytest.raises(UpstreamError):
        await join(Shop({}), segments(3), fed)
    assert fed.abandoned


@pytest.mark.parametrize("begun", [None, b"", TS + b"3"], ids=["no response", "nothing", "something"])
async def test_of_a_segment_being_made_only_what_has_come_is_taken(
    begun: bytes | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The response never ends here, and there is no timer that would end a wait for it."""

    def no_timer(*_: object, **__: object) -> asyncio.TimerHandle:
        raise AssertionError("something is waited for")

    for name in ("call_at", "call_later"):
        monkeypatch.setattr(asyncio.get_running_loop(), name, no_timer)
    shop = Shop(contents(3), slowly=("1.ts", "0.ts", "2.ts"), begun=begun)
    joined = await join(shop, segments(3), Fed(), following="3.ts")
    assert "3.ts" in shop.asked
    assert encoded(joined) == TS + b"0" + TS + b"1" + TS + b"2" + (begun or b"")
    assert joined.extra_seconds == (EXTRA_SECONDS if begun else 0.0)


async def test_a_cancelled_question_lets_the_decoding_go() -> None:
    fed = Fed()
    task = asyncio.create_task(join(Shop(contents(3), slowly=("0.ts", "1.ts", "2.ts")), segments(3), fed))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert fed.abandoned


async def test_what_has_come_of_the_segment_being_made_is_added() -> None:
    fed = Fed()
    shop = Shop(contents(3), begun=TS + b"more")
    joined = await join(shop, segments(3), fed, following="next.ts")
    assert encoded(joined) == fed.content == TS + b"0" + TS + b"1" + TS + b"2" + TS + b"more"
    assert joined.duration_seconds == 6.0, "what the playlist promises"
    assert joined.extra_seconds > 0
    assert shop.asked[-1] == "next.ts", "the finished ones are asked for first"


@pytest.mark.parametrize("begun", [None, b"", b"<html>", FRAGMENT])
async def test_what_does_not_go_on_with_the_rest_is_left_out(begun: bytes | None) -> None:
    joined = await join(Shop(contents(3), begun=begun), segments(3), Fed(), following="next.ts")
    assert encoded(joined) == TS + b"0" + TS + b"1" + TS + b"2"
    assert joined.extra_seconds == 0.0


async def test_after_a_hole_nothing_is_added() -> None:
    shop = Shop({name: content for name, content in contents(3).items() if name != "2.ts"}, begun=TS + b"more")
    joined = await join(shop, segments(3), Fed(), following="next.ts")
    assert encoded(joined) == TS + b"0" + TS + b"1"


async def test_an_address_that_is_none_costs_nothing() -> None:
    shop = Shop(contents(3), begun=TS)
    joined = await join(shop, segments(3), Fed(), following="file:///etc/passwd")
    assert encoded(joined) == TS + b"0" + TS + b"1" + TS + b"2"
    assert len(shop.asked) == 3


@pytest.mark.parametrize(("dated", "starts"), [(True, [0.0, 302.0]), (False, [0.0, 2.0])])
async def test_a_pause_of_the_broadcast_is_no_time_of_a_vod(dated: bool, starts: list[float]) -> None:
    first, second = segments(2)
    paused = [replace(first, started_at=NOON), replace(second, started_at=NOON + timedelta(seconds=302))]
    joined = await SegmentCache(Shop(contents(2)), BASE, dated=dated).joined(paused)
    assert [segment.start_seconds for segment in joined.timed] == starts


INITS = [InitSection(uri="first.mp4"), InitSection(uri="second.mp4")]
CHANGING = [replace(each, init=INITS[each.sequence // 2]) for each in segments(4)]


async def test_where_the_init_section_changes_a_new_part_begins() -> None:
    fed = Fed()
    shop = Shop({"first.mp4": HEAD + b"1", "second.mp4": HEAD + b"2", **contents(4, FRAGMENT)})
    joined = await join(shop, CHANGING, fed)
    first, second = joined.parts
    assert first.encoded == HEAD + b"1" + FRAGMENT + b"0" + FRAGMENT + b"1"
    assert second.encoded == HEAD + b"2" + FRAGMENT + b"2" + FRAGMENT + b"3"
    assert [segment.start_seconds for segment in joined.timed] == [0.0, 2.0, 4.0, 6.0]
    assert joined.decoding is None
    assert not joined.failed


@pytest.mark.parametrize(("lost", "left"), [("first.mp4", [2, 3]), ("second.mp4", [0, 1])])
async def test_segments_whose_init_section_is_missing_are_of_no_use(lost: str, left: list[int]) -> None:
    every = {"first.mp4": HEAD + b"1", "second.mp4": HEAD + b"2", **contents(4, FRAGMENT)}
    joined = await join(Shop({name: each for name, each in every.items() if name != lost}), CHANGING, Fed())
    assert [segment.sequence for segment in joined.segments] == left
    assert joined.failed == {0, 1, 2, 3} - set(left)
    with pytest.raises(UpstreamError):
        await join(Shop(contents(4, FRAGMENT)), CHANGING, Fed())


async def test_mpegts_may_be_followed_by_fragmented_mp4() -> None:
    mixed = [replace(each, init=None if each.sequence < 2 else INITS[0]) for each in segments(4)]
    shop = Shop({"first.mp4": HEAD, **contents(2), "2.ts": FRAGMENT, "3.ts": FRAGMENT})
    joined = await join(shop, mixed, Fed())
    assert [part.container for part in joined.parts] == ["mpegts", "mp4"]
