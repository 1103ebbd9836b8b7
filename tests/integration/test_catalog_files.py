"""A newcomer's folder: files of every usual format, a broken one and a text file, through the command line."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
import pytest

from fingerprint.catalog.identify import identify, prepare
from fingerprint.catalog.index import Catalog
from fingerprint.catalog.writer import CatalogWriter
from fingerprint.domain.audio import SAMPLE_RATE, Pcm
from fingerprint.media.decode import decode_blocks
from server.cli import main
from tests.unit.catalog.music import tune

FORMATS = {
    "mp3": ("mp3", "libmp3lame"),
    "flac": ("flac", "flac"),
    "ogg": ("ogg", "libopus"),  # PyAV carries no Vorbis encoder that works
    "opus": ("ogg", "libopus"),
    "m4a": ("ipod", "aac"),
}
RATE = 48_000
SECONDS = 25.0


def encode(path: Path, pcm: Pcm, tags: dict[str, str]) -> None:
    """Write sound as the format that the path's ending names."""
    container_name, codec = FORMATS[path.suffix[1:]]
    with av.open(path, "w", format=container_name) as opened:
        output = cast("Any", opened)
        stream = output.add_stream(codec, rate=RATE, layout="stereo")
        for holder in (output, stream):
            holder.metadata.update(tags)
        samples = np.repeat(pcm.samples, 3, axis=1)  # 16 kHz to 48 kHz, coarsely
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), format="fltp", layout="stereo")
        frame.rate = RATE
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("music")
    for number, ending in enumerate(FORMATS):
        tags = {
            "title": f"Grüße {number}",
            "artist": f"Mira Holt {number}; The Low Tide",
            "album": "Harbour Songs",
            "date": "2021",
            "comment": f"https://www.deezer.com/track/{number}",
        }
        encode(folder / f"{ending} song.{ending}", tune(200 + number, SECONDS, channels=2), tags)
    (folder / "broken.mp3").write_bytes(b"this is no music" * 500)
    (folder / "notes.txt").write_text("milk, eggs")
    return folder


