"""The `twitchaudio` command as it can be typed where this server is installed."""

import re
import shlex
import shutil
import sys
import sysconfig
from functools import cache
from pathlib import Path
from typing import Final

NAME: Final = "twitchaudio"

_MOST_PARTS: Final = 3
"""A path below the current folder is named from there up to `.venv/bin/twitchaudio`, and in full beyond."""


def as_typed(text: str) -> str:
    """A text for the operator whose commands, in backticks, can be pasted: by the path of this installation."""
    return re.sub(rf"`{NAME}(?=[ `])", lambda _: f"`{own_command()}", text)


@cache
def own_command() -> str:
    """`twitchaudio` where a shell finds this installation by its name, otherwise the path of its program."""
    return command_of([Path(sys.argv[0]), Path(sysconfig.get_path("scripts")) / NAME], Path.cwd())


def command_of(programs: list[Path], here: Path) -> str:
    """How to call the first of some programs that is there and has the command's name, from a folder."""
    found = next((each for each in programs if each.stem == NAME and each.is_file()), None)
    if found is None:
        return f"{shlex.quote(sys.executable)} -m server"
    on_path = shutil.which(NAME)
    if on_path is not None and Path(on_path).samefile(found):
        return NAME
    path = here / found
    if path.is_relative_to(here) and len(path.relative_to(here).parts) <= _MOST_PARTS:
        path = path.relative_to(here)
        # A shell looks for a bare name on its PATH.
        return shlex.quote(str(path) if len(path.parts) > 1 else f"./{path}")
    return shlex.quote(str(path))
