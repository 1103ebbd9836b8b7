"""Commands for the operator, by a path that runs."""

from pathlib import Path

import pytest

from server.own_command import as_typed, command_of, own_command

pytestmark = pytest.mark.unit


def program(folder: Path) -> Path:
    folder.mkdir(parents=True)
    file = folder / "twitchaudio"
    file.touch(mode=0o755)
    return file


def test_a_command_is_named_by_the_shortest_way_that_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    there = program(tmp_path / "a b" / ".venv" / "bin")
    assert command_of([tmp_path / "pytest", there], tmp_path / "a b") == ".venv/bin/twitchaudio"
    assert command_of([Path(".venv/bin/twitchaudio"), there], tmp_path / "a b") == ".venv/bin/twitchaudio"
    assert command_of([there], there.parent) == "./twitchaudio"
    assert command_of([there], tmp_path / "other") == f"'{there}'"
    assert command_of([there], tmp_path) == f"'{there}'"
    on_path = program(tmp_path / "bin")
    assert command_of([there], tmp_path / "other") == f"'{there}'", "another one is on the PATH"
    assert command_of([on_path, there], tmp_path) == "twitchaudio"
    assert command_of([tmp_path / "nothing"], tmp_path).endswith(" -m server")


def test_only_commands_in_backticks_are_changed() -> None:
    own = own_command()
    assert as_typed("Run `twitchaudio db upgrade`, twitchaudio.") == f"Run `{own} db upgrade`, twitchaudio."
    assert as_typed("`TWITCHAUDIO_DATA_DIR`, `twitchaudio-streams`") == (
        "`TWITCHAUDIO_DATA_DIR`, `twitchaudio-streams`"
    )