@pytest.fixture(scope="module")
def catalog(music: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("catalog")
    assert main(["catalog", "add", str(music), "--catalog", str(folder)]) == 3  # one file is broken
    return folder


def run(capsys: pytest.CaptureFixture[str], arguments: Sequence[str]) -> tuple[int, list[str], list[str]]:
    status = main(["catalog", *arguments])
    captured = capsys.readouterr()
    return status, captured.out.splitlines(), captured.err.splitlines()


def test_every_format_is_indexed_with_its_tags(catalog: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, ["list", "--json", "--catalog", str(catalog)])
    assert status == 0
    tracks = {Path(track["path"]).suffix[1:]: track for track in map(json.loads, out)}
    assert set(tracks) == set(FORMATS)
    for number, ending in enumerate(FORMATS):
        track = tracks[ending]
        assert track["title"] == f"Grüße {number}"
        assert track["artists"] == [f"Mira Holt {number}", "The Low Tide"]
        assert track["album"] == "Harbour Songs"
        assert track["release_date"] == "2021"
        assert track["ids"] == {"deezer_track": str(number)}
        assert track["duration"] == pytest.approx(SECONDS, abs=0.2)


def test_the_broken_and_the_text_file_are_named_and_skipped(
    music: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["add", str(music), "--catalog", str(tmp_path / "new")]
    status, out, err = run(capsys, arguments)
    assert status == 3
    assert sorted(line.split(": ")[0] for line in err) == [
        f"skipped {music / 'broken.mp3'}",
        f"skipped {music / 'notes.txt'}",
    ]
    assert "5 added" in out[0]
    status, out, _ = run(capsys, [*arguments, "--json"])
    assert status == 3
    report = json.loads(out[0])
    assert (report["added"], report["already"], len(report["skipped"])) == (0, 5, 2)


@pytest.mark.parametrize("ending", FORMATS)
def test_a_cut_at_half_volume_is_named(catalog: Path, music: Path, ending: str) -> None:
    pcm = next(iter(decode_blocks(music / f"{ending} song.{ending}")))
    assert pcm.rate == SAMPLE_RATE
    cut = pcm.cut(8, 10)
    (finding,) = identify(Catalog(catalog).snapshot(), prepare(Pcm(cut.samples * np.float32(0.5))))
    assert Path(finding.track.path).suffix[1:] == ending
    assert finding.offset_seconds == pytest.approx(8, abs=0.1)
    assert finding.confidence > 0.9


def test_a_path_that_is_missing_or_no_music_at_all_fails(
    music: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = str(tmp_path / "c")
    status, _, err = run(capsys, ["add", str(tmp_path / "gone"), "--catalog", folder])
    assert status == 1
    assert "does not exist" in err[0]
    status, _, err = run(capsys, ["add", str(music / "notes.txt"), "--catalog", folder])
    assert status == 1
    assert err[0].startswith(f"skipped {music / 'notes.txt'}: There is no audio to identify")
    status, _, _ = run(
        capsys, ["add", str(music / "notes.txt"), str(music / "flac song.flac"), "--catalog", folder]
    )
    assert status == 3


def test_search_remove_stats_and_verify(music: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    at = ["--catalog", str(tmp_path / "c")]
    run(capsys, ["add", str(music / "flac song.flac"), str(music / "ogg song.ogg"), *at])
    status, out, _ = run(capsys, ["search", "GRÜSSE", "flac song", *at])
    assert (status, len(out)) == (0, 1)
    assert "Mira Holt 1, The Low Tide - Grüße 1 [Harbour Songs]" in out[0]
    track_id = out[0].split()[0]
    assert run(capsys, ["search", "nothing like it", *at])[0] == 1
    status, out, err = run(capsys, ["remove", track_id, "ffffffffffff", *at])
    assert (status, out) == (1, ["1 track removed."])
    assert "ffffffffffff" in err[0]
    assert run(capsys, ["search", "flac song", *at])[0] == 1
    status, out, _ = run(capsys, ["stats", "--json", *at])
    assert status == 0
    assert json.loads(out[0])["tracks"] == 1
    assert json.loads(out[0])["bytes_per_minute"] > 0
    assert run(capsys, ["stats", *at])[0] == 0
    assert run(capsys, ["verify", *at])[:2] == (0, [f"The catalog in {tmp_path / 'c'} is whole: 1 track."])
    segment = next((tmp_path / "c").glob("*.seg"))
    segment.write_bytes(segment.read_bytes()[:-64])
    status, _, err = run(capsys, ["verify", *at])
    assert status == 1
    assert "was cut" in err[0]
    status, out, _ = run(capsys, ["verify", "--json", *at])
    assert status == 1
    assert json.loads(out[0])["ok"] is False


def test_what_controls_a_terminal_never_reaches_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    evil = "\x1b[31m\x07\x9b1m\u202e\n"
    folder = tmp_path / f"music{evil}"
    folder.mkdir()
    encode(
        folder / f"a{evil}.flac", tune(230, 3.0, channels=2), {"title": f"Low{evil}Tide", "artist": f"Mira{evil}"}
    )
    (folder / f"b{evil}.flac").write_bytes(b"broken")
    (folder / f"c{evil}.txt").touch()
    (folder / "tracks.csv").write_text(f'file,title\n"gone{evil}.flac",x\n')
    at = ["--catalog", str(tmp_path / f"c{evil}")]
    monkeypatch.chdir(tmp_path)
    commands = [
        ["add", str(folder)], ["sync"], ["list"], ["search", "low"], ["stats"], ["exclude", f"x{evil}"],
        ["exclude"],
        ["verify"], ["duplicates"], ["export", f"x{evil}"], ["backup", f"copy{evil}"], ["remove", f"x{evil}"],
        ["restore", f"gone{evil}"], ["import", f"gone{evil}", "--owner", "x"], ["add", f"gone{evil}"],
    ]  # fmt: skip
    for command in commands:
        assert main(["catalog", *command, *at]) in (0, 1, 3)
        captured = capsys.readouterr()
        for line in (captured.out + captured.err).split("\n"):
            assert line.isprintable(), command


def test_an_empty_catalog_is_listed_with_a_hint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with CatalogWriter(tmp_path / "c"):
        pass
    status, out, err = run(capsys, ["list", "--catalog", str(tmp_path / "c")])
    assert (status, out) == (0, [])
    assert "catalog add PATH" in err[0]


@pytest.mark.parametrize("command", ["list", "search x", "remove x", "stats", "verify"])
def test_a_catalog_that_is_not_there_is_named_and_not_made(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    before = sorted(tmp_path.rglob("*"))
    for name in ("typo", "folder", "file"):
        status, out, err = run(capsys, [*command.split(), "--catalog", str(tmp_path / name)])
        assert (status, out) == (1, [])
        assert str(tmp_path / name) in err[0]
        assert "catalog add PATH" in err[0]
    assert sorted(tmp_path.rglob("*")) == before


def test_wrong_usage_is_2() -> None:
    for arguments in (["catalog", "tidy"], ["catalog", "add"], ["catalog", "add", "x", "--workers", "0"]):
        with pytest.raises(SystemExit) as exited:
            main(arguments)
        assert exited.value.code == 2
