"""What the bytes of a segment are, and when they begin."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fingerprint.media.containers import (
    KNOWN_BOXES,
    container_of,
    first_timestamp,
    transport_stream_start,
    unknown_boxes,
)
from simulator.media import FRAME, TICKS, AacRing, Muxer
from tests.sounds import tone

PAGE = b"<!DOCTYPE html><html><head><title>Twitch</title></head><body><h1>Go Go Gone</h1></body></html>" * 9
ID3 = b"ID3\x04\0\0\0\0\0\x47" + bytes(0x47)


def box(kind: bytes, content: bytes = b"") -> bytes:
    return (8 + len(content)).to_bytes(4, "big") + kind + content


@pytest.fixture(scope="module")
def muxer() -> Muxer:
    return Muxer()


RING = AacRing(
    tuple(bytes.fromhex("fff14c8001bffc") + bytes.fromhex("210049900219002380") for _ in range(94)), "silence"
)


@pytest.mark.parametrize("video", [False, True])
@pytest.mark.parametrize(
    ("start", "expected"), [(0.0, 10.0), (2.0, 12.0), (95_433.7, 95_443.7), (95_434.0, 95_444 - 2**33 / 90_000)]
)
def test_the_first_timestamp_of_a_transport_stream(
    muxer: Muxer, video: bool, start: float, expected: float
) -> None:
    at = round(start * TICKS)
    content = muxer.segment(RING, at, at + 2 * TICKS, pts=10 * TICKS, video=video)
    assert first_timestamp(content, "mpegts") == pytest.approx(expected, abs=0.03)
    assert first_timestamp(ID3 + content, "mpegts") == pytest.approx(expected, abs=0.03)


@pytest.mark.parametrize("video", [False, True])
@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("start", [0.0, 2.0, 200_000.0])
def test_the_first_timestamp_of_a_fragment(muxer: Muxer, video: bool, number: int, start: float) -> None:
    at = round(start * TICKS)
    content = muxer.segment(RING, at, at + 2 * TICKS, pts=0, video=video, fragmented=True, init_number=number)
    head = muxer.init(video=video, number=number)
    events = (
        box(b"styp", b"msdh\0\0\0\0") + box(b"emsg", bytes(40)) + box(b"prft", bytes(24)) + box(b"sidx", bytes(32))
    )
    for whole in (content, events + content):
        assert first_timestamp(whole, "mp4", head=head) == pytest.approx(start, abs=0.03)
        assert container_of(whole, has_init=True) == "mp4"
        assert container_of(whole, has_init=False) == "mp4"
        assert not unknown_boxes(whole)
    assert first_timestamp(content, "mp4", head=muxer.init(video=video, number=1 - number)) is None


def test_late_sound_does_not_move_the_start_of_the_picture(muxer: Muxer) -> None:
    content = muxer.segment(RING, 0, 2 * TICKS, pts=10 * TICKS, video=True, late=TICKS)
    assert first_timestamp(content, "mpegts") == pytest.approx(10.0, abs=0.03)
    alone = muxer.segment(RING, 0, 2 * TICKS, pts=10 * TICKS, late=TICKS)
    assert first_timestamp(alone, "mpegts") == pytest.approx(11.0, abs=FRAME / 48_000)


@pytest.mark.parametrize("junk", [b"", b"\0" * 100, b"\x47" * 5 + b"\0" * 40, ID3, b"G\0" + PAGE[:150]])
def test_a_transport_stream_is_found_behind_junk(junk: bytes) -> None:
    sound = tone(seconds=1.0)
    assert container_of(junk + sound, has_init=False) == "mpegts"
    assert transport_stream_start(junk + sound) == len(junk)


def test_packed_sound_is_aac() -> None:
    assert container_of(tone("aac", seconds=1.0), has_init=False) == "aac"
    assert container_of(ID3 + tone("aac", seconds=1.0), has_init=False) == "aac"


@pytest.mark.parametrize(
    "content", [b"", b"\0", PAGE, PAGE[:200], b"upstream said no", b"\x47", b"{}", bytes(5_000)]
)
@pytest.mark.parametrize("has_init", [False, True])
def test_what_is_no_media_is_told(content: bytes, has_init: bool) -> None:
    assert container_of(content, has_init=has_init) is None


def test_unknown_boxes_are_named() -> None:
    content = box(b"adVT", b"x") + box(b"moof") + box(b"mdat", b"sound")
    assert container_of(content, has_init=True) == "mp4"
    assert unknown_boxes(content) == {"adVT"}
    assert all(len(kind) == 4 for kind in KNOWN_BOXES)


@given(st.binary(max_size=2_000), st.sampled_from(["mpegts", "mp4", "aac"]), st.booleans())
def test_no_bytes_break_it(content: bytes, container: str, head: bool) -> None:
    container_of(content, has_init=head)
    first_timestamp(content, container, head=content if head else b"")
    unknown_boxes(content)


FRAGMENTED = tone("mp4", seconds=0.2, fragmented=True)


@given(st.data())
def test_no_broken_media_breaks_it(data: st.DataObject) -> None:
    whole = bytearray(FRAGMENTED)
    for _ in range(data.draw(st.integers(1, 8))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    content = bytes(whole[: data.draw(st.integers(0, len(whole)))])
    first_timestamp(content, "mp4", head=content)
    unknown_boxes(content)
