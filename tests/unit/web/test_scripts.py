"""The website's scripts in Node, as they are served."""

import json
import os
import shutil
import subprocess
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from fingerprint.wire import from_json
from server.web.answer import answer_view
from server.web.assets import website_files
from server.web.details import details_of
from server.web.languages import known_languages
from server.web.pages import words_json

HERE = Path(__file__).parent


def test_the_scripts_do_what_their_own_tests_say(tmp_path: Path) -> None:
    if shutil.which("node") is None:
        pytest.skip("node is not installed (Debian: apt-get install nodejs)")
    for name, path in website_files().items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, tmp_path / name)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / "german.json").write_text(json.dumps(_german_page()), encoding="utf-8")
    environment = {
        **os.environ,  # noqa: TID251 - handed on
        "SERVED": str(tmp_path),
        "ANSWERS": str(HERE.parent / "answers.json"),
        "GERMAN": str(tmp_path / "german.json"),
    }
    command = ["node", "--test", str(HERE / "scripts.test.js"), str(HERE / "languages.test.js")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "fail 0" in done.stdout


def _german_page() -> dict[str, Any]:
    """What a page in German hands to its scripts, and what the server writes into it for some answers."""
    german = known_languages()["de"]
    table = json.loads((HERE.parent / "answers.json").read_text(encoding="utf-8"))
    cases: list[dict[str, Any]] = []
    for case in table["cases"]:
        now = case.get("now", table["now"])
        view = answer_view(from_json(case["identification"]), datetime.fromisoformat(now), german)
        texts = {name: getattr(view, name) for name, value in table["idle"].items() if isinstance(value, str)}
        del texts["heard_at"]
        cases.append({"name": case["name"], "identification": case["identification"], "now": now, "texts": texts})
    messages = {"texts": german.of_scripts, "details": details_of(german)}
    return {"messages": messages, "cases": cases, "words": words_json(german)}
