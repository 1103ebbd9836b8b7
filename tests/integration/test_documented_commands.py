"""Each command in the docs is run: here, one after another as a reader would, or by the test that is named."""

import json
import re
from pathlib import Path
from typing import Final

import pytest

from server.cli import main
from tests.sounds import tone
from tests.test_docs import ROOT, documented_commands

RUN_ELSEWHERE: Final = {
    r"(\.venv/bin/)?twitchaudio serve": "tests/faults/test_workers.py",
    r"(\.venv/bin/)?twitchaudio identify": "tests/integration/test_whole_files.py",
    r"ffmpeg": "tests/integration/test_whole_files.py",
    r"ffprobe": "tests/integration/test_playlists.py",
    r"twitchaudio catalog add \S+ --catalog s3:": "tests/integration/test_remote_catalogs.py",
    r"twitchaudio doctor --twitch": "tests/integration/test_canary.py",
    r"twitchaudio (backup|restore) s3://": "tests/integration/test_remote_catalogs.py",
    r"TWITCHAUDIO_DATABASE_URL=\S+ twitchaudio db upgrade": "tests/integration/test_migrations.py",
    r"(export )?[A-Z_]+=": "tests/test_docs.py",
    r"scripts/run": "tests/integration/test_demo.py",
    r"scripts/release|openssl": "tests/test_release.py",
    r"scripts/(package|publish)-extension": "tests/unit/extension/test_publish.py",
    r"python -m simulator": "tests/integration/test_simulator_command.py",
    r"(docker|cp)": "tests/deployment/compose.py",
    r"systemctl": "tests/deployment/examples.py",
    r"curl": "tests/integration/test_api.py",
    # What runs all tests; and what takes an account at AWS, or a package that is not published.
    r"scripts/(test|check)|\.venv/bin/python -m pytest": ".ci/run",
    r"sam deploy": "tests/test_deployment.py",
    r"(pip install )?openapi-python-client|npm|npx": "tests/integration/test_generated_clients.py",
    r"pip install": "scripts/smoke",
}
"""Commands that are not run here, with what runs them, or comes nearest to it."""

STREAMER_ID: Final = "123456"


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a reader who follows the docs: with some music, and a place for backups."""
    folder = tmp_path_factory.mktemp("reader")
    (folder / "Music").mkdir()
    (folder / "Music" / "song.wav").write_bytes(tone("wav", seconds=4.0))
    (folder / "Music" / "Low Tide.wav").write_bytes(tone("wav", seconds=4.0, hertz=660.0))
    (folder / "backups").mkdir()
    return folder


class Shell:
    """Runs commands of the docs with a reader's folders, and with the ids that earlier commands have printed."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._folder = folder
        self._capsys = capsys
        self._made: dict[str, str] = {}

    def run(self, words: list[str]) -> str:
        words = [self._own(word, words[1]) for word in words]
        self._capsys.readouterr()
        code = main(words)
        said = self._capsys.readouterr()
        assert code == 0, f"{' '.join(words)}\n{said.err}"
        if (made := re.search(r"This is the (?:key|code) ([0-9a-f]{12})", said.out + said.err)) is not None:
            self._made[words[1]] = made[1]
        return said.out

    def _track(self) -> str:
        tracks = map(json.loads, self.run(["catalog", "list", "--json"]).splitlines())
        return str(next(track["id"] for track in tracks if track["path"].endswith("song.wav")))

    def _own(self, word: str, group: str) -> str:
        if re.fullmatch(r"[0-9a-f]{12}", word):
            return self._track() if group == "remove" else self._made[group]
        if word in ("somestreamer", "somelogin") and group in ("broadcasters", "whitelist"):
            return f"id:{STREAMER_ID}"  # a login is looked up at Twitch
        for known in ("~/Music", "/music", "/backups"):
            if word == known or word.startswith(f"{known}/"):
                return str(self._folder / known.lstrip("~/").replace("music", "Music")) + word[len(known) :]
        return word


def is_run_elsewhere(line: str) -> str | None:
    """The test that runs a command, if that is not done here."""
    return next((test for start, test in RUN_ELSEWHERE.items() if re.match(start, line)), None)


def ours(line: list[str]) -> list[str] | None:
    """The arguments of a `twitchaudio` command that is run here; None for others."""
    words = line[4:] if line[:3] == ["docker", "compose", "exec"] else line
    if words[0].removeprefix(".venv/bin/") != "twitchaudio" or is_run_elsewhere(" ".join(words)):
        return None
    return words[1:]


def test_each_command_of_ours_does_what_its_page_says(
    reader: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TWITCHAUDIO_DATA_DIR", str(reader / "data"))
    monkeypatch.chdir(reader)
    shell = Shell(reader, capsys)
    shell.run(["db", "upgrade"])
    commands = [words for _, line in documented_commands() if (words := ours(line)) is not None]
    done = {words[0] for words in commands}
    for words in commands:
        for dated in (reader / "backups").glob("twitchaudio-*.tar"):
            dated.unlink()  # a name has the second in it
        if words[0] == "restore":
            words = [*words, "--force"]  # what is there was made by the commands before  # noqa: PLW2901
        shell.run([str(reader / "backups") if word == "/var/lib/twitchaudio" else word for word in words])
    assert done >= {"admin", "backup", "catalog", "db", "restore"}
    assert "somestreamer" not in shell.run(["admin", "broadcasters"])


def test_each_other_command_has_a_test_that_runs_it() -> None:
    for page, line in documented_commands():
        if ours(line) is None:
            test = is_run_elsewhere(" ".join(line).removeprefix("docker compose exec server "))
            assert test is not None, f"{page}: {' '.join(line)}"
            assert (ROOT / test).exists(), test
