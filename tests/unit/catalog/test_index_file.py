import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fingerprint.catalog.fingerprint import TrackFingerprint
from fingerprint.catalog.index_build import MergeSource, build_segment, merge_segments
from fingerprint.catalog.index_file import IndexSegment
from fingerprint.catalog.packed_peaks import pack_peaks, unpack_peaks
from fingerprint.catalog.problems import CatalogError, DamagedCatalogError, OtherFingerprintError
from fingerprint.catalog.segment_layout import HEADER_BYTES, directory_bits
from fingerprint.catalog.tracks import TrackEntry
from tests.unit.catalog.shelf import track

BITS = 22
OURS = "landmarks-test"

Places = list[tuple[int, int]]

PEAKS = st.sets(st.tuples(st.integers(0, 5000), st.integers(1, 511)), max_size=30).map(sorted)


def made(landmarks: Places, peaks: Places, side_peaks: Places) -> TrackFingerprint:
    return TrackFingerprint(
        hashes=np.array([value for value, _ in landmarks], np.uint32),
        anchors=np.array([frame for _, frame in landmarks], np.uint32),
        peak_frames=np.array([frame for frame, _ in peaks], np.uint32),
        peak_bins=np.array([place for _, place in peaks], np.uint16),
        side_frames=np.array([frame for frame, _ in side_peaks], np.uint32),
        side_bins=np.array([place for _, place in side_peaks], np.uint16),
        frames=5001,
        duration_seconds=160.0,
    )


FINGERPRINTS = st.builds(
    made, st.lists(st.tuples(st.integers(0, 2**BITS - 1), st.integers(0, 5000)), max_size=60), PEAKS, PEAKS
)


def build(path: Path, fingerprints: list[TrackFingerprint], first: int = 0) -> IndexSegment:
    tracks = [(TrackEntry.of(track(first + index)), fingerprint) for index, fingerprint in enumerate(fingerprints)]
    build_segment(path, tracks, identity=OURS, hash_bits=BITS)
    return IndexSegment.open(path, identity=OURS)


def contents(segment: IndexSegment) -> list[tuple[str, Places, Places, Places]]:
    """What a file holds: each track's title, landmarks, peaks and side's peaks."""
    positions = segment.postings.astype(np.int64)
    owners = segment.track_numbers(positions)
    hashes = segment.hashes(0, 2**segment.directory_bits)
    found: list[tuple[str, Places, Places, Places]] = []
    for number in range(len(segment.tracks)):
        own = owners == number
        frames = positions[own] - int(segment.tracks["first_frame"][number])
        peaks, side_peaks = (
            list(zip(found_frames.tolist(), bins.tolist(), strict=True))
            for found_frames, bins in (segment.peaks(number), segment.side_peaks(number))
        )
        found.append(
            (
                segment.entry(number).track.title,
                sorted(zip(hashes[own].tolist(), frames.tolist(), strict=True)),
                peaks,
                side_peaks,
            )
        )
    return found


def expected(fingerprints: list[TrackFingerprint], first: int = 0) -> list[tuple[str, Places, Places, Places]]:
    return [
        (
            f"Song {first + index}",
            sorted(zip(made.hashes.tolist(), made.anchors.tolist(), strict=True)),
            list(zip(made.peak_frames.tolist(), made.peak_bins.tolist(), strict=True)),
            list(zip(made.side_frames.tolist(), made.side_bins.tolist(), strict=True)),
        )
        for index, made in enumerate(fingerprints)
    ]


slow = settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])


@slow
@given(st.lists(FINGERPRINTS, min_size=1, max_size=5))
def test_what_is_written_is_read(tmp_path: Path, fingerprints: list[TrackFingerprint]) -> None:
    segment = build(tmp_path / "a.seg", fingerprints)
    assert contents(segment) == expected(fingerprints)
    assert segment.damage() is None
    assert not list(tmp_path.glob("*.tmp"))


@slow
@given(st.lists(FINGERPRINTS, min_size=1, max_size=4), st.lists(FINGERPRINTS, min_size=1, max_size=4), st.data())
def test_a_merge_holds_what_its_sources_hold(
    tmp_path: Path, left: list[TrackFingerprint], right: list[TrackFingerprint], data: st.DataObject
) -> None:
    sources = [build(tmp_path / "a.seg", left), build(tmp_path / "b.seg", right, 100)]
    gone = [frozenset(data.draw(st.sets(st.integers(0, len(source.tracks) - 1)))) for source in sources]
    kept = [
        item
        for source, removed in zip(sources, gone, strict=True)
        for number, item in enumerate(contents(source))
        if number not in removed
    ]
    if not kept:
        return
    merge_segments(
        tmp_path / "c.seg",
        [MergeSource(source, removed) for source, removed in zip(sources, gone, strict=True)],
        identity=OURS,
        hash_bits=BITS,
    )
    merged = IndexSegment.open(tmp_path / "c.seg", identity=OURS)
    assert contents(merged) == kept
    assert merged.damage() is None


