"""Finding the sound of an MP4 file by its description, on files that are written here byte by byte."""
# PyAV leaves the type of a packet's stream open:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import itertools
from io import BytesIO
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fingerprint.media.decode import decode_bytes
from fingerprint.media.late_clips import MAX_CLIP_BYTES
from fingerprint.media.sound_table import DescriptionError, behind_media, description, sound_table
from tests.sounds import tone
from tests.unit.media.test_containers import box


def table(*rows: tuple[int, ...], before: bytes = b"", size: int = 4) -> bytes:
    numbers = b"".join(number.to_bytes(size, "big") for row in rows for number in row)
    return bytes(4) + before + len(rows).to_bytes(4, "big") + numbers


def track(
    kind: bytes = b"soun",
    *,
    places: list[int],
    sizes: list[int] | int,
    runs: list[tuple[int, int]],
    durations: list[tuple[int, int]],
    wide: bool = False,
    scale: int = 1_000,
    version: int = 0,
) -> bytes:
    """A track: `runs` are (first chunk, samples in each), `durations` (how many samples, how long)."""
    samples = sum(count for count, _ in durations)
    if isinstance(sizes, int):
        stsz = bytes(4) + sizes.to_bytes(4, "big") + samples.to_bytes(4, "big")
    else:
        stsz = table(*((size,) for size in sizes), before=bytes(4))
    chunks = table(*((place,) for place in places), size=8 if wide else 4)
    stbl = b"".join(
        (
            box(b"stsd", b"description"),
            box(b"stts", table(*durations)),
            box(b"stsc", table(*((first, count, 1) for first, count in runs))),
            box(b"stsz", stsz),
            box(b"co64" if wide else b"stco", chunks),
        )
    )
    mdhd = bytes([version, 0, 0, 0]) + bytes(16 if version else 8) + scale.to_bytes(4, "big") + bytes(8)
    mdia = box(b"mdhd", mdhd) + box(b"hdlr", bytes(8) + kind + bytes(12)) + box(b"minf", box(b"stbl", stbl))
    return box(b"trak", box(b"tkhd", bytes(84)) + box(b"mdia", mdia))


PICTURE = track(b"vide", places=[40, 400], sizes=100, runs=[(1, 1)], durations=[(2, 1_000)])
SOUND: dict[str, Any] = {
    "sizes": [10, 11, 12, 13, 14, 15],
    "runs": [(1, 2), (3, 1)],
    "durations": [(6, 500)],
    "places": [200, 300, 500, 514],
}
"""Chunks of two, two, one and one samples, of which the last two are one behind the other."""


def changed_sound(**changes: Any) -> bytes:
    """The table above with something changed."""
    arguments: dict[str, Any] = {**SOUND, **changes}
    return track(**arguments)


def moov(*tracks: bytes) -> bytes:
    return box(b"moov", box(b"mvhd", bytes(100)) + b"".join(tracks))


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("version", [0, 1])
def test_the_places_of_the_first_sound_track(wide: bool, version: int) -> None:
    sound = changed_sound(wide=wide, version=version)
    found = sound_table(moov(PICTURE, sound, changed_sound()), max_seconds=90)
    assert list(found.ranges) == [(200, 221), (300, 325), (500, 529)]
    assert b"vide" not in found.head
    assert found.head.count(b"soun") == 1
    at = found.head.index(b"co64" if wide else b"stco") + 12
    size = 8 if wide else 4
    moved = [int.from_bytes(found.head[at + size * n : at + size * (n + 1)], "big") for n in range(4)]
    first = len(found.head)
    assert moved == [first, first + 21, first + 46, first + 60]


@pytest.mark.parametrize(("seconds", "chunks"), [(0.4, 1), (1.0, 1), (1.1, 2), (2.2, 3), (2.6, 4)])
def test_only_the_chunks_that_begin_in_time_are_taken(seconds: float, chunks: int) -> None:
    places = [200, 300, 500, 600]
    found = sound_table(moov(changed_sound(places=places)), max_seconds=seconds)
    assert [start for start, _ in found.ranges] == places[:chunks]


def test_samples_of_one_size_need_no_table() -> None:
    found = sound_table(moov(changed_sound(sizes=7, places=[200, 214, 500, 600])), max_seconds=90)
    assert list(found.ranges) == [(200, 228), (500, 507), (600, 607)]


