"""Tags at their extremes: each is a sane description, or none; nothing long or odd is stored or shown."""

import io
import json
import random
import struct
import subprocess
import sys
from pathlib import Path, PurePath

import pytest

from fingerprint.catalog.exchange import import_tracks
from fingerprint.catalog.index import Catalog
from fingerprint.catalog.song_tags import Tags
from fingerprint.catalog.tag_reader import read_tags
from fingerprint.catalog.tags import plain_tags
from fingerprint.catalog.tracks import Source, TrackEntry
from fingerprint.catalog.writer import CatalogWriter
from fingerprint.domain.identification import ExternalIds
from server.cli import main
from tests.odd_shapes import ape, id3, id3_text, id3_v1
from tests.unit.catalog.test_exchange import recording

ODD_NUMBERS = ("3/12", "A1", "-1", "99999999999", "", "0", "1e309", "NaN", "٣", "\0", "9" * 4_000)
BIDI = "\u202e\u2066\x1b[31m\x9b1m\x07\x00\u2028\u2029\ufeff"


def flac(*comments: str | bytes, block: bytes | None = None) -> bytes:
    """The head of a FLAC file with Vorbis comments."""
    texts = [text.encode() if isinstance(text, str) else text for text in comments]
    listed = b"".join(struct.pack("<I", len(text)) + text for text in texts)
    content = struct.pack("<II", 0, len(texts)) + listed if block is None else block
    return b"fLaC\0\0\0\x22" + bytes(34) + b"\x84" + len(content).to_bytes(3, "big") + content


def tags_of(content: bytes, container: dict[str, str] | None = None) -> Tags:
    tags = read_tags(io.BytesIO(content), PurePath("song"), container)
    texts = [tags.title, tags.album, tags.label, tags.isrc, tags.release_date, *tags.artists]
    for text in filter(None, texts):
        assert len(text) <= 500
        assert not set(text) & set(BIDI) - set("[13m")
        assert text.encode().decode().strip()
    assert len(tags.artists) <= 50
    return tags


def mp3(*frames: tuple[bytes, str | bytes], behind: bytes = b"") -> bytes:
    texts = [(name, id3_text(text.encode(), 3) if isinstance(text, str) else text) for name, text in frames]
    return id3(*texts) + b"\xff\xfb\x90\0" * 50 + behind


def test_what_is_very_long_is_cut() -> None:
    long = "x" * 1_000_000
    for content in (
        flac(f"TITLE={long}", f"ARTIST={long}", f"ALBUM={'é' * 500_000}", f"DATE={long}", f"ISRC={long}"),
        mp3((b"TIT2", long), (b"TPE1", long), (b"TALB", long), (b"TYER", long), (b"TSRC", long)),
        mp3(behind=ape(Title=long, Artist=long, Album=long, Year=long, ISRC=long)),
        mp3((b"TIT2", "Z" + "\u0301" * 9_000), (b"TPE1", "A"), (b"TALB", " " * 90_000 + "B")),
    ):
        tags = tags_of(content)
        assert tags.title
        assert tags.artists
        assert (tags.isrc, tags.release_date) == (None, None)


def test_many_values_and_names_are_as_many_as_an_answer_may_tell() -> None:
    many = [f"Artist {number}" for number in range(3_000)]
    for content in (
        flac("TITLE=t", *(f"ARTIST={name}" for name in many)),
        flac("TITLE=t", f"ARTIST={'; '.join(many)}"),
        flac(f"TITLE=t (feat. {', '.join(many)})", "ARTIST=Artist 0"),
        mp3((b"TIT2", "t"), *((b"TPE1", name) for name in many)),
        mp3((b"TIT2", "t"), (b"TPE1", "\0".join(many))),
        flac("TITLE=t", "ARTIST=Artist 0", *(f"N{number}=v" for number in range(3_000))),
        flac("TITLE=t", "ARTIST=Artist 0", *(f"COMMENT=https://youtu.be/{number:011}" for number in range(3_000))),
    ):
        tags = tags_of(content)
        assert (tags.title or "").startswith("t")
        assert tags.artists[0] == "Artist 0"


