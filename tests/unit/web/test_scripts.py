"""The website's scripts in Node, as they are served."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from server.web.assets import website_files

HERE = Path(__file__).parent


def test_the_scripts_do_what_their_own_tests_say(tmp_path: Path) -> None:
    if shutil.which("node") is None:
        pytest.skip("node is not installed (Debian: apt-get install nodejs)")
    for name, path in website_files().items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, tmp_path / name)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    environment = {**os.environ, "SERVED": str(tmp_path), "ANSWERS": str(HERE.parent / "answers.json")}  # noqa: TID251 - handed on
    command = ["node", "--test", str(HERE / "scripts.test.js")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "fail 0" in done.stdout
