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


def test_workflows_run_fixed_actions_with_no_rights_that_they_do_not_need() -> None:
    for file in sorted((ROOT / ".github/workflows").glob("*.yml")):
        text = file.read_text(encoding="utf-8")
        for used in re.findall(r"uses: (.+)", text):
            assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v[\d.]+", used), f"{file.name}: {used} may change"
        assert text.count("actions/checkout@") == text.count("persist-credentials: false"), file.name
        assert re.search(r"^permissions:\n  contents: read$", text, re.MULTILINE), file.name
        for command in re.findall(r"run: (.+)", text):
            assert "${{" not in command, f"{file.name}: what others write becomes part of a command"
