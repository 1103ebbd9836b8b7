# ruff: noqa: RUF001 - what spreadsheets write
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fingerprint.catalog.index import Catalog
from fingerprint.catalog.ingest import ingest
from fingerprint.catalog.sidecar import Sidecars, over
from fingerprint.catalog.song_tags import Tags
from fingerprint.catalog.table import SidecarError, read_table
from fingerprint.catalog.tracks import Track, TrackEntry
from fingerprint.domain.identification import ExternalIds
from fingerprint.domain.links import ids_of_tag
from tests.unit.catalog.test_ingest import STAND_IN

SPOTIFY = "5xTtaWoae3wi06K5WfVUUH"


def said(folder: Path, name: str = "song.flac") -> Tags | None:
    sidecars = Sidecars()
    found = sidecars.of(folder / name)
    assert not sidecars.troubles
    return found


TABLE = "file,title,album\r\nsong.flac,Grüße – Motörhead,Été\r\n"


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-32", "cp1252"])
@pytest.mark.parametrize("declared", [False, True])
def test_a_table_is_read_however_a_spreadsheet_wrote_it(
    tmp_path: Path, encoding: str, separator: str, *, declared: bool
) -> None:
    text = (f"sep={separator}\r\n" if declared else "") + TABLE.replace(",", separator)
    (tmp_path / "tracks.csv").write_bytes(text.encode(encoding))
    assert said(tmp_path) == Tags(title="Grüße – Motörhead", album="Été")


@pytest.mark.parametrize(
    "text",
    [
        '"sep=;"\nfile;title;album\nsong.flac;"Grüße – Motörhead";Été\n',
        "\n\n FILE , Title,ALBUM,,\n./song.flac,Grüße – Motörhead,Été,,\n",
        TABLE.replace("\r\n", "\r"),
        'file,title,album\nsong.flac,"Grüße\n– Motörhead",Été\n',
        "file,title,album\nsong.flac,Grüße\0– Motörhead,Été\0\n",
        "\0\0\nfile,title,album\nsong.flac,Grüße – Motörhead,Été",
        TABLE.replace("song.flac", "SONG.flac"),
        TABLE.replace("song.flac", "..\\{name}\\song.flac"),
        TABLE.replace("song.flac", "{folder}/song.flac"),
    ],
)
def test_a_table_is_read_however_a_person_wrote_it(tmp_path: Path, text: str) -> None:
    text = text.replace("{folder}", str(tmp_path)).replace("..\\{name}\\", ".\\")
    (tmp_path / "tracks.csv").write_bytes(text.encode())
    assert said(tmp_path) == Tags(title="Grüße – Motörhead", album="Été")


def troubles(folder: Path, text: str) -> list[str]:
    (folder / "tracks.csv").write_text(text)
    sidecars = Sidecars(roots=[str(folder)])
    sidecars.of(folder / "song.flac")
    sidecars.check_rows()
    return [trouble.reason for trouble in sidecars.troubles]


def test_rows_for_files_that_are_not_there_are_named_with_their_lines(tmp_path: Path) -> None:
    (tmp_path / "b.flac").touch()
    rows = "song.flac,x\ngone.flac,y\nb.flac,z\n"
    assert troubles(tmp_path, f"file,title\n{rows}") == [
        "1 row names a file that is not there: line 3 (gone.flac)"
    ]
    many = "".join(f"{number}.flac,x\n" for number in range(8))
    assert troubles(tmp_path, f"file,title\nsong.flac,x\n{many}") == [
        "8 rows name files that are not there: line 3 (0.flac), line 4 (1.flac), line 5 (2.flac), "
        "line 6 (3.flac), line 7 (4.flac) and 3 more"
    ]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("file,title,title\nsong.flac,a,b\n", "line 1 names the column `title` 2 times: the first one counts"),
        ("file,title\nsong.flac,a\nsong.flac,b\n", "line 3 describes 'song.flac' again, after line 2: it counts"),
        ('file,title\nsong.flac,"a\nb.flac,b\nc.flac,c\n', 'the quote (") that line 2 opens is never closed'),
    ],
)
def test_what_is_doubtful_in_a_table_is_said(tmp_path: Path, text: str, reason: str) -> None:
    assert troubles(tmp_path, text) == [reason]


def test_a_table_with_very_many_errors_is_not_quoted_whole(tmp_path: Path) -> None:
    rows = "".join(f"song{number}.flac,bad\n" for number in range(1000))
    found = troubles(tmp_path, f"file,spotify\n{rows}")
    assert len(found) == 21
    assert found[-1] == "there is more that is wrong with it"


def test_a_table_above_the_music_is_checked_where_the_folder_is_indexed(tmp_path: Path) -> None:
    (tmp_path / "tracks.csv").write_text("filename,title\n")
    for roots, number in (([], 0), ([str(tmp_path)], 1), ([str(tmp_path / "deep")], 0)):
        sidecars = Sidecars(roots=roots)
        assert sidecars.of(tmp_path / "deep/song.flac") is None
        assert len(sidecars.troubles) == number


def test_a_table_that_is_no_file_is_named_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "tracks.csv")
    (tmp_path / "tracks.json").mkdir()
    sidecars = Sidecars()
    assert sidecars.of(tmp_path / "song.flac") is None
    assert [trouble.reason for trouble in sidecars.troubles] == [
        "it is not a regular file",
        "it cannot be read: Is a directory",
    ]