@pytest.mark.parametrize("number", ODD_NUMBERS, ids=lambda number: number[:12])
def test_numbers_and_lengths_that_are_none_change_nothing(number: str) -> None:
    names = ("TRACKNUMBER", "DISCNUMBER", "TRACKTOTAL", "BPM", "LENGTH", "RATING")
    frames = (b"TRCK", b"TPOS", b"TLEN", b"TBPM", b"PCNT", b"POPM")
    for content in (
        flac("TITLE=Song", "ARTIST=A", *(f"{name}={number}" for name in names)),
        mp3((b"TIT2", "Song"), (b"TPE1", "A"), *((frame, number) for frame in frames)),
        mp3(behind=ape(Title="Song", Artist="A", Track=number, Disc=number)),
    ):
        assert tags_of(content) == Tags(title="Song", artists=("A",))


@pytest.mark.parametrize("text", ["", " ", "\0", "\u200b\u200d", "\xa0\u3000", "\ufeff", "\0\0\r\n\t"])
def test_texts_that_say_nothing_are_none(text: str) -> None:
    names = ("TITLE", "ARTIST", "ALBUM", "LABEL", "DATE", "ISRC")
    assert tags_of(flac(*(f"{name}={text}" for name in names))) == Tags()
    assert tags_of(mp3(*((name, text) for name in (b"TIT2", b"TPE1", b"TALB", b"TPUB", b"TYER")))) == Tags()


def test_what_controls_a_terminal_is_dropped_wherever_it_is() -> None:
    for content in (
        flac(f"TITLE=Low{BIDI}Tide", f"ARTIST={BIDI}Mira{BIDI}", f"ALBUM={BIDI}"),
        mp3((b"TIT2", f"Low{BIDI}Tide"), (b"TPE1", f"{BIDI}Mira{BIDI}")),
        mp3(behind=ape(Title=f"Low{BIDI}Tide", Artist=f"{BIDI}Mira{BIDI}")),
    ):
        tags = tags_of(content)
        assert (tags.title or "").startswith("Low")
        assert "Mira" in tags.artists[0] or "Mira" in tags.artists[1]


def test_frames_that_are_there_twice_or_broken() -> None:
    twice = mp3((b"TIT2", "First"), (b"TIT2", "Second"), (b"TPE1", "A"), (b"TPE1", "B"))
    assert tags_of(twice) == Tags(title="First", artists=("A", "B"))
    broken = mp3((b"TIT2", b"\x09abc"), (b"TPE1", b""), (b"TALB", b"\x01\xff"), (b"TPUB", b"\x01\xff\xfe\0\xd8"))
    assert tags_of(broken) == Tags(title="abc")
    for block in (
        struct.pack("<II", 0xFFFFFFF0, 5) + b"abc",
        struct.pack("<II", 0, 0xFFFFFFFF) + struct.pack("<I", 6) + b"ALBUM=",
        struct.pack("<III", 0, 2, 0xFFFFFFFF) + b"TITLE=x",
    ):
        assert tags_of(flac(block=block)) == Tags()
    assert tags_of(flac("TITLE", "=x", "=", "ALBUM==", "ARTIST=A")) == Tags(artists=("A",), album="=")


def test_the_longest_and_best_described_of_several_tags_counts() -> None:
    """ID3v2 before APEv2 before ID3v1, which has room for 30 letters; what one lacks, another one has."""
    v1 = id3_v1(b"Version One", b"One", b"Album One")
    two = ((b"TIT2", "Version Two"), (b"TPE1", "Two"))
    both = Tags(title="Version Two", artists=("Two",), album="Album One")
    assert tags_of(mp3(*two, behind=v1)) == both
    tag = ape(Title="Version Ape", Artist="Ape", Album="Album Ape", Label="Label Ape")
    rest = Tags(title="Version Two", artists=("Two",), album="Album Ape", label="Label Ape")
    assert tags_of(mp3(*two, behind=tag)) == rest
    plain = b"\xff\xfb\x90\0" * 50
    assert tags_of(plain + tag + v1) == Tags(
        title="Version Ape", artists=("Ape",), album="Album Ape", label="Label Ape"
    )
    cut = id3_v1(b"A Title That Is Longer Than Th", b"Mira Holt And Her Very Long Ba")
    long = mp3((b"TIT2", "A Title That Is Longer Than Thirty Letters"), behind=cut)
    assert tags_of(long).title == "A Title That Is Longer Than Thirty Letters"


