"""The docs say what the code does: generated parts are fresh, dependencies are named, links lead somewhere."""

import argparse
import itertools
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path
from typing import Final, cast

import pytest

from fingerprint.database import metadata
from server.cli import GROUPS, make_parser
from tests.fault_table import faults_of, read_table

ROOT: Final = Path(__file__).parent.parent
PAGES: Final = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])


def test_generated_parts_are_fresh() -> None:
    command = [sys.executable, "-m", "scripts.generate_docs", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=170, check=False)
    assert done.returncode == 0, done.stderr


def test_every_dependency_has_its_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = [*project["dependencies"], *itertools.chain(*project["optional-dependencies"].values())]
    wanted = {re.match(r"[\w-]+", line)[0] for line in declared}  # type: ignore[index]
    for name in ("build.in", "dev.in", "bench.in", "emulators.in", "docs.in", "audit.in"):
        lines = (ROOT / "requirements" / name).read_text(encoding="utf-8").splitlines()
        wanted |= {re.match(r"[\w-]+", line)[0] for line in lines if line and line[0] not in "#-"}  # type: ignore[index]
    wanted |= json.loads((ROOT / "requirements/node/package.json").read_text(encoding="utf-8"))[
        "devDependencies"
    ].keys()
    rows = re.findall(
        r"^\| ([^|]+) \|", (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    named = {name.strip() for row in rows for name in row.split(",")} - {"package", "---"}
    assert named == wanted


CODE: Final = re.compile(r"^```.*?^```|`[^`\n]*`|\]\([^)]*\)", re.MULTILINE | re.DOTALL)
"""What is no prose: code, and where links lead."""


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "style.md"], ids=lambda page: page.name)
def test_pages_keep_to_the_words_of_the_rule_book(page: Path) -> None:
    rules = (ROOT / "docs" / "style.md").read_text(encoding="utf-8")
    listed = re.search(r" Not: (.*?)\.$", rules, re.MULTILINE | re.DOTALL)
    assert listed is not None
    avoided = [" ".join(words.split()) for words in re.findall(r'"([^"]+)"', listed[1])]
    assert "nobody" in avoided
    prose = " ".join(CODE.sub("", page.read_text(encoding="utf-8")).split())
    assert re.findall(rf"\b(?:{'|'.join(avoided)})\b", prose, re.IGNORECASE) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_the_tests_that_the_threat_model_names_exist() -> None:
    text = (ROOT / "docs" / "threat-model.md").read_text(encoding="utf-8")
    numbers = [int(number) for number in re.findall(r"^\| (\d+) \| ", text, re.MULTILINE)]
    assert numbers == list(range(1, 41))
    named = re.findall(r"`(tests/[\w./]+)(?:::(\w+))?`", text)
    assert len(named) >= 40
    for path, name in named:
        place = ROOT / path
        assert place.exists(), path
        if name:
            assert re.search(rf"def {name}\b", place.read_text(encoding="utf-8")), f"{path} has no {name}"


def test_each_fault_has_a_test() -> None:
    table = read_table()
    kinds = {"T": 16, "M": 6, "R": 8, "D": 8, "S": 9, "P": 14, "L": 8, "C": 4, "A": 4, "X": 5}
    assert list(table) == [f"{kind}{number}" for kind, most in kinds.items() for number in range(1, most + 1)]
    tests = [
        f"{path.relative_to(ROOT)}::{name}"
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^(?:async )?def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    ]
    assert set(table) - {fault for test in tests for fault in faults_of(test, table)} == set()
    for named in (name for row in table.values() for name in row.tests):
        assert any(test.startswith(named) for test in tests), f"there is no {named}"


def test_every_table_says_what_bounds_it() -> None:
    import_module("server.app")  # it declares them all
    page = (ROOT / "docs" / "threat-model.md").read_text(encoding="utf-8")
    rows = page.partition("## What grows")[2].partition("\n## ")[0].splitlines()
    named = [name for row in rows if row.startswith("| `") for name in re.findall(r"`(\w+)`", row.split(" | ")[0])]
    assert sorted(named) == sorted(metadata.tables)


def test_no_page_names_a_path_of_a_machine() -> None:
    for page in PAGES:
        assert not re.search(r"/(root|home|work)/", page.read_text(encoding="utf-8")), page.name


