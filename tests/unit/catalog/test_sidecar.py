import json
from pathlib import Path

import pytest

from fingerprint.catalog.index import Catalog
from fingerprint.catalog.ingest import ingest
from fingerprint.catalog.sidecar import Sidecars, over
from fingerprint.catalog.tracks import Tags, Track, TrackEntry
from fingerprint.domain.identification import ExternalIds
from fingerprint.domain.links import ids_of_tag
from tests.unit.catalog.test_ingest import STAND_IN

SPOTIFY = "5xTtaWoae3wi06K5WfVUUH"


def said(folder: Path, name: str = "song.flac") -> Tags | None:
    sidecars = Sidecars()
    found = sidecars.of(folder / name)
    assert not sidecars.troubles
    return found


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_table_describes_the_files_of_its_folder_and_below(tmp_path: Path, separator: str) -> None:
    rows = [
        ["File", "Title", "artists", "isrc", "release_date", "spotify", "youtube", "deezer", "apple_music",
         "more"],
        ["song.flac", '"Grüße; oder, so"', '"Mira Holt; The Low Tide"', "ZZ-N99-21-00042", "2021-05-14", SPOTIFY,
         "https://youtu.be/dQw4_9-gXcQ", "42", "1440933849", "x"],
        ["deep/er.mp3", "Deeper", "", "", "", "", "", "", "", ""],
    ]  # fmt: skip
    text = "\ufeff" + "\r\n".join(separator.join(row) for row in rows)
    (tmp_path / "tracks.csv").write_text(text, encoding="utf-8")
    assert said(tmp_path) == Tags(
        title="Grüße; oder, so",
        artists=("Mira Holt", "The Low Tide"),
        isrc="ZZN992100042",
        release_date="2021-05-14",
        ids=ExternalIds(spotify_track=SPOTIFY, youtube="dQw4_9-gXcQ", deezer_track="42", apple_music="1440933849"),
    )
    assert said(tmp_path, "deep/er.mp3") == Tags(title="Deeper")
    assert said(tmp_path, "other.mp3") is None


def test_what_is_nearer_to_the_file_wins(tmp_path: Path) -> None:
    folder = tmp_path / "album"
    folder.mkdir()
    (tmp_path / "tracks.json").write_text(
        json.dumps([{"file": "album/song.flac", "title": "Top", "album": "Top", "label": "Top"}])
    )
    (folder / "tracks.csv").write_text("file,title,album\nsong.flac,Folder,Folder\n")
    (folder / "song.flac.json").write_text(json.dumps({"title": "Own", "artists": ["A", "B"], "deezer": 42}))
    assert said(folder) == Tags(
        title="Own", artists=("A", "B"), album="Folder", label="Top", ids=ExternalIds(deezer_track="42")
    )


def test_what_a_sidecar_leaves_empty_stays_as_the_tags_have_it() -> None:
    tags = Tags(title="Tag", artists=("A",), isrc="ZZN992100042", ids=ExternalIds(youtube="dQw4_9-gXcQ"))
    described = over(tags, Tags(album="Side", ids=ExternalIds(spotify_track=SPOTIFY)))
    assert described == Tags(
        title="Tag",
        artists=("A",),
        album="Side",
        isrc="ZZN992100042",
        ids=ExternalIds(youtube="dQw4_9-gXcQ", spotify_track=SPOTIFY),
    )


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("tracks.csv", b"title\nx\n", "names no column `file`"),
        ("tracks.csv", b"\xff\xfe\x00", "not UTF-8"),
        ("tracks.json", b"{", "not JSON"),
        ("tracks.json", b"[" * 100_000, "not JSON"),
        ("tracks.json", b"{}", "no JSON list"),
        ("song.flac.json", b"[]", "no JSON object"),
        ("tracks.csv", b"file,spotify\nsong.flac,javascript:alert(1)\n", "spotify takes a link"),
        ("song.flac.json", b'{"isrc": "nonsense"}', "isrc takes 12"),
    ],
)
def test_what_is_wrong_with_a_sidecar_is_said(tmp_path: Path, name: str, content: bytes, reason: str) -> None:
    (tmp_path / name).write_bytes(content)
    sidecars = Sidecars()
    found = sidecars.of(tmp_path / "song.flac")
    assert found is None or found == Tags()
    (trouble,) = sidecars.troubles
    assert trouble.path == tmp_path / name
    assert reason in trouble.reason


def test_somebody_elses_file_of_that_name_above_the_music_is_no_trouble(tmp_path: Path) -> None:
    (tmp_path / "tracks.json").write_text("{}")
    assert said(tmp_path / "music") is None


def test_odd_values_are_taken_for_nothing(tmp_path: Path) -> None:
    rows = [1, None, {"file": "song.flac", "title": {"x": 1}, "artists": [1, None, "A; B"], "album": True}]
    (tmp_path / "tracks.json").write_text(json.dumps(rows))
    assert said(tmp_path) == Tags(artists=("1", "A", "B"))


def tracks(catalog: Path) -> dict[str, Track]:
    return {Path(track.path).name: track for track in Catalog(catalog).snapshot().tracks()}


def test_an_indexed_track_gets_what_a_sidecar_says_later(tmp_path: Path) -> None:
    music, catalog = tmp_path / "music", tmp_path / "catalog"
    music.mkdir()
    (music / "one.mp3").write_text("music 1")
    (music / "two.mp3").write_text("music 2")
    ingest(catalog, [music], program=STAND_IN, workers=1)
    (music / "tracks.csv").write_text(f"file,isrc,spotify\none.mp3,ZZN992100042,{SPOTIFY}\ntwo.mp3,,bad\n")
    report = ingest(catalog, [music], program=STAND_IN, workers=1)
    assert (report.added, report.already, report.updated) == (0, 2, 1)
    assert [skipped.path.name for skipped in report.skipped] == ["tracks.csv"]
    assert tracks(catalog)["one.mp3"].isrc == "ZZN992100042"
    assert tracks(catalog)["one.mp3"].ids == ExternalIds(spotify_track=SPOTIFY)
    again = ingest(catalog, [music], program=STAND_IN, workers=1)
    assert (again.added, again.already) == (0, 2)


def test_a_track_that_was_indexed_before_ids_existed_is_read() -> None:
    body = {
        "title": "T",
        "artists": ["A"],
        "album": None,
        "path": "/p",
        "size": 1,
        "modified_ns": 1,
        "duration": 1.0,
    }
    track = TrackEntry.decode("a", json.dumps(body).encode()).track
    assert (track.title, track.artists, track.path) == ("T", ("A",), "/p")
    assert (track.ids, track.release_date) == (ExternalIds(), None)


@pytest.mark.parametrize(
    ("name", "value", "ids"),
    [
        ("SPOTIFY_TRACK_ID", SPOTIFY, ExternalIds(spotify_track=SPOTIFY)),
        ("Spotify Track ID", SPOTIFY, ExternalIds(spotify_track=SPOTIFY)),
        ("comment", "https://youtu.be/dQw4_9-gXcQ", ExternalIds(youtube="dQw4_9-gXcQ")),
        ("comment", "42", None),
        ("deezer", "42", ExternalIds(deezer_track="42")),
        ("youtube", "nonsense", None),
        ("deezer", "https://open.spotify.com/track/" + SPOTIFY, ExternalIds(spotify_track=SPOTIFY)),
    ],
)
def test_tags_that_hold_ids_are_read(name: str, value: str, ids: ExternalIds | None) -> None:
    assert ids_of_tag(name, value) == ids
