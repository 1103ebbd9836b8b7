import json
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from fingerprint.catalog.fingerprint import NO_FINGERPRINT
from fingerprint.catalog.song_tags import Tags
from fingerprint.catalog.tracks import Source, TrackEntry
from fingerprint.catalog.writer import CatalogWriter
from fingerprint.domain.identification import ExternalIds
from tests.unit.catalog.shelf import as_format_1, entry

_FULL: Final = Tags(
    title='A "title" of Ünd',
    artists=("One", "Two 二"),
    album="Album",
    label="Label",
    isrc="ZZN992100042",
    release_date="2021-05",
    ids=ExternalIds(youtube="dQw4_9-gXcQ", spotify_artists=("5xTtaWoae3wi06K5WfVUUH",)),
)
_PLAIN: Final = Source(path="/music/plain.flac", tags=Tags(title="Plain"))
SOURCES: Final = {
    "plain": [_PLAIN],
    "full": [replace(_PLAIN, tags=_FULL, cover="3f" * 16 + ".jpg")],
    "with a sidecar": [replace(_PLAIN, sidecar=Tags(title="Of the table", artists=("Three",)))],
    "called by its name": [Source(path="/music/07 by_name.ogg")],
    "several files": [replace(_PLAIN, missing_since=5.0), replace(_PLAIN, path="/music/b.flac", tags=_FULL)],
    "a name that is no UTF-8": [replace(_PLAIN, path="/music/caf\udce9.flac")],
    "imported": [replace(_PLAIN, path="a.flac", owner="A label")],
}


@pytest.mark.parametrize("earlier", [False, True])
def test_a_list_shows_of_each_track_what_an_answer_would(tmp_path: Path, *, earlier: bool) -> None:
    entries = [
        TrackEntry(id=f"{number:012x}", duration_seconds=12.3456, sources=tuple(sources))
        for number, sources in enumerate(SOURCES.values())
    ]
    with CatalogWriter(tmp_path) as writer:
        writer.add([(each, NO_FINGERPRINT) for each in entries] if not earlier else [entry(1), entry(2)])
        if earlier:
            as_format_1(tmp_path)
        else:
            # What is newly known counts, as in `tracks`.
            writer.describe([entries[0].with_sources([replace(_PLAIN, tags=_FULL)])])
        snapshot = writer.snapshot()
        shown = [json.dumps(track.to_json()) for track in snapshot.shown_tracks()]
        assert shown == [json.dumps(track.to_json()) for track in snapshot.tracks()]
        assert len(shown) == (2 if earlier else len(SOURCES))