def test_every_page_is_on_the_site() -> None:
    """`scripts/docs-site` builds it, and fails on links between pages that lead nowhere."""
    listed = set(re.findall(r"(\S+\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE))
    assert listed == {str(page.relative_to(ROOT / "docs")) for page in (ROOT / "docs").rglob("*.md")}


# --- Commands of the docs ---------------------------------------------------------------------------------

SHELL: Final = re.compile(r"^```(?:sh|bash|console|shell)\n(.*?)^```", re.MULTILINE | re.DOTALL)
VARIABLE: Final = re.compile(r"^([A-Z][A-Z0-9_]+)=")
OTHERS: Final = {
    "curl",
    "cp",
    "docker",
    "ffmpeg",
    "ffprobe",
    "npm",
    "npx",
    "openapi-python-client",
    "openssl",
    "pip",
    "python",
    "sam",
    "systemctl",
}
"""Programs that are not ours; of `python`, only modules of ours are named."""


def documented_commands() -> list[tuple[str, list[str]]]:
    """Each command line of the docs, with its page, as words."""
    return [
        (page.name, words)
        for page in [*PAGES, ROOT / "CONTRIBUTING.md"]
        for block in SHELL.findall(page.read_text(encoding="utf-8"))
        for line in re.sub(r"\\\n\s*", "", block).splitlines()
        if (words := shlex.split(line, comments=True))
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_block_says_what_it_is_written_in(page: Path) -> None:
    """Those that do not are not looked at by the tests of examples."""
    fences = re.findall(r"^```(\w*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert all(fences[::2]), "a block of code without a language"
    assert not any(fences[1::2]), "a block of code that does not end"


WITHIN_TEXT: Final = re.compile(r"(?<!`)`((?:\.venv/bin/)?(?:twitchaudio|scripts/[\w-]+)(?: [^`]*)?)`(?!`)")
EITHER: Final = re.compile(r"\[[^]]*\]|\.\.\.|\|.*")
"""What is written for readers: optional words, "and so on", a choice."""


def actions_of(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """The commands of a command; none for the last one."""
    for action in parser._actions:  # pyright: ignore[reportPrivateUsage]
        choices = cast("object", vars(action).get("choices"))
        if isinstance(choices, dict):
            return cast("dict[str, argparse.ArgumentParser]", choices)
    return {}


def test_each_command_within_a_sentence_is_one_that_there_is() -> None:
    parser = make_parser(tuple(GROUPS))
    found = 0
    for page in [*PAGES, ROOT / "CONTRIBUTING.md"]:
        for text in WITHIN_TEXT.findall(" ".join(page.read_text(encoding="utf-8").split())):
            found += 1
            program, *words = shlex.split(EITHER.sub("", text))
            if program.startswith("scripts/"):
                assert (ROOT / program).exists(), f"{page.name}: {text}"
                continue
            command = parser
            while words and (actions := actions_of(command)):
                if words[0].startswith("-"):
                    break
                assert words[0] in actions, f"{page.name}: {text}"
                command = actions[words.pop(0)]
            said = command.format_help()
            assert all(word in said for word in words if word.startswith("--")), f"{page.name}: {text}"
    assert found > 100


def test_each_command_in_the_docs_is_one_that_there_is() -> None:
    """They are parsed here; `tests/integration/test_documented_commands.py` runs them, or names what does."""
    settings = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    known = set(re.findall(r"^\| `([A-Z][A-Z0-9_]+)` \|", settings, re.MULTILINE))
    parser = make_parser(tuple(GROUPS))
    commands = documented_commands()
    assert len(commands) > 60
    for page, line in commands:
        words = line[1:] if line[0] == "export" else line
        while words and (variable := VARIABLE.match(words[0])):
            if not variable[1].startswith("AWS_"):
                assert variable[1] in known, f"{page}: {variable[1]} is not a setting"
            words = words[1:]
        if not words:
            continue
        if words[:3] == ["docker", "compose", "exec"]:
            words = words[4:]
        program = words[0].removeprefix(".venv/bin/")
        if program == "twitchaudio":
            try:
                parser.parse_args(words[1:])
            except SystemExit:
                pytest.fail(f"{page}: {' '.join(line)}")
        elif program.startswith("scripts/"):
            assert os.access(ROOT / program, os.X_OK), f"{page}: {program}"
            text = (ROOT / program).read_text(encoding="utf-8")
            module = re.search(r"-m (scripts\.\w+)", text)
            if module is not None:
                text += (ROOT / f"{module[1].replace('.', '/')}.py").read_text(encoding="utf-8")
            for option in (word for word in words if word.startswith("--") and word != "--demo"):
                assert option in text, f"{page}: {program} has no {option}"
        else:
            assert program in OTHERS, f"{page}: {program}"
            if program == "python":
                assert words[2] in ("pytest", "simulator"), f"{page}: {words[2]}"