@given(st.binary(max_size=200))
def test_any_bytes_are_a_table_or_refused_with_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz.csv"
    for heading in (b"", b"file,title\n"):
        path.write_bytes(heading + content)
        found: list[str] = []
        try:
            rows = read_table(path, columns=("title",), needed="file", on_trouble=found.append)
        except SidecarError as error:
            found.append(str(error))
        else:
            assert all(row.place.startswith("line ") for row in rows)
        assert all(sentence and len(sentence) < 500 for sentence in found)


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


def test_sidecars_are_found_whatever_the_case_of_their_names(tmp_path: Path) -> None:
    (tmp_path / "TRACKS.CSV").write_text("file,title,album\nsong.flac,Table,Table\n")
    (tmp_path / "Song.flac.JSON").write_text('{"title": "Own"}')
    assert said(tmp_path) == Tags(title="Own", album="Table")
    (tmp_path / "tracks.csv").write_text("file,title,album\nsong.flac,Table,The very name\n")
    assert said(tmp_path) == Tags(title="Own", album="The very name")


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
        ("tracks.csv", b"\xff\xfe\x00", "line 1 is in an encoding that cannot be told"),
        ("tracks.csv", b"file,title\nsong.flac,\x81\x8d\n", "line 2 is in an encoding that cannot be told"),
        ("tracks.csv", b"", "it is empty"),
        ("tracks.csv", bytes(64), "it is empty"),
        ("tracks.csv", b"filename,title\nsong.flac,x\n", "no column `file`, but these: filename, title"),
        ("tracks.csv", b"file,titel\nsong.flac,x\n", "a column `titel`, which is not read: is it `title`?"),
        ("tracks.csv", b"file,nonsense\nsong.flac,x\n", "no column that is read besides `file`"),
        ("tracks.csv", b"file,title\n\nsong.flac,a, b\n", "line 3 has more cells than line 1"),
        ("tracks.csv", b"file,spotify\nsong.flac,bad\n", "line 2: spotify takes a link"),
        ("tracks.csv", b"file,isrc\n,ZZN992100042\n", "line 2 names no file"),
        ("tracks.json", b"{", "not JSON"),
        ("tracks.json", b"[" * 100_000, "not JSON"),
        ("tracks.json", b"{}", "no JSON list"),
        (
            "tracks.json",
            b'[{"file": "song.flac", "titel": "x"}, {"file": "x", "titel": 1}]',
            "entry 1 names `titel`, which is not",
        ),
        ("tracks.json", b"[7]", "entry 1 is not an object"),
        ("song.flac.json", b"[]", "no JSON object"),
        ("song.flac.json", b'{"artist": "x"}', "it names `artist`, which is not read: is it `artists`?"),
        ("song.flac.json", b'{"album": {"name": "x"}}', "it has something else than a text as its `album`"),
        ("tracks.csv", b"file,spotify\nsong.flac,javascript:alert(1)\n", "spotify takes a link"),
        ("song.flac.json", b'{"isrc": "nonsense"}', "isrc takes 12"),
        ("song.flac.json", b'{"title": NaN}', "it has something else than a text as its `title`"),
        ("song.flac.json", b'{"artists": ["", -1e999]}', "it has something else than a text as its `artists`"),
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


def test_keys_of_json_are_read_whatever_their_case_and_the_last_of_two_counts(tmp_path: Path) -> None:
    (tmp_path / "tracks.json").write_text('[{"File": "song.flac", "Title ": "a", "title": "b"}]')
    sidecars = Sidecars()
    assert sidecars.of(tmp_path / "song.flac") == Tags(title="b")
    assert [trouble.reason for trouble in sidecars.troubles] == [
        "entry 1 names `title` more than once: the last one counts"
    ]


def test_odd_values_are_taken_for_nothing(tmp_path: Path) -> None:
    rows = [1, None, {"file": "song.flac", "title": {"x": 1}, "artists": [1, None, "A; B"], "album": True}]
    (tmp_path / "tracks.json").write_text(json.dumps(rows))
    sidecars = Sidecars()
    assert sidecars.of(tmp_path / "song.flac") == Tags(artists=("1", "A", "B"))
    assert [trouble.reason for trouble in sidecars.troubles] == [
        "entry 1 is not an object",
        "entry 3 has something else than a text as its `title`",
        "entry 3 has something else than a text as its `album`",
    ]


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


def test_rows_name_single_songs_of_an_album_in_one_file(tmp_path: Path) -> None:
    (tmp_path / "tracks.csv").write_text(
        "file,track,title,album,isrc,spotify\n"
        "album.flac,,Harbour,Live,,\n"
        f"album.flac,1,Low Tide,,ZZN992100042,{SPOTIFY}\n"
        "album.flac,02/12,Paper Boats,,,\n"
        "album.flac,2,Paper Lanterns,,,\n"
        "album.flac,9,Gone,,,\n"
        "album.flac,B,Side,,,\n"
        "plain.flac,7,Plain,,,\n"
    )
    for name in ("album.flac", "plain.flac"):
        (tmp_path / name).touch()
    sidecars = Sidecars(roots=[str(tmp_path)])
    songs = [sidecars.of(tmp_path / "album.flac", part) for part in (1, 2, 3)]
    assert songs[0] == Tags(
        title="Low Tide", album="Live", isrc="ZZN992100042", ids=ids_of_tag("spotify", SPOTIFY) or ExternalIds()
    )
    assert [song and song.title for song in songs] == ["Low Tide", "Paper Lanterns", None]
    assert sidecars.of(tmp_path / "plain.flac") == Tags(title="Plain")
    sidecars.check_rows()
    assert [trouble.reason for trouble in sidecars.troubles] == [
        "line 5 describes track 2 of 'album.flac' again, after line 4: it counts",
        "line 7: track takes the number of a song, not 'B'",
        "line 6: album.flac has no track 9",
    ]