def test_chunks_may_be_in_any_order_in_the_file() -> None:
    found = sound_table(moov(changed_sound(places=[500, 300, 200, 100])), max_seconds=90)
    assert [start for start, _ in found.ranges] == [100, 200, 300, 500]


@pytest.mark.parametrize(
    "changed",
    [
        {"places": [200, 210, 500, 600]},  # they overlap
        {"runs": []},
        {"runs": [(2, 1)]},
        {"runs": [(1, 1), (3, 1), (2, 1)]},
        {"runs": [(1, 5)]},  # more samples than sizes
        {"runs": [(1, 0xFFFFFFFF)], "sizes": 0xFFFFFFFF},
        {"sizes": 0xFFFFFFFF},
        {"places": [1 << 63, 0, 0, 0], "wide": True},
    ],
    ids=str,
)
def test_what_cannot_be_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(DescriptionError):
        sound_table(moov(changed_sound(**changed)), max_seconds=90)


def test_a_file_without_sound_is_refused() -> None:
    for content in (b"", moov(), moov(PICTURE), moov(changed_sound(places=[], runs=[]))):
        with pytest.raises(DescriptionError):
            sound_table(content, max_seconds=90)


def test_no_cut_and_no_changed_byte_breaks_it() -> None:
    whole = moov(PICTURE, changed_sound())
    for at in range(len(whole)):
        for content in (whole[:at], whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :]):
            try:
                found = sound_table(content, max_seconds=90)
            except DescriptionError:
                continue
            assert all(start < end <= after for (start, end), (after, _) in itertools.pairwise(found.ranges))


# --- Where the description is -------------------------------------------------------------------------


def test_what_is_behind_the_media() -> None:
    head = box(b"ftyp", bytes(16)) + box(b"free")
    assert behind_media(head + (1_000).to_bytes(4, "big") + b"mdat") == len(head) + 1_000
    large = b"\0\0\0\1mdat" + (1 << 33).to_bytes(8, "big")
    assert behind_media(head + large + b"x") == len(head) + (1 << 33) > MAX_CLIP_BYTES
    assert behind_media(head + b"\0\0\0\0mdat" + b"x") is None, "it goes on to the end"
    assert behind_media(head + b"\0\0\0\0free") is None
    assert behind_media(b"<html>" * 9) is None


def test_the_description_is_found_or_where_to_look() -> None:
    content = moov(PICTURE)
    assert description(content) == content
    assert description(box(b"free", b"1") + content + b"rest") == content
    assert description(box(b"free", b"1") + content[:-1]) == 9, "it is cut, and begins there"
    assert description(b"\0\1\0\0mdat" + bytes(20)) == 1 << 16
    for hopeless in (b"", content[:-1], bytes(40), b"\0\0\0\0mdat" + bytes(40), b"\0\0\0\2free" + bytes(40)):
        with pytest.raises(DescriptionError):
            description(hopeless)


@given(st.binary(max_size=200))
def test_no_bytes_break_the_search(content: bytes) -> None:
    behind_media(content)
    try:
        found = description(content)
    except DescriptionError:
        return
    assert found in content if isinstance(found, bytes) else found > 0


# --- Files of FFmpeg ----------------------------------------------------------------------------------


@pytest.mark.parametrize("codec", ["aac", "alac"])
def test_the_sound_alone_is_the_same_sound(codec: str) -> None:
    """With another track between its chunks."""
    sound, other = tone("mp4", codec=codec, seconds=3.0), tone("mp4", hertz=900, seconds=3.0)
    file = BytesIO()
    with (
        av.open(BytesIO(sound), "r") as first,
        av.open(BytesIO(other), "r") as second,
        av.open(file, "w", format="mp4") as out,
    ):
        streams = [out.add_stream_from_template(source.streams.audio[0]) for source in (first, second)]
        for packets in itertools.zip_longest(first.demux(), second.demux()):
            for stream, packet in zip(streams, packets, strict=True):
                if packet is not None and packet.dts is not None:
                    packet.stream = stream
                    out.mux(packet)
    content = file.getvalue()
    at = behind_media(content)
    assert at is not None
    described = description(content[at:])
    assert isinstance(described, bytes)
    found = sound_table(described, max_seconds=90)
    assert len(found.ranges) > 1
    alone = found.head + b"".join(content[start:end] for start, end in found.ranges)
    decoded = decode_bytes(alone, container="mp4", max_seconds=9)
    assert np.array_equal(decoded.samples, decode_bytes(sound, container="mp4", max_seconds=9).samples)
