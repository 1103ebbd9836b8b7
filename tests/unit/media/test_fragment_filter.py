"""Leaving the picture out of fragmented MP4 while it arrives."""
# PyAV leaves the type of a packet's stream open:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from io import BytesIO

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fingerprint.media.containers import first_timestamp, iter_boxes
from fingerprint.media.decode import decode_bytes
from fingerprint.media.fragment_filter import FragmentError, FragmentFilter, SoundTracks, sound_tracks
from simulator.media import TICKS, AacRing, Muxer, encode_ring
from simulator.synth import RATE
from tests.sounds import tone
from tests.unit.media.test_containers import PAGE
from tests.unit.media.test_sound_filter import pieces

EXTRA = b"\0\0\0\x10emsg\0\0\0\0some"


@pytest.fixture(scope="module")
def ring(tmp_path_factory: pytest.TempPathFactory) -> AacRing:
    times = np.arange(2 * RATE) / RATE
    sound = np.stack([0.3 * np.sin(2 * np.pi * 440 * times)] * 2).astype(np.float32)
    return encode_ring("tone", tmp_path_factory.mktemp("ring"), lambda: sound)


@pytest.fixture(scope="module")
def head() -> bytes:
    return Muxer().init(video=True)


@pytest.fixture(scope="module")
def segment(ring: AacRing) -> bytes:
    """Three fragments, with a box of events between two of them."""
    muxer = Muxer()
    first, second, third = (
        muxer.segment(ring, at * TICKS, (at + 2) * TICKS, pts=10 * TICKS, video=True, fragmented=True)
        for at in (0, 2, 4)
    )
    return first + EXTRA + second + third


def tracks_of(head: bytes) -> SoundTracks:
    tracks = sound_tracks(head)
    assert tracks is not None
    return tracks


async def filtered(
    content: bytes, tracks: SoundTracks | None, size: int = 1 << 17
) -> tuple[bytes, FragmentFilter]:
    async def known() -> SoundTracks | None:
        return tracks

    kept = FragmentFilter(known)
    found = [await kept.feed(piece) for piece in pieces(content, size)]
    return b"".join(found) + kept.finish(), kept


def test_the_init_section_loses_its_picture(head: bytes) -> None:
    tracks = tracks_of(head)
    with av.open(BytesIO(tracks.sound_head), format="mp4") as file:
        assert [stream.type for stream in file.streams] == ["audio"]
    assert sound_tracks(tracks.sound_head) is None, "there is no picture any more"
    assert sound_tracks(b"") is None


@pytest.mark.parametrize("size", [7, 1_000, 1 << 17])
async def test_only_the_sound_is_kept(head: bytes, segment: bytes, size: int) -> None:
    tracks = tracks_of(head)
    kept, one = await filtered(segment, tracks, size)
    assert len(kept) < len(segment)
    assert [kind for kind, _, _ in iter_boxes(kept, 0, len(kept))].count(b"moof") == 3
    assert EXTRA in kept
    assert one.first_timestamp == first_timestamp(segment, "mp4", head=head)
    sound = decode_bytes(tracks.sound_head + kept, container="mp4", max_seconds=20)
    whole = decode_bytes(head + segment, container="mp4", max_seconds=20)
    assert np.array_equal(sound.samples, whole.samples)


async def test_fragments_of_ffmpeg_with_both_tracks_in_turns(head: bytes, segment: bytes) -> None:
    file = BytesIO()
    options = {"movflags": "empty_moov+default_base_moof", "frag_duration": "300000"}
    with (
        av.open(BytesIO(head + segment), "r", format="mp4") as source,
        av.open(file, "w", format="mp4", options=options) as out,
    ):
        streams = {each.index: out.add_stream_from_template(each) for each in source.streams}
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream_index]
                out.mux(packet)
    content = file.getvalue()
    start = content.index(b"moof") - 4
    tracks = tracks_of(content[:start])
    assert content.count(b"moof") > 10
    kept, _ = await filtered(content[start:], tracks, 500)
    sound = decode_bytes(tracks.sound_head + kept, container="mp4", max_seconds=20)
    assert np.array_equal(sound.samples, decode_bytes(content, container="mp4", max_seconds=20).samples)


async def test_memory_does_not_grow_with_the_picture(head: bytes, ring: AacRing) -> None:
    content = Muxer().segment(ring, 0, 4 * TICKS, pts=0, video=True, fragmented=True, picture_bytes=200_000)
    kept, one = await filtered(content, tracks_of(head))
    assert len(content) > 9_000_000 > 20 * len(kept)
    assert one.first_timestamp == 0.0


async def test_a_segment_that_is_cut_short_keeps_the_sound_before(head: bytes, segment: bytes) -> None:
    tracks = tracks_of(head)
    kept, _ = await filtered(segment[: len(segment) * 2 // 3], tracks)
    assert 2.5 < decode_bytes(tracks.sound_head + kept, container="mp4", max_seconds=20).duration_seconds < 5.0


@pytest.mark.parametrize("content", [b"", b"G", PAGE, bytes(1_000), tone(seconds=1.0)])
@pytest.mark.parametrize("size", [100, 1 << 17])
async def test_what_is_no_mp4_passes_as_it_is(head: bytes, content: bytes, size: int) -> None:
    kept, one = await filtered(content, tracks_of(head), size)
    assert kept == content
    assert one.first_timestamp is None


async def test_without_a_picture_everything_passes(segment: bytes) -> None:
    assert (await filtered(segment, None, 1_000))[0] == segment


async def test_a_fragment_that_cannot_be_divided_is_refused(head: bytes, segment: bytes) -> None:
    for name, place, value in ((b"tfhd", 7, b"\1"), (b"trun", 16, b"\x7f"), (b"trun", 8, b"\x7f")):
        broken = bytearray(segment)
        for _ in range(2):  # of either track
            at = broken.index(name)
            broken[at + place : at + place + 1] = value
            broken[at : at + 4] = name.upper()
        broken = broken.replace(name.upper(), name)
        with pytest.raises(FragmentError):
            await filtered(bytes(broken), tracks_of(head))


@given(st.data())
async def test_no_broken_fragment_breaks_it(head: bytes, segment: bytes, data: st.DataObject) -> None:
    content, header = bytearray(segment[:30_000]), bytearray(head)
    for _ in range(data.draw(st.integers(0, 10))):
        content[data.draw(st.integers(0, 2_000))] = data.draw(st.integers(0, 255))
    for _ in range(data.draw(st.integers(0, 10))):
        header[data.draw(st.integers(0, len(header) - 1))] = data.draw(st.integers(0, 255))
    try:
        kept, _ = await filtered(bytes(content), sound_tracks(bytes(header)), 3_000)
    except FragmentError:
        return
    assert len(kept) <= len(content) + 64