LOADS_NOTHING = """
import json, sys
from io import BytesIO
from pathlib import PurePath
from fingerprint import index_worker
from fingerprint.catalog.tag_reader import read_tags

texts = json.load(sys.stdin)
index_worker._warm_up()
loaded = set()
sys.addaudithook(lambda event, values: loaded.add(str(values[0])) if event in ("open", "import") else None)
for text in texts:
    read_tags(BytesIO(), PurePath("x.mp3"), {"title": text, "artist": text[::-1]})
print(sorted(loaded))
"""


def test_no_text_has_a_sandboxed_worker_load_anything() -> None:
    """It may open no file any more: a codec that is loaded late costs the track."""
    chance = random.Random(1)
    letters = "abcéüñŁżΩяГиногグ音千本桜가나다“”…€\xa0\x85\ufffd\U0001f600"  # noqa: RUF001
    european = ("utf-8", "cp1250", "cp1251", "cp1252", "cp1253", "cp1254", "koi8-r", "iso-8859-2", "mac_roman")
    codecs = (*european, "cp437", "cp932", "euc_jp", "gbk", "big5", "euc_kr")
    texts: list[str] = []
    for codec in codecs * 8:
        raw = "".join(chance.choices(letters, k=6)).encode(codec, "ignore")
        texts += [raw.decode("latin-1"), (b"\xed\xa0\xbd\xed\xb8\x80" + raw).decode("utf-8", "surrogateescape")]
        texts.append(bytes(chance.choices(range(256), k=9)).decode("utf-8", "surrogateescape"))
    ran = subprocess.run(
        [sys.executable, "-c", LOADS_NOTHING],
        input=json.dumps(texts),
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    assert ran.stdout == "[]\n"


def test_what_another_catalog_says_is_put_into_the_same_form(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    entry, fingerprint = recording(1)
    said = Tags(
        title=f"Low{BIDI}Tide" + "x" * 200_000,
        artists=tuple(f"Artist {number}" for number in range(10_000)),
        album=BIDI,
        isrc="no ISRC",
        release_date="0000",
        ids=ExternalIds(spotify_track="javascript:alert(1)//", youtube="dQw4_9-gXcQ", deezer_artists=("1", "<b>")),
    )
    source = Source(path=f"/m/{BIDI}{'n' * 5_000}.flac", tags=said)
    with CatalogWriter(tmp_path / "theirs") as writer:
        writer.add([(TrackEntry(id=entry.id, duration_seconds=20.0, sources=(source,)), fingerprint)])
    assert main(["catalog", "export", str(tmp_path / "songs"), "--catalog", str(tmp_path / "theirs")]) == 0
    with CatalogWriter(tmp_path / "ours") as writer:
        import_tracks(writer, tmp_path / "songs", "Harbour")
    [found] = Catalog(tmp_path / "ours").snapshot().entries()
    tags = found.preferred.tags
    assert tags.title is not None
    assert 990 <= len(tags.title) <= 1_000
    assert (tags.title[:16], len(tags.artists)) == ("Low [31m 1m Tide", 50)
    assert (tags.album, tags.isrc, tags.release_date) == ("[31m 1m", None, None)
    assert tags.ids == ExternalIds(youtube="dQw4_9-gXcQ", deezer_artists=("1",))
    assert len(found.preferred.path) <= 1_000
    assert len(found.encode()) < 10_000
    assert plain_tags(tags) == tags
    capsys.readouterr()
    assert main(["catalog", "list", "--catalog", str(tmp_path / "ours")]) == 0
    assert capsys.readouterr().out.rstrip("\n").isprintable()
