"""Leaving the picture out of MPEG-TS while it arrives."""

from collections.abc import Iterator
from io import BytesIO

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fingerprint.media.containers import first_timestamp
from fingerprint.media.decode import decode_bytes
from fingerprint.media.sound_filter import SoundFilter, lacks_sound
from simulator.media import TICKS, AacRing, Muxer, encode_ring
from simulator.synth import RATE
from tests.sounds import tone
from tests.unit.media.test_containers import PAGE


def pieces(content: bytes, size: int) -> Iterator[bytes]:
    for at in range(0, len(content), size):
        yield content[at : at + size]


async def filtered(content: bytes, size: int = 1 << 17) -> tuple[bytes, SoundFilter]:
    kept = SoundFilter()
    found = [await kept.feed(piece) for piece in pieces(content, size)]
    return b"".join(found) + kept.finish(), kept


@pytest.fixture(scope="module")
def ring(tmp_path_factory: pytest.TempPathFactory) -> AacRing:
    times = np.arange(2 * RATE) / RATE
    sound = np.stack([0.3 * np.sin(2 * np.pi * 440 * times)] * 2).astype(np.float32)
    return encode_ring("tone", tmp_path_factory.mktemp("ring"), lambda: sound)


@pytest.fixture(scope="module")
def with_picture(ring: AacRing) -> bytes:
    return Muxer().segment(ring, 0, 10 * TICKS, pts=10 * TICKS, video=True)


@pytest.mark.parametrize("size", [100, 188, 5_000, 1 << 17])
async def test_only_the_sound_is_kept(with_picture: bytes, size: int) -> None:
    kept, one = await filtered(with_picture, size)
    assert len(kept) % 188 == 0
    assert len(kept) < len(with_picture)
    assert one.first_timestamp == first_timestamp(with_picture, "mpegts")
    with av.open(BytesIO(kept), format="mpegts") as file:
        assert [stream.type for stream in file.streams] == ["audio"]
    sound, whole = (decode_bytes(each, container="mpegts", max_seconds=20) for each in (kept, with_picture))
    assert np.array_equal(sound.samples, whole.samples)


def test_a_segment_without_sound_is_told_by_its_map(ring: AacRing, with_picture: bytes) -> None:
    silent = Muxer().segment(ring, 0, 2 * TICKS, pts=0, video=True, silent=True)
    assert lacks_sound(silent)
    assert lacks_sound(b"ID3\x04\0\0\0\0\0\x02ab" + silent)
    assert not any(map(lacks_sound, (with_picture, with_picture[:188], PAGE, b"", silent[:188], b"\x47" * 5_000)))


async def test_memory_does_not_grow_with_the_picture(with_picture: bytes) -> None:
    picture = bytearray(b"\x47\x01\xff\x10" + bytes(184)) * 1_000
    kept = SoundFilter()
    held = len(await kept.feed(with_picture))
    for _ in range(500):  # 94 MB
        held += len(await kept.feed(bytes(picture)))
    assert held + len(kept.finish()) < len(with_picture)


@pytest.mark.parametrize(
    "content",
    [b"", b"G", PAGE, bytes(1_000), tone(seconds=1.0), tone("mp4", seconds=1.0, fragmented=True), b"\x47" * 2_000],
)
@pytest.mark.parametrize("size", [100, 1 << 17])
async def test_what_has_no_picture_passes_as_it_is(content: bytes, size: int) -> None:
    kept, one = await filtered(content, size)
    assert kept == content
    assert one.first_timestamp is None


async def test_junk_in_front_is_left_out_with_the_picture(with_picture: bytes) -> None:
    kept, _ = await filtered(b"\0" * 77 + with_picture)
    assert kept == (await filtered(with_picture))[0]


async def test_where_the_map_changes_everything_passes(with_picture: bytes, ring: AacRing) -> None:
    other = Muxer().segment(ring, 0, 2 * TICKS, pts=0)
    kept, one = await filtered(with_picture + other, 1 << 12)
    assert kept.endswith(other[-188 * 20 :])
    assert decode_bytes(kept, container="mpegts", max_seconds=20).duration_seconds > 11.5
    assert one is not None


@given(st.data())
async def test_no_broken_stream_breaks_it(with_picture: bytes, data: st.DataObject) -> None:
    content = bytearray(with_picture[:20_000])
    for _ in range(data.draw(st.integers(1, 10))):
        content[data.draw(st.integers(0, 2_000))] = data.draw(st.integers(0, 255))
    await filtered(bytes(content), data.draw(st.sampled_from([188, 1_000, 30_000])))
