from pathlib import Path

import numpy as np
import pytest

from fingerprint.catalog import near_duplicates as near_duplicates_module
from fingerprint.catalog.fingerprint import fingerprint_track
from fingerprint.catalog.index import Catalog, Snapshot
from fingerprint.catalog.index_file import IndexSegment
from fingerprint.catalog.near_duplicates import NearDuplicate, all_near_duplicates, near_duplicates
from fingerprint.catalog.writer import CatalogWriter
from fingerprint.domain.audio import SAMPLE_RATE, Pcm
from tests.unit.catalog.music import noise, tune
from tests.unit.catalog.shelf import fill, track


def joined(*parts: Pcm) -> Pcm:
    return Pcm(np.concatenate([part.samples for part in parts], axis=1))


def cut(pcm: Pcm, start: float, end: float) -> Pcm:
    return Pcm(pcm.samples[:, round(start * SAMPLE_RATE) : round(end * SAMPLE_RATE)])


def remastered(pcm: Pcm) -> Pcm:
    """Louder, compressed, with another tone, some noise, and half a second later."""
    samples = np.tanh(2.5 * pcm.samples)
    samples[:, 1:] += 0.4 * samples[:, :-1]
    samples = np.pad(samples, ((0, 0), (SAMPLE_RATE // 2, 0)))
    samples = samples + 0.02 * noise(9, samples.shape[1] / SAMPLE_RATE).samples[:, : samples.shape[1]]
    return Pcm(np.ascontiguousarray(samples / np.abs(samples).max(), np.float32))


def sounds() -> dict[str, Pcm]:
    song = tune(31, 60.0)
    return {
        "song": song,
        "remaster": remastered(song),
        "radio edit": joined(cut(song, 0, 20), cut(song, 40, 60)),
        "mix": joined(tune(32, 30.0), cut(song, 10, 60), tune(33, 30.0)),
        "other": tune(34, 40.0),
        "short": tune(35, 4.0),
    }


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, NearDuplicate]]:
    folder = tmp_path_factory.mktemp("near")
    made = sounds()
    with CatalogWriter(folder) as writer:
        for number, pcm in enumerate(made.values()):
            writer.add([(track(number, pcm.duration_seconds), fingerprint_track([pcm]))])
        # Removed tracks are nobody's duplicates.
        writer.add([(track(99), fingerprint_track([made["song"]]))])
        writer.remove([f"{99:012x}"])
        near = all_near_duplicates(near_duplicates(writer.snapshot()))
    names = {f"{number:012x}": name for number, name in enumerate(made)}
    return {names[one]: {names[each.other_id]: each for each in others} for one, others in near.items()}


def test_pages_of_the_index_that_were_read_do_not_fill_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forgotten: list[IndexSegment] = []
    monkeypatch.setattr(near_duplicates_module, "FORGET_AFTER", 2)

    def forget(segment: IndexSegment) -> None:
        forgotten.append(segment)

    monkeypatch.setattr(IndexSegment, "forget_pages", forget)
    fill(tmp_path, [1, 2, 3, 4, 5])
    assert len(list(near_duplicates(Catalog(tmp_path).snapshot()))) == 5
    # Between tracks, and within each of them.
    assert len(forgotten) >= 2 + 5
    monkeypatch.undo()
    (live,) = Catalog(tmp_path).snapshot().segments
    live.segment.forget_pages()
    assert live.segment.damage() is None
    assert b"".join(live.segment.parts()) == live.segment.path.read_bytes()


def test_versions_of_a_recording_are_found_and_nothing_else(found: dict[str, dict[str, NearDuplicate]]) -> None:
    versions = {"song", "remaster", "radio edit", "mix"}
    assert {one: set(others) for one, others in found.items()} == {one: versions - {one} for one in versions}


def test_what_is_shared_and_where_is_told(found: dict[str, dict[str, NearDuplicate]]) -> None:
    remaster = found["song"]["remaster"]
    assert remaster.share > 0.8
    assert remaster.parts[0].other_start_seconds == pytest.approx(0.5, abs=0.1)
    first, second = found["radio edit"]["song"].parts
    assert (first.start_seconds, first.end_seconds, first.other_start_seconds) == pytest.approx(
        (0, 20, 0), abs=0.2
    )
    assert (second.start_seconds, second.other_start_seconds) == pytest.approx((20, 40), abs=0.2)
    [part] = found["mix"]["song"].parts
    assert part.start_seconds == pytest.approx(30, abs=0.2)
    assert part.other_start_seconds == pytest.approx(10, abs=0.2)
    assert found["song"]["mix"].share == found["mix"]["song"].share == pytest.approx(50 / 60, abs=0.05)


def test_an_empty_catalog_has_none(tmp_path: Path) -> None:
    assert all_near_duplicates(near_duplicates(Snapshot())) == {}
    with CatalogWriter(tmp_path) as writer:
        assert all_near_duplicates(near_duplicates(writer.snapshot())) == {}