def test_a_merge_works_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    pairs = [(int(rng.integers(2**BITS)), int(rng.integers(5000))) for _ in range(5000)]
    sources = [
        build(tmp_path / "a.seg", [made(pairs[:2000], [], [])]),
        build(tmp_path / "b.seg", [made(pairs[2000:], [], [])]),
    ]
    before = [item for source in sources for item in contents(source)]
    monkeypatch.setattr("fingerprint.catalog.index_build.MERGE_POSTINGS", 100)
    everything = [MergeSource(source, frozenset()) for source in sources]
    merge_segments(tmp_path / "c.seg", everything, identity=OURS, hash_bits=BITS)
    merged = IndexSegment.open(tmp_path / "c.seg", identity=OURS)
    assert contents(merged) == before
    assert (np.diff(merged.hashes(0, 2**merged.directory_bits).astype(np.int64)) >= 0).all()


@slow
@given(FINGERPRINTS, st.data())
def test_a_file_that_was_cut_is_refused(
    tmp_path: Path, fingerprint: TrackFingerprint, data: st.DataObject
) -> None:
    path = tmp_path / "a.seg"
    build(path, [fingerprint])
    whole = path.read_bytes()
    cut = tmp_path / "b.seg"
    cut.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    with pytest.raises(DamagedCatalogError):
        IndexSegment.open(cut, identity=OURS)


@slow
@given(FINGERPRINTS, st.data())
def test_a_file_that_was_changed_is_found_out(
    tmp_path: Path, fingerprint: TrackFingerprint, data: st.DataObject
) -> None:
    path = tmp_path / "a.seg"
    segment = build(path, [fingerprint])
    used = [*range(HEADER_BYTES)]
    for _, offset, size, _ in segment.sections:
        used.extend(range(offset, offset + size))
    place = data.draw(st.sampled_from(used))
    changed = bytearray(path.read_bytes())
    changed[place] ^= data.draw(st.integers(1, 255))
    other = tmp_path / "b.seg"
    other.write_bytes(changed)
    try:
        found = IndexSegment.open(other, identity=OURS).damage()
    except CatalogError:
        return
    assert found is not None


def test_another_fingerprint_is_refused_with_a_way_out(tmp_path: Path) -> None:
    build(tmp_path / "a.seg", [made([(1, 2)], [], [])])
    with pytest.raises(OtherFingerprintError, match=r"landmarks-test.*landmarks-next.*catalog rebuild"):
        IndexSegment.open(tmp_path / "a.seg", identity="landmarks-next")


def test_another_format_is_refused_with_a_way_out(tmp_path: Path) -> None:
    build(tmp_path / "a.seg", [made([(1, 2)], [], [])])
    raw = bytearray((tmp_path / "a.seg").read_bytes())
    raw[8] = 9
    raw[12:16] = zlib.crc32(bytes(raw[16:HEADER_BYTES])).to_bytes(4, "little")
    (tmp_path / "a.seg").write_bytes(raw)
    with pytest.raises(CatalogError, match="format 9"):
        IndexSegment.open(tmp_path / "a.seg", identity=OURS)


@given(st.sets(st.tuples(st.integers(0, 2000), st.integers(1, 511)), max_size=40).map(sorted))
def test_peaks_survive_packing(peaks: list[tuple[int, int]]) -> None:
    frames = np.array([frame for frame, _ in peaks], np.uint32)
    bins = np.array([place for _, place in peaks], np.uint16)
    unpacked = unpack_peaks(pack_peaks(frames, bins))
    assert unpacked[0].tolist() == frames.tolist()
    assert unpacked[1].tolist() == bins.tolist()
    part = unpack_peaks(pack_peaks(frames, bins), (300.5, 1200))
    assert list(zip(*(each.tolist() for each in part), strict=True)) == [
        peak for peak in peaks if 300.5 <= peak[0] < 1200
    ]


def test_a_part_of_a_long_track_has_the_same_peaks_as_the_whole() -> None:
    rng = np.random.default_rng(7)
    for longest_gap, count in ((3, 4_000), (127, 2_048), (900, 1_500), (2, 511)):
        frames = np.cumsum(rng.integers(1, longest_gap + 1, count)).astype(np.uint32)
        packed = pack_peaks(frames, rng.integers(1, 512, count).astype(np.uint16))
        whole, bins = unpack_peaks(packed)
        last = float(whole[-1])
        edges = [(-50.0, 0.0), (-50.0, last + 50), (last, last + 1), (last + 1, last + 9), (7.0, 7.0), (9.0, 3.0)]
        drawn = [(float(low), float(high)) for low, high in np.sort(rng.uniform(-20, last + 20, (60, 2)))]
        for between in [*edges, *drawn]:
            first, end = np.searchsorted(whole, between)
            part = unpack_peaks(packed, between)
            assert part[0].tolist() == whole[first:end].tolist()
            assert part[1].tolist() == bins[first:end].tolist()


def test_directory_and_remainders_take_little_more_than_a_byte_a_posting() -> None:
    for postings in (300_000, 2_000_000, 2**23 - 1, 2**23, 3 << BITS, 10**8):
        bits = directory_bits(postings, BITS)
        assert 4 * 2**bits + postings * (bits < BITS) <= 1.5 * postings, postings
        assert BITS - bits <= 8


def test_the_directory_grows_with_the_postings() -> None:
    sizes = [directory_bits(postings, BITS) for postings in (0, 100, 10_000, 1_000_000, 10**9)]
    assert sizes == sorted(sizes)
    assert sizes[0] == 8
    assert sizes[-1] == BITS
