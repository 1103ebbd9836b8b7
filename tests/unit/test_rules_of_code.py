"""Rules of our own that linters do not have: for tasks, requests to elsewhere, and workflows."""

import ast
import re
from collections.abc import Generator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
SENDS: Final = frozenset({"get", "post", "put", "patch", "delete", "head", "request"})
OWN: Final = frozenset({"server/cli/demo.py", "server/web/sign_in.py"})
"""The demo asks itself alone; sign-in reads a visitor's session."""


def calls() -> Generator[tuple[str, ast.Call, ast.AST]]:
    """The place of each call in the product, and what it is part of."""
    for folder in ("server", "fingerprint"):
        for file in sorted((ROOT / folder).rglob("*.py")):
            text = file.read_text(encoding="utf-8")
            if "create_task" not in text and "ensure_future" not in text and "ession" not in text:
                continue
            for parent in ast.walk(ast.parse(text)):
                for node in ast.iter_child_nodes(parent):
                    if isinstance(node, ast.Call):
                        yield f"{file.relative_to(ROOT)}:{node.lineno}", node, parent


def test_each_task_has_an_owner_and_no_request_follows_redirects() -> None:
    wrong: list[str] = []
    requests = 0
    for place, call, parent in calls():
        match call.func:
            case ast.Attribute(attr="create_task" | "ensure_future", value=owner):
                # A group awaits its tasks itself.
                if isinstance(parent, ast.Expr) and getattr(owner, "id", "") not in ("group", "tasks"):
                    wrong.append(f"{place}: nothing holds this task")
            case ast.Attribute(attr=name, value=ast.Name(id=sender) | ast.Attribute(attr=sender)):
                if name in SENDS and sender.endswith("session") and place.partition(":")[0] not in OWN:
                    requests += 1
                    follows = next((each.value for each in call.keywords if each.arg == "allow_redirects"), None)
                    if not isinstance(follows, ast.Constant) or follows.value is not False:
                        wrong.append(f"{place}: this request follows redirects")
            case _:
                pass
    assert not wrong, "\n".join(wrong)
    assert requests >= 3, "those to Twitch, to media hosts and to webhooks are found"


LOADED_AT_FIRST_USE: Final = frozenset({"fft", "linalg", "ma", "polynomial", "random", "rec", "char", "strings"})
"""Parts of numpy. Two threads whose first use of one is at the same time can end in a RecursionError."""


def test_parts_of_numpy_are_imported_and_not_loaded_at_their_first_use_in_a_thread() -> None:
    wrong: list[str] = []
    for folder in ("fingerprint", "server", "simulator"):
        for file in sorted((ROOT / folder).rglob("*.py")):
            text = file.read_text(encoding="utf-8")
            if "np." not in text:
                continue
            for node in ast.walk(ast.parse(text)):
                match node:
                    case ast.Attribute(value=ast.Name(id="np"), attr=part) if part in LOADED_AT_FIRST_USE:
                        wrong.append(f"{file.relative_to(ROOT)}:{node.lineno}: import it from numpy.{part}")
                    case _:
                        pass
    assert not wrong, "\n".join(wrong)


def test_workflows_run_fixed_actions_with_no_rights_that_they_do_not_need() -> None:
    for file in sorted((ROOT / ".github/workflows").glob("*.yml")):
        text = file.read_text(encoding="utf-8")
        for used in re.findall(r"uses: (.+)", text):
            assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v[\d.]+", used), f"{file.name}: {used} may change"
        assert text.count("actions/checkout@") == text.count("persist-credentials: false"), file.name
        assert re.search(r"^permissions:\n  contents: read$", text, re.MULTILINE), file.name
        for command in re.findall(r"run: (.+)", text):
            assert "${{" not in command, f"{file.name}: what others write becomes part of a command"


RUNS_SQL: Final = frozenset({"execute", "exec_driver_sql", "executescript", "executemany", "text"})
KNOWN_SQL: Final = frozenset(
    {
        "fingerprint/database_backends.py",
        "fingerprint/upserts.py",
        "server/sqlite_space.py",
    }
)
"""Files that run a text with parts: a constant, a number, or what SQLAlchemy compiled, never a client's value."""


def put_together(value: ast.expr) -> bool:
    """Whether a text is made of parts at run time."""
    match value:
        case ast.JoinedStr():
            return any(isinstance(part, ast.FormattedValue) for part in value.values)
        case ast.BinOp(op=ast.Add() | ast.Mod(), left=left, right=right):
            return any(
                isinstance(side, ast.JoinedStr) or (isinstance(side, ast.Constant) and isinstance(side.value, str))
                for side in (left, right)
            )
        case ast.Call(func=ast.Attribute(attr="format" | "join", value=ast.Constant())):
            return True
        case _:
            return False


def test_no_sql_is_put_together_from_texts() -> None:
    found: list[str] = []
    seen = 0
    for folder in ("server", "fingerprint", "sql"):
        for file in sorted((ROOT / folder).rglob("*.py")):
            content = file.read_text(encoding="utf-8")
            for node in ast.walk(ast.parse(content)) if "execute" in content or "sql" in content else ():
                match node:
                    case ast.Call(func=ast.Attribute(attr=name) | ast.Name(id=name) as called, args=[first, *_]):
                        if name in RUNS_SQL and (name != "text" or isinstance(called, ast.Name)):
                            seen += 1
                            if put_together(first):
                                found.append(str(file.relative_to(ROOT)))
                    case _:
                        pass
    assert set(found) == KNOWN_SQL
    assert seen > 100, "statements are found"
