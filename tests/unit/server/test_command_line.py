"""The `twitchaudio` command itself: its help, its version, and what it loads for them."""

import argparse
import inspect
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import cast

import pytest

from server.cli import main, make_parser

HEAVY = {"aiohttp", "alembic", "numpy", "sqlalchemy", "msgspec", "aiobotocore", "cryptography"}


def loaded_by(*words: str) -> set[str]:
    program = (
        f"import sys; from server.cli import main\ntry: main({words!r})\nfinally: print(*sorted(sys.modules))"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    return set(ran.stdout.splitlines()[-1].split())


def commands(
    parser: argparse.ArgumentParser, *words: str
) -> Iterator[tuple[tuple[str, ...], argparse.ArgumentParser]]:
    """Every command below a parser, with the words that call it."""
    yield words, parser
    for action in parser._actions:  # pyright: ignore[reportPrivateUsage]
        choices = cast("object", vars(action).get("choices"))
        if isinstance(choices, dict):
            for name, child in cast("dict[str, argparse.ArgumentParser]", choices).items():
                yield from commands(child, *words, name)


def test_no_commands_help_loads_anything_heavy() -> None:
    every = [[*words, "--help"] for words, _ in commands(make_parser())]
    assert len(every) > 50
    program = (
        f"import contextlib, io, sys\nfrom server.cli import main\nfor words in {every!r}:\n"
        "    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):\n"
        "        main(words)\nprint(*sorted(sys.modules))"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    loaded = set(ran.stdout.split())
    assert not HEAVY & loaded
    assert len(loaded) < 400, "each module takes its time"


@pytest.mark.nightly
def test_help_takes_little_time_whatever_the_command() -> None:
    """As a ratio to Python's own start, so that it depends on no machine."""

    def seconds(*words: str) -> float:
        before = os.times()
        subprocess.run([sys.executable, *words], capture_output=True, check=True, timeout=60)
        after = os.times()
        return after.children_user + after.children_system - before.children_user - before.children_system

    nothing = min(seconds("-c", "import argparse, re, enum, dataclasses") for _ in range(5))
    for words in (("--help",), ("admin", "keys", "list", "--help"), ("identify", "--help"), ("serve", "--help")):
        assert min(seconds("-m", "server", *words) for _ in range(3)) < 10 * nothing, words


def test_what_each_command_runs_is_there() -> None:
    for words, parser in commands(make_parser()):
        run = cast("object", parser.get_default("run"))
        if isinstance(run, partial):
            module, function = f"catalog.{run.args[0]}", cast("str", run.args[1])
        elif inspect.isfunction(run) and "module" in (free := inspect.getclosurevars(run).nonlocals):
            module, function = free["module"], free["function"]
        else:
            continue  # shows help
        assert callable(getattr(import_module(f"server.cli.{module}"), function)), words


def test_a_server_loads_what_few_need_only_where_it_needs_it() -> None:
    assert not {"alembic", "aiobotocore", "botocore", "sqlalchemy.orm"} & loaded_by("serve", "--help")


@pytest.mark.parametrize("module", ["server.cli", "fingerprint.setting_formats", "server.cli.arguments.catalog"])
def test_ctrl_c_while_it_is_loaded_leaves_no_traceback(module: str) -> None:
    program = f"""
import sys
class Interrupted:
    def find_spec(self, name, *_):
        if name == {module!r}:
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupted())
sys.argv[1:] = ["catalog", "list"]
from server.__main__ import main
sys.exit(main())
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert (ran.returncode, ran.stdout, ran.stderr) == (130, "", "")


def test_the_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"twitchaudio {version('twitchaudio')}\n"


@pytest.mark.parametrize("words", [[], ["catalog"], ["admin"], ["db"]], ids=" ".join)
def test_a_bare_call_shows_the_help(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 0
    assert capsys.readouterr().out.startswith(" ".join(["usage: twitchaudio", *words]))


def test_a_list_takes_its_options_with_and_without_the_word_list() -> None:
    lists = 0
    for words, parser in commands(make_parser(), "twitchaudio"):
        # A list that asks of what it is, such as of which channel, has its word.
        if words[1:2] == ("admin",) and words[-1] == "list" and not parser._get_positional_actions():  # pyright: ignore[reportPrivateUsage]
            below = dict(commands(make_parser(), "twitchaudio"))[words[:-1]]
            lists += 1
            for option in parser._option_string_actions:  # pyright: ignore[reportPrivateUsage]
                assert option in below._option_string_actions, words  # pyright: ignore[reportPrivateUsage]
    assert lists >= 10
    read = make_parser().parse_args
    for typed in (["--channel", "a"], ["list", "--channel", "a"], ["--channel", "a", "list"]):
        assert read(["admin", "song-tokens", *typed]).channel == "a"
    assert read(["admin", "song-tokens"]).channel is None
    assert [read(["admin", "reports", *typed]).all for typed in ([], ["--all"])] == [False, True]


def test_the_short_list_of_commands_says_what_the_groups_say() -> None:
    assert make_parser().format_help() == make_parser(()).format_help()


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("twitchaudio ba", "backup"),
        ("twitchaudio admin ke", "keys"),
        ("twitchaudio admin keys cr", "create"),
        ("twitchaudio identify --rec", "--recognizers"),
        ("twitchaudio serve --worker", "--workers"),
    ],
)
def test_bash_completes_commands_and_options(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], typed: str, offered: str
) -> None:
    assert main(["completion", "bash"]) == 0
    script = tmp_path / "completion"
    script.write_text(capsys.readouterr().out)
    words = typed.split()
    asked = (
        f"source {script}; COMP_WORDS=({typed}); COMP_CWORD={len(words) - 1}; "
        f"_shtab_twitchaudio twitchaudio {words[-1]} {words[-2]}; echo ${{COMPREPLY[@]}}"
    )
    done = subprocess.run(["bash", "-c", asked], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == [offered]


@pytest.mark.parametrize("shell", ["zsh", "tcsh"])
def test_other_shells_have_a_script_too(capsys: pytest.CaptureFixture[str], shell: str) -> None:
    assert main(["completion", shell]) == 0
    assert "twitchaudio" in capsys.readouterr().out


def test_a_shell_without_a_script_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["completion", "cmd"])
    assert caught.value.code == 2
    assert "bash, zsh, tcsh" in capsys.readouterr().err.replace("'", "")


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("admin settings set access_mode foo", "access_mode takes open, login or subscribers, not 'foo'."),
        ("admin settings set maintenance maybe", "maintenance takes on or off"),
        ("admin keys create BLANK", "A key needs a name"),
        ("admin blacklist add address nowhere", "address takes"),
        ("admin blacklist remove address nowhere", "address takes"),
        ("admin whitelist add id:x", "A user is named by"),
        ("admin whitelist remove id:x", "A user is named by"),
        ("admin sessions end id:x", "A user is named by"),
        ("admin broadcasters add id:x", "A user is named by"),
        ("admin broadcasters remove id:x", "A user is named by"),
        ("admin channels forget id:x", "A user is named by"),
        ("admin song-tokens list --channel a.b", "'a.b'"),
        ("admin song-tokens create a.b", "'a.b'"),
        ("admin watches start a.b", "'a.b'"),
        ("admin watches start somechannel --every 1", "every takes"),
        ("admin watches start somechannel --budget 999999", "budget takes"),
        ("admin watches stop somechannel a.b", "'a.b'"),
        ("admin plays list a.b", "'a.b'"),
        ("admin plays correct somechannel 1", "--title"),
        ("admin plays hide a.b 1", "'a.b'"),
        ("admin plays corrections a.b", "'a.b'"),
        ("admin plays undo a.b 1", "'a.b'"),
        ("admin plays public a.b", "'a.b'"),
        ("admin recognizers order nothing", "nothing"),
        ("admin recognizers budgets audd=many", "'audd=many' is not one."),
        ("admin recognizers budgets catalog=1/day", "catalog has no budget"),
        ("doctor --twitch a.b", "'a.b'"),
        ("serve --demo --music nowhere", "is not a folder"),
        ("backup nowhere.tar --keep 3", "--keep takes a folder"),
    ],
)
def test_a_value_that_a_command_does_not_take_is_wrong_usage(
    typed: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TWITCHAUDIO_DATA_DIR", str(tmp_path))
    assert main([" " if word == "BLANK" else word for word in typed.split()]) == 2
    shown = capsys.readouterr().err
    assert said in shown
    assert shown.startswith("twitchaudio: ")
    assert list(tmp_path.iterdir()) == [], "no database was opened"
